package emulator_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/ad2/emulator"
)

// bench joins a house to the machine that follows it, with damage on the way.
type bench struct {
	t     testing.TB
	house *emulator.House
	panel *ad2.Panel
	lines ad2.Lines
	now   time.Time
	rng   *rand.Rand
	harm  float64 // share of lines that are damaged
	lost  int     // lines whose content was damaged away
	seen  []ad2.Event
	keep  map[ad2.Kind]bool // kinds that are compared
}

func newBench(t testing.TB, c emulator.Config, ac ad2.Config, seed uint64) *bench {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	return &bench{t: t, house: emulator.New(c, now), panel: ad2.New(ac), now: now, rng: rand.New(rand.NewPCG(seed, 1)), keep: kinds()}
}

// kinds are those that the house's own truth is compared by.
func kinds() map[ad2.Kind]bool {
	m := map[ad2.Kind]bool{}
	for _, k := range []ad2.Kind{
		ad2.Armed, ad2.Disarmed, ad2.Alarm, ad2.Fire, ad2.Panic, ad2.Tamper, ad2.Trouble, ad2.Fault, ad2.AC, ad2.Battery,
		ad2.Bypass, ad2.Supervision, ad2.Program, ad2.Silent, ad2.Lost, ad2.Reboot, ad2.Undelivered,
	} {
		m[k], m[k.Over()] = true, true
	}
	delete(m, ad2.Armed.Over())
	return m
}

// hear carries bytes of the house to the machine. Where spared, no line loses
// what it says.
func (b *bench) hear(out []byte, spared bool) {
	for _, line := range splitLines(out) {
		if b.harm > 0 && b.rng.Float64() < b.harm {
			d := emulator.Damage(b.rng.IntN(int(emulator.Damages)))
			if !(spared && d.Loses()) {
				if d.Loses() {
					b.lost++
				}
				line = d.Apply(line, b.rng.IntN(200))
			}
		}
		for len(line) > 0 { // in pieces, as a device delivers them
			n := min(len(line), 1+b.rng.IntN(60))
			b.feed(line[:n])
			line = line[n:]
		}
	}
}

func splitLines(out []byte) [][]byte {
	var lines [][]byte
	for len(out) > 0 {
		i := slices.Index(out, '\n') + 1
		lines = append(lines, slices.Clone(out[:i]))
		out = out[i:]
	}
	return lines
}

func (b *bench) feed(block []byte) {
	b.lines.Feed(block, func(line []byte) {
		w, err := ad2.Decode(string(line))
		if err != nil || w.Skipped > 0 {
			b.note(b.panel.Noise(b.now))
		}
		for _, m := range w.Messages {
			b.note(b.panel.Observe(m, b.now))
		}
	})
}

func (b *bench) note(es []ad2.Event) {
	for _, e := range es {
		if b.keep[e.Kind] {
			b.seen = append(b.seen, e)
		}
	}
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	end := b.now.Add(d)
	for b.now.Before(end) {
		next := b.house.Next()
		if n := b.panel.Next(); !n.IsZero() && n.Before(next) {
			next = n
		}
		if !next.After(b.now) {
			next = b.now.Add(time.Millisecond)
		}
		if next.After(end) {
			next = end
		}
		b.now = next
		b.note(b.panel.Advance(b.now))
		b.hear(b.house.Advance(b.now), false)
	}
}

// at once does something to the house; what it says to that is not lost.
func (b *bench) act(f func(h *emulator.House)) {
	f(b.house)
	b.hear(b.house.Advance(b.now), true)
}

func (b *bench) keys(k string) {
	b.hear(b.house.Write([]byte(k)), true)
}

