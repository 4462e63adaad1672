package rules

import (
	"bytes"
	"net/netip"
)

// The fields of an access log, as a Condition names them. Their text is what
// stands in the log, escapes included.
const (
	accessUser      = iota // who logged in; "" for -
	accessMethod           // GET
	accessPath             // what was asked for, query included, as the peer sent it; a request that is none, whole
	accessProtocol         // HTTP/1.1; "" where the request names none
	accessRequest          // the three of them, as they stand between the quotation marks
	accessStatus           // three digits
	accessBytes            // digits; "" for -
	accessReferer          // "" for - and in the common format
	accessAgent            // the same
	accessForwarded        // what is in quotation marks behind the agent: X-Forwarded-For, where a server logs it
	accessHost             // the virtual host before the address, if the log has one
	accessCount
)

var accessNames = [accessCount]string{"user", "method", "path", "protocol", "request", "status", "bytes", "referer", "agent", "forwarded", "host"}

// access is a line of an access log:
//
//	[host[:port] ]addr ident user [time] "method path protocol" status bytes[ "referer" "agent"[ "forwarded"…]]
//
// Nothing in it that a peer chose comes before its address, but for the virtual
// host; there nothing is taken for the address that is not followed by the
// identity `-`.
type access struct {
	addr   netip.Addr
	stamp  stamp
	fields [accessCount][]byte
}

// accessView reads the line as one of an access log.
func (s *reader) accessView(v *view, outer *view) {
	*v = *outer
	v.message = s.body(outer)
	if v.fits = s.access.parse(v.message); v.fits {
		v.stamp, v.stated = s.access.stamp, true
	}
}

// parse reads a line; it is false for another kind of line.
func (a *access) parse(b []byte) bool {
	*a = access{}
	quote := unescapedQuote(b)
	if quote < 0 {
		return false
	}
	head, ok := a.parsePeer(b[:quote])
	if !ok || !a.parseUserTime(head) {
		return false
	}
	request, rest, ok := cutQuoted(b[quote:])
	if !ok {
		return false
	}
	a.parseRequest(request)
	if len(rest) < 6 || rest[0] != ' ' || !isDigits(rest[1:4]) || rest[4] != ' ' {
		return false
	}
	a.fields[accessStatus] = rest[1:4]
	size, rest := cutField(rest[5:])
	if size = dash(size); size != nil && !isDigits(size) {
		return false
	}
	a.fields[accessBytes] = size
	for _, i := range [...]int{accessReferer, accessAgent, accessForwarded} {
		if len(rest) == 0 || rest[0] != '"' {
			break
		}
		text, after, ok := cutQuoted(rest)
		if !ok {
			// The end is missing, for the line was cut: what there is, is kept.
			text, after = rest[1:], nil
		}
		a.fields[i], rest = dash(text), bytes.TrimPrefix(after, []byte(" "))
	}
	return true
}

// parsePeer reads the address, and a virtual host before it.
func (a *access) parsePeer(b []byte) (rest []byte, ok bool) {
	first, after := cutField(b)
	second, third := cutField(after)
	if addr, _, ok := endpoint(second); ok && isVirtualHost(first) && bytes.HasPrefix(third, []byte("- ")) {
		a.addr, a.fields[accessHost] = addr, first
		return third[2:], true
	}
	a.addr, _, ok = endpoint(first)
	return third, ok
}

// isVirtualHost reports whether a word can be host[:port]: it is no part of a
// message that another program wrote.
func isVirtualHost(b []byte) bool {
	host := b
	if i := bytes.LastIndexByte(b, ':'); i >= 0 {
		if host = b[:i]; !isDigits(b[i+1:]) {
			return false
		}
	}
	if bytes.LastIndexByte(host, '[') > 0 {
		return false
	}
	for _, c := range host {
		if !isWordByte(c) && c != '.' && c != '-' && c != ':' && c != '[' && c != ']' && c != ',' {
			return false
		}
	}
	return len(host) > 0
}

// parseUserTime reads `user [time] `. The time is the last bracket: there may be
// others in the name of a user, and no quotation mark.
func (a *access) parseUserTime(b []byte) bool {
	b, ok := bytes.CutSuffix(b, []byte("] "))
	if !ok {
		return false
	}
	open := bytes.LastIndexByte(b, '[')
	if open < 1 || b[open-1] != ' ' {
		return false
	}
	a.fields[accessUser] = dash(b[:open-1])
	st, rest, ok := cutDMY(b[open+1:])
	if !ok {
		st, rest, ok = cutYMD(b[open+1:])
	}
	a.stamp = st
	return ok && len(rest) == 0
}

// parseRequest takes the request line apart. The path is what lies between the
// first and the last blank, since a peer may send blanks in it.
func (a *access) parseRequest(b []byte) {
	a.fields[accessRequest] = b
	method, rest := cutField(b)
	if len(rest) == 0 || !isMethod(method) {
		a.fields[accessPath] = dash(b)
		return
	}
	a.fields[accessMethod], a.fields[accessPath] = method, rest
	if i := bytes.LastIndexByte(rest, ' '); i >= 0 && bytes.HasPrefix(rest[i+1:], []byte("HTTP/")) {
		a.fields[accessPath], a.fields[accessProtocol] = rest[:i], rest[i+1:]
	}
}

// isMethod reports whether the word is a method as servers know them: letters,
// - and _.
func isMethod(w []byte) bool {
	for _, c := range w {
		if (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') && c != '-' && c != '_' {
			return false
		}
	}
	return len(w) > 0
}

// unescapedQuote returns where the first quotation mark is that has no
// backslash before it, or -1.
func unescapedQuote(b []byte) int {
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// cutQuoted takes a text in quotation marks off, and returns it as it stands.
func cutQuoted(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, b, false
	}
	n := unescapedQuote(b[1:])
	if n < 0 {
		return nil, b, false
	}
	return b[1 : n+1], b[n+2:], true
}

// cutField returns the bytes before the next blank and those behind it.
func cutField(b []byte) (field, rest []byte) {
	i := bytes.IndexByte(b, ' ')
	if i < 0 {
		return b, nil
	}
	return b[:i], b[i+1:]
}

// dash returns nil for `-`, which stands for what is not told.
func dash(b []byte) []byte {
	if len(b) == 1 && b[0] == '-' {
		return nil
	}
	return b
}
