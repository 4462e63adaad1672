package fail2ban

import (
	"fmt"
	"strings"
)

// Call is a filter or an action with its arguments: name[key=value, key="v,v"].
type Call struct {
	Name string
	Keys []string          // in the order in which they stand
	Args map[string]string // by key
}

// String returns the call as it can be written.
func (c Call) String() string {
	if len(c.Keys) == 0 {
		return c.Name
	}
	var b strings.Builder
	b.WriteString(c.Name)
	for i, k := range c.Keys {
		b.WriteString([...]string{"[", ", "}[min(i, 1)])
		quote := `"`
		if strings.Contains(c.Args[k], quote) {
			quote = "'"
		}
		if isWord(c.Args[k]) {
			quote = ""
		}
		b.WriteString(k + "=" + quote + c.Args[k] + quote)
	}
	return b.String() + "]"
}

// isWord reports whether a value needs no quotation marks.
func isWord(s string) bool {
	for i := range len(s) {
		if !isArgName(s[i]) || s[i] >= 0x80 {
			return false
		}
	}
	return s != ""
}

// ParseCall reads a call. Several groups of arguments may follow one another.
func ParseCall(s string) (Call, error) {
	s = strings.TrimFunc(s, isSpace)
	name, rest, has := strings.Cut(s, "[")
	c := Call{Name: strings.TrimFunc(name, isSpace), Args: map[string]string{}}
	switch {
	case c.Name == "":
		return c, fmt.Errorf("%q: a name must stand before [", clip(s))
	case !has:
		return c, nil
	case !strings.HasSuffix(rest, "]"):
		return c, fmt.Errorf("%q does not end in ]", clip(s))
	}
	rest = strings.TrimSuffix(rest, "]")
	for {
		rest = strings.TrimLeftFunc(rest, isSpace)
		if rest = strings.TrimLeft(rest, ","); strings.TrimFunc(rest, isSpace) == "" {
			return c, nil
		}
		rest = strings.TrimLeftFunc(rest, isSpace)
		n := 0
		for n < len(rest) && isArgName(rest[n]) {
			n++
		}
		if n == 0 || n >= len(rest) || rest[n] != '=' {
			return c, fmt.Errorf("%q: key=value is expected", clip(rest))
		}
		key := rest[:n]
		value, left, err := argument(rest[n+1:])
		if err != nil {
			return c, fmt.Errorf("argument %s: %w", key, err)
		}
		if _, again := c.Args[key]; !again {
			c.Keys = append(c.Keys, key)
		}
		c.Args[key], rest = strings.TrimFunc(value, isSpace), left
	}
}

func isArgName(b byte) bool {
	return b == '_' || b == '-' || b == '.' || b >= '0' && b <= '9' || b|0x20 >= 'a' && b|0x20 <= 'z' || b >= 0x80
}

// argument reads a value, and what separates it from the next.
func argument(s string) (value, rest string, err error) {
	if s != "" && (s[0] == '"' || s[0] == '\'') {
		end := strings.IndexByte(s[1:], s[0])
		if end < 0 {
			return "", "", fmt.Errorf("a quotation mark %c is missing", s[0])
		}
		value, rest = s[1:1+end], s[2+end:]
	} else {
		end := strings.IndexAny(s, ",]")
		if end < 0 {
			end = len(s)
		}
		value, rest = s[:end], s[end:]
	}
	t := strings.TrimLeftFunc(rest, isSpace)
	switch {
	case t == "":
		return value, "", nil
	case rest[0] == ',':
		return value, rest[1:], nil
	case rest[0] == ']':
		if u := strings.TrimLeftFunc(rest[1:], isSpace); strings.HasPrefix(u, "[") {
			return value, u[1:], nil
		}
	case t[0] == ',':
		return value, t[1:], nil
	}
	return "", "", fmt.Errorf("%q is not expected behind its value", clip(rest))
}

// splitCalls separates calls that stand side by side or on several lines.
func splitCalls(s string) (out []string) {
	depth, quote, from := 0, byte(0), -1
	for i := 0; i <= len(s); i++ {
		if i == len(s) || depth == 0 && isSpace(rune(s[i])) {
			// Arguments may begin on a later line.
			next := strings.TrimLeftFunc(s[i:], isSpace)
			if depth == 0 && strings.HasPrefix(next, "[") && from >= 0 {
				continue
			}
			if from >= 0 {
				out = append(out, strings.TrimFunc(s[from:i], isSpace))
			}
			from = -1
			continue
		}
		if from < 0 {
			from = i
		}
		switch c := s[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case depth > 0 && (c == '"' || c == '\'') && i > 0 && s[i-1] == '=':
			quote = c
		case c == '[':
			depth++
		case c == ']' && depth > 0:
			depth--
		}
	}
	return out
}
