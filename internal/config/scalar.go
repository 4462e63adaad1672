package config

import (
	"encoding"
	"errors"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// scalar is a type that is written as one text.
type scalar struct {
	noun, nouns string // in messages: a duration, durations
	set         func(text string, v reflect.Value) error
	text        func(v reflect.Value) string
	pattern     string // of the text, for the schema; "" for any
}

// scalars are the types that are written as one text, besides those that bring
// an UnmarshalText, and besides bool, int and string.
var scalars = map[reflect.Type]*scalar{
	reflect.TypeFor[time.Duration](): {
		noun: "a duration", nouns: "durations",
		set: func(s string, v reflect.Value) error {
			d, err := gate.ParseDuration(s)
			v.SetInt(int64(d))
			return hinted(err, durationHint(s))
		},
		text:    func(v reflect.Value) string { return gate.FormatDuration(time.Duration(v.Int())) },
		pattern: `^(forever|([0-9]+(w|d|h|ms|m|s))+)$`,
	},
	reflect.TypeFor[gate.Threshold](): textScalar("a threshold", "thresholds", `^[0-9]+ in (forever|([0-9]+(w|d|h|ms|m|s))+)$`,
		"5 in 10m means: at the fifth event within ten minutes"),
	reflect.TypeFor[Distinct](): textScalar("a number of different ports", "numbers of different ports", distinctPattern,
		"5 distinct ports in 1m means: at the fifth different port within a minute"),
	reflect.TypeFor[gate.Ports]():   portsScalar(),
	reflect.TypeFor[gate.Hours]():   textScalar("hours of the week", "hours of the week", `^[a-zA-Z0-9:, -]+$`, "write 22:00-07:00, or days and hours: mon-fri 08:00-18:00"),
	reflect.TypeFor[netip.Addr]():   inShort(textScalar("an address", "addresses", "", "write 192.0.2.10 or 2001:db8::1")),
	reflect.TypeFor[netip.Prefix](): prefixScalar(),
	reflect.TypeFor[Allow]():        textScalar("an address, a prefix or a host name", "addresses, prefixes and host names", "", ""),
}

// portsPattern matches any number of lists of ports with spaces between.
const portsPattern = `^ *([0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*(/(tcp|udp))?( +|$))*$`

// textScalar is the scalar of a type with UnmarshalText.
func textScalar(noun, nouns, pattern, hint string) *scalar {
	return &scalar{
		noun: noun, nouns: nouns, pattern: pattern,
		set: func(s string, v reflect.Value) error {
			return hinted(v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)), hint)
		},
		text: func(v reflect.Value) string {
			b, err := v.Interface().(encoding.TextMarshaler).MarshalText()
			if err != nil {
				return ""
			}
			return string(b)
		},
	}
}

// prefixScalar is the scalar of a prefix; an address stands for itself.
func prefixScalar() *scalar {
	s := inShort(textScalar("an address or a prefix", "addresses and prefixes", "", "write 192.0.2.10, 192.0.2.0/24 or 2001:db8::/64"))
	prefix := s.set
	s.set = func(text string, v reflect.Value) error {
		if a, err := netip.ParseAddr(text); err == nil && a.Zone() == "" {
			v.Set(reflect.ValueOf(netip.PrefixFrom(a, a.BitLen())))
			return nil
		}
		return prefix(text, v)
	}
	return s
}

// inShort replaces the errors of a scalar, which speak to programmers.
func inShort(s *scalar) *scalar {
	set := s.set
	s.set = func(text string, v reflect.Value) error {
		err := set(text, v)
		if ft, ok := errors.AsType[*fault](err); ok {
			return wrong(gate.Quote(text, 64)+" is not "+s.noun, ft.hint)
		}
		return err
	}
	return s
}

// portsScalar is the scalar of ports, without the text in its errors that the
// excerpt shows anyway.
func portsScalar() *scalar {
	const hint = `write 22, 8000-8500, 22/tcp or "80,443/tcp"`
	s := textScalar("a port or a range of ports", "ports", portsPattern, hint)
	s.set = func(text string, v reflect.Value) error {
		p, err := gate.ParsePorts(strings.Fields(text)...)
		if err != nil {
			what := strings.TrimPrefix(err.Error(), "ports "+gate.Quote(text, 64)+": ")
			return wrong(what, hint)
		}
		v.Set(reflect.ValueOf(p))
		return nil
	}
	return s
}

// hinted gives an error its hint, unless it is nil or brings one.
func hinted(err error, hint string) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*fault](err); ok {
		return err
	}
	return wrong(err.Error(), hint)
}

// scalarOf returns how values of t are written, or nil if they are not written
// as one text by rules of their own.
func scalarOf(t reflect.Type) *scalar {
	if s := scalars[t]; s != nil {
		return s
	}
	if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) && t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return textScalar("a text", "texts", "", "")
	}
	return nil
}

// plain reads the text of a bool, a number or a string into v.
func plain(n *node, v reflect.Value, f field) error {
	switch v.Kind() {
	case reflect.Bool:
		if n.quoted || n.text != "true" && n.text != "false" {
			return wrong(gate.Quote(n.text, 32)+" is not true or false", "write true or false, without quotes")
		}
		v.SetBool(n.text == "true")
	case reflect.Int:
		i, err := strconv.Atoi(n.text)
		if err != nil || n.quoted {
			return wrong(gate.Quote(n.text, 32)+" is not a whole number", "write digits only, without quotes")
		}
		lo, hi := bounds(f)
		if i < lo || i > hi {
			return wrong(n.text+" is out of range", "write a number from "+itoa(lo)+" to "+itoa(hi))
		}
		v.SetInt(int64(i))
	case reflect.String:
		for _, c := range n.text {
			if !strconv.IsPrint(c) {
				return wrong("the text has a line break or a control character in it", "write it on one line")
			}
		}
		v.SetString(n.text)
	default:
		panic("config: no way to read a " + v.Type().String() + " at key " + f.key)
	}
	return nil
}

// bounds returns the limits of a number, by default those of 32 bits without a
// sign bit.
func bounds(f field) (lo, hi int) {
	lo, hi = 0, 1<<31-1
	if n, err := strconv.Atoi(f.min); err == nil {
		lo = n
	}
	if n, err := strconv.Atoi(f.max); err == nil {
		hi = n
	}
	return lo, hi
}
