package detect

import (
	"encoding/binary"
	"math"
	"net/netip"
)

// Of each score a snapshot has its name and how many have points in it, and of each
// of those
//
//	addr, bits, touched, time, points that are proven, others, how many events, how
//	many addresses, and of each of these address (16 bytes) and time
//
// What the events said is not kept across a restart.
const (
	scoredHead  = 16 + 1 + 4 + 8 + 8 + 8 + 8 + 4
	visitorHead = 16 + 8
)

func (d *Detector) appendScores(b []byte) []byte {
	if len(d.scores.byKey) == 0 {
		return b
	}
	le := binary.LittleEndian
	b = le.AppendUint32(b, uint32(len(d.config.Scores)))
	for n := range d.config.Scores {
		b = appendString(b, d.config.Scores[n].Name)
		at, count := len(b), uint32(0)
		b = le.AppendUint32(b, 0)
		for s := d.scores.first; s != nil; s = s.next {
			if int(s.watch) != n {
				continue
			}
			count++
			b = append(b, s.addr[:]...)
			b = append(b, s.bits)
			b = le.AppendUint32(b, s.touched)
			b = le.AppendUint64(b, uint64(s.ms))
			b = le.AppendUint64(b, math.Float64bits(s.proven))
			b = le.AppendUint64(b, math.Float64bits(s.forged))
			b = le.AppendUint64(b, uint64(s.proof.Count))
			b = le.AppendUint32(b, uint32(len(s.seen)))
			for _, v := range s.seen {
				a := v.addr.As16()
				b = append(b, a[:]...)
				b = le.AppendUint64(b, uint64(v.ms))
			}
		}
		le.PutUint32(b[at:], count)
	}
	return b
}

func (d *Detector) readScores(r *reader) error {
	byName := map[string]int{}
	for n := range d.config.Scores {
		byName[d.config.Scores[n].Name] = n
	}
	for range r.count(2 + 4) {
		n, known := byName[r.text()]
		for range r.count(scoredHead) {
			s := &scored{key: key{addr: r.addr(), bits: r.u8(), watch: uint16(n)}}
			s.touched, s.ms = r.u32(), int64(r.u64())
			s.proven, s.forged = math.Float64frombits(r.u64()), math.Float64frombits(r.u64())
			s.proof.Count = int(r.u64())
			visitors := r.count(visitorHead)
			if r.failed || visitors > MaxScoreAddresses || s.bits == 0 || s.bits > 128 || mask(s.addr, s.bits) != s.addr ||
				!(s.proven >= 0) || !(s.forged >= 0) || math.IsInf(s.proven+s.forged, 0) || s.proof.Count < 0 {
				return r.bad("score")
			}
			for range visitors {
				s.seen = append(s.seen, visitor{netip.AddrFrom16(r.addr()).Unmap(), int64(r.u64())})
			}
			if !known || d.scores.byKey[s.key] != nil || len(d.scores.byKey) >= maxScored {
				continue
			}
			if d.scores.byKey == nil {
				d.scores.byKey = map[key]*scored{}
			}
			d.scores.byKey[s.key] = s
			d.scores.link(s)
		}
	}
	return nil
}
