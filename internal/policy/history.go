package policy

import (
	"time"

	"gatehouse/internal/gate"
)

// offences is what is known of a subject's past.
type offences struct {
	n     int       // how many
	last  time.Time // when the last was decided
	until time.Time // when its ban ended; zero = unknown
}

// past is an offences without a pointer.
type past struct {
	n           uint32
	last, until int64
}

// history remembers offences whose ban is over and what is not in the ledger:
// when that ban ended, and offences that led to no decision because they were
// read late. It holds the last ones, in two generations. Bans that are live
// carry their offence themselves.
type history struct{ young, old map[netKey]past }

// generation is how many subjects one generation holds.
const generation = 1 << 15

func (h *history) get(k netKey) (past, bool) {
	v, ok := h.young[k]
	if !ok {
		v, ok = h.old[k]
	}
	return v, ok
}

func (h *history) put(k netKey, v past) {
	if len(h.young) >= generation {
		h.old, h.young = h.young, nil
	}
	if h.young == nil {
		h.young = make(map[netKey]past)
	}
	h.young[k] = v
}

// offences returns the past of a subject: from its live bans, else from the
// ledger, and from what was seen since.
func (p *Policy) offences(k netKey) offences {
	var o offences
	for _, b := range p.bans.of(k) {
		if int(b.offence) > o.n {
			o = offences{int(b.offence), fromNanos(b.guilty), fromNanos(b.until)}
		}
	}
	if o.n > 0 {
		return o
	}
	if p.past != nil {
		o.n, o.last = p.past(k.subject())
	}
	v, ok := p.history.get(k)
	switch last := fromNanos(v.last); {
	case !ok || last.Before(o.last):
	case last.After(o.last):
		o = offences{max(o.n, int(v.n)), last, fromNanos(v.until)}
	default:
		o.until = fromNanos(v.until)
	}
	return o
}

// remember notes the offence of a ban that ends at end.
func (p *Policy) remember(b *ban, end time.Time) {
	if b.offence == 0 {
		return
	}
	p.history.put(b.netKey, past{b.offence, b.guilty, nanos(end)})
}

// next returns which offence one at this time would be.
func (o offences) next(at time.Time, forget time.Duration) int {
	if o.n == 0 || forget != gate.Forever && at.Sub(o.last) >= forget {
		return 1
	}
	return o.n + 1
}
