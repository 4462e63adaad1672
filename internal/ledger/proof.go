package ledger

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"unicode/utf8"

	"gatehouse/internal/gate"
)

// How a stored proof begins.
const (
	plainJSON    = 'j'
	deflatedJSON = 'z' // with proofDictionary
)

const (
	deflateFrom = 600     // bytes of JSON from which a proof is deflated: below, it fits in a page beside others anyway
	maxProof    = 4 << 20 // bytes of JSON that are read back: ProofFirst+ProofLast events, each a few kB, far from it
)

// proofDictionary is what proofs have in common, most common last (RFC 1951
// leaves it to both ends to agree). Changing it makes stored proofs unreadable.
const proofDictionary = `","R":"","S":"","E":,"U":"","a":{"verdict":"","reason":"","by":"root"}"file:/var/log/secure"file:/var/log/auth.log` +
	`Disconnected from authenticating user Connection closed by PAM: Authentication failure for Invalid user from ` +
	`Failed password for invalid user root from  port  ssh2","h":"","u":"root","n":` +
	`},{"t":,"o":,"p":"failed","c":1,"v":2,"u":"","n":,"l":" sshd[]: `

var errProof = errors.New("damaged proof")

// storedProof is the JSON of a proof. What an event shares with its decision is
// left out.
type storedProof struct {
	Count int           `json:"n"`
	First []storedEvent `json:"f"`
	Last  []storedEvent `json:"l"`
}

type storedEvent struct {
	Time     int64         `json:"t"` // ns since 1970; 0 = the zero time
	Offset   int64         `json:"o"`
	Source   *string       `json:"S"` // nil = source and epoch are those of the decision
	Epoch    uint64        `json:"E"`
	Rule     *string       `json:"R"` // nil = the decision's
	Subject  *gate.Subject `json:"U"` // nil = the decision's
	Pattern  string        `json:"p"`
	Class    uint8         `json:"c"` // number of the gate.Class
	Evidence uint8         `json:"v"` // number of the gate.Evidence
	User     string        `json:"u"`
	Session  uint64        `json:"n"`
	Via      string        `json:"h"`
	Proxied  bool          `json:"x"`
	Line     string        `json:"l"`
	Ask      *gate.Ask     `json:"a"`
}

// prover packs proofs; its zero value is ready. It holds a deflater of about
// 1 MB once it packed a large one, which drop gives back.
type prover struct {
	deflate *flate.Writer
	buf     bytes.Buffer
	json    []byte
}

// pack returns d's proof as it is stored, nil if there is none. The result is
// valid until the next call.
func (p *prover) pack(d *gate.Decision) ([]byte, error) {
	if d.Proof == nil {
		return nil, nil
	}
	var err error
	if p.json, err = appendProof(append(p.json[:0], plainJSON), d); err != nil {
		return nil, err
	}
	if len(p.json) < deflateFrom {
		return p.json, nil
	}
	p.buf.Reset()
	p.buf.WriteByte(deflatedJSON)
	if p.deflate == nil {
		if p.deflate, err = flate.NewWriterDict(&p.buf, flate.BestSpeed, []byte(proofDictionary)); err != nil {
			return nil, err
		}
	} else {
		p.deflate.Reset(&p.buf)
	}
	if _, err := p.deflate.Write(p.json[1:]); err != nil {
		return nil, err
	}
	if err := p.deflate.Close(); err != nil {
		return nil, err
	}
	return p.buf.Bytes(), nil
}

// drop gives the memory back.
func (p *prover) drop() { *p = prover{} }

// appendProof appends the JSON of d's proof, as storedProof reads it.
func appendProof(b []byte, d *gate.Decision) (_ []byte, err error) {
	b = append(b, `{"n":`...)
	b = strconv.AppendInt(b, int64(d.Proof.Count), 10)
	for _, part := range []struct {
		name   string
		events []gate.Event
	}{{`,"f":[`, d.Proof.First}, {`,"l":[`, d.Proof.Last}} {
		if len(part.events) == 0 {
			continue
		}
		b = append(b, part.name...)
		for i := range part.events {
			if i > 0 {
				b = append(b, ',')
			}
			if b, err = appendEvent(b, &part.events[i], d); err != nil {
				return nil, err
			}
		}
		b = append(b, ']')
	}
	return append(b, '}'), nil
}

