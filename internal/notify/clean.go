package notify

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what one piece of text from outside may take in a message, in bytes
// of what is written.
const (
	maxWhy      = 600 // a reason: two long sentences
	maxEvidence = 240 // one line of a log
	maxName     = 80  // a rule, a network, an account
)

// Clean returns text from outside as it may stand anywhere in a message: one
// line of at most about max bytes. What a mail reader, a terminal or a chat could
// act on is written out: control characters, marks that turn the direction of
// text, invisible characters and broken UTF-8.
func Clean(s string, max int) string {
	var b strings.Builder
	space := false
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		piece := s[i : i+n]
		i += n
		switch {
		case r == utf8.RuneError && n == 1:
			piece = fmt.Sprintf(`\x%02x`, piece[0])
		case r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029' || r == '\u0085':
			space = true
			continue
		case !unicode.IsPrint(r) || isInvisible(r):
			if piece = fmt.Sprintf(`\u%04x`, r); r > 0xffff {
				piece = fmt.Sprintf(`\U%08x`, r)
			}
		}
		if space && b.Len() > 0 {
			piece = " " + piece
		}
		space = false
		if b.Len()+len(piece) > max {
			b.WriteString("…")
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

// isInvisible reports characters that count as printable and yet show nothing or
// move what is around them.
func isInvisible(r rune) bool {
	switch {
	case r >= 0x3164 && r <= 0x3164, r == 0x115f, r == 0x1160, r == 0xffa0, // Hangul fillers
		r == 0x034f, r == 0x180e, r >= 0xfe00 && r <= 0xfe0f, r >= 0xe0000 && r <= 0xe0fff: // joiners, variation selectors, tags
		return true
	}
	return unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zs, r)
}

// ForChat returns cleaned text as it may stand in a chat: nobody is called by
// name, nothing becomes a link, a format or a command of the service. Characters
// that chats act on get a mark behind them that shows nothing.
func ForChat(s string) string {
	const wj = "\u2060" // word joiner: shows nothing, breaks the pattern
	return strings.NewReplacer(
		"@", "@"+wj, "://", ":"+wj+"//", "<", "‹", ">", "›", "`", "'", "[", "［", "]", "］",
		"*", "∗", "_", "_"+wj, "~", "~"+wj, "|", "|"+wj, "#", "#"+wj, "&", "＆", "\\", "＼", "www.", "www"+wj+".",
	).Replace(s)
}

// ForSMS returns text of characters that every telephone shows and that cost one
// place each: ASCII; others become a question mark.
func ForSMS(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '…':
			return '.'
		case '–', '—':
			return '-'
		case '‘', '’':
			return '\''
		}
		if r == '\n' || r >= ' ' && r < 0x7f {
			return r
		}
		return '?'
	}, s)
}
