package ad2

import (
	"fmt"
	"slices"
	"strings"
)

// Action is what one can ask a panel to do.
type Action string

// The actions.
const (
	ArmAway    Action = "arm away"
	ArmStay    Action = "arm stay"
	ArmNight   Action = "arm night"
	ArmInstant Action = "arm instant"
	ArmMax     Action = "arm max"
	Disarm     Action = "disarm"
	ToggleBell Action = "chime"
	LeaveOut   Action = "bypass"
	PressFire  Action = "fire"
	PressHelp  Action = "police" // panic on DSC
	PressMedic Action = "medical"
)

// Press is what to type for an action: keys for the device, without any line end.
type Press struct {
	Keys string // digits, *, #, and control bytes 1 to 8 for function keys
	Code bool   // a code is in it: it must not be shown
}

// MaxCode is the most digits of a code.
const MaxCode = 6

// CheckCode says whether a code can be one: four to six digits, or none.
func CheckCode(code string) error {
	if code != "" && (len(code) < 4 || len(code) > MaxCode || strings.Trim(code, "0123456789") != "") {
		return fmt.Errorf("a code has four to six digits")
	}
	return nil
}

// Keys returns what to type on this make of panel. Without a code the quick
// forms are used, where the panel has them. zone is for LeaveOut only. armed
// says whether the partition is armed: a DSC knows one key sequence for both ways.
func Keys(a Action, dsc bool, code string, zone int, armed bool) (Press, error) {
	if err := CheckCode(code); err != nil {
		return Press{}, err
	}
	function := map[Action]int{PressFire: 1, PressHelp: 2, PressMedic: 3}[a]
	if function > 0 {
		return Press{Keys: FunctionKey(function)}, nil
	}
	if dsc {
		return dscKeys(a, code, zone, armed)
	}
	if code == "" && (a == Disarm || a == LeaveOut || a == ToggleBell) {
		return Press{}, fmt.Errorf("%s needs a code", a)
	}
	prefix := code
	if code == "" {
		prefix = "#"
	}
	digit := map[Action]string{ArmAway: "2", ArmStay: "3", ArmNight: "7", ArmInstant: "7", ArmMax: "4", Disarm: "1", ToggleBell: "9"}[a]
	if a == ArmNight {
		digit = "33"
	}
	switch {
	case a == LeaveOut && (zone < 1 || zone > 99):
		return Press{}, fmt.Errorf("a zone to bypass has a number from 1 to 99")
	case a == LeaveOut:
		return Press{fmt.Sprintf("%s6%02d*", code, zone), true}, nil
	case digit == "":
		return Press{}, fmt.Errorf("this panel has no %s", a)
	}
	return Press{prefix + digit, code != ""}, nil
}

func dscKeys(a Action, code string, zone int, armed bool) (Press, error) {
	switch {
	case a == Disarm && code == "":
		return Press{}, fmt.Errorf("%s needs a code", a)
	case a == Disarm && !armed:
		return Press{}, fmt.Errorf("the partition is not armed: the code would arm it")
	case a == Disarm:
		return Press{code, true}, nil
	case a == ArmAway:
		return Press{Keys: FunctionKey(5)}, nil
	case a == ArmStay || a == ArmNight && code == "":
		return Press{Keys: FunctionKey(4)}, nil
	case (a == ArmNight || a == ArmInstant) && code != "":
		return Press{"*9" + code, true}, nil
	case a == ToggleBell:
		return Press{Keys: FunctionKey(6)}, nil
	case a == LeaveOut && zone >= 1 && zone <= 99:
		return Press{Keys: fmt.Sprintf("*1%02d#", zone)}, nil
	case a == LeaveOut:
		return Press{}, fmt.Errorf("a zone to bypass has a number from 1 to 99")
	}
	return Press{}, fmt.Errorf("this panel has no %s", a)
}

// FunctionKey returns what stands for function key n, 1 to 8: its control byte
// three times, so that noise cannot press it.
func FunctionKey(n int) string { return strings.Repeat(string(rune(n)), 3) }

// From wraps keys so that they come from the keypad with this address, 0 to 99.
func From(address int, keys string) string { return fmt.Sprintf("K%02d%s", address, keys) }

// Mode returns the mode that an action arms to; ModeUnknown where it arms not.
func (a Action) Mode() Mode {
	switch a {
	case ArmAway:
		return ModeAway
	case ArmStay:
		return ModeStay
	case ArmNight:
		return ModeNight
	case ArmInstant:
		return ModeInstant
	case ArmMax:
		return ModeMax
	}
	return ModeUnknown
}

// ParseKeys reads keys as a person writes them: digits, * and #, and function
// keys as <S1> to <S8> or <F1> to <F4>. The error says which character is none.
func ParseKeys(text string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(text); {
		c := text[i]
		switch {
		case c >= '0' && c <= '9' || c == '*' || c == '#':
			b.WriteByte(c)
			i++
		case c == ' ' || c == '-':
			i++ // for the eye
		case c == '<' && len(text) >= i+4 && text[i+3] == '>' && slices.Contains([]byte("SFsf"), text[i+1]) && text[i+2] >= '1' && text[i+2] <= '8':
			b.WriteString(FunctionKey(int(text[i+2] - '0')))
			i += 4
		default:
			return "", fmt.Errorf("character %d is no key: keys are 0 to 9, *, # and <S1> to <S8>", i+1)
		}
	}
	if b.Len() == 0 {
		return "", fmt.Errorf("there is no key")
	}
	return b.String(), nil
}

// Masked returns keys for people with every run of four digits and more hidden:
// it may be a code.
func Masked(keys string) string {
	var b strings.Builder
	for i := 0; i < len(keys); {
		end := i
		for end < len(keys) && keys[end] >= '0' && keys[end] <= '9' {
			end++
		}
		switch {
		case end-i >= 4:
			b.WriteString("****")
			i = end
		case end > i:
			b.WriteString(keys[i:end])
			i = end
		case keys[i] >= 1 && keys[i] <= 8:
			fmt.Fprintf(&b, "<S%d>", keys[i])
			i++
		case keys[i] == '*' || keys[i] == '#' || keys[i] >= 'A' && keys[i] <= 'Z':
			b.WriteByte(keys[i])
			i++
		default:
			b.WriteByte('?')
			i++
		}
	}
	return b.String()
}
