package detect

import (
	"encoding/binary"
	"time"

	"gatehouse/internal/gate"
)

// A record is one event as evidence. All numbers are little-endian.
//
//	 0 length of the record, 2 bytes     44 nanoseconds, 4 bytes
//	 2 fold of its window's key, 2       48 length of the line, 2
//	 4 its entry's time, 4               50 of the user, 1, and of the via, 1
//	 8 source's and pattern's name, 2+2  52 class, evidence, bits of the subject, 1 each
//	12 epoch, 8, offset, 8               55 1 = it came by a proxy, 1
//	28 session, 8                        56 subject, 16
//	36 seconds since 1970, 8             72 user, via, line
const recordHead = 72

// The longest parts of an event that are kept, in bytes; sensors promise less.
const (
	maxUser = 255
	maxVia  = 255
)

func recordLen(b []byte) int { return int(binary.LittleEndian.Uint16(b)) }

// isOf reports whether the record is the evidence of this entry of the window.
func isOf(b []byte, k *key, at uint32) bool {
	return binary.LittleEndian.Uint16(b[2:]) == k.fold() && binary.LittleEndian.Uint32(b[4:]) == at
}

func clip(s string, n int) string { return s[:min(len(s), n)] }

// keep stores an event of the window k and returns its position.
func (e *evidence) keep(k *key, at uint32, ev *gate.Event, subject gate.Subject) uint32 {
	source, ok1 := e.names.number(ev.Origin.Source, 0)
	pattern, ok2 := e.names.number(ev.Pattern, 1)
	user, via, line := clip(ev.Detail.User, maxUser), clip(ev.Detail.Via, maxVia), clip(ev.Line, gate.MaxLine)
	n := recordHead + len(user) + len(via) + len(line)
	if !ok1 || !ok2 {
		n = pageBytes + 1 // too many names: count it, but keep nothing
	}
	pos, b := e.put(n)
	if b == nil {
		return pos
	}
	le := binary.LittleEndian
	le.PutUint16(b[0:], uint16(n))
	le.PutUint16(b[2:], k.fold())
	le.PutUint32(b[4:], at)
	le.PutUint16(b[8:], source)
	le.PutUint16(b[10:], pattern)
	le.PutUint64(b[12:], ev.Origin.Epoch)
	le.PutUint64(b[20:], uint64(ev.Origin.Offset))
	le.PutUint64(b[28:], ev.Detail.Session)
	le.PutUint64(b[36:], uint64(ev.Time.Unix()))
	le.PutUint32(b[44:], uint32(ev.Time.Nanosecond()))
	le.PutUint16(b[48:], uint16(len(line)))
	b[50], b[51] = byte(len(user)), byte(len(via))
	addr, bits := pack(subject.Prefix())
	b[52], b[53], b[54], b[55] = byte(ev.Class), byte(ev.Evidence), bits, 0
	if ev.Detail.Proxied {
		b[55] = 1
	}
	copy(b[56:], addr[:])
	at2 := recordHead + copy(b[recordHead:], user)
	at2 += copy(b[at2:], via)
	copy(b[at2:], line)
	return pos
}

// event is the reverse of keep. It trusts no length, for a record may come from
// a snapshot.
func (e *evidence) event(b []byte, rule string) gate.Event {
	le := binary.LittleEndian
	tail := b[recordHead:]
	cut := func(n int) string {
		n = min(n, len(tail))
		s := string(tail[:n])
		tail = tail[n:]
		return s
	}
	ev := gate.Event{
		Time: time.Unix(int64(le.Uint64(b[36:])), int64(le.Uint32(b[44:]))).UTC(),
		Origin: gate.Origin{
			Source: e.names.name(le.Uint16(b[8:])),
			Epoch:  le.Uint64(b[12:]),
			Offset: int64(le.Uint64(b[20:])),
		},
		Rule:     rule,
		Pattern:  e.names.name(le.Uint16(b[10:])),
		Subject:  unpack([16]byte(b[56:72]), min(b[54], 128)),
		Class:    gate.Class(b[52]),
		Evidence: gate.Evidence(b[53]),
		Detail:   gate.Detail{Session: le.Uint64(b[28:]), Proxied: b[55] == 1},
	}
	ev.Detail.User = cut(int(b[50]))
	ev.Detail.Via = cut(int(b[51]))
	ev.Line = cut(int(le.Uint16(b[48:])))
	return ev
}
