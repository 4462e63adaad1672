package detect

import (
	"time"

	"gatehouse/internal/gate"
)

// Next returns when [Detector.Advance] has something to do; the zero Time when
// nothing is pending. Times are whole minutes, so that an idle machine sleeps.
func (d *Detector) Next() time.Time {
	due := int64(-1)
	earliest := func(t int64) {
		if due < 0 || t < due {
			due = t
		}
	}
	for n := range d.windows.lists {
		if i := d.windows.first(n); i != 0 {
			if life, ends := d.slots[n].lifetime(); ends {
				earliest(int64(d.windows.at(i).touched) + life)
			}
		}
	}
	for n := range d.sessions.lists {
		if i := d.sessions.first(n); i != 0 {
			earliest(int64(d.sessions.at(i).touched) + sessionLife)
		}
	}
	if t := d.probesEnd(); t >= 0 {
		earliest(t)
	}
	if t := d.scoresEnd(); t >= 0 {
		earliest(t)
	}
	if due < 0 {
		return time.Time{}
	}
	return time.UnixMilli((due/60+1)*60_000 + d.offset).UTC()
}

// sessionLife is after how many seconds without an event a session's memory
// goes: twice its idle time, for a source that catches up may pause.
const sessionLife = 2 * idle / 1000

// Advance frees what is over. No finding arises from the passing of time alone
// yet: out is returned as it is.
func (d *Detector) Advance(now time.Time, out []gate.Finding) []gate.Finding {
	d.arrive(now)
	for n := range d.windows.lists {
		life, ends := d.slots[n].lifetime()
		for i := d.windows.first(n); ends && i != 0; i = d.windows.first(n) {
			if int64(d.touch)-int64(d.windows.at(i).touched) < life {
				break
			}
			d.close(i)
		}
	}
	for n := range d.sessions.lists {
		for i := d.sessions.first(n); i != 0; i = d.sessions.first(n) {
			if int64(d.touch)-int64(d.sessions.at(i).touched) < sessionLife {
				break
			}
			d.sessions.close(i)
		}
	}
	d.endProbes()
	d.endScores()
	return out
}

// Shift tells that the wall clock jumped by delta: live windows move with it.
func (d *Detector) Shift(delta time.Duration) { d.offset += delta.Milliseconds() }

// Forget clears the windows of a subject, so that it starts anew: those of an
// address or of the prefix that it is counted under, and for a wider prefix all
// that lie within.
func (d *Detector) Forget(s gate.Subject) {
	for _, p := range d.probesOf(s) {
		d.probes.drop(p)
	}
	for _, i := range d.windowsOf(s) {
		d.close(i)
	}
	d.forgetScores(s)
}

// windowsOf returns the numbers of a subject's windows.
func (d *Detector) windowsOf(s gate.Subject) (found []uint32) {
	if !s.IsNet() {
		return nil
	}
	addr, bits := d.config.counted(s.Prefix())
	for n := range d.slots {
		if i := d.windows.find(&key{addr, uint16(n), bits}); i != 0 {
			found = append(found, i)
		}
	}
	if s.Kind() == gate.KindAddr {
		return found
	}
	in, inBits := pack(s.Prefix())
	for n := range d.windows.lists {
		for i := d.windows.first(n); i != 0; i = d.windows.next(i) {
			k := &d.windows.at(i).key
			if k.bits >= inBits && mask(k.addr, inBits) == in && (k.addr != addr || k.bits != bits) {
				found = append(found, i)
			}
		}
	}
	return found
}

// Reconfigure changes what is counted. Windows survive where name and threshold
// of their watch are unchanged; of two watches with one name the last stands.
func (d *Detector) Reconfigure(c Config) {
	old := d.config.Scores
	d.config = c.withDefaults()
	d.rescore(old)
	d.lastRule, d.lastSlot = "", -1
	wanted, distinct := make(map[string]gate.Threshold, len(c.Watches)), make(map[string]bool)
	for _, w := range c.Watches {
		wanted[w.Name] = w.Threshold
		distinct[w.Name] = w.Distinct
	}
	for n := range d.slots {
		sl := &d.slots[n]
		if t, ok := wanted[sl.name]; sl.used && (!ok || t != sl.threshold || distinct[sl.name] != sl.distinct) {
			d.retire(n)
		}
	}
	for _, w := range c.Watches {
		if _, ok := d.byName[w.Name]; !ok {
			d.byName[w.Name] = d.enlist(newSlot(Watch{w.Name, wanted[w.Name], distinct[w.Name]}))
		}
	}
	d.evidence.setBudget(d.config.EvidenceBytes)
	for d.windows.n() > d.config.MaxSubjects || d.windows.blocks.entries > d.config.MaxEvents && d.windows.n() > 1 {
		d.evict(0)
	}
	for d.sessions.roster.n > d.config.MaxSessions {
		d.sessions.close(d.oldestSession())
	}
}

// retire frees a slot and all that was counted under it.
func (d *Detector) retire(n int) {
	for i := d.windows.first(n); i != 0; i = d.windows.first(n) {
		d.close(i)
	}
	for i := d.sessions.first(n); i != 0; i = d.sessions.first(n) {
		d.sessions.close(i)
	}
	d.probes.dropWatch(uint16(n))
	delete(d.byName, d.slots[n].name)
	d.slots[n] = slot{}
}

// enlist puts a slot into the first free place.
func (d *Detector) enlist(s slot) uint16 {
	for n := range d.slots {
		if !d.slots[n].used {
			d.slots[n] = s
			return uint16(n)
		}
	}
	d.slots = append(d.slots, s)
	return uint16(len(d.slots) - 1)
}

// evict forgets the least recently used window, except one. Within one second
// of arrival and one watch the order is that of the first event.
func (d *Detector) evict(except uint32) {
	var oldest uint32
	for n := range d.windows.lists {
		i := d.windows.first(n)
		if i == except && i != 0 {
			i = d.windows.next(i)
		}
		if i != 0 && (oldest == 0 || d.windows.at(i).touched < d.windows.at(oldest).touched) {
			oldest = i
		}
	}
	d.close(oldest)
	d.evicted++
}

// restamp counts the time that nothing ran as no time at all.
func (d *Detector) restamp() {
	for n := range d.windows.lists {
		for i := d.windows.first(n); i != 0; i = d.windows.next(i) {
			d.windows.at(i).touched = d.touch
		}
	}
	for n := range d.sessions.lists {
		for i := d.sessions.first(n); i != 0; i = d.sessions.next(i) {
			d.sessions.at(i).touched = d.touch
		}
	}
	d.probes.restamp(d.touch)
	for b := d.scores.first; b != nil; b = b.next {
		b.touched = d.touch
	}
}
