package replay

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/rules"
)

// The configuration that the model knows by heart.
const (
	modelCount  = 3
	modelWithin = 5 * time.Minute
	modelForget = 6 * time.Hour
)

var modelLadder = []time.Duration{10 * time.Minute, 40 * time.Minute}

const modelRule = `
rule: app
title: app
evidence: proven
patterns:
  - {name: failed, class: failure, match: '^login failed from <addr>$'}
  - {name: ok, class: success, match: '^login ok from <addr>$'}
`

// entry is one line of a generated log.
type entry struct {
	time  time.Time // zero = the line has no date
	what  string    // failed, ok, or anything that no rule takes
	addr  netip.Addr
	where int // which log
}

func (e entry) String() string {
	text := map[string]string{"failed": "login failed from %s", "ok": "login ok from %s", "seen": "hello %s, how are you"}[e.what]
	text = fmt.Sprintf(text, e.addr)
	if e.time.IsZero() {
		return text
	}
	return e.time.Format("2006-01-02T15:04:05Z") + " h app[7]: " + text
}

func (e entry) hits() bool { return e.what != "seen" }

// outcome is what model and replay must agree on.
type outcome struct {
	decisions []string
	kept      int
	logins    int
}

func told(verdict string, at time.Time, addr netip.Addr, until time.Time, offence, kept int) string {
	return fmt.Sprint(at.Format(time.DateTime), " ", verdict, " ", addr, " ", until.Format(time.DateTime), " ", offence, " ", kept)
}

// model derives decisions the slow and plain way: one list of lines by time, and for
// each line a look at all that was before.
func model(logs [][]entry, written time.Time) outcome {
	var out outcome
	var all []entry
	next := make([]int, len(logs))
	last := make([]time.Time, len(logs))
	for w := range logs {
		last[w] = logs[w][0].time
		for i := range logs[w] {
			e := &logs[w][i]
			e.where = w
			if e.time.IsZero() {
				e.time = cmp.Or(last[w], written)
			} else if e.hits() {
				last[w] = e.time
			}
		}
	}
	for {
		best := -1
		for w := range logs {
			if next[w] < len(logs[w]) && (best < 0 || logs[w][next[w]].time.Before(logs[best][next[best]].time)) {
				best = w
			}
		}
		if best < 0 {
			break
		}
		all = append(all, logs[best][next[best]])
		next[best]++
	}
	type banned struct {
		since, until time.Time
		offence      int
		kept         int
		live         bool
	}
	bans := map[netip.Addr]*banned{}
	windows := map[netip.Addr][]time.Time{}
	var now time.Time
	for _, e := range all {
		if e.hits() && e.time.After(now) {
			now = e.time
		}
		for { // whose time is over
			var over netip.Addr
			for a, b := range bans {
				if b.live && !b.until.After(now) && (!over.IsValid() || b.until.Before(bans[over].until)) {
					over = a
				}
			}
			if !over.IsValid() {
				break
			}
			b := bans[over]
			b.live = false
			out.decisions = append(out.decisions, told("release", b.until, over, time.Time{}, 0, b.kept))
		}
		b := bans[e.addr]
		if b != nil && !e.time.Before(b.since) && e.time.Before(b.until) {
			b.kept++
			out.kept++
			if e.what == "ok" {
				out.logins++
			}
		}
		if e.what != "failed" {
			continue
		}
		w := windows[e.addr]
		newest := e.time
		for _, t := range w {
			if t.After(newest) {
				newest = t
			}
		}
		if newest.Sub(e.time) > modelWithin {
			continue
		}
		w = append(w, e.time)
		w = slices.DeleteFunc(w, func(t time.Time) bool { return newest.Sub(t) > modelWithin })
		windows[e.addr] = w
		if len(w) < modelCount {
			continue
		}
		delete(windows, e.addr)
		if b != nil && b.live {
			continue
		}
		n := 1
		if b != nil && now.Sub(b.since) < modelForget {
			n = b.offence + 1
		}
		b = &banned{since: now, until: now.Add(modelLadder[min(n, len(modelLadder))-1]), offence: n, live: true}
		bans[e.addr] = b
		out.decisions = append(out.decisions, told("ban", now, e.addr, b.until, n, 0))
	}
	return out
}

// replayed runs the real thing.
func replayed(t interface {
	Helper()
	Fatal(...any)
}, texts []string, written time.Time, o Options) (outcome, Summary, []Account) {
	t.Helper()
	rule, err := rules.Parse("app.yaml", []byte(modelRule))
	if err != nil {
		t.Fatal(err)
	}
	var out outcome
	course := NewCourse(Config{
		Detect: detect.Config{Watches: []detect.Watch{{Name: "app", Threshold: gate.Threshold{Count: modelCount, Within: modelWithin}}}},
		Policy: policy.Config{Ladder: modelLadder, Forget: modelForget},
		Decided: func(d *Decision) error {
			out.decisions = append(out.decisions, told(d.Verdict.String(), d.Time, d.Subject.Addr(), d.Until, d.Offence, d.KeptAway))
			return nil
		},
	})
	var sources []Source
	for i, text := range texts {
		sources = append(sources, Source{Name: fmt.Sprint("log", i), Log: strings.NewReader(text), Written: written, Watches: []Watch{{Name: "app", Rule: rule}}})
	}
	o.Now, o.Zone = written, time.UTC
	accounts, err := Run(context.Background(), sources, o, course)
	if err != nil {
		t.Fatal(err)
	}
	sum := course.Summary()
	out.kept, out.logins = sum.KeptAway, sum.Logins
	return out, sum, accounts
}

