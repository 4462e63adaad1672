package ad2

import (
	"slices"
	"time"
)

// cycle follows how the display of a partition goes through the open zones: from
// the lowest number to the highest, about four seconds each, and again. A zone
// that opens is shown at once, then the display starts again from the lowest; so
// does a key that is pressed. A zone that closes is just left out.
//
// A zone counts as closed when the display went past its place twice without
// showing it, and nothing else could have caused that; or, where disturbances
// never end, when it was missing for three whole rounds and a minute at least.
type cycle struct {
	last    int       // zone shown last; 0 = none since a disturbance
	at      time.Time // when
	between int       // other displays since then that belong to the round: CHECK, LOBAT
	gaps    [8]time.Duration
	steps   int       // how many gaps there were; gaps holds the newest
	upset   time.Time // when the round was last disturbed
}

// Bounds of the cycle.
const (
	usualGap   = 4 * time.Second  // between two zones, where nothing is known yet
	leastGap   = time.Second      // a display that comes sooner was caused by a key
	leastIdle  = time.Minute      // a zone is not taken for closed sooner, in the last resort
	calmAfter  = 10 * time.Second // after a disturbance the round is as it should be again
	passesGone = 2                // rounds that must leave a zone out
)

// gap returns how long one zone stays on the display: the shortest of the last
// steps, since a lost line makes them longer and nothing makes them shorter.
func (c *cycle) gap() time.Duration {
	n := min(c.steps, len(c.gaps))
	if n == 0 {
		return usualGap
	}
	return slices.Min(c.gaps[:n])
}

// disturb notes that the round may have started anew, or that a line was lost.
func (c *cycle) disturb(now time.Time, zones map[int]*zone) {
	c.last, c.between, c.upset = 0, 0, now
	for _, z := range zones {
		z.missed = 0
	}
}

// other notes a display that belongs to the round, but is no zone.
func (c *cycle) other() { c.between = min(c.between+1, 100) }

// step notes that zone n, known to be open, is on the display. It returns the
// zones that are closed by that.
func (c *cycle) step(n int, now time.Time, zones map[int]*zone) (closed []int) {
	defer func() { c.last, c.at, c.between = n, now, 0 }()
	if z := zones[n]; z != nil {
		z.missed, z.idle = 0, 0
	}
	if c.last == 0 {
		return nil
	}
	took := now.Sub(c.at)
	if took < leastGap {
		if n == c.last {
			return nil // the same line again
		}
		c.disturb(now, zones)
		return nil
	}
	gap := c.gap()
	clean := took <= gap*time.Duration(8*(1+c.between))/5+leastGap/2
	if c.between == 0 {
		c.gaps[c.steps%len(c.gaps)] = min(took, 15*time.Second)
		c.steps++
	}
	if !clean {
		for _, z := range zones {
			z.missed = 0
		}
	}
	open := 0
	for _, z := range zones {
		if z.Open {
			open++
		}
	}
	limit := max(leastIdle, 3*gap*time.Duration(open+2))
	for number, z := range zones {
		if !z.Open || number == n {
			continue
		}
		if clean && passed(c.last, n, number) {
			z.missed++
		}
		if now.Sub(c.upset) > calmAfter {
			z.idle += min(took, 2*gap)
		}
		if z.missed >= passesGone || z.idle > limit {
			closed = append(closed, number)
		}
	}
	slices.Sort(closed)
	return closed
}

// passed reports whether the display, going from one zone to another, went past
// the place of a third.
func passed(from, to, z int) bool {
	if from < to {
		return from < z && z < to
	}
	return z > from || z < to
}
