package app

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// transition is a part that begins or ceases to be out of order.
type transition struct {
	part, why string // why == "": it works again
}

// The bounds of how much of it is recorded.
const (
	maxTransitions = 64               // that wait for their turn; further ones are not recorded
	partEvery      = 10 * time.Minute // one part is recorded to fail no more often
)

// tellOfFaults records when a part stops working and when it works again, until ctx
// ends. A part that flaps is recorded once in partEvery.
func (d *daemon) tellOfFaults(ctx context.Context) error {
	told := map[string]time.Time{} // when a part was last recorded to fail
	open := map[string]bool{}      // recorded to fail, and not yet to work again
	for {
		select {
		case <-ctx.Done():
			return nil
		case t := <-d.faults.changes:
			now := time.Now()
			switch {
			case strings.HasPrefix(t.part, "hook "), strings.HasPrefix(t.part, "list "), t.part == "the remote file": // they have records of their own
			case t.why == "" && open[t.part]:
				delete(open, t.part)
				d.tell(ctx, "status", "restored", gate.Subject{}, t.part+" works again")
			case t.why != "" && !open[t.part] && now.Sub(told[t.part]) >= partEvery:
				if len(told) > maxTransitions {
					clear(told)
				}
				told[t.part], open[t.part] = now, true
				d.tell(ctx, "status", "degraded", gate.Subject{}, t.part+": "+firstLine(t.why))
			}
		}
	}
}
