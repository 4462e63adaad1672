package ad2

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Version is what the device says of itself, in answer to `V`.
type Version struct {
	Serial   string `json:"serial"`
	Firmware string `json:"version"`
	Flags    string `json:"flags"` // what it can do, two letters each, with semicolons
}

// Type implements Message.
func (*Version) Type() string { return "version" }

// Can reports whether the firmware has a flag, such as L2 for reports with
// Contact ID or DS for DSC panels.
func (v *Version) Can(flag string) bool { return slices.Contains(strings.Split(v.Flags, ";"), flag) }

func parseVersion(line string) (*Version, error) {
	_, values, ok := strings.Cut(line, ":")
	parts := strings.Split(values, ",")
	if !ok || strings.Contains(values, ":") || len(parts) < 3 {
		return nil, invalid("a version says serial number, firmware and flags")
	}
	return &Version{parts[0], parts[1], parts[2]}, nil
}

// Settings is the configuration of the device, in answer to `C`.
type Settings struct {
	DSC         bool   // MODE: D, else A
	Address     int    // ADDRESS: of the keypad that the device plays; on DSC partition and slot
	Bits        int    // CONFIGBITS
	Mask        uint32 // MASK: keypads whose messages it hands on
	Zones       [5]bool
	Relays      [4]bool
	LRR         bool // it plays a long-range radio
	COM         bool
	Deduplicate bool // it hands on only messages that differ
}

// DefaultSettings is what a device of the factory has.
func DefaultSettings() Settings { return Settings{Address: 18, Bits: 0xff00, Mask: 0xffffffff} }

// Type implements Message.
func (*Settings) Type() string { return "config" }

func parseSettings(line string) (*Settings, error) {
	_, values, ok := strings.Cut(line, ">")
	if !ok || strings.Contains(values, ">") {
		return nil, invalid("settings follow behind !CONFIG>")
	}
	s := DefaultSettings()
	if err := s.Set(values); err != nil {
		return nil, invalid(err.Error())
	}
	return &s, nil
}

// Set changes settings as KEY=VALUE pairs with & between say. Keys that it does
// not know are ignored: newer firmware has more.
func (s *Settings) Set(pairs string) error {
	for pair := range strings.SplitSeq(pairs, "&") {
		key, value, ok := strings.Cut(pair, "=")
		if !ok || strings.Contains(value, "=") {
			return fmt.Errorf("settings are written KEY=VALUE")
		}
		if err := s.set(key, value); err != nil {
			return err
		}
	}
	return nil
}

func (s *Settings) set(key, value string) error {
	ok := true
	switch key {
	case "MODE":
		ok = value == "A" || value == "D"
		s.DSC = value == "D"
	case "ADDRESS":
		s.Address, ok = decimal(value)
	case "CONFIGBITS":
		s.Bits, ok = hexadecimal(value)
	case "MASK":
		var mask int
		mask, ok = hexadecimal(value)
		ok = ok && mask >= 0 && mask <= 0xffffffff
		s.Mask = uint32(mask)
	case "EXP":
		ok = flags(value, s.Zones[:])
	case "REL":
		ok = flags(value, s.Relays[:])
	case "LRR":
		s.LRR = value == "Y"
	case "COM":
		s.COM = value == "Y"
	case "DEDUPLICATE":
		s.Deduplicate = value == "Y"
	}
	if !ok {
		return fmt.Errorf("%s has no such value", key)
	}
	return nil
}

// flags reads Y and N.
func flags(text string, to []bool) bool {
	if len(text) < len(to) {
		return false
	}
	for i := range to {
		to[i] = text[i] == 'Y'
	}
	return true
}

func letters(flags []bool) string {
	b := make([]byte, len(flags))
	for i, f := range flags {
		b[i] = yes(f)[0]
	}
	return string(b)
}

func yes(b bool) string {
	if b {
		return "Y"
	}
	return "N"
}

// String returns the settings as the device's command C takes them.
func (s *Settings) String() string {
	mode := "A"
	if s.DSC {
		mode = "D"
	}
	return fmt.Sprintf("ADDRESS=%d&CONFIGBITS=%x&MASK=%x&EXP=%s&REL=%s&LRR=%s&DEDUPLICATE=%s&MODE=%s&COM=%s",
		s.Address, s.Bits, s.Mask, letters(s.Zones[:]), letters(s.Relays[:]), yes(s.LRR), yes(s.Deduplicate), mode, yes(s.COM))
}

// MarshalJSON implements json.Marshaler.
func (s *Settings) MarshalJSON() ([]byte, error) {
	mode := 0
	if s.DSC {
		mode = 1
	}
	return json.Marshal(struct {
		Mode        int     `json:"mode"`
		Address     int     `json:"address"`
		Bits        int     `json:"configbits"`
		Mask        uint32  `json:"address_mask"`
		Zones       [5]bool `json:"emulate_zone"`
		Relays      [4]bool `json:"emulate_relay"`
		LRR         bool    `json:"emulate_lrr"`
		Deduplicate bool    `json:"deduplicate"`
		COM         bool    `json:"emulate_com"`
		Rebuilt     string  `json:"rebuilt"`
	}{mode, s.Address, s.Bits, s.Mask, s.Zones, s.Relays, s.LRR, s.Deduplicate, s.COM, s.String()})
}

// NoteKind says what a Note is about.
type NoteKind uint8

// The kinds of Note. NoteOther is the zero value: something without meaning here.
const (
	NoteOther       NoteKind = iota
	NoteDelivered            // keys reached the panel
	NoteUndelivered          // keys did not reach the panel
	NoteBoot                 // the device is starting
	NoteReady                // the device has started
	NoteLink                 // ser2sock says how its serial line is
)

// String returns the kind in one lower-case word.
func (k NoteKind) String() string {
	return [...]string{"other", "delivered", "undelivered", "boot", "ready", "link"}[min(k, NoteLink)]
}

// Note is any other message of the device, none of which says how the panel is.
type Note struct {
	Kind NoteKind `json:"-"`
	Line string   `json:"-"` // the message as it came, at least one character
	Up   bool     `json:"-"` // for NoteLink: the serial line is there
}

// Type implements Message.
func (*Note) Type() string { return "none" }

func parseNote(line string) *Note {
	n := &Note{Line: line}
	switch {
	case strings.HasPrefix(line, "!Sending."):
		dots := len(line) - len("!Sending") - len(strings.TrimLeft(line[len("!Sending"):], "."))
		if !strings.HasPrefix(line[len("!Sending")+dots:], "done") {
			break
		}
		switch { // each dot is an attempt: the fifth is the last one
		case dots < 5:
			n.Kind = NoteDelivered
		case dots == 5:
			n.Kind = NoteUndelivered
		}
	case strings.HasPrefix(line, "!boot"):
		n.Kind = NoteBoot
	case strings.HasPrefix(line, "!Ready"):
		n.Kind = NoteReady
	case strings.HasPrefix(line, "!SER2SOCK SERIAL_"):
		n.Kind, n.Up = NoteLink, strings.HasPrefix(line, "!SER2SOCK SERIAL_CONNECTED")
	}
	return n
}
