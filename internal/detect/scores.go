package detect

import (
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Score is a count across watches that fades: each event of a watch adds points,
// which halve every HalfLife, and a finding arises when there are Limit of them. It
// mixes what logs, scans and traps saw of one address; or, with a network and a
// number of addresses, it sees those who take turns.
type Score struct {
	Name     string
	Limit    float64            // points, inclusive; 0 never fires
	HalfLife time.Duration      // at least a second
	Weights  map[string]float64 // points of an event, by watch; one that is not named adds none
	IPv4     int                // bits of an address that are scored together; 0 = all
	IPv6     int                // the same; 0 = as many as are counted together
	// Addresses is how many different addresses there must be; 0 and 1 = one is
	// enough; at most MaxScoreAddresses.
	Addresses int
}

// The bounds of what is kept for scores: who was seen least recently goes first.
const (
	maxScored         = 1 << 13 // about 6 kB each where there is much evidence
	MaxScoreAddresses = 64
	maxScoreLine      = 160 // bytes of a line that its evidence keeps
	halvingsKept      = 12  // half-lives after which points are gone
)

// scored is who has points.
type scored struct {
	key           // its watch is the number of the score
	ms      int64 // of what the points are, on the detector's clock
	proven  float64
	forged  float64
	seen    []visitor // the addresses that added points, at most MaxScoreAddresses
	proof   gate.Proof
	touched uint32
	prev    *scored
	next    *scored
}

// visitor is one address that added points.
type visitor struct {
	addr netip.Addr
	ms   int64 // when it last did
}

// scores is everybody who has points. Its zero value is ready to use.
type scores struct {
	byKey       map[key]*scored
	first, last *scored // by use
}

func (s *scores) link(b *scored) {
	b.prev, b.next = s.last, nil
	if s.last != nil {
		s.last.next = b
	} else {
		s.first = b
	}
	s.last = b
}

func (s *scores) unlink(b *scored) {
	if b.prev != nil {
		b.prev.next = b.next
	} else {
		s.first = b.next
	}
	if b.next != nil {
		b.next.prev = b.prev
	} else {
		s.last = b.prev
	}
}

func (s *scores) drop(b *scored) {
	s.unlink(b)
	delete(s.byKey, b.key)
}

// scoredAs returns under which network a subject is scored.
func (d *Detector) scoredAs(sc *Score, p netip.Prefix) (addr [16]byte, bits uint8) {
	addr, bits = d.config.counted(p)
	want := uint8(0)
	switch {
	case p.Addr().Is4() && sc.IPv4 > 0:
		want = uint8(sc.IPv4 + v4bits)
	case !p.Addr().Is4() && sc.IPv6 > 0:
		want = uint8(sc.IPv6)
	}
	if want == 0 || want >= bits {
		return addr, bits
	}
	return mask(addr, want), want
}

// score adds the points of one event to every score that it counts for.
func (d *Detector) score(e *gate.Event, out []gate.Finding) []gate.Finding {
	if e.Class != gate.ClassFailure && e.Class != gate.ClassHeld || !e.Subject.IsNet() {
		return out
	}
	for n := range d.config.Scores {
		sc := &d.config.Scores[n]
		if points := sc.Weights[e.Rule]; points > 0 {
			out = d.scoreOne(uint16(n), sc, points, e, out)
		}
	}
	return out
}

func (d *Detector) scoreOne(n uint16, sc *Score, points float64, e *gate.Event, out []gate.Finding) []gate.Finding {
	addr, bits := d.scoredAs(sc, e.Subject.Prefix())
	k := key{addr, n, bits}
	b := d.scores.byKey[k]
	if b == nil {
		if d.scores.byKey == nil {
			d.scores.byKey = map[key]*scored{}
		}
		for len(d.scores.byKey) >= maxScored {
			d.scores.drop(d.scores.first)
			d.evicted++
		}
		b = &scored{key: k}
		d.scores.byKey[k] = b
	} else {
		d.scores.unlink(b)
	}
	d.scores.link(b)
	b.touched = d.touch
	b.add(sc, points, e, e.Time.UnixMilli()-d.offset)
	if b.proven+b.forged+slack < sc.Limit || len(b.seen) < sc.Addresses {
		return out
	}
	f := gate.Finding{
		Time: e.Time.UTC(), Origin: e.Origin, Rule: sc.Name, Subject: unpack(addr, bits),
		Evidence: gate.Forgeable, Proof: b.proof,
	}
	if b.proven+slack >= sc.Limit {
		f.Evidence = gate.Proven
	}
	if f.Subject != e.Subject && sc.Addresses <= 1 {
		f.Last = e.Subject // what several did is not for one of them to bear
	}
	d.scores.drop(b)
	return append(out, f)
}

// add lets the points fade until an event and adds its own; those of one from
// before have faded, too.
func (b *scored) add(sc *Score, points float64, e *gate.Event, ms int64) {
	half := float64(max(sc.HalfLife, time.Second).Milliseconds())
	if ms >= b.ms {
		fade := math.Exp2(-float64(ms-b.ms) / half)
		b.proven, b.forged, b.ms = b.proven*fade, b.forged*fade, ms
		b.seen = slices.DeleteFunc(b.seen, func(v visitor) bool { return float64(ms-v.ms) > halvingsKept*half })
	} else {
		points *= math.Exp2(-float64(b.ms-ms) / half)
	}
	if e.Evidence == gate.Proven {
		b.proven += points
	} else {
		b.forged += points
	}
	b.visit(e.Subject.Addr(), ms)
	kept := *e
	kept.Time, kept.Line = e.Time.UTC(), strings.Clone(clip(e.Line, maxScoreLine))
	b.proof.Add(kept)
}

func (b *scored) visit(a netip.Addr, ms int64) {
	for i := range b.seen {
		if b.seen[i].addr == a {
			b.seen[i].ms = max(b.seen[i].ms, ms)
			return
		}
	}
	if len(b.seen) == MaxScoreAddresses {
		oldest := 0
		for i := range b.seen {
			if b.seen[i].ms < b.seen[oldest].ms {
				oldest = i
			}
		}
		b.seen[oldest] = visitor{a, ms}
		return
	}
	b.seen = append(b.seen, visitor{a, ms})
}

// endScores forgets whose points are gone.
func (d *Detector) endScores() {
	var next *scored
	for b := d.scores.first; b != nil; b = next {
		next = b.next
		if int64(d.touch)-int64(b.touched) >= d.scoreLife(b) {
			d.scores.drop(b)
		}
	}
}

// scoreLife is after how many seconds without an event points are gone.
func (d *Detector) scoreLife(b *scored) int64 {
	return int64(halvingsKept*max(d.config.Scores[b.watch].HalfLife, time.Second)/time.Second) + grace
}

// scoresEnd returns when the next ones may be forgotten, in seconds of the detector's
// clock; -1 for never.
func (d *Detector) scoresEnd() int64 {
	if b := d.scores.first; b != nil {
		return int64(b.touched) + d.scoreLife(b)
	}
	return -1
}

// forgetScores clears the points of a subject and of what lies in it.
func (d *Detector) forgetScores(s gate.Subject) {
	for k, b := range d.scores.byKey {
		if o := unpack(k.addr, k.bits); s.Covers(o) || o.Covers(s) && d.config.Scores[k.watch].Addresses <= 1 {
			d.scores.drop(b)
		}
	}
}

// rescore keeps the points of the scores that are unchanged.
func (d *Detector) rescore(old []Score) {
	where := make(map[uint16]uint16)
	for i := range old {
		for j := range d.config.Scores {
			if old[i].equal(&d.config.Scores[j]) {
				where[uint16(i)] = uint16(j)
			}
		}
	}
	kept := scores{byKey: map[key]*scored{}}
	var next *scored
	for b := d.scores.first; b != nil; b = next {
		next = b.next
		if n, ok := where[b.watch]; ok {
			b.watch = n
			kept.byKey[b.key] = b
			kept.link(b)
		}
	}
	d.scores = kept
}

// equal reports whether points mean the same in both.
func (s *Score) equal(o *Score) bool {
	if s.Name != o.Name || s.HalfLife != o.HalfLife || s.IPv4 != o.IPv4 || s.IPv6 != o.IPv6 || len(s.Weights) != len(o.Weights) {
		return false
	}
	for k, v := range s.Weights {
		if w, ok := o.Weights[k]; !ok || w != v {
			return false
		}
	}
	return true
}
