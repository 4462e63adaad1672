package ad2

import (
	"strings"
	"time"
)

// keypad takes a message for keypads.
func (p *Panel) keypad(k *Keypad, now time.Time) {
	p.heard = now
	if p.mute {
		p.mute = false
		p.tell(Event{Time: now, Kind: Silent.Over()})
	}
	upper := k.Upper()
	if k.DSC {
		p.dsc = true
	}
	if !k.DSC || k.at(BitAC) != '-' {
		p.power(k, upper, now)
	}
	part := p.addressed(k)
	if part == nil {
		p.system(k, upper, now)
		return
	}
	first := !part.Based
	part.Based, part.Seen = true, now
	part.Text, part.Beeps, part.Cursor = k.Text, k.Beeps, k.Cursor
	what := displayed(upper)
	lit := k.Has(BitBacklight)
	woken := lit && !part.Light
	part.Light = lit

	p.programming(part, k, first, now)
	p.armed(part, k, upper, what, first, now)
	p.delays(part, k, upper, what, now)
	p.chime(part, k, first, now)
	p.bypass(part, k, upper, what, now)
	p.alarm(part, k, upper, what, now)
	p.fire(part, k, what, now)
	part.Memory = k.Has(BitMemory)
	if p.dsc {
		p.ready(part, k, what, first, now)
		return
	}
	p.shown(part, k, upper, what, woken, now)
	p.ready(part, k, what, first, now)
}

// system takes a message that is for no keypad in particular: only what holds for
// the panel as a whole is taken from it.
func (p *Panel) system(k *Keypad, upper string, now time.Time) {
	if displayed(upper) == displayCheck {
		p.module(k, upper, now)
	}
}

// change tells that something of a partition began or ended; the first message
// of a partition is only the base line, except for what is wrong.
func (p *Panel) change(state *bool, to bool, kind Kind, quiet bool, e Event) {
	if *state == to {
		return
	}
	*state = to
	if quiet {
		return
	}
	e.Kind = kind
	if !to {
		e.Kind = kind.Over()
	}
	p.tell(e)
}

func (p *Panel) programming(part *partition, k *Keypad, first bool, now time.Time) {
	p.change(&part.Program, k.Has(BitProgram), Program, first, Event{Time: now, Partition: part.Number})
}

func (p *Panel) chime(part *partition, k *Keypad, first bool, now time.Time) {
	if k.at(BitChime) != '-' {
		p.change(&part.Chime, k.Has(BitChime), Chime, first, Event{Time: now, Partition: part.Number})
	}
}

// armed follows how the partition is armed.
func (p *Panel) armed(part *partition, k *Keypad, upper string, what display, first bool, now time.Time) {
	to := modeOf(k, upper)
	if part.by.until.After(now) && to.Armed() != part.by.armed {
		return // the display is behind a report
	}
	part.by.until = time.Time{}
	if to.Armed() {
		part.keyArm = now
	} else {
		part.keyDis = now
	}
	if first && part.Mode == ModeUnknown {
		part.Mode = to
		return
	}
	if to == part.Mode {
		part.mode = ModeUnknown
		return
	}
	if to.Armed() && part.Mode.Armed() && to.group() == part.Mode.group() {
		// Night and instant are read from bits that come and go while other things
		// are displayed: what differs must be shown twice by the partition's own line.
		if what != displayIdle {
			return
		}
		if part.mode != to {
			part.mode = to
			return
		}
	}
	part.mode = ModeUnknown
	p.setMode(part, to, 0, "", now)
}

