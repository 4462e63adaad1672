package panel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/ad2"
)

// press sends keys and waits for what comes of it.
func (p *Panel) press(ctx context.Context, o Order, s situation, keys string, code bool, id string) (Outcome, error) {
	is, said := p.goal(o, s)
	before := ""
	if err := p.do(ctx, func() { before = p.print() }); err != nil {
		return Outcome{}, err
	}
	if err := p.link.write([]byte(keys)); err != nil {
		return Outcome{}, &Error{What: err.Error() + "; nobody knows whether they arrived", Hint: "look at the panel before you try again: gatehouse panel status"}
	}
	if _, err := p.await(ctx, delivering, func() bool { return p.delivery > s.delivery || is != nil && is() }); err != nil {
		return Outcome{}, err
	}
	after, err := p.situation(ctx, o.Partition)
	if err != nil {
		return Outcome{}, err
	}
	if after.failures > s.failures {
		return p.outcome(ctx, o, false, "the adapter could not deliver the keys", "check that its keypad address is free and known to the panel: gatehouse panel config")
	}
	if is == nil {
		wait := looking
		if code {
			wait = p.waits.answer
		}
		changed, err := p.await(ctx, wait, func() bool { return !p.up || code && p.print() != before })
		if err != nil {
			return Outcome{}, err
		}
		if code && changed {
			p.limits.right(id)
		} else if code { // a code that changes nothing is taken for a wrong one
			p.wrong(o, id)
		}
		return p.outcome(ctx, o, true, "the keys were delivered", "")
	}
	done, err := p.await(ctx, p.waits.obey, is)
	if err != nil {
		return Outcome{}, err
	}
	if done {
		if code {
			p.limits.right(id)
		}
		return p.outcome(ctx, o, true, said, "")
	}
	hint := "see what the panel shows: gatehouse panel status"
	if code {
		hint = "check the code; after two wrong ones within a minute the next is held back"
		p.wrong(o, id)
	}
	return p.outcome(ctx, o, false, "the panel did not do it", hint)
}

// wrong notes a wrong code, and tells when its asker is held back from now on.
func (p *Panel) wrong(o Order, id string) {
	if held := p.limits.wrong(id, time.Now()); held > 0 {
		p.note("held", fmt.Sprintf("%s tried wrong codes and is held back for %s", o.By, held), o.Partition)
	}
}

// print is how the partitions are, as far as a code changes them. It runs on the
// loop's goroutine.
func (p *Panel) print() string {
	var b strings.Builder
	for _, v := range p.panel.View(time.Now()).Partitions {
		fmt.Fprint(&b, v.Partition, v.Mode, v.Chime, v.Bypass, v.Memory, v.Program, v.Alarm, ";")
	}
	return b.String()
}

// goal returns when an order is done, and what to say then. It is nil for plain
// keys: nobody knows what they are for.
func (p *Panel) goal(o Order, s situation) (is func() bool, said string) {
	view := func() ad2.PartitionView {
		v, _ := p.panel.Partition(o.Partition, time.Now())
		return v
	}
	switch {
	case o.Keys != "":
		return nil, ""
	case o.Action.Mode() == ad2.ModeNight || o.Action.Mode() == ad2.ModeInstant:
		return func() bool {
			m := view().Mode
			return m == ad2.ModeNight || m == ad2.ModeInstant || m == ad2.ModeStay && s.dsc
		}, "armed " + o.Action.Mode().String()
	case o.Action.Mode() != ad2.ModeUnknown:
		return func() bool { return view().Mode == o.Action.Mode() }, "armed " + o.Action.Mode().String()
	case o.Action == ad2.Disarm:
		if s.view.Mode == ad2.ModeDisarmed { // what is left is an alarm, or its memory
			return func() bool { v := view(); return !v.Memory && !v.Alarm && !v.Fire || s.view.Alarm && !v.Alarm }, "the alarm is cleared"
		}
		return func() bool { return view().Mode == ad2.ModeDisarmed }, "disarmed"
	case o.Action == ad2.ToggleBell:
		return func() bool { return view().Chime != s.view.Chime }, "the chime was switched"
	case o.Action == ad2.LeaveOut:
		return func() bool {
			v := view()
			for _, z := range v.Zones {
				if z.Zone == o.Zone && z.Bypassed {
					return true
				}
			}
			return v.Bypass && !s.view.Bypass
		}, fmt.Sprintf("zone %d is bypassed", o.Zone)
	}
	before := len(s.view.AlarmZones)
	return func() bool {
		v := view()
		return v.Panic && !s.view.Panic || v.Fire && !s.view.Fire || v.Alarm && !s.view.Alarm || len(v.AlarmZones) > before
	}, "the panel calls for help"
}

// outcome says how things stand afterwards.
func (p *Panel) outcome(ctx context.Context, o Order, done bool, said, hint string) (Outcome, error) {
	s, err := p.situation(ctx, o.Partition)
	if err != nil {
		return Outcome{}, err
	}
	if !done {
		said += "; it shows: " + squeeze(s.view.Display)
	}
	if done && o.Action == ad2.Disarm && s.view.Memory {
		hint = "an alarm is in its memory: disarm again to clear it"
	}
	return Outcome{Done: done, Said: said, Hint: hint, Display: s.view.Display, State: s.view}, nil
}
