package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// harmless returns s with all that a terminal would obey instead of show
// written as an escape: control characters, escape sequences, overrides of the
// writing direction, invisible characters, invalid UTF-8. Lines of a log, names
// of users and reasons come from outside; none reaches a terminal without it.
func harmless(s string) string {
	for i, r := range s {
		if r == utf8.RuneError || !strconv.IsPrint(r) {
			return escapeFrom(s, i)
		}
	}
	return s
}

// harmlessLines is harmless for text of several lines, which keep their ends.
func harmlessLines(s string) string {
	if !strings.ContainsRune(s, '\n') {
		return harmless(s)
	}
	lines := strings.Split(s, "\n")
	for i, l := range lines {
		lines[i] = harmless(l)
	}
	return strings.Join(lines, "\n")
}

func escapeFrom(s string, at int) string {
	b := append(make([]byte, 0, len(s)+16), s[:at]...)
	for at < len(s) {
		r, n := utf8.DecodeRuneInString(s[at:])
		switch {
		case r == utf8.RuneError && n == 1:
			b = fmt.Appendf(b, `\x%02x`, s[at])
		case r == '\t':
			b = append(b, ' ')
		case strconv.IsPrint(r):
			b = append(b, s[at:at+n]...)
		default:
			q := strconv.QuoteRuneToASCII(r)
			b = append(b, q[1:len(q)-1]...)
		}
		at += n
	}
	return string(b)
}

// harmlessJSON does the same for a JSON document without changing what it says:
// such characters stand in strings only, and there they may be escaped.
func harmlessJSON(b []byte) []byte {
	clean := true
	for i := 0; i < len(b) && clean; i++ {
		clean = b[i] < 0x7f
	}
	if clean {
		return b
	}
	var out bytes.Buffer
	out.Grow(len(b) + 64)
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		switch {
		case r < 0x7f || r != utf8.RuneError && strconv.IsPrint(r):
			out.Write(b[:n])
		case r >= 0x10000:
			hi, lo := utf16.EncodeRune(r)
			fmt.Fprintf(&out, `\u%04x\u%04x`, hi, lo)
		default:
			fmt.Fprintf(&out, `\u%04x`, r)
		}
		b = b[n:]
	}
	return out.Bytes()
}

// indent puts prefix in front of each line.
func indent(s, prefix string) string {
	return prefix + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+prefix)
}
