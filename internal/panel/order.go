package panel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/ad2"
)

// Order is what somebody asks of the panel.
type Order struct {
	Action    ad2.Action // what; "" for Keys and for Settings
	Partition int        // 0 = 1
	Zone      int        // for bypass
	Code      string     // "" = none; never stored
	Keys      string     // to be pressed as they are, checked by ad2.ParseKeys; "" = none
	Settings  string     // KEY=VALUE pairs for the adapter; "" = none
	By        string     // who asks: "root"
	From      string     // from where: "socket", "mqtt"
}

// String says the order without any key.
func (o Order) String() string {
	switch {
	case o.Keys != "":
		return fmt.Sprintf("press %d keys", strings.Count(o.Keys, "")-1)
	case o.Settings != "":
		return "change the adapter's settings"
	case o.Zone > 0:
		return fmt.Sprintf("%s zone %d", o.Action, o.Zone)
	}
	return string(o.Action)
}

// Outcome is what became of an order.
type Outcome struct {
	Done     bool              // the panel's state says so
	Said     string            // a sentence
	Hint     string            // what to do, where it was not done
	Display  string            // what the keypads show
	State    ad2.PartitionView // of the partition, afterwards
	Settings string            // for Settings: the adapter's line
}

// Times of an order.
const (
	delivering = 3 * time.Second         // for the adapter to say that keys arrived
	obeying    = 8 * time.Second         // for the state of the panel to change
	looking    = 1200 * time.Millisecond // for the display to answer plain keys
)

// situation is what the loop knows when an order begins.
type situation struct {
	up        bool
	why, hint string
	dsc       bool
	view      ad2.PartitionView
	known     bool
	delivery  uint64
	failures  uint64
	address   int
	several   bool
}

func (p *Panel) situation(ctx context.Context, partition int) (situation, error) {
	var s situation
	err := p.do(ctx, func() {
		s.up, s.why, s.hint, s.dsc = p.up, p.why, p.hint, p.panel.DSC()
		s.view, s.known = p.panel.Partition(partition, time.Now())
		s.delivery, s.failures = p.delivery, p.failures
		s.several = len(p.panel.View(time.Now()).Partitions) > 1
	})
	if a, ok := p.c.Addresses[partition]; ok {
		s.address = a
	} else if s.dsc {
		s.address = 10*partition + 8
	}
	return s, err
}

// Do carries out an order. It returns when the panel's own state says that it was
// done, or what the panel showed instead. The error says why nothing was sent, or
// that nobody knows what became of it. Keys are sent at most once.
func (p *Panel) Do(ctx context.Context, o Order) (Outcome, error) {
	if o.Partition == 0 {
		o.Partition = 1
	}
	out, err := p.carry(ctx, o)
	sentence := fmt.Sprintf("%s asked to %s", o.By, o.String())
	if o.Settings == "" {
		sentence += fmt.Sprintf(" (partition %d)", o.Partition)
	}
	switch {
	case err != nil:
		sentence += ": refused: " + err.Error()
	case out.Done:
		sentence += ": done: " + out.Said
	default:
		sentence += ": not done: " + out.Said
	}
	p.note("command", sentence, o.Partition)
	return out, err
}

// note records who did what.
func (p *Panel) note(kind, sentence string, partition int) {
	if kind != "command" && !p.budget.spend(time.Now()) {
		return // who connects again and again must not fill the ledger
	}
	p.out.put(outItem{kind: kind, sentence: sentence, partition: partition})
}

func (p *Panel) carry(ctx context.Context, o Order) (Outcome, error) {
	if o.Partition < 1 || o.Partition > 8 {
		return Outcome{}, &Error{What: "there is no such partition", Hint: "partitions are 1 to 8: gatehouse panel status"}
	}
	if o.Settings != "" {
		return p.configure(ctx, o)
	}
	if err := ad2.CheckCode(o.Code); err != nil {
		return Outcome{}, &Error{What: err.Error(), Hint: "it is the one that is keyed in at a keypad"}
	}
	s, err := p.begin(ctx, o.Partition)
	if err != nil {
		return Outcome{}, err
	}
	if !s.up {
		return Outcome{}, &Error{What: errDown.Error() + ": " + s.why, Hint: s.hint}
	}
	if s, err = p.listen(ctx, o, s); err != nil {
		return Outcome{}, err
	}
	if err := p.ready(o, s); err != nil {
		return Outcome{}, err
	}
	if out, already := p.already(o, s); already {
		return out, nil
	}
	press := ad2.Press{Keys: o.Keys, Code: hasCode(o.Keys)}
	if o.Keys == "" {
		if press, err = ad2.Keys(o.Action, s.dsc, o.Code, o.Zone, s.view.Mode.Armed()); err != nil {
			return Outcome{}, &Error{What: err.Error(), Hint: "see: gatehouse panel --help"}
		}
	}
	id := o.By + " " + o.From
	if press.Code {
		if err := p.limits.allow(id, time.Now()); err != nil {
			return Outcome{}, err
		}
	}
	keys := press.Keys
	if s.address > 0 {
		keys = ad2.From(s.address, keys)
	} else if s.several && o.Partition != 1 {
		return Outcome{}, &Error{What: fmt.Sprintf("it is not known which keypad address presses keys for partition %d", o.Partition), Hint: "give the partition an address: of its own in panel: partitions:"}
	}
	me := new(int) // who has the floor
	if err := p.floor.take(ctx, me, delivering+obeying); err != nil {
		return Outcome{}, err
	}
	defer p.floor.give(me)
	return p.press(ctx, o, s, keys, press.Code, id)
}

