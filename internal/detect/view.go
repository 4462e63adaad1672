package detect

import (
	"cmp"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Window is what is being counted of a subject under one watch.
type Window struct {
	Rule      string
	Subject   gate.Subject // what is counted together: an address, or for IPv6 its /64
	Threshold gate.Threshold
	Count     int       // events that count at the time asked about
	Oldest    time.Time // of them
	Newest    time.Time
	Proof     gate.Proof // of them, as far as it was kept
}

// maxView bounds how many windows [Detector.Windows] returns for a prefix.
const maxView = 256

// Windows returns the live windows of a subject at now, ordered by watch and
// subject: those of an address or of the prefix that it is counted under, for a
// wider prefix those within, at most 256.
func (d *Detector) Windows(s gate.Subject, now time.Time) []Window {
	var out []Window
	ms := now.UnixMilli() - d.offset
	for _, i := range d.windowsOf(s) {
		win := d.windows.at(i)
		sl := &d.slots[win.watch]
		es := d.windows.entries(win)
		from, _ := slices.BinarySearchFunc(es, sl.tick(ms)-sl.within, func(e entry, t int64) int {
			return cmp.Compare(d.windows.tickOf(win, e), t)
		})
		if from == len(es) {
			continue
		}
		out = append(out, Window{
			Rule: sl.name, Subject: unpack(win.addr, win.bits), Threshold: sl.threshold, Count: len(es) - from,
			Oldest: d.wall(sl, d.windows.tickOf(win, es[from])), Newest: d.wall(sl, win.newest),
			Proof: d.kept(win, es[from:], sl.name),
		})
		if len(out) == maxView {
			break
		}
	}
	for _, p := range d.probesOf(s) {
		if len(out) == maxView {
			break
		}
		if w, ok := d.probeWindow(p, ms); ok {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b Window) int {
		return cmp.Or(cmp.Compare(a.Rule, b.Rule), a.Subject.Prefix().Compare(b.Subject.Prefix()))
	})
	return out
}