func appendEvent(b []byte, e *gate.Event, d *gate.Decision) ([]byte, error) {
	b = strconv.AppendInt(append(b, `{"t":`...), nanos(e.Time), 10)
	b = strconv.AppendInt(append(b, `,"o":`...), e.Origin.Offset, 10)
	if e.Origin.Source != d.Origin.Source || e.Origin.Epoch != d.Origin.Epoch {
		b = appendString(append(b, `,"S":`...), e.Origin.Source)
		b = strconv.AppendUint(append(b, `,"E":`...), e.Origin.Epoch, 10)
	}
	if e.Rule != d.Rule {
		b = appendString(append(b, `,"R":`...), e.Rule)
	}
	if e.Subject != d.Subject {
		b = appendString(append(b, `,"U":`...), e.Subject.String())
	}
	if e.Pattern != "" {
		b = appendString(append(b, `,"p":`...), e.Pattern)
	}
	b = strconv.AppendUint(append(b, `,"c":`...), uint64(e.Class), 10)
	b = strconv.AppendUint(append(b, `,"v":`...), uint64(e.Evidence), 10)
	if e.Detail.User != "" {
		b = appendString(append(b, `,"u":`...), e.Detail.User)
	}
	if e.Detail.Session != 0 {
		b = strconv.AppendUint(append(b, `,"n":`...), e.Detail.Session, 10)
	}
	if e.Detail.Via != "" {
		b = appendString(append(b, `,"h":`...), e.Detail.Via)
	}
	if e.Detail.Proxied {
		b = append(b, `,"x":true`...)
	}
	if e.Line != "" {
		b = appendString(append(b, `,"l":`...), e.Line)
	}
	if e.Ask != nil {
		ask, err := json.Marshal(e.Ask)
		if err != nil {
			return nil, fmt.Errorf("pack the wish for %s: %w", e.Subject, err)
		}
		b = append(append(b, `,"a":`...), ask...)
	}
	return append(b, '}'), nil
}

// appendString appends s as a JSON string (RFC 8259, section 7). Bytes that are
// not UTF-8 become U+FFFD, as they do wherever JSON shows them.
func appendString(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	b = append(b, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
			i++
		case c < ' ':
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			b = append(b, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			b = utf8.AppendRune(b, r)
			i += n
		}
	}
	return append(b, '"')
}

// unpackProof reads a stored proof back for its decision; errors wrap errProof.
func unpackProof(b []byte, d *gate.Decision) (*gate.Proof, error) {
	if len(b) == 0 {
		return nil, nil
	}
	text := b[1:]
	switch b[0] {
	case plainJSON:
	case deflatedJSON:
		r := flate.NewReaderDict(bytes.NewReader(text), []byte(proofDictionary))
		var err error
		if text, err = io.ReadAll(io.LimitReader(r, maxProof)); err != nil {
			return nil, fmt.Errorf("%w: %w", errProof, err)
		}
	default:
		return nil, errProof
	}
	var s storedProof
	if err := json.Unmarshal(text, &s); err != nil {
		return nil, fmt.Errorf("%w: %w", errProof, err)
	}
	return &gate.Proof{Count: s.Count, First: events(s.First, d), Last: events(s.Last, d)}, nil
}

func events(stored []storedEvent, d *gate.Decision) []gate.Event {
	if len(stored) == 0 {
		return nil
	}
	out := make([]gate.Event, len(stored))
	for i, s := range stored {
		e := gate.Event{
			Time: fromNanos(s.Time), Pattern: s.Pattern, Class: gate.Class(s.Class), Evidence: gate.Evidence(s.Evidence % 3),
			Rule: d.Rule, Subject: d.Subject, Origin: gate.Origin{Source: d.Origin.Source, Epoch: d.Origin.Epoch, Offset: s.Offset},
			Detail: gate.Detail{User: s.User, Session: s.Session, Via: s.Via, Proxied: s.Proxied}, Line: s.Line, Ask: s.Ask,
		}
		if s.Source != nil {
			e.Origin.Source, e.Origin.Epoch = *s.Source, s.Epoch
		}
		if s.Rule != nil {
			e.Rule = *s.Rule
		}
		if s.Subject != nil {
			e.Subject = *s.Subject
		}
		out[i] = e
	}
	return out
}
