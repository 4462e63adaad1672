package report

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of evidence.
const (
	maxEvidence = 400 // bytes of a line
	firstLines  = 6   // of the first ones
	lastLines   = 6   // of the last ones
	maxWords    = 2000
)

// Hidden takes what is ours out of lines of a log: names of machines and accounts,
// mail addresses, and every address but the offender's. Make one with NewHidden.
type Hidden struct {
	offender netip.Addr
	words    map[string]string // in lower case -> what stands in its place
}

// NewHidden returns a Hidden that leaves one address to be seen. tried are the
// accounts that somebody tried, private other words of ours.
func NewHidden(offender netip.Addr, tried, private []string) *Hidden {
	h := &Hidden{offender: offender, words: map[string]string{}}
	add := func(word, place string) {
		word = strings.ToLower(strings.TrimSpace(word))
		if _, err := netip.ParseAddr(word); err == nil || word == "" || len(h.words) >= maxWords {
			return // addresses are looked at as such, so that nobody can hide their own by trying it as a name
		}
		h.words[word] = place
	}
	for _, w := range private {
		add(w, "[ours]")
	}
	for _, w := range tried {
		add(w, "[account]")
	}
	return h
}

// Forms of what is looked for.
var (
	headerForm  = regexp.MustCompile(`^((?:<\d{1,3}>\d? ?)?(?:[A-Z][a-z]{2} \d{1,2} \d\d:\d\d:\d\d|\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*) )(\S+) `)
	mailboxForm = regexp.MustCompile(`[\pL\pN._%+=-]+@[\pL\pN][\pL\pN.-]*`)
	addr4Form   = regexp.MustCompile(`\d{1,3}(?:\.\d{1,3}){3}`)
	addr6Form   = regexp.MustCompile(`[0-9A-Fa-f]*:[0-9A-Fa-f:]*:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f]*:[0-9A-Fa-f:]*:[0-9A-Fa-f:]*`)
)

// Line returns a line as it may leave.
func (h *Hidden) Line(s string) string {
	s = clean(s, 2*maxEvidence)
	if m := headerForm.FindStringSubmatchIndex(s); m != nil {
		if host := s[m[4]:m[5]]; !strings.ContainsAny(host, ":[") { // what ends with a colon is a program
			s = s[:m[4]] + "[ours]" + s[m[5]:]
		}
	}
	s = mailboxForm.ReplaceAllString(s, "[mailbox]")
	s = addr6Form.ReplaceAllStringFunc(s, h.address)
	s = addr4Form.ReplaceAllStringFunc(s, h.address)
	return clean(h.names(s), maxEvidence)
}

// address hides an address that is not the offender's.
func (h *Hidden) address(s string) string {
	tail := ""
	a, err := netip.ParseAddr(s)
	if err != nil {
		if trimmed := strings.TrimRight(s, ":"); trimmed != s {
			tail = s[len(trimmed):]
			a, err = netip.ParseAddr(trimmed)
		}
	}
	switch {
	case err != nil && strings.Count(s, ".") == 3: // 4 numbers that are no address, as 010.1.2.3: some read it as one
		return "[address]"
	case err != nil:
		return s // a time of the day, a number of hardware
	case a.Unmap() == h.offender:
		return s
	}
	return "[address]" + tail
}

// names hides words: runs of what names are made of, and names with dots and
// dashes in them, whole or in part.
func (h *Hidden) names(s string) string {
	isPart := func(r rune) bool {
		return unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || r == '-' || r == '.' || r == '$' || r == '\\'
	}
	var b strings.Builder
	for len(s) > 0 {
		r, n := utf8.DecodeRuneInString(s)
		if !isPart(r) {
			b.WriteString(s[:n])
			s = s[n:]
			continue
		}
		end := strings.IndexFunc(s, func(r rune) bool { return !isPart(r) })
		if end < 0 {
			end = len(s)
		}
		b.WriteString(h.word(s[:end]))
		s = s[end:]
	}
	out := b.String()
	// Words that are not made of such runs: with spaces, signs, other scripts.
	for _, w := range h.odd() {
		out = replaceFold(out, w, h.words[w])
	}
	return out
}

// word hides a name, or those of its parts that are ours.
func (h *Hidden) word(w string) string {
	core := strings.TrimRight(w, ".-")
	if place, ours := h.words[strings.ToLower(core)]; ours {
		return place + w[len(core):]
	}
	if a, err := netip.ParseAddr(core); err == nil && a.Unmap() == h.offender || !strings.ContainsAny(core, ".-_") {
		return w
	}
	var b strings.Builder
	for len(w) > 0 {
		i := strings.IndexAny(w, ".-_$\\")
		part, rest := w, ""
		if i >= 0 {
			part, rest = w[:i], w[i:]
		}
		if place, ours := h.words[strings.ToLower(part)]; ours {
			part = place
		}
		b.WriteString(part)
		if rest != "" {
			b.WriteByte(rest[0])
			rest = rest[1:]
		}
		w = rest
	}
	return b.String()
}

// odd are the words that names does not find as runs, the longest first.
func (h *Hidden) odd() (list []string) {
	for w := range h.words {
		if len(w) >= 3 && strings.IndexFunc(w, func(r rune) bool {
			return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' && r != '$'
		}) >= 0 {
			list = append(list, w)
		}
	}
	slices.SortFunc(list, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return list
}

// replaceFold replaces a word in lower case wherever it stands, in whatever case.
func replaceFold(s, word, place string) string {
	low := strings.ToLower(s)
	if len(low) != len(s) || !strings.Contains(low, word) { // of the few characters that change their length
		return s
	}
	var b strings.Builder
	for {
		i := strings.Index(low, word)
		if i < 0 {
			b.WriteString(s)
			return b.String()
		}
		b.WriteString(s[:i] + place)
		s, low = s[i+len(word):], low[i+len(word):]
	}
}

// clean returns text from outside as one line of at most max bytes, without
// control and invisible characters.
func clean(s string, max int) string {
	var b strings.Builder
	space := false
	for _, r := range s {
		if unicode.IsSpace(r) {
			space = true
			continue
		}
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			r = '?'
		}
		if space && b.Len() > 0 {
			b.WriteByte(' ')
		}
		space = false
		if b.Len()+utf8.RuneLen(r) > max {
			b.WriteString("…")
			break
		}
		b.WriteRune(r)
	}
	return b.String()
}