// expect compares what was seen since the last call.
func (b *bench) expect(what string, want ...string) {
	b.t.Helper()
	var got []string
	for _, e := range b.seen {
		s := string(e.Kind)
		if e.Subject().IsValid() {
			s += " " + e.Subject().String()
		}
		if e.Kind == ad2.Armed {
			s += " " + e.Mode.String()
		}
		got = append(got, s)
	}
	b.seen = b.seen[:0]
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		b.t.Errorf("%s, %s: %s\n got %q\nwant %q", b.now.Format("15:04:05"), what, fmt.Sprint(b.panel.View(b.now).Partitions[0].Display), got, want)
	}
}

// villa is a house of two partitions with forty zones.
func villa() (emulator.Config, ad2.Config) {
	var one, two []emulator.Zone
	var known []ad2.ZoneConfig
	for n := 1; n <= 8; n++ {
		style := []emulator.Style{emulator.Door, emulator.Window, emulator.Window, emulator.Motion}[n%4]
		one = append(one, emulator.Zone{Number: n, Name: fmt.Sprintf("ROOM %d", n), Style: style})
	}
	for n := 9; n <= 24; n++ {
		z := emulator.Zone{Number: n, Name: fmt.Sprintf("HALL %d", n), Style: emulator.Window}
		if n <= 16 {
			z.Expander = [2]int{7, n - 8}
		}
		one = append(one, z)
		known = append(known, ad2.ZoneConfig{Partition: 1, Zone: n})
	}
	for n := 33; n <= 48; n++ {
		z := emulator.Zone{Number: n, Name: fmt.Sprintf("SHOP %d", n), Style: emulator.Window}
		if n == 33 {
			z.Style = emulator.Door
		}
		if n == 48 {
			z.Style = emulator.Smoke
		}
		c := ad2.ZoneConfig{Partition: 2, Zone: n}
		if n >= 40 && n < 48 {
			z.Serial = fmt.Sprintf("01800%02d", n)
			c.Serial, c.Loop = z.Serial, 1
		}
		two = append(two, z)
		known = append(known, c)
	}
	c := emulator.Config{
		Partitions: []emulator.Partition{{Number: 1, Keypads: []int{1, 16, 18}, Zones: one}, {Number: 2, Keypads: []int{2, 20}, Zones: two}},
		Codes:      map[string]int{"1234": 2, "4321": 3}, Reports: true,
	}
	return c, ad2.Config{
		Partitions: []ad2.PartitionConfig{{Number: 1, Name: "Home", Keypads: []int{1, 16, 18}}, {Number: 2, Name: "Shop", Keypads: []int{2, 20}}},
		Zones:      known,
	}
}

// TestDay follows a house for a day of its own time. Everything that happens in
// it is told once, and nothing that does not.
func TestDay(t *testing.T) {
	for seed := range uint64(3) {
		c, ac := villa()
		b := newBench(t, c, ac, seed)
		b.harm = 0.03
		day(b)
		t.Logf("seed %d: %d lines lost on the way", seed, b.lost)
	}
}

