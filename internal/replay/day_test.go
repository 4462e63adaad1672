package replay

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
)

// A day with 50,000 offenders: bursts, slow ones, such as come back, and whole networks
// of them. Who is banned is, minute by minute, who a slow model has banned, which knows
// only lists of times.
func TestDayEqualsModel(t *testing.T) {
	const (
		offenders = 50_000
		needed    = 5
		within    = 10 * time.Minute
		enough    = 4
	)
	ladder := []time.Duration{10 * time.Minute, time.Hour, gate.Forever}
	begin := time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)
	r := rand.New(rand.NewPCG(1, 2))
	type attempt struct {
		at   time.Time
		from netip.Addr
	}
	var all []attempt
	series := func(a netip.Addr, from time.Time, n int, gap time.Duration) {
		for range n {
			all = append(all, attempt{from, a})
			from = from.Add(time.Duration(r.Int64N(int64(2*gap) + 1)))
		}
	}
	any := func() time.Time { return begin.Add(time.Duration(r.Int64N(int64(gate.Day)))) }
	for i := range offenders {
		a := netip.AddrFrom4([4]byte{100, byte(64 + i%50), byte(r.IntN(256)), byte(r.IntN(256))})
		switch i % 10 {
		case 0, 1, 2, 3: // a burst
			series(a, any(), 5+r.IntN(4), 2*time.Second)
		case 4, 5: // slow, below the threshold most of the time
			series(a, any(), 12, 150*time.Second)
		case 6: // it comes back
			for range 4 {
				series(a, any(), 6, 10*time.Second)
			}
		case 7: // a mistake
			series(a, any(), 1+r.IntN(4), 5*time.Second)
		default: // of a network
			a = netip.AddrFrom4([4]byte{100, 120, byte(i / 10 % 200), byte(r.IntN(256))})
			series(a, begin.Add(time.Duration(i%20)*time.Hour+time.Duration(r.Int64N(int64(40*time.Minute)))), 5+r.IntN(3), 3*time.Second)
		}
	}
	slices.SortStableFunc(all, func(a, b attempt) int { return a.at.Compare(b.at) })

	threshold := gate.Threshold{Count: needed, Within: within}
	d := detect.New(detect.Config{Watches: []detect.Watch{{Name: "sshd", Threshold: threshold}}})
	ended := map[gate.Subject]offence{}
	p := policy.New(policy.Config{
		Watches:   []policy.Watch{{Name: "sshd", Ladder: ladder}},
		Aggregate: policy.Aggregate{IPv4: policy.Grouping{Prefix: 24, Offenders: enough}},
	}, func(s gate.Subject) (int, time.Time) { return ended[s].n, ended[s].at })

	windows := map[netip.Addr][]time.Time{}
	offences := map[netip.Addr]int{}
	ends := map[netip.Addr]time.Time{} // of each offender's own ban; zero = never
	nets := map[netip.Prefix]time.Time{}
	networks := map[netip.Prefix][]netip.Addr{}
	live := func(end time.Time, known bool, now time.Time) bool { return known && (end.IsZero() || end.After(now)) }
	model := func(v attempt) {
		kept := windows[v.from][:0]
		for _, at := range windows[v.from] {
			if v.at.Sub(at).Truncate(time.Millisecond) <= within {
				kept = append(kept, at)
			}
		}
		windows[v.from] = append(kept, v.at)
		if len(windows[v.from]) < needed {
			return
		}
		delete(windows, v.from)
		net := netip.PrefixFrom(v.from, 24).Masked()
		own, has := ends[v.from]
		wide, is := nets[net]
		if live(own, has, v.at) || live(wide, is, v.at) {
			return
		}
		if !has {
			networks[net] = append(networks[net], v.from)
		}
		offences[v.from]++
		ends[v.from] = time.Time{}
		if life := ladder[min(offences[v.from], len(ladder))-1]; life != gate.Forever {
			ends[v.from] = v.at.Add(life)
		}
		var of []time.Time
		for _, a := range networks[net] {
			if live(ends[a], true, v.at) {
				of = append(of, ends[a])
			}
		}
		if len(of) >= enough {
			slices.SortFunc(of, func(a, b time.Time) int {
				switch {
				case a.IsZero() && b.IsZero():
					return 0
				case a.IsZero():
					return -1
				case b.IsZero():
					return 1
				}
				return b.Compare(a)
			})
			nets[net] = of[enough-1]
		}
	}
	compare := func(now time.Time) {
		t.Helper()
		want := 0
		for _, end := range nets {
			if live(end, true, now) {
				want++
			}
		}
		for a, end := range ends {
			if live(end, true, now) {
				if wide, is := nets[netip.PrefixFrom(a, 24).Masked()]; !live(wide, is, now) {
					want++
				}
			}
		}
		for b := range p.Bans() {
			end, is := nets[b.Subject.Prefix()]
			if b.Subject.Kind() == gate.KindAddr {
				end, is = ends[b.Subject.Addr()]
			}
			if !live(end, is, now) || !end.Equal(b.Until) {
				t.Fatalf("at %s %s is banned until %s, want %s", now.Sub(begin), b.Subject, b.Until, end)
			}
		}
		if p.Len() != want {
			t.Fatalf("at %s %d are banned, want %d", now.Sub(begin), p.Len(), want)
		}
	}
	next, bans, wide := begin, 0, 0
	var findings []gate.Finding
	note := func(ds []gate.Decision) {
		for _, d := range ds {
			if d.Verdict == gate.Ban && d.Offence > 0 {
				ended[d.Subject] = offence{d.Offence, d.Time}
				bans++
			}
			if d.Rule == policy.ByAggregate && d.Verdict == gate.Ban {
				wide++
			}
		}
	}
	for i, v := range all {
		for !v.at.Before(next) {
			note(p.Advance(next, gate.Host{}))
			compare(next)
			next = next.Add(time.Minute)
		}
		e := gate.Event{Time: v.at, Origin: gate.Origin{Source: "file:/log", Offset: int64(i + 1)}, Rule: "sshd", Subject: gate.AddrSubject(v.from), Class: gate.ClassFailure, Evidence: gate.Proven}
		findings = d.Observe([]gate.Event{e}, v.at, findings[:0])
		ds, _ := p.Decide(findings, v.at, gate.Host{})
		if len(findings) == 0 {
			ds = p.Advance(v.at, gate.Host{})
		}
		note(ds)
		model(v)
	}
	if bans < 20_000 || wide < 200 {
		t.Errorf("a quiet day: %d bans, %d of whole networks", bans, wide)
	}
	t.Logf("%d attempts, %d bans, %d of whole networks", len(all), bans, wide)
}

// offence is the last one that a ledger of lists knows of.
type offence struct {
	n  int
	at time.Time
}
