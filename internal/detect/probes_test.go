package detect

import (
	"fmt"
	"math"
	"net/netip"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

func scanConfig(t string) Config {
	th, err := gate.ParseThreshold(t)
	if err != nil {
		panic(err)
	}
	return Config{Watches: []Watch{{Name: "scan", Threshold: th, Distinct: true}}}
}

// knock is one probe: so many seconds after t0.
func knock(second float64, from string, port uint16, to string) gate.Event {
	return gate.Event{
		Time: t0.Add(time.Duration(second * float64(time.Second))), Rule: "scan", Pattern: "syn", Class: gate.ClassFailure, Evidence: gate.Forgeable,
		Subject: gate.AddrSubject(netip.MustParseAddr(from)), Origin: gate.Origin{Source: "scan", Offset: int64(second * 1000)},
		Detail: gate.Detail{Proto: gate.TCP, Port: port, Via: to},
	}
}

func observe(d *Detector, es ...gate.Event) (fs []gate.Finding) {
	for _, e := range es {
		fs = append(fs, d.Observe([]gate.Event{e}, e.Time, nil)...)
	}
	return fs
}

const (
	scanner = "198.51.100.7"
	ours    = "192.0.2.1"
)

func TestProbes(t *testing.T) {
	ports := func(n int, every float64) (es []gate.Event) {
		for i := range n {
			es = append(es, knock(float64(i)*every, scanner, uint16(100+i), ours))
		}
		return es
	}
	same := func(n int) (es []gate.Event) {
		for i := range n {
			es = append(es, knock(float64(i), scanner, 100, ours))
		}
		return es
	}
	held := knock(9, scanner, 23, ours)
	held.Class, held.Pattern = gate.ClassHeld, "syn@trap"
	proven := knock(9, scanner, 2323, ours)
	proven.Evidence = gate.Proven
	success := knock(9, scanner, 99, ours)
	success.Class = gate.ClassSuccess
	var addrs []gate.Event
	for i := range 5 {
		addrs = append(addrs, knock(float64(i), scanner, 100, fmt.Sprintf("192.0.2.%d", i+1)))
	}
	for _, c := range []struct {
		name   string
		events []gate.Event
		counts []int // of the proof of each finding
		weak   bool
	}{
		{"the fifth port", ports(5, 1), []int{5}, true},
		{"four ports", ports(4, 1), nil, true},
		{"one port again and again", same(50), nil, true},
		{"five ports, each tried often", slices.Concat(same(10), ports(5, 12)), []int{5}, true},
		{"five addresses", addrs, []int{5}, true},
		{"ten ports: two findings", ports(10, 1), []int{5, 5}, true},
		{"at the end of the window", ports(5, 15), []int{5}, true},
		{"slowly: what is older counts for less", ports(5, 40), nil, true},
		{"slowly, but on and on", ports(9, 30), []int{9}, true},
		{"too slowly", ports(40, 3600), nil, true},
		{"held at once", []gate.Event{knock(1, scanner, 100, ours), held}, []int{2}, true},
		{"proven at once", []gate.Event{knock(1, scanner, 100, ours), proven}, []int{2}, false},
		{"a success", []gate.Event{success}, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			fs := observe(New(scanConfig("5 in 1m")), c.events...)
			var counts []int
			for _, f := range fs {
				counts = append(counts, f.Proof.Count)
				if (f.Evidence == gate.Forgeable) != c.weak || f.Rule != "scan" || f.Subject.String() != scanner {
					t.Errorf("%+v", f)
				}
				last := f.Proof.First[min(len(f.Proof.First), f.Proof.Count)-1]
				if f.Proof.Count <= gate.ProofFirst && !last.Time.Equal(f.Time) {
					t.Errorf("the last event is that of %v, the finding of %v", last.Time, f.Time)
				}
			}
			if !slices.Equal(counts, c.counts) {
				t.Errorf("findings of %v ports, want %v", counts, c.counts)
			}
		})
	}
}

func TestProbesTogether(t *testing.T) {
	d := New(scanConfig("3 in 1m"))
	fs := observe(d, knock(1, "2001:db8::1", 1, ""), knock(2, "2001:db8::2", 2, ""), knock(3, "2001:db8::3", 3, ""), knock(4, "fe80::1", 1, ""), knock(5, "fe80::2", 2, ""), knock(6, "fe80::3", 3, ""))
	if len(fs) != 1 || fs[0].Subject.String() != "2001:db8::/64" || fs[0].Last.String() != "2001:db8::3" {
		t.Errorf("%+v", fs)
	}
}

