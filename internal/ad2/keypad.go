package ad2

import (
	"encoding/json"
	"strconv"
	"strings"
)

// Keypad is what the panel shows on the keypads of one partition:
//
//	[10000001000000003A--],008,[f70600ff1008001c08020000000000],"****DISARMED****  Ready to Arm  "
//
// bits, a number, the frame of the bus in hexadecimal, the 2 x 16 characters of
// the display.
type Keypad struct {
	Bits string // the first section without its brackets; at least 18 characters
	Code string // the second section: a zone, seconds left, or a number of the system
	Data string // the third section without its brackets, hexadecimal
	Text string // the display, 32 characters as a rule

	Mask   uint32 // keypads that are meant, as it is sent: byte n bit b is address 8n+b
	Number int    // Code as a number: decimal where it can be, else hexadecimal
	Beeps  int    // 0 to 15
	System int    // the field behind the bits: on Ademco 0 = Code is a zone, 3 = it is not; -1 = not sent
	DSC    bool   // the panel is a DSC; else it counts as Ademco
	Cursor int    // column of the cursor on the display; -1 = none
}

// Bit is the place of a bit in a keypad message, from 1.
type Bit int

// The bits of a keypad message.
const (
	BitReady      Bit = 1
	BitAway       Bit = 2
	BitStay       Bit = 3
	BitBacklight  Bit = 4
	BitProgram    Bit = 5
	bitBeeps      Bit = 6
	BitBypass     Bit = 7
	BitAC         Bit = 8
	BitChime      Bit = 9
	BitMemory     Bit = 10 // an alarm occurred; stays after the siren
	BitBell       Bit = 11 // the siren sounds
	BitLowBattery Bit = 12
	BitInstant    Bit = 13 // no entry delay
	BitFire       Bit = 14
	BitCheck      Bit = 15
	BitPerimeter  Bit = 16
	bitSystem     Bit = 17
	bitPanel      Bit = 18
)

// Type implements Message.
func (*Keypad) Type() string { return "keypad" }

// Has reports whether a bit is set. A dash is not: the firmware does not know.
func (k *Keypad) Has(b Bit) bool { c := k.at(b); return c != '0' && c != '-' }

// shows reports whether anything but 0 stands in the place of a bit.
func (k *Keypad) shows(b Bit) bool { return k.at(b) != '0' }

// at returns the character of a bit. The place behind the last one is that of
// the bracket, as in `[10000001000000003]`.
func (k *Keypad) at(b Bit) byte {
	if int(b) > len(k.Bits) {
		return ']'
	}
	return k.Bits[b-1]
}

// Upper returns the text in capitals, single-spaced: displays differ in both.
func (k *Keypad) Upper() string { return strings.Join(strings.Fields(strings.ToUpper(k.Text)), " ") }

// frame returns byte n of the third section; 0 where it was not sent.
func (k *Keypad) frame(n int) byte {
	if len(k.Data) < 2*n+2 {
		return 0
	}
	v, _ := strconv.ParseUint(k.Data[2*n:2*n+2], 16, 8) // hexadecimal digits only, see parseKeypad
	return byte(v)
}

