package detect

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/gate"

	"pgregory.net/rapid"
)

// model is the slow detector: maps of slices, no bounds, whole events. It is
// written from the documentation, not from the fast code.
type model struct {
	watches  map[string]gate.Threshold
	windows  map[modelKey][]*gate.Event // by time
	sessions map[modelSession]*modelState
}

type modelKey struct {
	rule string
	who  gate.Subject
}

type modelSession struct {
	rule string
	id   uint64
	via  string
}

type modelState struct {
	who             gate.Subject
	last            time.Time
	failures        int
	hint, key, okay bool
	standIn         *gate.Event
	standInWindow   modelKey
}

func newModel(ws []Watch) *model {
	m := &model{watches: map[string]gate.Threshold{}, windows: map[modelKey][]*gate.Event{}, sessions: map[modelSession]*modelState{}}
	for _, w := range ws {
		m.watches[w.Name] = w.Threshold
	}
	return m
}

func (s *modelState) stand() int {
	if s.hint || s.key && !s.okay {
		return 1
	}
	return 0
}

func (m *model) observe(e gate.Event) []gate.Finding {
	if e.Class == gate.ClassAsk {
		if e.Ask == nil {
			return nil
		}
		return []gate.Finding{{Time: e.Time, Origin: e.Origin, Rule: e.Rule, Subject: e.Subject, Evidence: e.Evidence,
			Proof: gate.Proof{Count: 1, First: []gate.Event{e}}, Ask: e.Ask}}
	}
	t, ok := m.watches[e.Rule]
	if !ok || t == (gate.Threshold{}) || !e.Class.Counts() && e.Class != gate.ClassSuccess {
		return nil
	}
	if e.Detail.Session == 0 {
		if e.Class == gate.ClassSuccess || !e.Subject.IsNet() {
			return nil
		}
		f, _ := m.count(e)
		return f
	}
	id := modelSession{e.Rule, e.Detail.Session, e.Detail.Via}
	s := m.sessions[id]
	if s != nil && e.Time.Sub(s.last).Abs() > 10*time.Minute {
		s = nil
	}
	if s != nil && e.Subject.IsValid() && s.who != e.Subject {
		s = nil
	}
	if s == nil {
		if !e.Subject.IsNet() {
			return nil
		}
		s = &modelState{who: e.Subject, last: e.Time}
		m.sessions[id] = s
	}
	if e.Time.After(s.last) {
		s.last = e.Time
	}
	e.Subject = s.who
	before := max(s.failures, s.stand())
	switch e.Class {
	case gate.ClassFailure:
		s.failures++
	case gate.ClassHint:
		s.hint = true
	case gate.ClassKey:
		s.key = true
	case gate.ClassSuccess:
		s.okay = true
	}
	after := max(s.failures, s.stand())
	switch {
	case after > before:
		f, kept := m.count(e)
		if e.Class != gate.ClassFailure {
			s.standIn, s.standInWindow = kept, modelKey{e.Rule, countedAs(e.Subject)}
		}
		return f
	case after < before:
		m.remove(s)
	case e.Class == gate.ClassFailure && s.failures == 1: // takes the place of a stand-in
		if s.standIn != nil && !e.Time.Before(s.standIn.Time) && m.remove(s) {
			f, _ := m.count(e)
			return f
		}
	}
	return nil
}

func (m *model) remove(s *modelState) bool {
	w := m.windows[s.standInWindow]
	i := slices.Index(w, s.standIn)
	if s.standIn == nil || i < 0 {
		return false
	}
	m.windows[s.standInWindow] = slices.Delete(w, i, i+1)
	return true
}

func countedAs(s gate.Subject) gate.Subject {
	a := s.Addr()
	if a.Is4() || a.IsLinkLocalUnicast() || s.Prefix().Bits() <= 64 {
		return s
	}
	return gate.PrefixSubject(netip.PrefixFrom(a, 64))
}

func (m *model) count(e gate.Event) ([]gate.Finding, *gate.Event) {
	k := modelKey{e.Rule, countedAs(e.Subject)}
	t := m.watches[e.Rule]
	w := m.windows[k]
	end := e.Time
	if len(w) > 0 {
		newest := w[len(w)-1].Time
		if newest.Sub(e.Time) > t.Within {
			return nil, nil
		}
		if newest.After(end) {
			end = newest
		}
	}
	w = slices.DeleteFunc(w, func(o *gate.Event) bool { return end.Sub(o.Time) > t.Within })
	if len(w)+1 < t.Count {
		i := len(w)
		for i > 0 && w[i-1].Time.After(e.Time) {
			i--
		}
		m.windows[k] = slices.Insert(w, i, &e)
		return nil, &e
	}
	delete(m.windows, k)
	f := gate.Finding{Time: end, Origin: e.Origin, Rule: e.Rule, Subject: k.who, Threshold: t, Evidence: gate.Proven}
	if e.Subject != k.who {
		f.Last = e.Subject
	}
	for _, o := range append(w, &e) {
		f.Proof.Add(*o)
		f.Evidence = min(f.Evidence, o.Evidence)
	}
	return []gate.Finding{f}, &e
}

var (
	t0           = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	modelWatches = []Watch{
		{Name: "one", Threshold: gate.Threshold{Count: 1, Within: time.Minute}},
		{Name: "five", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}},
		{Name: "three", Threshold: gate.Threshold{Count: 3, Within: 20 * time.Second}},
		{Name: "ever", Threshold: gate.Threshold{Count: 4, Within: gate.Forever}},
		{Name: "many", Threshold: gate.Threshold{Count: 40, Within: 60 * gate.Day}},
		{Name: "never", Threshold: gate.Threshold{}},
	}
	modelSubjects = []string{
		"192.0.2.1", "192.0.2.2", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "fe80::1", "fe80::2", "198.51.100.0/24", "2001:db8::/48",
	}
)