func TestProbesAreShown(t *testing.T) {
	d := New(scanConfig("5 in 1m"))
	observe(d, knock(1, scanner, 80, ours), knock(2, scanner, 23, ours))
	s := gate.AddrSubject(netip.MustParseAddr(scanner))
	ws := d.Windows(s, t0.Add(3*time.Second))
	if len(ws) != 1 || ws[0].Count != 2 || !ws[0].Newest.Equal(t0.Add(2*time.Second)) || ws[0].Proof.First[1].Line != "syn at 192.0.2.1 port 23/tcp" {
		t.Errorf("%+v", ws)
	}
	if ws := d.Windows(gate.PrefixSubject(netip.MustParsePrefix("198.51.100.0/24")), t0.Add(3*time.Second)); len(ws) != 1 {
		t.Errorf("in the prefix: %+v", ws)
	}
	if ws := d.Windows(s, t0.Add(time.Hour)); len(ws) != 0 {
		t.Errorf("later: %+v", ws)
	}
	if d.Next().IsZero() {
		t.Error("nothing is pending")
	}
	d.Forget(s)
	if d.Stats().Windows != 0 {
		t.Error("not forgotten")
	}
	observe(d, knock(1, scanner, 80, ours))
	d.Advance(t0.Add(24*time.Hour), nil)
	if d.Stats().Windows != 0 || !d.Next().IsZero() {
		t.Error("what is over stays")
	}
	observe(d, knock(1, scanner, 80, ours))
	d.Reconfigure(scanConfig("6 in 1m"))
	if d.Stats().Windows != 0 {
		t.Error("another threshold, the same windows")
	}
}

// TestProbesAreBounded: forged packets from ever new addresses take bounded
// memory, and do not make a slow scanner forgotten.
func TestProbesAreBounded(t *testing.T) {
	d := New(scanConfig("5 in 1d"))
	observe(d, knock(0, scanner, 1, ours), knock(0, scanner, 2, ours), knock(0, scanner, 3, ours), knock(0, scanner, 4, ours))
	events := make([]gate.Event, 0, 1000)
	for i := range maxProbers + 5000 {
		e := knock(1, scanner, 80, ours)
		e.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
		if events = append(events, e); len(events) == cap(events) {
			d.Observe(events, e.Time, nil)
			events = events[:0]
		}
	}
	if n := d.Stats().Windows; n > maxProbers {
		t.Errorf("%d sources", n)
	}
	if b := d.Snapshot(); len(b) > 4<<20 {
		t.Errorf("a snapshot of %d bytes", len(b))
	} else if err := d.Restore(b); err != nil {
		t.Error(err)
	}
	if fs := observe(d, knock(2, scanner, 5, ours)); len(fs) != 1 || fs[0].Proof.Count != 5 {
		t.Errorf("the slow scanner is forgotten: %+v", fs)
	}
	for port := range 3 * maxDoors {
		e := knock(3, "203.0.113.9", uint16(port+1), ours)
		d.Observe([]gate.Event{e}, e.Time, nil)
	}
}

// TestProbesAgainstModel holds the counting against one that keeps every event,
// across snapshots.
func TestProbesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const within = 60
		d := New(scanConfig("4 in 1m"))
		type seen struct {
			at   float64
			port uint16
			to   string
		}
		model := map[string][]seen{}
		at := 0.0
		for range rapid.IntRange(1, 60).Draw(t, "events") {
			at += float64(rapid.IntRange(0, 40).Draw(t, "pause"))
			s := seen{at, uint16(rapid.IntRange(1, 6).Draw(t, "port")), fmt.Sprintf("192.0.2.%d", rapid.IntRange(1, 3).Draw(t, "to"))}
			from := fmt.Sprintf("198.51.100.%d", rapid.IntRange(1, 2).Draw(t, "from"))
			model[from] = append(model[from], s)
			ports, addrs := map[uint16]float64{}, map[string]float64{}
			for _, o := range model[from] {
				age, w := at-o.at, 1.0
				switch {
				case age > halvings*within:
					w = 0
				case age > within:
					w = math.Exp2(-(age - within) / within)
				}
				ports[o.port], addrs[o.to] = max(ports[o.port], w), max(addrs[o.to], w)
			}
			sum := func(m map[uint16]float64, n map[string]float64) (a, b float64) {
				for _, w := range m {
					a += w
				}
				for _, w := range n {
					b += w
				}
				return a, b
			}
			a, b := sum(ports, addrs)
			want := max(a, b)+slack >= 4
			if math.Abs(max(a, b)-4) < 1e-6 {
				want = true
			}
			got := len(observe(d, knock(at, from, s.port, s.to))) == 1
			if got != want {
				t.Fatalf("at %v: finding %v, want %v (%v)", at, got, want, max(a, b))
			}
			if want {
				model[from] = nil
			}
			if rapid.Bool().Draw(t, "restart") {
				b := d.Snapshot()
				d = New(scanConfig("4 in 1m"))
				if err := d.Restore(b); err != nil {
					t.Fatal(err)
				}
				if again := d.Snapshot(); string(again) != string(b) {
					t.Fatal("restored, the snapshot is another one")
				}
			}
		}
	})
}

// FuzzProbeSnapshotNeverPanics: damaged snapshots are refused, never believed.
func FuzzProbeSnapshotNeverPanics(f *testing.F) {
	d := New(scanConfig("5 in 1m"))
	observe(d, knock(1, scanner, 80, ours), knock(2, "2001:db8::1", 23, ""))
	b := d.Snapshot()
	f.Add(b[:len(b)-4])
	f.Fuzz(func(t *testing.T, b []byte) {
		d := New(scanConfig("5 in 1m"))
		if d.Restore(seal(slices.Clone(b))) == nil {
			observe(d, knock(3, scanner, 81, ours))
			d.Snapshot()
		}
	})
}