// setMode tells that a partition was armed or disarmed.
func (p *Panel) setMode(part *partition, to Mode, user int, words string, now time.Time) {
	was := part.Mode
	part.Mode = to
	if c := part.claim; user == 0 && c.user > 0 && c.armed == to.Armed() && now.Sub(c.when) < lag {
		user = c.user
	}
	e := Event{Time: now, Kind: Armed, Partition: part.Number, Mode: to, User: user, Words: words}
	if to.Armed() {
		p.release(part) // an earlier disarm that still waits for its user comes first
		p.tell(e)
		return
	}
	part.ExitUntil, part.EntryEnds = time.Time{}, time.Time{}
	p.change(&part.Exit, false, Exit, false, Event{Time: now, Partition: part.Number})
	p.change(&part.Entry, false, Entry, false, Event{Time: now, Partition: part.Number})
	if !was.Armed() {
		return
	}
	e.Kind, e.Mode = Disarmed, ModeUnknown
	if user == 0 && (!p.reports.IsZero() && now.Sub(p.reports) < reportsWithin || p.Config != nil && p.Config.LRR) {
		part.Goodbye, part.Due = &e, now.Add(whoDisarmed)
	} else {
		p.tell(e)
	}
	part.Reports = nil
	p.change(&part.Panic, false, Panic, false, Event{Time: now, Partition: part.Number})
}

// reportsWithin is how long after its last report a panel is taken for one that
// reports.
const reportsWithin = 31 * 24 * time.Hour

// release tells the disarm that waits for its user.
func (p *Panel) release(part *partition) {
	if part.Goodbye == nil {
		return
	}
	e := *part.Goodbye
	part.Goodbye = nil
	p.tell(e)
}

// delays follows exit and entry delay.
func (p *Panel) delays(part *partition, k *Keypad, upper string, what display, now time.Time) {
	if what == displaySystem || what == displayCheck || what == displayBat {
		return // it stands in between; the delay goes on
	}
	exit, left := leaving(k, upper)
	exit = exit && (part.Mode.Armed() || k.DSC)
	if exit && left >= 0 {
		part.ExitUntil = now.Add(time.Duration(left) * time.Second)
	}
	if !exit {
		part.ExitUntil = time.Time{}
	}
	p.change(&part.Exit, exit, Exit, false, Event{Time: now, Partition: part.Number})

	entry := part.Mode.Armed() && !exit && !k.Has(BitBell) && (entering(upper) || part.Entry && what != displayIdle)
	if entry && !part.Entry {
		part.EntryEnds = now.Add(p.c.EntryDelay)
	}
	if !entry {
		part.EntryEnds = time.Time{}
	}
	p.change(&part.Entry, entry, Entry, false, Event{Time: now, Partition: part.Number})
}

// bypass follows which zones are left out.
func (p *Panel) bypass(part *partition, k *Keypad, upper string, what display, now time.Time) {
	if k.at(BitBypass) == '-' {
		return
	}
	if what == displayBypass {
		if n, name, ok := zoneOf(k, upper); ok {
			z := part.zone(n)
			p.learn(z, name)
			part.Bypass, part.unby = true, 0
			p.change(&z.Bypassed, true, Bypass, false, Event{Time: now, Partition: part.Number, Zone: n})
			return
		}
	}
	if k.Has(BitBypass) {
		part.unby = 0
		p.change(&part.Bypass, true, Bypass, false, Event{Time: now, Partition: part.Number})
		return
	}
	if !part.Bypass || what != displayIdle && what != displayFault {
		return
	}
	if part.unby++; part.unby < 2 && what != displayIdle {
		return
	}
	part.Bypass = false
	any := false
	for _, n := range part.numbers() {
		z := part.Zones[n]
		any = any || z.Bypassed
		p.change(&z.Bypassed, false, Bypass, false, Event{Time: now, Partition: part.Number, Zone: n})
	}
	if !any {
		p.tell(Event{Time: now, Kind: Bypass.Over(), Partition: part.Number})
	}
}

// learn notes the name that the panel gives a zone.
func (p *Panel) learn(z *zone, name string) {
	if name != "" && len(name) <= screen {
		z.Name = name
	}
}

