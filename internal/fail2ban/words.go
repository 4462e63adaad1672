package fail2ban

import "fmt"

// splitWords splits a line as a shell does, without anything else that a shell
// does.
func splitWords(s string) (out []string, err error) {
	var word []byte
	in, quote := false, byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'' || quote == '"' && c != '"' && c != '\\':
			word = append(word, c)
		case quote != 0 && c == quote:
			quote = 0
		case c == '\\' && i+1 < len(s):
			i++
			if quote == '"' && s[i] != '"' && s[i] != '\\' {
				word = append(word, '\\')
			}
			word, in = append(word, s[i]), true
		case c == '\'' || c == '"':
			quote, in = c, true
		case c == ' ' || c == '\t':
			if in {
				out = append(out, string(word))
			}
			word, in = word[:0], false
		default:
			word, in = append(word, c), true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("%q: a quotation mark %c is missing", clip(s), quote)
	}
	if in {
		out = append(out, string(word))
	}
	return out, nil
}
