package rules

import "bytes"

// header is what stands before the message of a log line. Its slices alias the
// line.
type header struct {
	stamp   stamp  // the date as found; kind stampNone where there is none
	host    []byte // who wrote the line; may be empty
	program []byte // the tag without its process number; empty = the line names none
	pid     []byte // digits of the process number; may be empty
	message []byte // what the program said
}

// maxTag bounds a tag or host name: what is longer is part of a message.
// Host names have at most 255 bytes, tags of syslog 48 (RFC 5424, section 6).
const maxTag = 255

// parseHeader takes a line apart. It knows these forms, and takes any other
// line as a bare message:
//
//	Nov 21 08:00:00 host tag[pid]: message             syslog as in RFC 3164, journalctl -o short
//	Nov 21 08:00:00.123456 host tag[pid]: message      journalctl -o short-precise
//	Sat Nov 21 08:00:00 2026 auth.info tag[pid]: m…    BusyBox, OpenWrt
//	2026-11-21T08:00:00.123456+01:00 host tag[pid]: …  rsyslog, syslog-ng, journalctl -o short-iso
//	Sat 2026-11-21 08:00:00 CET host tag[pid]: …       journalctl -o short-full
//	1795244400.123456 host tag[pid]: message           journalctl -o short-unix
//	<38>1 2026-11-21T07:00:00Z host tag pid id - m…    RFC 5424
//	MESSAGE=message                                    journalctl -o export
//	Nov 21 08:00:00 [tag] message                      metalog
//	Nov 21 08:00:00 host tag[pid]: [ID 7 auth.info] m… Solaris, illumos
//
// A priority in angle brackets may precede the first ones; host and tag may be
// missing.
func parseHeader(line []byte) (h header) {
	line = bytes.TrimLeft(line, "\x00") // a file that was cut under its writer begins with a hole
	h.message = line
	rest := line
	if len(rest) > 0 && rest[0] == '<' {
		after, ok := cutPriority(rest)
		if !ok {
			return h
		}
		if len(after) > 1 && after[0] == '1' && after[1] == ' ' {
			parse5424(&h, after[2:])
			return h
		}
		rest = after
	}
	st, after, ok := cutStamp(rest)
	if !ok {
		if m, found := bytes.CutPrefix(line, []byte("MESSAGE=")); found {
			h.message = m
		}
		return h
	}
	h.stamp, h.message = st, after
	host, body := cutWord(after)
	if st.kind == stampBSD && len(host) > 0 && host[0] == '[' && bracketed(&h, host, body) {
		return h
	}
	if tag(&h, host, body) {
		return h
	}
	word, body := cutWord(body)
	if tag(&h, word, body) {
		h.host = host
		return h
	}
	if isFacility(host) { // no host: facility.level tag: message
		return h
	}
	if isFacility(word) {
		if word, body = cutWord(body); tag(&h, word, body) {
			h.host = host
		}
	}
	return h
}

// tag reads `name[pid]:` or `name:` from a word and fills in h if it is one.
func tag(h *header, word, message []byte) bool {
	n := len(word)
	if n < 2 || n > maxTag || word[n-1] != ':' {
		return false
	}
	name, pid := word[:n-1], []byte(nil)
	if word[n-2] == ']' {
		i := bytes.IndexByte(name, '[')
		if i < 1 || !isDigits(name[i+1:n-2]) {
			return false
		}
		name, pid = name[:i], name[i+1:n-2]
	}
	h.program, h.pid, h.message = baseName(name), pid, message
	if len(message) > 8 && message[0] == '[' && message[1] == 'I' {
		h.message = cutID(message)
	}
	return true
}

// bracketed reads `[name]` or `[name]:`, as metalog writes a tag, and fills in h if
// the word is one.
func bracketed(h *header, word, message []byte) bool {
	if word[len(word)-1] == ':' {
		word = word[:len(word)-1]
	}
	if len(word) < 4 || len(word) > maxTag || word[len(word)-1] != ']' {
		return false
	}
	name := word[1 : len(word)-1]
	for _, c := range name {
		if !isWordByte(c) && c != '-' && c != '/' && c != '.' {
			return false
		}
	}
	h.program, h.message = baseName(name), message
	return true
}

// cutID takes off what syslogd of Solaris puts before a message: `[ID 800047
// auth.info] `, the hash of the message's text and its priority (syslogd(8)).
func cutID(m []byte) []byte {
	rest, ok := bytes.CutPrefix(m, []byte("[ID "))
	if !ok {
		return m
	}
	number, rest := cutWord(rest)
	kind, rest := cutWord(rest)
	if n := len(kind); !isDigits(number) || n < 2 || kind[n-1] != ']' || !isFacility(kind[:n-1]) {
		return m
	}
	return rest
}

