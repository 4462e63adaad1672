package detect

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Of each watch that counts doors a snapshot has: its name, the count and
// nanoseconds of its threshold, how many probers, and of each
//
//	addr, bits, touched, epoch, source, how many doors, and of each
//		time, offset, address (16 bytes, all zero = unknown), port, protocol, evidence, pattern
const (
	proberHead = 16 + 1 + 4 + 8 + 2 + 4
	doorHead   = 8 + 8 + 16 + 2 + 1 + 1 + 2
)

func (d *Detector) appendProbes(b []byte) []byte {
	le := binary.LittleEndian
	var watches []uint16
	for n, sl := range d.slots {
		if sl.used && sl.distinct {
			watches = append(watches, uint16(n))
		}
	}
	if len(watches) == 0 && len(d.scores.byKey) == 0 {
		return b
	}
	b = le.AppendUint32(b, uint32(len(watches)))
	for _, n := range watches {
		sl := &d.slots[n]
		b = appendString(b, sl.name)
		b = le.AppendUint64(b, uint64(sl.threshold.Count))
		b = le.AppendUint64(b, uint64(sl.threshold.Within))
		at := len(b)
		b = le.AppendUint32(b, 0)
		kept := d.probes.worth(n)
		for _, p := range kept {
			b = appendProber(b, p)
		}
		le.PutUint32(b[at:], uint32(len(kept)))
	}
	return b
}

// snapshotDoors bounds how many doors a snapshot has, for it is written every
// few seconds: about 1 MB.
const snapshotDoors = 1 << 14

// worth returns the probers of a watch that a snapshot keeps, least recently
// used first: those of several doors before those of one, and the last ones.
func (p *probes) worth(watch uint16) (kept []*prober) {
	doors := 0
	for i := range p.lists {
		for b := p.lists[len(p.lists)-1-i].last; b != nil; b = b.prev {
			if b.watch != watch {
				continue
			}
			if doors += len(b.doors); doors > snapshotDoors {
				break
			}
			kept = append(kept, b)
		}
	}
	slices.Reverse(kept)
	return kept
}

func appendProber(b []byte, p *prober) []byte {
	le := binary.LittleEndian
	b = append(b, p.addr[:]...)
	b = append(b, p.bits)
	b = le.AppendUint32(b, p.touched)
	b = le.AppendUint64(b, p.epoch)
	b = appendString(b, p.source)
	b = le.AppendUint32(b, uint32(len(p.doors)))
	for _, o := range p.doors {
		b = le.AppendUint64(b, uint64(o.ms))
		b = le.AppendUint64(b, uint64(o.offset))
		to := [16]byte{}
		if o.to.IsValid() {
			to = o.to.As16()
		}
		b = append(b, to[:]...)
		b = le.AppendUint16(b, o.port)
		b = append(b, byte(o.proto), byte(o.evidence))
		b = appendString(b, o.pattern)
	}
	return b
}

func (d *Detector) readProbes(r *reader) error {
	for range r.count(2 + 8 + 8 + 4) {
		name := r.text()
		t := gate.Threshold{Count: int(r.u64()), Within: time.Duration(r.u64())}
		n, known := d.byName[name]
		known = known && d.slots[n].threshold == t && d.slots[n].distinct
		for range r.count(proberHead) {
			p, err := readProber(r)
			if err != nil {
				return err
			}
			p.watch = n
			if !known || len(p.doors) == 0 {
				continue
			}
			if d.probes.byKey[p.key] != nil {
				return r.bad("probe")
			}
			doors := p.doors
			p.doors = nil
			b := d.newProber(p.key)
			d.probes.unlink(b)
			b.touched, b.epoch, b.source, b.doors = p.touched, p.epoch, p.source, doors
			d.probes.doors += len(doors)
			d.probes.link(b)
			for d.probes.doors > maxAllDoors && d.probes.n() > 1 {
				d.probes.drop(d.probes.oldest(b))
			}
		}
	}
	return nil
}

func readProber(r *reader) (p prober, err error) {
	p.key = key{addr: r.addr(), bits: r.u8()}
	p.touched, p.epoch, p.source = r.u32(), r.u64(), r.text()
	n := r.count(doorHead)
	if r.failed || n > maxDoors || p.bits == 0 || p.bits > 128 || mask(p.addr, p.bits) != p.addr {
		return p, r.bad("probe")
	}
	for range n {
		o := door{ms: int64(r.u64()), offset: int64(r.u64())}
		if to := netip.AddrFrom16(r.addr()); !to.IsUnspecified() {
			o.to = to.Unmap()
		}
		o.port, o.proto, o.evidence, o.pattern = r.u16(), gate.Proto(r.u8()), gate.Evidence(r.u8()), r.text()
		if r.failed || o.evidence > gate.Proven || len(o.pattern) > maxNameLen {
			return p, r.bad("probe")
		}
		p.doors = append(p.doors, o)
	}
	return p, nil
}
