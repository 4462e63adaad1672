package detect

import "gatehouse/internal/gate"

// warmed is how many events are looked up ahead.
const warmed = 16

// warm reads the memory that the next events will need, all at once, so that
// the processor waits for main memory once and not for each event in turn. It
// changes nothing, and its result means nothing.
func (d *Detector) warm(events []gate.Event) (sum uint32) {
	var wins, sess [warmed]uint32 // first of each chain
	var tags [warmed]uint32       // of the sessions
	w, s := &d.windows, &d.sessions
	n := 0
	for i := range events {
		e := &events[i]
		watch := d.slotOf(e.Rule)
		if watch < 0 || !e.Subject.IsNet() {
			continue
		}
		addr, bits := d.config.counted(e.Subject.Prefix())
		if len(w.buckets) > 0 {
			wins[n] = *w.bucket(w.hash(&key{addr, uint16(watch), bits})) & maxItems
		}
		if e.Detail.Session != 0 && len(s.buckets) > 0 {
			hash := s.hash(uint16(watch), e.Detail.Session, hashVia(e.Detail.Via))
			sess[n], tags[n] = *s.bucket(hash), tagOf(hash)
		}
		n++
	}
	if s.roster.n >= d.config.MaxSessions { // each new session takes the place of an old one
		i := d.oldestSession()
		for j := 0; j < n && i != 0; j++ {
			sum += s.links.at(*s.bucket(s.hashOf(i)) & maxItems).chain
			i = s.next(i)
		}
	}
	var blocks [warmed]*window
	for i := range n {
		if c := wins[i]; c != 0 {
			blocks[i] = w.at(c)
			sum += uint32(blocks[i].addr[0]) + blocks[i].touched + w.links.at(c).chain
		}
		switch c := sess[i] & maxItems; {
		case c == 0:
		case sess[i]&^maxItems == tags[i]:
			sum += s.at(c).touched
		default:
			sum += s.links.at(c).chain
		}
	}
	for i := range n {
		if win := blocks[i]; win != nil {
			sum += w.blocks.at(win.class, win.block)[0].time
		}
	}
	return sum
}