// baseName takes the folder off an absolute path; other names with a slash
// (postfix/smtpd) stay.
func baseName(name []byte) []byte {
	if name[0] == '/' {
		if i := bytes.LastIndexByte(name, '/'); i+1 < len(name) {
			return name[i+1:]
		}
	}
	return name
}

// cutWord returns the bytes before the next space and those behind it.
func cutWord(b []byte) (word, rest []byte) {
	i := bytes.IndexByte(b[:min(len(b), maxTag+2)], ' ')
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// isFacility reports whether the word looks like `auth.info`.
func isFacility(w []byte) bool {
	i := bytes.IndexByte(w, '.')
	if i < 3 || i > 8 || len(w)-i < 4 || len(w)-i > 8 {
		return false
	}
	for j, c := range w {
		if j != i && (c < 'a' || c > 'z') && (c < '0' || c > '9' || j > i) {
			return false
		}
	}
	return true
}

// cutPriority takes `<38>` off.
func cutPriority(b []byte) ([]byte, bool) {
	for i := 1; i < len(b) && i <= 4; i++ {
		if b[i] == '>' {
			return b[i+1:], i > 1
		}
		if b[i] < '0' || b[i] > '9' {
			break
		}
	}
	return b, false
}

// parse5424 reads what follows `<38>1 ` (RFC 5424, section 6); - stands for
// what is not told. Where it goes wrong h keeps the whole line as message.
func parse5424(h *header, b []byte) {
	var at [5][]byte // time, host, program, process, kind of message
	for i := range at {
		at[i], b = cutWord(b)
		if len(at[i]) == 0 || b == nil {
			return
		}
		if len(at[i]) == 1 && at[i][0] == '-' {
			at[i] = nil
		}
	}
	b, ok := cutStructured(b)
	if !ok {
		return
	}
	if at[0] != nil {
		if st, rest, ok := cutISO(at[0]); ok && len(rest) == 0 {
			h.stamp = st
		}
	}
	h.host, h.program, h.message = at[1], at[2], bytes.TrimPrefix(b, []byte("\ufeff"))
	if len(h.program) > 0 {
		h.program = baseName(h.program)
	}
	if isDigits(at[3]) {
		h.pid = at[3]
	}
}

// cutStructured takes the structured data off: `-` or `[id name="value"]…`.
func cutStructured(b []byte) ([]byte, bool) {
	if len(b) > 0 && b[0] == '-' {
		return bytes.TrimPrefix(b[1:], []byte(" ")), len(b) == 1 || b[1] == ' '
	}
	quoted, open, i := false, false, 0
	for ; i < len(b); i++ {
		switch c := b[i]; {
		case quoted && c == '\\':
			i++
		case open && c == '"':
			quoted = !quoted
		case quoted:
		case !open && c == '[':
			open = true
		case open && c == ']':
			open = false
		case !open:
			return bytes.TrimPrefix(b[i:], []byte(" ")), c == ' ' && i > 0
		}
	}
	return nil, !open && i > 0
}

func isDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return len(b) > 0 && len(b) <= 19
}

// repeated is how rsyslog writes that a line came again ("message repeated 3
// times: [ …]", its $RepeatedMsgReduction).
var repeated = []byte("message repeated ")

// maxRepeat bounds how often one line may count.
const maxRepeat = 100

// cutRepeat returns the message and how often it stands for: 1, or what
// rsyslog says, at most maxRepeat.
func cutRepeat(m []byte) ([]byte, int) {
	rest, ok := bytes.CutPrefix(m, repeated)
	if !ok {
		return m, 1
	}
	i := bytes.IndexByte(rest[:min(len(rest), 20)], ' ')
	if i < 1 || !isDigits(rest[:i]) {
		return m, 1
	}
	inner, ok := bytes.CutPrefix(rest[i:], []byte(" times: ["))
	if !ok || len(inner) == 0 || inner[len(inner)-1] != ']' {
		return m, 1
	}
	n := 0
	for _, c := range rest[:i] {
		n = min(n*10+int(c-'0'), maxRepeat)
	}
	inner = inner[:len(inner)-1]
	return bytes.TrimPrefix(inner, []byte(" ")), max(n, 1)
}

// cutEnd takes line ends off the end of a message: as bytes, and as rsyslog
// escapes them.
func cutEnd(m []byte) []byte {
	for n := len(m); n > 0; n = len(m) {
		switch {
		case m[n-1] == '\r':
			m = m[:n-1]
		case n >= 4 && (string(m[n-4:]) == "#015" || string(m[n-4:]) == "#012"):
			m = m[:n-4]
		default:
			return m
		}
	}
	return m
}
