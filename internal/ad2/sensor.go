package ad2

import (
	"encoding/json"
	"strings"
)

// Expander is what a channel of a zone expander or of a relay module says:
// `!EXP:07,01,01`, `!REL:12,01,00`.
type Expander struct {
	Relay   bool `json:"-"`       // a relay module, else a zone expander
	Address int  `json:"address"` // of the module
	Channel int  `json:"channel"` // from 1
	Value   int  `json:"value"`   // 0 closed or off, 1 open or on, 2 trouble of the wire
}

// Type implements Message.
func (e *Expander) Type() string {
	if e.Relay {
		return "rel"
	}
	return "exp"
}

// Zone returns the number of the zone on a panel of this make; false where there
// is none with that number.
func (e *Expander) Zone(dsc bool) (int, bool) {
	n := 9 + 8*(e.Address-7) + e.Channel - 1 // the first expander of Ademco has address 7 and begins with zone 9
	if dsc {
		n = 8*e.Address + e.Channel
	}
	return n, !e.Relay && e.Channel >= 1 && e.Channel <= 8 && n >= 1 && n <= maxZone
}

func parseExpander(line string) (*Expander, error) {
	head, values, ok := strings.Cut(line, ":")
	parts := strings.Split(values, ",")
	if !ok || head != "!EXP" && head != "!REL" || len(parts) != 3 {
		return nil, invalid("an expander says address, channel and value")
	}
	e := &Expander{Relay: head == "!REL"}
	for i, to := range []*int{&e.Address, &e.Channel, &e.Value} {
		if *to, ok = decimal(parts[i]); !ok {
			return nil, invalid("an expander says three numbers")
		}
	}
	return e, nil
}

// Radio is what a wireless sensor sent: `!RFX:0180036,80`.
type Radio struct {
	Serial      string  `json:"serial"`      // seven digits
	Value       int     `json:"value"`       // the bits as they came
	Battery     bool    `json:"battery"`     // its battery is low
	Supervision bool    `json:"supervision"` // it only says that it is there
	Loop        [4]bool `json:"loop"`        // loops 1 to 4: true is open
}

// Type implements Message.
func (*Radio) Type() string { return "rfx" }

// Quiet reports whether the state of the loops is not to be taken from it.
func (r *Radio) Quiet() bool { return r.Value&1 != 0 }

func parseRadio(line string) (*Radio, error) {
	_, values, ok := strings.Cut(line, ":")
	parts := strings.Split(values, ",")
	if !ok || strings.Contains(values, ":") || len(parts) != 2 {
		return nil, invalid("a wireless sensor says serial number and bits")
	}
	v, ok := hexadecimal(parts[1])
	if !ok {
		return nil, invalid("the bits of a wireless sensor are hexadecimal")
	}
	r := &Radio{Serial: parts[0], Value: v, Battery: v&2 != 0, Supervision: v&4 != 0}
	for i, bit := range []int{0x80, 0x20, 0x10, 0x40} {
		r.Loop[i] = v&bit != 0
	}
	return r, nil
}

// Graphic is a message for a graphic keypad; what it means is not known.
type Graphic struct {
	Value string `json:"value"`
}

// Type implements Message.
func (*Graphic) Type() string { return "aui" }

func parseGraphic(line string) (*Graphic, error) {
	_, value, ok := strings.Cut(line, ":")
	if !ok || strings.Contains(value, ":") {
		return nil, invalid("a message for graphic keypads has one colon")
	}
	return &Graphic{value}, nil
}

// interface checks: each message has its form as a document.
var (
	_ json.Marshaler = (*Keypad)(nil)
	_ json.Marshaler = (*Report)(nil)
	_ json.Marshaler = (*Settings)(nil)
)