// starting is how long the first connection may take.
const starting = 5 * time.Second

// begin returns how things are, once it was tried to connect.
func (p *Panel) begin(ctx context.Context, partition int) (situation, error) {
	if _, err := p.await(ctx, starting, func() bool { return p.up || p.why != "" }); err != nil {
		return situation{}, err
	}
	return p.situation(ctx, partition)
}

// firstWord is how long a panel may take to say how it is: it does so every ten
// seconds.
const firstWord = 13 * time.Second

// listen waits until it is known how the partition is: without that nobody could
// say what became of the order.
func (p *Panel) listen(ctx context.Context, o Order, s situation) (situation, error) {
	if s.known && s.view.Mode != ad2.ModeUnknown || o.Keys != "" {
		return s, nil
	}
	known, err := p.await(ctx, p.waits.speak, func() bool {
		v, ok := p.panel.Partition(o.Partition, time.Now())
		return ok && v.Mode != ad2.ModeUnknown
	})
	if err != nil {
		return s, err
	}
	if !known {
		return s, &Error{What: fmt.Sprintf("the panel has not said yet how partition %d is; no key was pressed", o.Partition), Hint: "gatehouse panel status shows the partitions that are known"}
	}
	return p.situation(ctx, o.Partition)
}

// hasCode reports whether keys may hold a code.
func hasCode(keys string) bool { return strings.Contains(ad2.Masked(keys), "****") }

// ready refuses an order that cannot be carried out, before any key is sent.
func (p *Panel) ready(o Order, s situation) error {
	if o.Keys != "" || o.Action.Mode() == ad2.ModeUnknown {
		return nil
	}
	if !s.known {
		return &Error{What: fmt.Sprintf("partition %d is not known", o.Partition), Hint: "gatehouse panel status lists the partitions"}
	}
	if s.view.Mode == ad2.ModeUnknown || s.view.Mode.Armed() || s.view.Ready {
		return nil
	}
	var open []string
	for _, z := range s.view.Zones {
		if z.Open && !z.Bypassed {
			open = append(open, zoneName(z))
		}
	}
	why := "it shows: " + squeeze(s.view.Display)
	if len(open) > 0 {
		why = "open: " + strings.Join(open, ", ")
	} else if s.view.Memory {
		return &Error{What: "the panel is not ready: the alarm is still in its memory", Hint: "clear it: gatehouse panel disarm"}
	}
	return &Error{What: "the panel is not ready: " + why, Hint: "close what is open, or leave it out: gatehouse panel bypass ZONE"}
}

func zoneName(z ad2.ZoneView) string {
	if z.Name != "" {
		return fmt.Sprintf("%s (zone %d)", z.Name, z.Zone)
	}
	return fmt.Sprintf("zone %d", z.Zone)
}

// already answers an order that has nothing to do.
func (p *Panel) already(o Order, s situation) (Outcome, bool) {
	out := Outcome{Done: true, Display: s.view.Display, State: s.view}
	switch {
	case o.Keys != "" || !s.known:
	case o.Action == ad2.Disarm && s.view.Mode == ad2.ModeDisarmed && !s.view.Alarm && !s.view.Memory && !s.view.Fire && !s.view.Panic:
		out.Said = "it is disarmed already; no key was pressed"
		return out, true
	case o.Action.Mode() != ad2.ModeUnknown && s.view.Mode == o.Action.Mode():
		out.Said = "it is armed " + s.view.Mode.String() + " already; no key was pressed"
		return out, true
	case o.Action == ad2.LeaveOut:
		for _, z := range s.view.Zones {
			if z.Zone == o.Zone && z.Bypassed {
				out.Said = fmt.Sprintf("zone %d is bypassed already; no key was pressed", o.Zone)
				return out, true
			}
		}
	}
	return out, false
}

// squeeze writes a display in one line.
func squeeze(s string) string {
	if s = strings.Join(strings.Fields(s), " "); s == "" {
		return "nothing"
	}
	return s
}