// parseKeypad reads a keypad message. It wants what the device's own software
// wants: four sections, hexadecimal digits in the first three, a character at
// least between the quotes, and a frame long enough for its cursor.
func parseKeypad(line string) (*Keypad, error) {
	line = strings.TrimPrefix(line, "!KPM:")
	bits, rest, ok := section(line)
	if !ok || !onlyBits(bits) {
		return nil, invalid("it does not begin with bits in brackets")
	}
	code, rest, ok := strings.Cut(rest, ",")
	if !ok || !onlyHex(code) {
		return nil, invalid("its number is not hexadecimal")
	}
	data, text, ok := section(rest)
	if !ok || !onlyHex(data) {
		return nil, invalid("its frame is not hexadecimal digits in brackets")
	}
	if len(text) < 3 || text[0] != '"' || text[len(text)-1] != '"' || strings.ContainsRune(text, '\n') {
		return nil, invalid("its text is not in quotes")
	}
	k := &Keypad{Bits: bits, Code: code, Data: data, Text: strings.Trim(text, `"`), System: -1, Cursor: -1}
	if len(bits) < int(bitSystem) {
		return nil, invalid("bits are missing")
	}
	if k.Number, ok = decimal(code); !ok {
		if k.Number, ok = hexadecimal(code); !ok {
			return nil, invalid("its number is too long")
		}
	}
	if k.Beeps, ok = hexadecimal(bits[bitBeeps-1 : bitBeeps]); !ok {
		return nil, invalid("it does not say how often to beep")
	}
	if c := k.at(bitSystem); c != '-' {
		k.System, _ = hexadecimal(string(c)) // onlyBits has checked it
	}
	k.DSC = k.at(bitPanel) == 'D'
	if len(data) < 20 {
		return nil, invalid("its frame is too short")
	}
	mask, _ := strconv.ParseUint(data[2:10], 16, 32) // 8 hexadecimal digits
	k.Mask = uint32(mask)
	if k.frame(9)&1 == 1 {
		if len(data) < 22 {
			return nil, invalid("its frame ends before the cursor")
		}
		k.Cursor = int(k.frame(10))
	}
	return k, nil
}

// section cuts `[...],` off the start of s.
func section(s string) (inside, rest string, ok bool) {
	if s == "" || s[0] != '[' {
		return "", "", false
	}
	end := strings.IndexByte(s, ']')
	if end < 0 || end+1 >= len(s) || s[end+1] != ',' {
		return "", "", false
	}
	return s[1:end], s[end+2:], true
}

// MarshalJSON implements json.Marshaler. The names of the fields are those that
// software for these devices has always used; a bit that the firmware does not
// know, a dash, counts as set there.
func (k *Keypad) MarshalJSON() ([]byte, error) {
	panel := 0
	if k.DSC {
		panel = 1
	}
	return json.Marshal(struct {
		Bits      string `json:"bitfield"`
		Code      string `json:"numeric_code"`
		Data      string `json:"panel_data"`
		Mask      string `json:"mask"`
		Ready     bool   `json:"ready"`
		Away      bool   `json:"armed_away"`
		Stay      bool   `json:"armed_home"`
		Backlight bool   `json:"backlight_on"`
		Program   bool   `json:"programming_mode"`
		Beeps     int    `json:"beeps"`
		Bypass    bool   `json:"zone_bypassed"`
		AC        bool   `json:"ac_power"`
		Chime     bool   `json:"chime_on"`
		Memory    bool   `json:"alarm_event_occurred"`
		Bell      bool   `json:"alarm_sounding"`
		Battery   bool   `json:"battery_low"`
		Instant   bool   `json:"entry_delay_off"`
		Fire      bool   `json:"fire_alarm"`
		Check     bool   `json:"check_zone"`
		Perimeter bool   `json:"perimeter_only"`
		System    int    `json:"system_fault"`
		Panel     int    `json:"panel_type"`
		Text      string `json:"text"`
		Cursor    int    `json:"cursor_location"`
		Zone      int    `json:"zone_int"`
	}{
		"[" + k.Bits + "]", k.Code, "[" + k.Data + "]", strings.ToLower(k.Data[2:10]), k.shows(BitReady), k.shows(BitAway), k.shows(BitStay),
		k.shows(BitBacklight), k.shows(BitProgram), k.Beeps, k.shows(BitBypass), k.shows(BitAC), k.shows(BitChime), k.shows(BitMemory),
		k.shows(BitBell), k.shows(BitLowBattery), k.shows(BitInstant), k.shows(BitFire), k.shows(BitCheck), k.shows(BitPerimeter),
		k.System, panel, k.Text, k.Cursor, k.Number,
	})
}
