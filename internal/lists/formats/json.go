package formats

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// maxDepth bounds how deep documents nest.
const maxDepth = 32

// json reads arrays, objects and lines of either: each text in an array, and each
// under a name that means an address, is one entry. What an object says besides
// (when it ends, by which rule, on which ports) goes with its entries.
func (r *reading) json(in *bufio.Reader) error {
	w := &walker{reading: r, dec: json.NewDecoder(&shortStrings{r: in})}
	for {
		t, err := w.dec.Token()
		if err == io.EOF {
			return nil
		}
		if err == nil {
			err = w.value(t, "", nil, 0)
		}
		if err != nil {
			return asNotList(err)
		}
	}
}

// asNotList makes an error of the syntax one that says so, and leaves others alone.
func asNotList(err error) error {
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case errors.As(err, &syntax), errors.As(err, &kind), errors.Is(err, io.ErrUnexpectedEOF), err == io.EOF:
		return notList("it is JSON that is damaged or cut off: %v", err)
	}
	return err
}

// walker walks through a document without keeping it.
type walker struct {
	*reading
	dec *json.Decoder
}

// object is what one object says.
type object struct {
	nets  []netip.Prefix
	entry Entry
	until time.Time
	drop  bool // it is about something else than addresses
}

// maxNets bounds the networks that one object names in its own fields.
const maxNets = 1 << 16

// value takes one value apart. key is its name in the object o, "" in an array.
func (w *walker) value(t json.Token, key string, o *object, depth int) error {
	if depth > maxDepth {
		return notList("it nests deeper than %d levels", maxDepth)
	}
	switch v := t.(type) {
	case json.Delim:
		if v == '{' {
			return w.object(depth)
		}
		return w.array(key, depth)
	case string:
		return w.text(v, key, o)
	}
	return nil
}

// array reads the values of an array.
func (w *walker) array(key string, depth int) error {
	for w.dec.More() {
		t, err := w.dec.Token()
		if err == nil {
			err = w.value(t, key+"[]", nil, depth+1)
		}
		if err != nil {
			return err
		}
	}
	_, err := w.dec.Token()
	return err
}

// object reads an object and hands over what it names.
func (w *walker) object(depth int) error {
	w.sum.Lines++
	var o object
	for w.dec.More() {
		k, err := w.dec.Token()
		if err != nil {
			return err
		}
		key, _ := k.(string) // the decoder lets nothing else be a name
		t, err := w.dec.Token()
		if err == nil {
			err = w.value(t, columnName(key), &o, depth+1)
		}
		if err != nil {
			return err
		}
	}
	if _, err := w.dec.Token(); err != nil {
		return err
	}
	if !o.until.IsZero() && !w.o.Now.IsZero() {
		if o.entry.Left = o.until.Sub(w.o.Now); o.entry.Left <= 0 {
			return nil // it is over
		}
	}
	if o.drop {
		return nil
	}
	return w.addAll(o.nets, o.entry)
}

// text takes one text: an address, or what goes with one.
func (w *walker) text(s, key string, o *object) error {
	if o == nil {
		ps, err := parseNet(s)
		if err == nil {
			return w.addAll(ps, Entry{})
		}
		if list := strings.TrimSuffix(key, "[]"); list == "" || slices.Contains(addressColumns, strings.TrimRight(strings.TrimSuffix(list, "es"), "s")) {
			w.fault("%v", err)
		}
		return nil
	}
	switch key {
	case "until", "expires", "expiry":
		if t, err := time.Parse(time.RFC3339, s); err == nil {
			o.until = t
		}
	case "duration":
		if d, err := time.ParseDuration(s); err == nil && d > 0 {
			o.entry.Left = d
		}
	case "rule", "jail", "scenario", "sblid":
		if o.entry.Rule == "" || key == "rule" {
			o.entry.Rule = s
		}
	case "reason", "comment":
		o.entry.Comment = s
	case "ports":
		if p, err := gate.ParsePorts(strings.Fields(s)...); err == nil {
			o.entry.Ports = p
		}
	case "scope":
		o.drop = o.drop || !strings.EqualFold(s, "ip") && !strings.EqualFold(s, "range")
	default:
		if !slices.Contains(addressColumns, key) {
			return nil
		}
		ps, err := parseNet(s)
		switch {
		case err != nil && (key == "value" || key == "indicator" || key == "host" || key == "subject" && strings.Contains(s, ":")):
			// of something else
		case err != nil:
			w.fault("%v", err)
		case len(o.nets) < maxNets:
			for _, p := range ps {
				if !slices.Contains(o.nets, p) {
					o.nets = append(o.nets, p)
				}
			}
		}
	}
	return nil
}

// shortStrings passes JSON on and refuses a string or a number that is longer than
// MaxLine, which a decoder would hold in memory whole.
type shortStrings struct {
	r       io.Reader
	run     int // bytes since the last sign that ends a token
	quoted  bool
	escaped bool
}

// Read implements io.Reader.
func (s *shortStrings) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	for _, c := range b[:n] {
		s.run++
		switch {
		case s.escaped:
			s.escaped = false
		case s.quoted && c == '\\':
			s.escaped = true
		case c == '"':
			s.quoted, s.run = !s.quoted, 0
		case !s.quoted && (c == ',' || c == ':' || c == '{' || c == '}' || c == '[' || c == ']' || c == ' ' || c == '\n'):
			s.run = 0
		}
		if s.run > MaxLine {
			return 0, fmt.Errorf("%w: a value in it is longer than %d kB", ErrNotList, MaxLine>>10)
		}
	}
	return n, err
}
