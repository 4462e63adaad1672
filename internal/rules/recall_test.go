package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// recalling is a rule of which one line has the address and others have not.
const recalling = `rule: rc
title: t
evidence: proven
programs: [d]
sources: {files: [/x]}
patterns:
  - {name: come, class: info, match: '^conn=<session> from <addr>:<port>$', reads: x}
  - {name: bad, class: failure, peer: session, match: '^conn=<session> refused', reads: x}
  - {name: go, class: info, peer: gone, match: '^conn=<session> closed', reads: x}
`

func recallScanner(t testing.TB, src string, o Options) *Scanner {
	return NewMatcher(rulesOf(t, []string{src}), o).Scanner(SourceOptions{Zone: time.UTC})
}

// TestRecallEqualsModel: whatever lines come, in whatever blocks, the fast scanner
// and the naive one say who it was as a map does that keeps the last few sessions.
func TestRecallEqualsModel(t *testing.T) {
	m := NewMatcher(rulesOf(t, []string{recalling}), Options{})
	naive := NewMatcher(rulesOf(t, []string{recalling}), Options{Naive: true})
	rapid.Check(t, func(t *rapid.T) {
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		fast, slow := m.Scanner(SourceOptions{Zone: time.UTC}), naive.Scanner(SourceOptions{Zone: time.UTC})
		fast.recall.limit, slow.recall.limit = limit, limit
		type session struct{ host, id string }
		known := map[session]string{}
		var order []session // the one that was named longest ago is first
		touch := func(k session) {
			order = append(slices.DeleteFunc(order, func(o session) bool { return o == k }), k)
		}
		var want, got, other []string
		var log strings.Builder
		for i := range rapid.IntRange(1, 60).Draw(t, "lines") {
			k := session{rapid.SampledFrom([]string{"a", "b"}).Draw(t, "host"), fmt.Sprint(rapid.IntRange(1, 6).Draw(t, "id"))}
			text := ""
			switch rapid.IntRange(0, 2).Draw(t, "kind") {
			case 0:
				text = fmt.Sprintf("from 192.0.2.%d:%d", i, 1000+i)
				want = append(want, fmt.Sprintf("come 192.0.2.%d %d", i, 1000+i))
				if _, ok := known[k]; !ok && len(order) == limit {
					delete(known, order[0])
					order = order[1:]
				}
				known[k] = fmt.Sprintf("192.0.2.%d %d", i, 1000+i)
				touch(k)
			case 1:
				if text = "refused"; known[k] != "" {
					want = append(want, "bad "+known[k])
					touch(k)
				}
			default:
				if text = "closed"; known[k] != "" {
					want = append(want, "go "+known[k])
					delete(known, k)
					order = slices.DeleteFunc(order, func(o session) bool { return o == k })
				}
			}
			fmt.Fprintf(&log, "Nov 21 08:00:00 %s d[7]: conn=%s %s\n", k.host, k.id, text)
			if rapid.Bool().Draw(t, "cut") {
				emit := func(to *[]string) func(*Hit) {
					return func(h *Hit) { *to = append(*to, fmt.Sprintf("%s %s %d", h.Pattern.Name, h.Addr, h.Port)) }
				}
				fast.Scan([]byte(log.String()), sampleNow, emit(&got))
				slow.Scan([]byte(log.String()), sampleNow, emit(&other))
				log.Reset()
			}
		}
		emit := func(to *[]string) func(*Hit) {
			return func(h *Hit) { *to = append(*to, fmt.Sprintf("%s %s %d", h.Pattern.Name, h.Addr, h.Port)) }
		}
		fast.Scan([]byte(log.String()), sampleNow, emit(&got))
		slow.Scan([]byte(log.String()), sampleNow, emit(&other))
		if !slices.Equal(got, want) || !slices.Equal(other, want) {
			t.Fatalf("fast  %v\nnaive %v\nwant  %v", got, other, want)
		}
		if n := len(fast.recall.at); n != len(known) || n > limit || len(fast.recall.all) > limit {
			t.Fatalf("%d sessions known, %d kept, should be %d of at most %d", n, len(fast.recall.all), len(known), limit)
		}
	})
}

// TestRecallProvesNoMore: what a line without a header told of a session proves no
// more later on, when a line with one speaks of that.
func TestRecallProvesNoMore(t *testing.T) {
	s := recallScanner(t, recalling, Options{})
	var got []gate.Evidence
	emit := func(h *Hit) { got = append(got, h.Evidence) }
	s.Scan([]byte("conn=1 from 192.0.2.1:9\n<38>Nov 21 08:00:00 d[7]: conn=1 refused\n<38>Nov 21 08:00:00 d[7]: conn=1 from 192.0.2.1:9\n<38>Nov 21 08:00:00 d[7]: conn=1 refused\n"), sampleNow, emit)
	if want := []gate.Evidence{gate.Forgeable, gate.Forgeable, gate.Proven, gate.Proven}; !slices.Equal(got, want) {
		t.Errorf("%v, should be %v", got, want)
	}
}

// TestRecallKnowsAfterPrime: a scanner that goes on in the middle of a log knows
// what it was shown.
func TestRecallKnowsAfterPrime(t *testing.T) {
	s := recallScanner(t, recalling, Options{})
	if !s.Remembers() {
		t.Fatal("it says that it remembers nothing")
	}
	s.Prime([]byte("Nov 21 08:00:00 a d[7]: conn=1 from 192.0.2.1:9\n"), sampleNow)
	hits := 0
	s.Scan([]byte("Nov 21 08:00:01 a d[7]: conn=1 refused\n"), sampleNow, func(h *Hit) {
		if hits++; h.Addr != netip.MustParseAddr("192.0.2.1") {
			t.Errorf("it was %s", h.Addr)
		}
	})
	if hits != 1 {
		t.Errorf("%d hits", hits)
	}
}

// TestRecallJSON: the session can be a field, and a trusted proxy that spoke for
// somebody in one line does in the next.
func TestRecallJSON(t *testing.T) {
	src := `rule: rj
title: t
evidence: proven
format: json
sources: {files: [/x]}
fields: {session: id, via: via}
patterns:
  - {name: come, class: info, where: {event: '^connected$'}, fields: {addr: peer}, reads: x}
  - {name: bad, class: failure, peer: session, where: {event: '^refused$'}, reads: x}
`
	log := `{"event":"connected","id":"x1","peer":"192.0.2.1:99"}
{"event":"connected","id":"x2","peer":"10.0.0.1","via":"203.0.113.9"}
{"event":"refused","id":"x2"}
{"event":"refused","id":"x1","peer":"198.51.100.7"}
{"event":"refused","id":"x3","peer":"198.51.100.7"}
`
	for _, naive := range []bool{false, true} {
		s := NewMatcher(rulesOf(t, []string{src}), Options{Naive: naive}).Scanner(SourceOptions{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		var got []string
		s.Scan([]byte(log), sampleNow, func(h *Hit) { got = append(got, fmt.Sprint(h.Pattern.Name, h.Addr, h.Port, h.Proxy.IsValid())) })
		want := []string{"come192.0.2.1 99 false", "come203.0.113.9 0 true", "bad203.0.113.9 0 true", "bad192.0.2.1 99 false"}
		if !slices.Equal(got, want) {
			t.Errorf("naive %t: %q", naive, got)
		}
	}
}