func day(b *bench) {
	t := b.t
	b.pass(30 * time.Second)
	b.expect("nothing happens at first")
	begun := b.now
	open := map[int]bool{}
	part := func(n int) int {
		if n >= 33 {
			return 2
		}
		return 1
	}
	zones := []int{}
	for n := 1; n <= 24; n++ {
		zones = append(zones, n)
	}
	for n := 33; n <= 47; n++ {
		zones = append(zones, n)
	}
	// settle is how long the display needs to have shown a change for sure.
	settle := func() time.Duration { return time.Duration(len(open)+4) * 4 * time.Second * 5 }
	closeAll := func() {
		for _, n := range slices.Sorted(func(yield func(int) bool) {
			for n := range open {
				if !yield(n) {
					return
				}
			}
		}) {
			b.act(func(h *emulator.House) { h.Close(n) })
			wait := settle()
			delete(open, n)
			b.pass(wait)
			b.expect(fmt.Sprint("close ", n), fmt.Sprintf("restore zone:%d/%d", part(n), n))
		}
	}
	rounds := 0
	for b.now.Sub(begun) < 24*time.Hour && !t.Failed() {
		rounds++
		switch b.rng.IntN(10) {
		case 0, 1, 2, 3:
			n := zones[b.rng.IntN(len(zones))]
			if open[n] || len(open) >= 12 {
				closeAll()
				continue
			}
			b.act(func(h *emulator.House) { h.Open(n) })
			open[n] = true
			b.pass(settle())
			b.expect(fmt.Sprint("open ", n), fmt.Sprintf("fault zone:%d/%d", part(n), n))
		case 4:
			closeAll()
			b.pass(20 * time.Second)
			b.keys("12342")
			b.pass(5 * time.Second)
			b.expect("arm away", "arm partition:1 away")
			b.pass(2 * time.Minute)
			b.act(func(h *emulator.House) { h.Open(34) }) // in the other partition
			open[34] = true
			b.pass(settle())
			b.expect("open 34 while home is armed", "fault zone:2/34")
			b.act(func(h *emulator.House) { h.Open(1) }) // a window: alarm at once
			b.pass(10 * time.Second)
			b.expect("break in", "alarm zone:1/1", "fault zone:1/1")
			b.act(func(h *emulator.House) { h.Open(4) }) // a door
			b.pass(30 * time.Second)
			b.expect("second zone", "alarm zone:1/4", "fault zone:1/4")
			b.act(func(h *emulator.House) { h.Close(1); h.Close(4) })
			b.keys("12341")
			b.pass(20 * time.Second)
			b.expect("disarm", "disarm partition:1", "alarm-restored zone:1/1")
			b.keys("12341")
			b.pass(30 * time.Second)
			b.expect("clear the memory", "restore zone:1/1", "restore zone:1/4")
		case 5:
			closeAll()
			b.pass(20 * time.Second)
			b.keys("K2043213")
			b.pass(2 * time.Minute)
			b.expect("arm the shop", "arm partition:2 stay")
			b.keys("K2043211")
			b.pass(20 * time.Second)
			b.expect("disarm the shop", "disarm partition:2")
		case 6:
			b.act(func(h *emulator.House) { h.AC(true) })
			b.pass(time.Duration(5+b.rng.IntN(40)) * time.Minute)
			b.expect("mains lost", "ac")
			b.act(func(h *emulator.House) { h.AC(false) })
			b.pass(time.Minute)
			b.expect("mains back", "ac-restored")
		case 7:
			b.act(func(h *emulator.House) { h.Battery(true) })
			b.pass(10 * time.Minute)
			b.expect("battery low", "battery")
			b.act(func(h *emulator.House) { h.Battery(false) })
			b.pass(settle() + time.Minute)
			b.expect("battery good", "battery-restored")
		case 8:
			b.act(func(h *emulator.House) { h.Check(2, true) })
			b.pass(10 * time.Minute)
			b.expect("check 2", "trouble zone:1/2")
			b.act(func(h *emulator.House) { h.Check(2, false) })
			b.pass(settle() + 3*time.Minute)
			b.expect("check 2 is over", "trouble-restored zone:1/2")
			b.act(func(h *emulator.House) { h.Supervise() })
			b.keys("*")
			b.pass(20 * time.Second)
			b.expect("supervision and a key")
		case 9:
			closeAll()
			b.pass(20 * time.Second)
			b.act(func(h *emulator.House) { h.Open(48) })
			b.pass(time.Minute)
			b.expect("fire", "alarm zone:2/48", "fire zone:2/48")
			b.act(func(h *emulator.House) { h.Close(48) })
			b.keys("K2012341")
			b.pass(20 * time.Second)
			b.keys("K2012341")
			b.pass(time.Minute)
			b.expect("fire is over", "alarm-restored zone:2/48", "fire-restored partition:2")
		}
	}
	closeAll()
	t.Logf("%d rounds", rounds)
}
