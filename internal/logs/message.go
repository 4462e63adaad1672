package logs

import (
	"bytes"
	"time"
)

// dress writes a message of syslog as a line that the rules read: what came
// without a date or a host gets those that are known, as a relay does (RFC 3164,
// section 4.3), so that its tag is still found. A message that begins with no
// priority, or whose version is not told (RFC 5424), is left alone: as lines of
// files are.
//
//	<38>Nov 21 08:00:00 host sshd[7]: …   RFC 3164             as it is
//	<38>1 2026-11-21T08:00:00Z host …     RFC 5424             as it is
//	<38>2026-11-21T08:00:00Z host …       rsyslog, syslog-ng   as it is
//	<38>sshd[7]: …                        without a header     <38>2026-11-21T08:00:00Z sender sshd[7]: …
//
// It returns the part to put behind the priority, if any.
func dress(line []byte, m []byte, sender string, now time.Time) []byte {
	m = trimFrame(m)
	n := priorityLen(m)
	if n == 0 || isDated(m[n:]) {
		return append(line, m...)
	}
	line = append(line, m[:n]...)
	line = now.UTC().AppendFormat(line, "2006-01-02T15:04:05.000000Z07:00")
	line = append(append(append(line, ' '), sender...), ' ')
	return append(line, bytes.TrimLeft(m[n:], " ")...)
}

// priorityLen returns how long `<38>` at the beginning is; 0 = there is none
// (RFC 5424, section 6.2.1: at most 191).
func priorityLen(m []byte) int {
	if len(m) < 3 || m[0] != '<' {
		return 0
	}
	n := 0
	for i := 1; i < min(len(m), 5); i++ {
		switch c := m[i]; {
		case c == '>' && i > 1 && n <= 191:
			return i + 1
		case c < '0' || c > '9':
			return 0
		default:
			n = 10*n + int(c-'0')
		}
	}
	return 0
}

var months = []byte("JanFebMarAprMayJunJulAugSepOctNovDec")

// isDated reports whether what follows a priority begins with a date, or with a
// version and a date.
func isDated(b []byte) bool {
	if len(b) > 2 && b[0] == '1' && b[1] == ' ' {
		return true
	}
	if len(b) >= 16 && b[3] == ' ' && bytes.Index(months, b[:3])%3 == 0 && b[6] == ' ' && b[9] == ':' && b[12] == ':' {
		return true
	}
	digits := 0
	for digits < min(len(b), 4) && b[digits] >= '0' && b[digits] <= '9' {
		digits++
	}
	return digits == 4 && len(b) >= 20 && b[4] == '-' && b[7] == '-' && b[10] == 'T'
}
