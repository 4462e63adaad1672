package report

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

func gateAddr(s string) netip.Addr { return netip.MustParseAddr(s) }

// week is a desk with a week of bans, the same each time.
func week(t *testing.T) *desk {
	d := newDesk(t)
	begun := noon.Add(-7 * gate.Day)
	rules := []string{"sshd", "sshd", "sshd", "postfix", "web-probes"}
	for i := range 400 {
		at := begun.Add(time.Duration(i*i%(7*24*60)) * time.Minute)
		d.add(ban(fmt.Sprintf("45.%d.%d.%d", i%3, i%2, i*i%19), at, func(x *gate.Decision) { x.Rule = rules[i%5] }))
	}
	for i := range 300 {
		d.add(ban("46.0.0.1", begun.Add(-time.Duration(i+1)*20*time.Minute)))
	}
	d.add(gate.Decision{Time: noon.Add(-time.Hour), Verdict: gate.Tell, Rule: "report", Topic: "report.sent", Why: "x"},
		ban("2a00:1:2:3::/64", noon.Add(-2*time.Hour), func(x *gate.Decision) { x.Rule, x.Proof = "command", nil }),
		ban("45.0.0.7", noon.Add(time.Hour)), // after the end
		gate.Decision{Time: noon.Add(-time.Hour), Verdict: gate.Release, Subject: gate.AddrSubject(gateAddr("45.0.0.1"))})
	return d
}

// known knows some of the addresses.
func known(a netip.Addr) Whom {
	switch b := a.As16(); {
	case a.Is6():
		return Whom{}
	case b[13] == 0:
		return Whom{Country: "DE", Operator: "AS64500 Example Net", Name: fmt.Sprintf("host%d.hosting.example", b[15])}
	case b[13] == 1:
		return Whom{Country: "NL", Network: netip.PrefixFrom(a, 22).Masked(), Operator: "<script>alert(1)</script>"}
	}
	return Whom{}
}

// TestDigest: the digest of a week, as text and as a page.
func TestDigest(t *testing.T) {
	deps := week(t).deps()
	deps.Known = known
	zone := time.FixedZone("CET", 3600)
	d, err := Sum(t.Context(), deps, zone, noon.Add(-7*gate.Day), noon)
	if err != nil {
		t.Fatal(err)
	}
	text, err := d.Text()
	if err != nil {
		t.Fatal(err)
	}
	page, err := d.HTML()
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(page, "<script>") {
		t.Error("a name from outside acts in the page")
	}
	golden(t, "digest.txt", text)
	golden(t, "digest.html", page)
	deps = newDesk(t).deps()
	if d, err = Sum(t.Context(), deps, zone, noon.Add(-gate.Day), noon); err != nil {
		t.Fatal(err)
	}
	if text, err = d.Text(); err != nil {
		t.Fatal(err)
	}
	golden(t, "quiet.txt", text)
}

// TestDigestCounts holds the digest against counting by hand.
func TestDigestCounts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t)
		from, to := noon.Add(-7*gate.Day), noon
		bans, before, days := 0, 0, map[string]int{}
		counts := map[string]int{}
		for range rapid.IntRange(0, 60).Draw(rt, "n") {
			at := from.Add(time.Duration(rapid.IntRange(-8*24, 8*24).Draw(rt, "hour")) * time.Hour)
			addr := fmt.Sprintf("45.0.0.%d", rapid.IntRange(1, 5).Draw(rt, "addr"))
			d.add(ban(addr, at))
			switch {
			case !at.Before(from) && at.Before(to):
				bans++
				counts[addr]++
				days[at.Format("2 Jan")]++
			case at.Before(from) && !at.Before(from.Add(-7*gate.Day)):
				before++
			}
		}
		g, err := Sum(t.Context(), d.deps(), time.UTC, from, to)
		if err != nil {
			rt.Fatal(err)
		}
		if g.Bans != bans || g.Before != before || g.Attempts != 5*bans || g.Addresses != len(counts) {
			rt.Fatalf("%+v, want %d and before %d", g, bans, before)
		}
		for _, o := range g.Offenders {
			if counts[o.Name] != o.Bans {
				rt.Fatalf("%s: %d, want %d", o.Name, o.Bans, counts[o.Name])
			}
		}
		for _, b := range g.Trend {
			if b.Bans != days[b.From.Format("2 Jan")] {
				rt.Fatalf("%s: %d, want %d", b.From, b.Bans, days[b.From.Format("2 Jan")])
			}
		}
	})
}

