package formats

import (
	"bufio"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// nft reads what `nft -j list` writes: the elements of sets of addresses, and the
// sources of rules that drop or reject.
func (r *reading) nft(in *bufio.Reader) error {
	n := &nftReader{reading: r, dec: json.NewDecoder(&shortStrings{r: in})}
	return asNotList(n.document())
}

type nftReader struct {
	*reading
	dec *json.Decoder
}

// document reads {"nftables": [ {"set": {…}}, {"rule": {…}}, … ]}.
func (n *nftReader) document() error {
	return n.object(func(key string) error {
		if key != "nftables" {
			return n.skip()
		}
		return n.array(func() error {
			n.sum.Lines++
			return n.object(func(kind string) error {
				switch kind {
				case "set", "map":
					return n.set()
				case "rule":
					return n.rule()
				case "element":
					return n.set()
				}
				return n.skip()
			})
		})
	})
}

// object reads an object: field is called behind each name and must read its value.
func (n *nftReader) object(field func(key string) error) error {
	t, err := n.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('{') {
		return notList("an object is missing where nft -j writes one")
	}
	for n.dec.More() {
		k, err := n.dec.Token()
		if err != nil {
			return err
		}
		key, _ := k.(string) // the decoder lets nothing else be a name
		if err := field(key); err != nil {
			return err
		}
	}
	_, err = n.dec.Token()
	return err
}

// array reads an array: item must read one value.
func (n *nftReader) array(item func() error) error {
	t, err := n.dec.Token()
	if err != nil {
		return err
	}
	if t != json.Delim('[') {
		return notList("an array is missing where nft -j writes one")
	}
	for n.dec.More() {
		if err := item(); err != nil {
			return err
		}
	}
	_, err = n.dec.Token()
	return err
}

// skip reads a value and forgets it.
func (n *nftReader) skip() error {
	depth := 0
	for {
		t, err := n.dec.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			if depth++; depth > maxDepth {
				return notList("it nests deeper than %d levels", maxDepth)
			}
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

// set reads a set with its elements, which stand behind its type and its name.
func (n *nftReader) set() error {
	name, kind := "", ""
	return n.object(func(key string) error {
		switch key {
		case "name", "type":
			var v any
			if err := n.dec.Decode(&v); err != nil {
				return err
			}
			s, _ := v.(string) // a type of several fields is an array: no set of addresses
			if key == "name" {
				name = s
			} else {
				kind = s
			}
			return nil
		case "elem":
			if kind != "ipv4_addr" && kind != "ipv6_addr" && kind != "" {
				return n.skip()
			}
			return n.array(func() error {
				var e nftElement
				if err := n.dec.Decode(&e); err != nil {
					return err
				}
				return n.element(e, name)
			})
		}
		return n.skip()
	})
}

// element hands over one element of a set.
func (n *nftReader) element(e nftElement, rule string) error {
	if !e.known {
		n.fault("an element that is no address, prefix or range")
		return nil
	}
	return n.addAll(e.nets, Entry{Rule: rule, Left: e.left, Comment: e.note})
}

// nftElement is an element: an address, a prefix, a range, or one of these with a
// timeout and a comment.
type nftElement struct {
	nets  []netip.Prefix
	left  time.Duration
	note  string
	known bool
}

// UnmarshalJSON implements json.Unmarshaler.
func (e *nftElement) UnmarshalJSON(b []byte) error {
	var text string
	if json.Unmarshal(b, &text) == nil {
		e.set(text)
		return nil
	}
	var v struct {
		Prefix *struct {
			Addr string
			Len  int
		}
		Range []string
		Set   []nftElement
		Elem  *struct {
			Val     nftElement
			Timeout int64
			Expires int64
			Comment string
		}
	}
	if json.Unmarshal(b, &v) != nil {
		return nil // something else: left out
	}
	switch {
	case v.Prefix != nil:
		e.set(v.Prefix.Addr + "/" + strconv.Itoa(v.Prefix.Len))
	case len(v.Range) == 2:
		e.set(v.Range[0] + "-" + v.Range[1])
	case v.Set != nil:
		e.known = true
		for _, m := range v.Set {
			e.nets = append(e.nets, m.nets...)
		}
	case v.Elem != nil:
		*e = v.Elem.Val
		e.note = v.Elem.Comment
		left := v.Elem.Expires
		if left == 0 {
			left = v.Elem.Timeout
		}
		if left > 0 && left < 1<<32 {
			e.left = time.Duration(left) * time.Second
		}
	}
	return nil
}

func (e *nftElement) set(text string) {
	ps, err := parseNet(text)
	e.nets, e.known = ps, err == nil
}

// nftRule is a rule, as far as it is looked at.
type nftRule struct {
	Chain string
	Expr  []map[string]json.RawMessage
}

// rule reads a rule, and hands over its source if it drops.
func (n *nftReader) rule() error {
	var u nftRule
	if err := n.dec.Decode(&u); err != nil {
		return err
	}
	var source nftElement
	drops := false
	for _, x := range u.Expr {
		for kind, body := range x {
			switch kind {
			case "drop", "reject", "tarpit":
				drops = true
			case "counter", "log":
			case "match":
				e, ok := sourceOf(body)
				if !ok || source.known {
					return nil // another condition: no ban of an address
				}
				source = e
			default:
				return nil
			}
		}
	}
	if !drops || !source.known {
		return nil
	}
	return n.element(source, chainRule(u.Chain))
}

// sourceOf reads a condition on the source address.
func sourceOf(body json.RawMessage) (nftElement, bool) {
	var m struct {
		Op   string
		Left struct {
			Payload struct{ Protocol, Field string }
		}
		Right nftElement
	}
	if json.Unmarshal(body, &m) != nil || m.Op != "==" && m.Op != "in" && m.Op != "" {
		return nftElement{}, false
	}
	p := m.Left.Payload
	return m.Right, strings.HasPrefix(p.Protocol, "ip") && p.Field == "saddr" && m.Right.known
}
