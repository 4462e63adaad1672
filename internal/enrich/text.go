package enrich

import (
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Bounds of what is kept of an answer.
const (
	maxText  = 120 // bytes of a name
	maxAbuse = 3   // addresses for mail
	maxNames = 4   // names of an address
)

// clean returns text from outside as one line of at most max bytes: bytes that
// are no UTF-8 are read as Latin-1, control and invisible characters are left
// out, white space is one space.
func clean(s string, max int) string {
	if !utf8.ValidString(s) {
		s = latin1(s)
	}
	var b strings.Builder
	space := false
	for _, r := range s {
		switch {
		case unicode.IsSpace(r):
			space = true
			continue
		case r == utf8.RuneError || !unicode.IsPrint(r):
			continue
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

// latin1 reads bytes as ISO 8859-1, in which each byte is the character of that
// number.
func latin1(s string) string {
	var b strings.Builder
	b.Grow(len(s) + len(s)/4)
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}

// mailForm is what an address for mail looks like that can stand in a header, a
// command and an argument as it is.
var mailForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._%+=-]{0,63}@([A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?\.)+[A-Za-z]{2,63}$`)

// hostForm is what the name of a host looks like.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?\.)*[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?$`)

// mailAddress returns a mail address in canonical form; "" if it is none.
func mailAddress(s string) string {
	s = strings.TrimPrefix(strings.Trim(strings.TrimSpace(s), "<>'\"();,"), "mailto:")
	if len(s) > 254 || !mailForm.MatchString(s) || strings.Contains(s, "..") {
		return ""
	}
	return strings.ToLower(s)
}

// addMail adds a mail address to a short list, once.
func addMail(list []string, s string) []string {
	if a := mailAddress(s); a != "" && len(list) < maxAbuse && !slices.Contains(list, a) {
		return append(list, a)
	}
	return list
}

// hostName returns the name of a host in canonical form; "" if it is none.
func hostName(s string) string {
	s = strings.ToLower(strings.TrimSuffix(strings.TrimSpace(s), "."))
	if len(s) > 253 || !hostForm.MatchString(s) {
		return ""
	}
	return s
}

// country returns a code of two letters; "" if it is none.
func country(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) < 2 || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' || len(s) > 2 && s[2] != ' ' && s[2] != '#' {
		return ""
	}
	if code := s[:2]; code != "ZZ" && code != "EU" && code != "AP" { // of no country
		return code
	}
	return ""
}