func text(es []entry) string {
	var b strings.Builder
	for _, e := range es {
		b.WriteString(e.String() + "\n")
	}
	return b.String()
}

// drawLog returns a log whose lines are out of order by at most so much.
func drawLog(t *rapid.T, begin time.Time, disorder int, kinds ...string) []entry {
	var es []entry
	now := begin
	for range rapid.IntRange(1, 120).Draw(t, "lines") {
		now = now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 1, 7, 30, 60, 300, 900, 9000}).Draw(t, "gap")) * time.Second)
		e := entry{time: now, what: rapid.SampledFrom(kinds).Draw(t, "what"), addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(rapid.IntRange(1, 3).Draw(t, "who"))})}
		if disorder > 0 {
			e.time = now.Add(-time.Duration(rapid.IntRange(0, disorder).Draw(t, "late")) * time.Second)
		}
		es = append(es, e)
	}
	return es
}

var modelBegin = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)

func check(t *rapid.T, what string, got, want outcome) {
	t.Helper()
	got.decisions, want.decisions = ordered(got.decisions), ordered(want.decisions)
	if !slices.Equal(got.decisions, want.decisions) {
		t.Fatalf("%s: decisions\n%s\nwant\n%s", what, strings.Join(got.decisions, "\n"), strings.Join(want.decisions, "\n"))
	}
	if got.kept != want.kept || got.logins != want.logins {
		t.Fatalf("%s: kept away %d, logins %d; want %d, %d", what, got.kept, got.logins, want.kept, want.logins)
	}
}

// ordered sorts releases that stand together: bans that end at the same time may end
// in any order.
func ordered(ds []string) []string {
	ds = slices.Clone(ds)
	for from := 0; from < len(ds); from++ {
		to := from
		for to < len(ds) && strings.Contains(ds[to], " release ") {
			to++
		}
		slices.Sort(ds[from:to])
		from = max(from, to-1)
	}
	return ds
}

// TestReplayIsTheModel: one log in order, with lines that no rule takes and lines
// without a date, cut in any way and read by any number of workers.
func TestReplayIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := drawLog(t, modelBegin, 0, "failed", "failed", "failed", "ok", "seen")
		for i := range es {
			if i > 0 && rapid.IntRange(0, 9).Draw(t, "undated") == 0 {
				es[i].time = time.Time{}
			}
		}
		raw, written := text(es), modelBegin.Add(1000*time.Hour)
		want := model([][]entry{es}, written)
		for _, o := range []Options{{}, {Block: rapid.IntRange(80, 3000).Draw(t, "block"), Workers: rapid.IntRange(1, 4).Draw(t, "workers")}} {
			got, _, accounts := replayed(t, []string{raw}, written, o)
			check(t, fmt.Sprintf("%+v", o), got, want)
			if accounts[0].Lines != len(es) {
				t.Fatalf("%d lines, want %d", accounts[0].Lines, len(es))
			}
		}
	})
}

// TestMergeIsTheModel: several logs whose lines are somewhat out of order.
func TestMergeIsTheModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var logs [][]entry
		var texts []string
		disorder := rapid.SampledFrom([]int{0, 50}).Draw(t, "disorder")
		for range rapid.IntRange(1, 5).Draw(t, "logs") {
			es := drawLog(t, modelBegin.Add(time.Duration(rapid.IntRange(0, 600).Draw(t, "begin"))*time.Second), disorder, "failed", "failed", "ok")
			texts = append(texts, text(es))
			logs = append(logs, es)
		}
		written := modelBegin.Add(1000 * time.Hour)
		// Among equals the log comes first that began first.
		slices.SortStableFunc(logs, func(a, b []entry) int { return a[0].time.Compare(b[0].time) })
		want := model(logs, written)
		got, _, _ := replayed(t, texts, written, Options{})
		check(t, "merged", got, want)
	})
}

// TestSplitting: a log gives the same when it was rotated anywhere, and its pieces
// are named in any order.
func TestSplitting(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		es := drawLog(t, modelBegin, 0, "failed", "failed", "ok", "seen")
		written := modelBegin.Add(1000 * time.Hour)
		whole, sum, _ := replayed(t, []string{text(es)}, written, Options{})
		var pieces []string
		from := 0
		for i := 1; i < len(es); i++ {
			if es[i].time.After(es[i-1].time) && rapid.IntRange(0, 9).Draw(t, "rotate") == 0 {
				pieces = append(pieces, text(es[from:i]))
				from = i
			}
		}
		pieces = append(pieces, text(es[from:]))
		pieces = rapid.Permutation(pieces).Draw(t, "order")
		got, parts, _ := replayed(t, pieces, written, Options{Block: rapid.IntRange(80, 3000).Draw(t, "block")})
		whole.kept, whole.logins, got.kept = 0, 0, 0
		bans := func(ds []string) (out []string) {
			for _, d := range ds {
				out = append(out, d[:strings.LastIndexByte(d, ' ')]) // what was kept away may differ
			}
			return out
		}
		if a, b := ordered(bans(got.decisions)), ordered(bans(whole.decisions)); !slices.Equal(a, b) {
			t.Fatalf("in %d pieces\n%s\nwant\n%s", len(pieces), strings.Join(a, "\n"), strings.Join(b, "\n"))
		}
		if parts.Bans != sum.Bans || parts.Banned != sum.Banned || parts.Logins != sum.Logins || parts.First != sum.First || parts.Last != sum.Last {
			t.Fatalf("%+v, want %+v", parts, sum)
		}
	})
}
