package firewall

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

func TestMain(m *testing.M) { netlab.Main(m) }

// sets writes what a kernel holds, one line a set: name without number, then
// each element with its life, rounded up to ten seconds.
func sets(t *testing.T, k kernel) (out []string) {
	t.Helper()
	c, err := k.inspect()
	if err != nil {
		t.Fatal(err)
	}
	for _, full := range slices.SortedFunc(maps.Keys(c.sets), func(a, b string) int {
		return strings.Compare(a[:strings.IndexByte(a, '.')], b[:strings.IndexByte(b, '.')])
	}) {
		s := c.sets[full]
		elems, err := k.elements(full)
		if err != nil {
			t.Fatal(err)
		}
		if len(elems) == 0 {
			continue
		}
		name, _, _ := splitNumber(full)
		var items []string
		if s.interval {
			for _, r := range elementSpans(elems, s.keyLen) {
				items = append(items, spanText(r, s.setSpec))
			}
		} else {
			for _, x := range elems {
				life := gate.Forever
				if x.life > 0 {
					life = (x.life + 10*time.Second - 1) / (10 * time.Second) * (10 * time.Second)
				}
				items = append(items, x.key.addr(s.keyLen == 16).String()+"="+gate.FormatDuration(life))
			}
		}
		slices.Sort(items)
		out = append(out, name+": "+strings.Join(items, " "))
	}
	return out
}

func spanText(s span, spec setSpec) string {
	if spec.keyLen == 2 {
		return fmt.Sprintf("%d-%d", s.lo.port(), s.hi.port())
	}
	lo, hi := s.lo.addr(spec.keyLen == 16), s.hi.addr(spec.keyLen == 16)
	return lo.String() + "-" + hi.String()
}

func prefixes(list ...string) (out []netip.Prefix) {
	for _, s := range list {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}

func subject(s string) gate.Subject {
	sub, err := gate.ParseSubject(s)
	if err != nil {
		panic(err)
	}
	return sub
}

func until(d time.Duration) time.Time {
	if d == gate.Forever {
		return time.Time{}
	}
	return time.Now().Add(d)
}

func scopeText(ports string, newOnly bool) gate.Scope {
	p, err := gate.ParsePorts(strings.Fields(ports)...)
	if ports != "" && err != nil {
		panic(err)
	}
	if ports == "" {
		p = gate.Ports{}
	}
	return gate.Scope{Ports: p, New: newOnly}
}

func ban(s string, d time.Duration, sc ...gate.Scope) gate.Decision {
	x := gate.Decision{Verdict: gate.Ban, Subject: subject(s), Until: until(d), Rule: "test"}
	if len(sc) > 0 {
		x.Scope = sc[0]
	}
	return x
}

func release(s string, sc ...gate.Scope) gate.Decision {
	x := ban(s, time.Hour, sc...)
	x.Verdict, x.Until = gate.Release, time.Time{}
	return x
}

func want(s string, d time.Duration, sc ...gate.Scope) Want {
	x := ban(s, d, sc...)
	return Want{Subject: x.Subject, Until: x.Until, Scope: x.Scope, Rule: x.Rule}
}

func records(ds ...gate.Decision) (out []gate.Record) {
	for i, d := range ds {
		out = append(out, gate.Record{Seq: uint64(i + 1), Decision: d})
	}
	return out
}

// place is Place and Commit, as the line does them.
func place(f *Firewall, ds ...gate.Decision) {
	f.Place(ds)
	f.Commit(records(ds...))
}