// alarm follows the siren and the zones that set it off.
func (p *Panel) alarm(part *partition, k *Keypad, upper string, what display, now time.Time) {
	n, name, ok := 0, "", false
	if what == displayAlarm || what == displayFire {
		n, name, ok = zoneOf(k, upper)
	}
	if ok {
		p.learn(part.zone(n), name)
	}
	if k.Has(BitBell) {
		part.BellAt = now
		if !part.Alarm {
			part.Alarm, part.AlarmArmed, part.Told = true, part.Mode, nil
			if !ok { // the zone is not on the display: tell at once all the same
				part.Told = append(part.Told, 0)
				p.tell(Event{Time: now, Kind: Alarm, Partition: part.Number, Mode: part.AlarmArmed, Words: strings.TrimSpace(k.Text)})
			}
		}
		if ok {
			p.alarmZone(part, n, "", now)
		}
		return
	}
	if part.Memory && !k.Has(BitMemory) && what == displayIdle {
		part.Reports = nil // cleared at a keypad
	}
	if !part.Alarm || len(part.Reports) > 0 {
		return
	}
	disarmed := part.AlarmArmed.Armed() && !part.Mode.Armed() && what != displaySystem && what != displayCheck && what != displayBat
	if disarmed || !k.Has(BitMemory) && what != displaySystem && what != displayCheck || now.Sub(part.BellAt) >= hold {
		p.silence(part, now)
	}
}

// alarmZone tells that a zone is in alarm, once for each alarm.
func (p *Panel) alarmZone(part *partition, n int, words string, now time.Time) {
	for _, told := range part.Told {
		if told == n {
			return
		}
	}
	if len(part.Told) >= maxZone {
		return
	}
	part.Told = append(part.Told, n)
	if part.AlarmZone == 0 {
		part.AlarmZone = n
	}
	e := Event{Time: now, Kind: Alarm, Partition: part.Number, Zone: n, Mode: part.AlarmArmed, Words: words}
	p.tell(e)
	if n == 0 {
		return
	}
	z := part.zone(n)
	z.AlarmAt = now
	if emergency[n] != "" {
		p.change(&part.Panic, true, Panic, false, Event{Time: now, Partition: part.Number, Zone: n, Words: emergency[n]})
	}
}

// emergency are the zones that stand for the emergency keys of an Ademco keypad.
var emergency = map[int]string{95: "key A, or * and 1", 96: "key C, or # and 3", 99: "key B, or * and #"}

// silence tells that the alarm of a partition is over.
func (p *Panel) silence(part *partition, now time.Time) {
	n := part.AlarmZone
	part.AlarmZone, part.Told, part.AlarmArmed = 0, nil, ModeUnknown
	p.change(&part.Alarm, false, Alarm, false, Event{Time: now, Partition: part.Number, Zone: n})
	p.change(&part.Panic, false, Panic, false, Event{Time: now, Partition: part.Number})
}

// fire follows the fire bit. On Ademco it comes and goes with what is displayed,
// so it holds until the memory of the alarm is cleared.
func (p *Panel) fire(part *partition, k *Keypad, what display, now time.Time) {
	if k.Has(BitFire) {
		part.FireAt = now
		n := 0
		if what == displayFire {
			n, _, _ = zoneOf(k, k.Upper())
		}
		p.change(&part.Fire, true, Fire, false, Event{Time: now, Partition: part.Number, Zone: min(max(n, 0), maxZone)})
		return
	}
	if !part.Fire {
		return
	}
	if k.DSC || !k.Has(BitMemory) && what != displaySystem && what != displayCheck && what != displayBat && (part.Memory || now.Sub(part.FireAt) >= hold) {
		p.change(&part.Fire, false, Fire, false, Event{Time: now, Partition: part.Number})
	}
}

// ready follows whether the partition can be armed; on Ademco a partition that is
// ready has no open zone.
func (p *Panel) ready(part *partition, k *Keypad, what display, first bool, now time.Time) {
	if what == displaySystem || k.at(BitReady) == '-' {
		return // the bit is not to be trusted there
	}
	is := k.Has(BitReady)
	if is && !p.dsc && !part.Mode.Armed() && !part.Program {
		part.cycle.disturb(now, part.Zones)
		for _, n := range part.numbers() {
			if z := part.Zones[n]; z.Open && !z.Bypassed && (z.Direct.IsZero() || z.Shown && !z.fresh(now)) {
				p.close(part, z, now)
			}
		}
	}
	p.change(&part.Ready, is, Ready, first, Event{Time: now, Partition: part.Number})
}
