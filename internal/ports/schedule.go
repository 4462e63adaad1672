package ports

import (
	"fmt"
	"hash/fnv"
	"slices"
	"time"

	_ "time/tzdata" // zones must work on machines that have none installed

	"gatehouse/internal/gate"
)

// Schedule closes or opens ports for a while, again and again.
type Schedule struct {
	Name      string
	Verdict   gate.Verdict // Close or Open
	Service   string       // that it names; "" = ports by number
	Ports     gate.Ports
	Direction gate.Direction
	From      Cron           // when it begins
	For       time.Duration  // how long it lasts, by the clock that nobody sets
	Zone      *time.Location // of From
	Cut       bool           // when an opening ends, live connections end too
	Text      string         // of From, for the identity
}

// Active reports whether the schedule holds at a time, and since and until when.
func (s *Schedule) Active(at time.Time) (since, until time.Time, ok bool) {
	since = s.From.Last(at, s.Zone)
	if since.IsZero() {
		return since, until, false
	}
	until = since.Add(s.For)
	return since, until, at.Before(until)
}

// Next returns when the schedule next begins or ends; the zero Time if never.
func (s *Schedule) Next(after time.Time) time.Time {
	next := s.From.Next(after, s.Zone)
	if _, until, ok := s.Active(after); ok && (next.IsZero() || until.Before(next)) {
		return until
	}
	return next
}

// Epoch tells schedules apart that say something else.
func (s *Schedule) Epoch() uint64 {
	h := fnv.New64a()
	fmt.Fprint(h, s.Name, "\x00", s.Verdict, "\x00", s.Service, "\x00", s.Ports, "\x00", s.Direction, "\x00", s.Text, "\x00", s.For, "\x00", s.Zone)
	return h.Sum64()
}

// LoadZone returns the time zone with this name of the IANA database; "" is that
// of the machine.
func LoadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.Local, nil
	}
	if len(name) > 64 {
		return nil, fmt.Errorf("%s is not a time zone", gate.Quote(name, 32))
	}
	z, err := time.LoadLocation(name)
	if err != nil {
		return nil, fmt.Errorf("%s is not a time zone", gate.Quote(name, 64))
	}
	return z, nil
}

// Overlap is that two schedules want something of the same ports at a time.
type Overlap struct {
	A, B     int // indexes
	At       time.Time
	Ports    gate.Ports
	Contrary bool // one closes and the other opens
}

// overlapDays is how far ahead overlaps are looked for: each day of a year comes
// once.
const overlapDays = 400

// Overlaps returns the first overlap of each two schedules from a time on.
func Overlaps(list []Schedule, from time.Time) (out []Overlap) {
	end := from.AddDate(0, 0, overlapDays)
	for a := range list {
		for b := a + 1; b < len(list); b++ {
			shared := list[a].Ports.Minus(list[a].Ports.Minus(list[b].Ports))
			if list[a].Direction != list[b].Direction || shared.IsEmpty() {
				continue
			}
			if at, ok := meet(&list[a], &list[b], from, end); ok {
				out = append(out, Overlap{a, b, at, shared, list[a].Verdict != list[b].Verdict})
			}
		}
	}
	return out
}

// meet returns when two schedules first hold at once.
func meet(a, b *Schedule, from, end time.Time) (time.Time, bool) {
	const most = 20_000 // beginnings that are looked at
	t := from
	for range most {
		_, _, inA := a.Active(t)
		_, _, inB := b.Active(t)
		if inA && inB {
			return t, true
		}
		next := soonest(a.From.Next(t, a.Zone), b.From.Next(t, b.Zone))
		if next.IsZero() || next.After(end) {
			return time.Time{}, false
		}
		t = next
	}
	return time.Time{}, false
}

// soonest returns the first of times, those that are zero left out.
func soonest(ts ...time.Time) time.Time {
	ts = slices.DeleteFunc(ts, time.Time.IsZero)
	if len(ts) == 0 {
		return time.Time{}
	}
	return slices.MinFunc(ts, time.Time.Compare)
}

// Next returns when one of the schedules next begins or ends; the zero Time if
// none ever does.
func Next(list []Schedule, after time.Time) time.Time {
	ts := make([]time.Time, len(list))
	for i := range list {
		ts[i] = list[i].Next(after)
	}
	return soonest(ts...)
}

// TooLong reports that a schedule begins again before it is over, other than by
// the hours that a clock is set, and by how much.
func (s *Schedule) TooLong(from time.Time) (gap time.Duration, is bool) {
	const slack = 3 * time.Hour
	t := from
	for range 100 {
		a := s.From.Next(t, s.Zone)
		b := s.From.Next(a, s.Zone)
		if a.IsZero() || b.IsZero() {
			return 0, false
		}
		if d := b.Sub(a); s.For > d && (s.For-d > slack || d < gate.Day-slack) {
			return d, true
		}
		t = b
	}
	return 0, false
}