func drawEvent(t *rapid.T, i int, at time.Time) gate.Event {
	e := gate.Event{
		Time:     at,
		Origin:   gate.Origin{Source: rapid.SampledFrom([]string{"file:/a", "file:/b"}).Draw(t, "source"), Epoch: 7, Offset: int64(i)},
		Rule:     rapid.SampledFrom([]string{"one", "five", "three", "ever", "many", "never", "unknown"}).Draw(t, "rule"),
		Pattern:  rapid.SampledFrom([]string{"", "failed", "closed"}).Draw(t, "pattern"),
		Subject:  must(rapid.SampledFrom(modelSubjects).Draw(t, "subject")),
		Class:    gate.Class(rapid.IntRange(int(gate.ClassNone), int(gate.ClassInfo)).Draw(t, "class")),
		Evidence: rapid.SampledFrom([]gate.Evidence{gate.Forgeable, gate.Proven, gate.Proven, gate.Proven}).Draw(t, "evidence"),
		Line:     fmt.Sprintf("line %d", i),
	}
	e.Detail = gate.Detail{
		User:    rapid.SampledFrom([]string{"", "root", "\x00\xff"}).Draw(t, "user"),
		Session: uint64(rapid.IntRange(0, 4).Draw(t, "session")),
		Via:     rapid.SampledFrom([]string{"", "", "h1", "h2"}).Draw(t, "via"),
	}
	if e.Rule == "ever" || e.Rule == "many" { // counted by the second
		e.Time = e.Time.Truncate(time.Second)
	}
	switch rapid.IntRange(0, 20).Draw(t, "odd") {
	case 0:
		e.Subject = gate.Subject{}
	case 1:
		e.Class, e.Ask = gate.ClassAsk, &gate.Ask{Verdict: gate.Ban}
	case 2:
		e.Subject = gate.ListSubject("drop")
	}
	return e
}

func must(s string) gate.Subject {
	sub, err := gate.ParseSubject(s)
	if err != nil {
		panic(err)
	}
	return sub
}

// The fast detector finds what the slow one finds, whatever is snapshotted,
// shifted and swept in between.
func TestDetectorEqualsModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		config := Config{Watches: modelWatches}
		d, m := New(config), newModel(modelWatches)
		at, shifted := t0, time.Duration(0)
		for i := range rapid.IntRange(1, 300).Draw(t, "events") {
			step := rapid.SampledFrom([]time.Duration{0, 0, 0, time.Second, 1500 * time.Millisecond, time.Minute, -5 * time.Second, -2 * time.Minute, 9 * time.Minute}).Draw(t, "step")
			at = at.Add(step)
			e := drawEvent(t, i, at)
			want := m.observe(e)
			e.Time = e.Time.Add(shifted)
			got := d.Observe([]gate.Event{e}, t0.Add(shifted), nil)
			sameFindings(t, got, want, shifted)
			switch rapid.IntRange(0, 30).Draw(t, "then") {
			case 0:
				snap := d.Snapshot()
				fresh := New(config)
				if err := fresh.Restore(snap); err != nil {
					t.Fatal(err)
				}
				if again := fresh.Snapshot(); string(again) != string(snap) {
					t.Fatalf("the snapshot of a restored detector differs: %d and %d bytes", len(again), len(snap))
				}
				d = fresh
			case 1:
				// Only whole windows move: evidence keeps the time that it had.
				delta := rapid.SampledFrom([]time.Duration{time.Hour, -3 * time.Hour, 400 * gate.Day}).Draw(t, "delta")
				d.Shift(delta)
				shifted += delta
			case 2:
				config.Watches = slices.Concat(modelWatches[:2], []Watch{{Name: "new", Threshold: gate.Threshold{Count: 2, Within: time.Hour}}}, modelWatches[2:])
				d.Reconfigure(config)
			case 3:
				d.Advance(t0.Add(shifted), nil)
			case 4:
				s := must(rapid.SampledFrom(modelSubjects).Draw(t, "forgotten"))
				d.Forget(s)
				who := countedAs(s)
				for k := range m.windows {
					if k.who == who || s.Kind() == gate.KindPrefix && s.Covers(k.who) {
						delete(m.windows, k)
					}
				}
			}
		}
		d.Observe(nil, t0.Add(shifted), nil) // a restored detector counts from its first call
		d.Advance(t0.Add(shifted+1000*gate.Day), nil)
		if left := d.Stats(); left.Sessions != 0 {
			t.Fatalf("sessions are left: %+v", left)
		}
	})
}

func sameFindings(t *rapid.T, got, want []gate.Finding, shifted time.Duration) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d findings, want %d: %+v", len(got), len(want), want)
	}
	for i := range got {
		g, w := got[i], want[i]
		if w.Ask == nil && !g.Time.Equal(w.Time.Add(shifted)) || g.Origin != w.Origin || g.Rule != w.Rule || g.Subject != w.Subject ||
			g.Last != w.Last || g.Threshold != w.Threshold || g.Evidence != w.Evidence || g.Proof.Count != w.Proof.Count {
			t.Fatalf("finding\n%+v, want\n%+v", g, w)
		}
		sameEvents(t, g.Proof.First, w.Proof.First)
		sameEvents(t, g.Proof.Last, w.Proof.Last)
	}
}

func sameEvents(t *rapid.T, got, want []gate.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d events of proof, want %d", len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		g.Time, w.Time = time.Time{}, time.Time{} // the clock may have been shifted in between
		if g != w {
			t.Fatalf("proof %d is\n%+v, want\n%+v", i, g, w)
		}
	}
}