// TestDigestIsBounded: of more addresses than are tracked, the busiest are told.
func TestDigestIsBounded(t *testing.T) {
	s := &sum{d: &Digest{}, addrs: map[gate.Subject]*tracked{}, rules: map[string]*tracked{}}
	r := gate.Record{Decision: gate.Decision{Time: noon, Verdict: gate.Ban, Rule: "sshd"}}
	for i := range 3 * maxTracked {
		r.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{45, byte(i >> 16), byte(i >> 8), byte(i)}))
		s.add(&r)
		if i%100 == 0 {
			r.Subject = gate.AddrSubject(gateAddr("46.0.0.1"))
			s.add(&r)
		}
	}
	if len(s.addrs) > maxTracked {
		t.Errorf("%d are tracked", len(s.addrs))
	}
	s.finish(func(netip.Addr) Whom { return Whom{} })
	if o := s.d.Offenders[0]; o.Name != "46.0.0.1" || o.Bans != 3*maxTracked/100 || !s.d.Partial || s.d.Bans != 3*maxTracked+3*maxTracked/100 {
		t.Errorf("%+v of %d bans", o, s.d.Bans)
	}
}

// TestSchedule: when a digest is due, also where clocks are set.
func TestSchedule(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(s string) time.Time {
		v, err := time.ParseInLocation("2006-01-02 15:04", s, berlin)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	eight := 8 * time.Hour
	for _, c := range []struct {
		s               Schedule
		now, last, next string
	}{
		{Schedule{Daily, eight, []string{"mail"}}, "2026-11-21 07:59", "2026-11-20 08:00", "2026-11-21 08:00"},
		{Schedule{Daily, eight, []string{"mail"}}, "2026-11-21 08:00", "2026-11-21 08:00", "2026-11-22 08:00"},
		{Schedule{Weekly, eight, []string{"mail"}}, "2026-11-21 12:00", "2026-11-16 08:00", "2026-11-23 08:00"},
		{Schedule{Weekly, eight, []string{"mail"}}, "2026-11-23 07:00", "2026-11-16 08:00", "2026-11-23 08:00"},
		{Schedule{Weekly, eight, []string{"mail"}}, "2026-11-23 09:00", "2026-11-23 08:00", "2026-11-30 08:00"},
		{Schedule{Daily, 150 * time.Minute, []string{"mail"}}, "2026-10-25 12:00", "2026-10-25 02:30", "2026-10-26 02:30"}, // 25 hours
		{Schedule{Daily, 150 * time.Minute, []string{"mail"}}, "2026-03-28 12:00", "2026-03-28 02:30", "2026-03-29 03:30"}, // 02:30 does not exist
		{Schedule{Daily, eight, nil}, "2026-11-21 12:00", "", ""},
		{Schedule{Never, eight, []string{"mail"}}, "2026-11-21 12:00", "", ""},
	} {
		show := func(t time.Time) string {
			if t.IsZero() {
				return ""
			}
			return t.Format("2006-01-02 15:04")
		}
		if last, next := show(c.s.Last(at(c.now))), show(c.s.Next(at(c.now))); last != c.last || next != c.next {
			t.Errorf("%v at %s: %s and %s, want %s and %s", c.s.Every, c.now, last, next, c.last, c.next)
		}
	}
}

// TestDigestIsSent: on a fake clock, a week of daily digests over a channel that
// is dead for a while; none comes twice, none for what is too long ago.
func TestDigestIsSent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		deps := d.deps()
		deps.Now = time.Now
		begun := time.Now() // midnight UTC of 2000-01-01
		var sent []string
		deps.Mail = func(_ context.Context, channel string, m Mail) (string, error) {
			hours := time.Since(begun).Hours()
			if channel == "chat" && hours > 50 && hours < 60 {
				return "", errors.New("down")
			}
			sent = append(sent, fmt.Sprintf("%s after %.1fh", channel, hours))
			return "ok", nil
		}
		c := Config{Digest: Schedule{Daily, 8 * time.Hour, []string{"mail", "chat"}}, Zone: time.UTC}
		run := func(hours int) {
			rp, err := New(c, deps)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(hours)*time.Hour)
			defer cancel()
			if err := rp.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}
		run(20)
		run(50)
		time.Sleep(40 * time.Hour) // it is off: the one of hour 80 is late, that of hour 104 not
		run(1)
		want := "mail after 8.0h, chat after 8.0h, mail after 32.0h, chat after 32.0h, mail after 56.0h, chat after 60.0h, mail after 110.0h, chat after 110.0h"
		if got := strings.Join(sent, ", "); got != want {
			t.Errorf("sent\n%s, want\n%s", got, want)
		}
		if len(d.told) != 4 || len(d.faults) != 0 {
			t.Errorf("told %v; %v", d.told, d.faults)
		}
	})
}
