package ledger

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// The first byte of a packed decision: with bodyLonger, topic, from and to follow
// the reason.
const (
	bodyVersion = 1
	bodyLonger  = 2
)

var (
	errBody    = errors.New("damaged record")
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
)

// appendBody packs a decision without its proof: a version byte; varints for
// time, until, verdict, direction and new, offence, epoch and offset; the subject's
// key, ports, rule, source and reason (then topic, from and to where there is one of
// them), each behind its length; and a CRC-32C of all of it and of its number, little endian, because SQLite itself does not notice a
// flipped bit.
func appendBody(b []byte, d *gate.Decision, seq uint64) []byte {
	start := len(b)
	longer := d.Topic != "" || d.Scope.From.IsValid() || d.Scope.To.IsValid()
	if longer {
		b = append(b, bodyLonger)
	} else {
		b = append(b, bodyVersion)
	}
	b = binary.AppendVarint(b, nanos(d.Time))
	b = binary.AppendVarint(b, nanos(d.Until))
	extra := uint64(d.Scope.Direction) << 1
	if d.Scope.New {
		extra |= 1
	}
	if d.Scope.HTTP {
		extra |= 1 << 3
	}
	b = binary.AppendUvarint(b, uint64(d.Verdict))
	b = binary.AppendUvarint(b, extra)
	b = binary.AppendVarint(b, int64(d.Offence))
	b = binary.AppendUvarint(b, d.Origin.Epoch)
	b = binary.AppendVarint(b, d.Origin.Offset)
	var key [64]byte
	b = appendText(b, appendKey(key[:0], d.Subject))
	b = appendText(b, d.Scope.Ports.String())
	b = appendText(b, d.Rule)
	b = appendText(b, d.Origin.Source)
	b = appendText(b, d.Why)
	if longer {
		b = appendText(b, d.Topic)
		b = appendText(b, prefixText(d.Scope.From))
		b = appendText(b, prefixText(d.Scope.To))
	}
	return binary.LittleEndian.AppendUint32(b, bodySum(b[start:], seq))
}

// prefixText is the text of a prefix, "" of none.
func prefixText(p netip.Prefix) string {
	if !p.IsValid() {
		return ""
	}
	return p.String()
}

func bodySum(b []byte, seq uint64) uint32 {
	var number [8]byte
	binary.LittleEndian.PutUint64(number[:], seq)
	return crc32.Update(crc32.Checksum(number[:], castagnoli), castagnoli, b)
}

func appendText[T []byte | string](b []byte, s T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// The times that fit in 64 bits of ns: 1677 to 2262.
var (
	firstTime = time.Unix(0, math.MinInt64)
	lastTime  = time.Unix(0, math.MaxInt64)
)

// nanos returns t in ns since 1970; 0 for the zero time, so that 1970 itself is
// a nanosecond late. A time that does not fit is the nearest one that does.
func nanos(t time.Time) int64 {
	switch {
	case t.IsZero():
		return 0
	case t.Before(firstTime):
		return math.MinInt64
	case t.After(lastTime):
		return math.MaxInt64
	}
	if n := t.UnixNano(); n != 0 {
		return n
	}
	return 1
}

// fromNanos is the inverse of nanos, in UTC.
func fromNanos(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

// unpacker turns bodies back into decisions. It keeps one copy of the texts that
// repeat; it is not safe for concurrent use, and its zero value is ready.
type unpacker struct {
	texts map[string]string
	ports map[string]gate.Ports
}

// maxTexts bounds what an unpacker keeps: rules and sources are few.
const maxTexts = 4096

// decision unpacks the body of the record with this number; errors are errBody or
// errKey.
func (u *unpacker) decision(b []byte, seq uint64) (d gate.Decision, err error) {
	n := len(b) - 4
	if n < 1 || b[0] != bodyVersion && b[0] != bodyLonger || binary.LittleEndian.Uint32(b[n:]) != bodySum(b[:n], seq) {
		return gate.Decision{}, errBody
	}
	r := reader{b: b[1:n]}
	d.Time = fromNanos(r.varint())
	d.Until = fromNanos(r.varint())
	d.Verdict = gate.Verdict(r.uvarint())
	extra := r.uvarint()
	d.Scope.New = extra&1 != 0
	d.Scope.Direction = gate.Direction(extra >> 1 & 3)
	d.Scope.HTTP = extra&(1<<3) != 0
	d.Offence = int(r.varint())
	d.Origin.Epoch = r.uvarint()
	d.Origin.Offset = r.varint()
	key := r.text()
	ports := r.text()
	d.Rule = u.text(r.text())
	d.Origin.Source = u.text(r.text())
	d.Why = string(r.text())
	var from, to []byte
	if b[0] == bodyLonger {
		d.Topic = u.text(r.text())
		from, to = r.text(), r.text()
	}
	if r.bad || extra>>4 != 0 || len(r.b) != 0 || d.Verdict > gate.Tell || d.Scope.Direction > gate.Out {
		return gate.Decision{}, errBody
	}
	if d.Subject, err = parseKey(key); err != nil {
		return gate.Decision{}, err
	}
	if len(ports) > 0 {
		if d.Scope.Ports, err = u.portSet(ports); err != nil {
			return gate.Decision{}, errBody
		}
	}
	if d.Scope.From, err = parsePrefix(from); err == nil {
		d.Scope.To, err = parsePrefix(to)
	}
	if err != nil {
		return gate.Decision{}, errBody
	}
	return d, nil
}

// parsePrefix is the inverse of prefixText.
func parsePrefix(b []byte) (netip.Prefix, error) {
	if len(b) == 0 {
		return netip.Prefix{}, nil
	}
	return netip.ParsePrefix(string(b))
}

func (u *unpacker) text(b []byte) string {
	if s, ok := u.texts[string(b)]; ok {
		return s
	}
	s := string(b)
	if u.texts == nil {
		u.texts = map[string]string{}
	}
	if len(u.texts) < maxTexts {
		u.texts[s] = s
	}
	return s
}

func (u *unpacker) portSet(b []byte) (gate.Ports, error) {
	if p, ok := u.ports[string(b)]; ok {
		return p, nil
	}
	var p gate.Ports
	if err := p.UnmarshalText(b); err != nil {
		return p, err
	}
	if u.ports == nil {
		u.ports = map[string]gate.Ports{}
	}
	if len(u.ports) < maxTexts {
		u.ports[string(b)] = p
	}
	return p, nil
}

// reader takes a body apart; after an error it is bad and returns zeros.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) uvarint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) varint() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text() []byte {
	n := r.uvarint()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	s := r.b[:n]
	r.b = r.b[n:]
	return s
}
