package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// accessFields returns what a line is read as: address, time, then the fields
// that it has; "" where it is no line of an access log.
func accessFields(line string) string {
	var a access
	if !a.parse([]byte(line)) {
		return ""
	}
	at := (&clock{zone: time.UTC}).time(a.stamp, sampleNow)
	out := []string{a.addr.String(), at.Format(time.RFC3339)}
	for i, text := range a.fields {
		if text != nil && i != accessRequest {
			out = append(out, accessNames[i]+"="+string(text))
		}
	}
	return strings.Join(out, " | ")
}

func TestAccess(t *testing.T) {
	const at = "2026-11-21T08:00:00Z"
	const req = ` | method=GET | path=/ | protocol=HTTP/1.1 | status=200 | bytes=5`
	cases := []struct{ line, want string }{
		// common and combined
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req},
		{`192.0.2.7 - joe [21/Nov/2026:09:00:00 +0100] "GET / HTTP/1.1" 200 5 "-" "-"`, "192.0.2.7 | " + at + " | user=joe" + req},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "http://x/" "curl/8"`, "192.0.2.7 | " + at + req + " | referer=http://x/ | agent=curl/8"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" "203.0.113.9, 192.0.2.9"`, "192.0.2.7 | " + at + req + " | agent=curl/8 | forwarded=203.0.113.9, 192.0.2.9"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 12 "router@docker" 1ms`, "192.0.2.7 | " + at + req + " | agent=curl/8"},
		{`2001:db8::7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "2001:db8::7 | " + at + req},
		{`::ffff:192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req},
		{`[2001:db8::7]:443 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "2001:db8::7 | " + at + req},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00.123 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req},
		{`192.0.2.7 - - [2026-11-21T08:00:00+00:00] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 304 -`, "192.0.2.7 | " + at + " | method=GET | path=/ | protocol=HTTP/1.1 | status=304"},
		// with a virtual host
		{`www.example.org 192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req + " | host=www.example.org"},
		{`www.example.org:443 2001:db8::7 - joe [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "2001:db8::7 | " + at + " | user=joe" + req + " | host=www.example.org:443"},
		{`198.51.100.7 192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req + " | host=198.51.100.7"},
		{`- 192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + req + " | host=-"},
		// requests
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "POST /a?b=c%20d HTTP/2.0" 401 0`, "192.0.2.7 | " + at + " | method=POST | path=/a?b=c%20d | protocol=HTTP/2.0 | status=401 | bytes=0"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET /a b c HTTP/1.0" 400 0`, "192.0.2.7 | " + at + " | method=GET | path=/a b c | protocol=HTTP/1.0 | status=400 | bytes=0"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET /old" 200 0`, "192.0.2.7 | " + at + " | method=GET | path=/old | status=200 | bytes=0"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "\x16\x03\x01\x02" 400 0`, "192.0.2.7 | " + at + ` | path=\x16\x03\x01\x02 | status=400 | bytes=0`},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "-" 408 0`, "192.0.2.7 | " + at + ` | status=408 | bytes=0`},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "" 400 0`, "192.0.2.7 | " + at + ` | path= | status=400 | bytes=0`},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET /\" 200 5 \"x HTTP/1.1" 404 9 "-" "\"\\"`, "192.0.2.7 | " + at + ` | method=GET | path=/\" 200 5 \"x | protocol=HTTP/1.1 | status=404 | bytes=9 | agent=\"\\`},
		// names with anything in them
		{`192.0.2.7 - x y [z] [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + " | user=x y [z]" + req},
		{`192.0.2.7 - [01/Jan/2026:08:00:00 +0000] \"GET /x HTTP/1.1\" 401 5 [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + ` | user=[01/Jan/2026:08:00:00 +0000] \"GET /x HTTP/1.1\" 401 5` + req},
		{`192.0.2.7 - 198.51.100.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + " | user=198.51.100.7 - -" + req},
		{`192.0.2.7 -  [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.7 | " + at + " | user=" + req},
		// cut at its end
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl`, "192.0.2.7 | " + at + req + " | agent=curl"},
		// no access log
		{``, ""},
		{`host.example - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, ""},
		{`x host.example - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, ""},
		{`192.0.2.7.example.org - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, ""},
		{`192.0.2.7, 192.0.2.8 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, "192.0.2.8 | " + at + req + " | host=192.0.2.7,"},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00] GET / 200 5`, ""},
		{`192.0.2.7 - - [31/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5`, ""},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1`, ""},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 2x0 5`, ""},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 x`, ""},
		{`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200`, ""},
		{`192.0.2.7 - - "GET / HTTP/1.1" 200 5`, ""},
		{`"`, ""},
		{`192.0.2.7 "] " 200 5`, ""},
	}
	for _, c := range cases {
		if got := accessFields(c.line); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.line, got, c.want)
		}
	}
}

// accessRule has a pattern for anything that a peer may send.
func accessRule(tb testing.TB) *Rule {
	tb.Helper()
	r, err := Parse("access.yaml", []byte(`
rule: web
title: Web
evidence: proven
format: access
patterns:
  - {name: refused, class: failure, where: {status: [401, 403]}}
  - {name: probe, class: failure, where: {path: ['^/wp-login\.php', '/\.env(?:$|\?)']}}
  - {name: bot, class: failure, where: {agent: '^evil', method: '^(?:GET|POST)$'}}
  - {name: spam, class: failure, where: {referer: 'casino'}}
  - {name: binary, class: failure, where: {request: '^\\x16\\x03'}}
  - {name: named, class: info, where: {user: .}}
`))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// apache escapes as ap_escape_logitem does: quotation marks, backslashes and
// what is not printable.
func apache(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\r':
			b.WriteString(`\r`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// nginx escapes as its default does.
func nginx(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c == '"' || c == '\\' || c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\x%02X`, c)
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// hostileWeb are texts that a peer may send as a name, a path, an agent.
func hostileWeb() []string {
	evil := innocent.String()
	line := evil + ` - - [21/Nov/2026:08:00:00 +0000] "GET /wp-login.php HTTP/1.1" 401 5 "-" "evil"`
	return append(hostile(), line, "\n"+line+"\n", `" 401 5 "`+line, `\" `+line, `x" 401 5`, `] "GET / HTTP/1.1" 401 5`, `- `+evil+` - - [21/Nov/2026:08:00:00 +0000] `,
		evil+" - -", evil+", "+evil, "["+evil+"]:80", "] ", "[", `\`, `\\`, `"`, `""`, "\\\n"+line)
}

// TestAccessInjection: whatever a peer sends, and whether or not the server
// escapes it, only its own address is hit. A server that lets line ends through
// is beyond help.
func TestAccessInjection(t *testing.T) {
	s := NewMatcher([]*Rule{accessRule(t)}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	bare := func(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }
	hits := 0
	for name, escape := range map[string]func(string) string{"apache": apache, "nginx": nginx, "bare": bare} {
		for _, text := range hostileWeb() {
			x := clipTo(escape(text), 4000)
			for _, line := range []string{
				`203.0.113.61 - ` + x + ` [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 401 5 "-" "x"`,
				`203.0.113.61 - - [21/Nov/2026:08:00:00 +0000] "GET ` + x + ` HTTP/1.1" 403 5 "-" "x"`,
				`203.0.113.61 - - [21/Nov/2026:08:00:00 +0000] "` + x + `" 401 5 "-" "x"`,
				`203.0.113.61 - - [21/Nov/2026:08:00:00 +0000] "GET /.env HTTP/1.1" 404 5 "` + x + `" "` + x + `" "` + x + `"`,
				`www.example.org:443 203.0.113.61 - ` + x + ` [21/Nov/2026:08:00:00 +0000] "GET /` + x + ` HTTP/1.1" 401 5 "` + x + `" "` + x + `"`,
				innocent.String() + ` 203.0.113.61 - - [21/Nov/2026:08:00:00 +0000] "GET /` + x + ` HTTP/1.1" 401 5 "-" "-"`,
				`Nov 21 08:00:00 h nginx: 203.0.113.61 - - [21/Nov/2026:08:00:00 +0000] "GET ` + x + ` HTTP/1.1" 403 5 "-" "x"`,
			} {
				for _, n := range []int{len(line), len(line) / 2, len(line) - 1} {
					s.Scan([]byte(line[:n]), sampleNow, func(h *Hit) {
						hits++
						if h.Addr != attacker {
							t.Errorf("%s: %s: hit of %s in %.900q", name, h.Pattern.Name, h.Addr, h.Line)
						}
					})
				}
			}
		}
	}
	if hits < 1000 {
		t.Errorf("%d hits only", hits)
	}
}

func TestProxies(t *testing.T) {
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:1::/48")}
	cases := []struct{ peer, via, want string }{
		{"192.0.2.7", "198.51.100.7", "192.0.2.7"}, // who is no proxy may say what it likes
		{"10.0.0.1", "192.0.2.7", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", "198.51.100.7, 192.0.2.7", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", "198.51.100.7, 192.0.2.7, 10.0.0.2", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", "198.51.100.7,192.0.2.7,2001:db8:1::1", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", "2001:db8::7", "2001:db8::7 by 10.0.0.1"},
		{"10.0.0.1", "[2001:db8::7]:443", "2001:db8::7 port 443 by 10.0.0.1"},
		{"10.0.0.1", "192.0.2.7:4242", "192.0.2.7 port 4242 by 10.0.0.1"},
		{"10.0.0.1", "::ffff:192.0.2.7", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", "for=192.0.2.7;proto=https;by=203.0.113.1", "192.0.2.7 by 10.0.0.1"},
		{"10.0.0.1", `for=198.51.100.7, proto=http; For=\"[2001:db8::7]:80\"`, "2001:db8::7 port 80 by 10.0.0.1"},
		{"10.0.0.1", `for=\x22[2001:db8::7]\x22`, "2001:db8::7 by 10.0.0.1"},
		{"10.0.0.1", "198.51.100.7, unknown", ""},
		{"10.0.0.1", "198.51.100.7, for=_hidden", ""},
		{"10.0.0.1", "198.51.100.7, by=192.0.2.7", ""},
		{"10.0.0.1", "198.51.100.7,", ""},
		{"10.0.0.1", "198.51.100.7 192.0.2.7", ""},
		{"10.0.0.1", "10.0.0.2, 10.0.0.3", ""},
		{"10.0.0.1", "192.0.2.7" + strings.Repeat(", 10.0.0.2", 1000), ""},
		{"10.0.0.1", "-", ""},
		{"10.0.0.1", "", ""},
	}
	text, err := Parse("x.yaml", []byte("rule: x\ntitle: X\nevidence: proven\npatterns:\n  - {name: a, class: failure, match: '^refused <addr> for \"<via>\"$'}\n"))
	if err != nil {
		t.Fatal(err)
	}
	object, err := Parse("x.yaml", []byte("rule: x\ntitle: X\nevidence: proven\nformat: json\nfields: {addr: peer, via: headers.X-Forwarded-For}\npatterns:\n  - {name: a, class: failure, where: {msg: refused}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		quoted := strings.ReplaceAll(c.via, `\"`, `"`)
		for _, x := range []struct {
			r    *Rule
			line string
		}{
			{accessRule(t), c.peer + ` - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 401 5 "-" "-" "` + c.via + `"`},
			{object, fmt.Sprintf(`{"msg":"refused","peer":%q,"headers":{"X-Forwarded-For":[%q]}}`, c.peer, quoted)},
			{object, fmt.Sprintf(`{"msg":"refused","peer":"%s:99","headers":{"X-Forwarded-For":%q}}`, c.peer, quoted)},
			{text, fmt.Sprintf(`refused %s for "%s"`, c.peer, c.via)},
		} {
			if x.r == text && strings.Contains(c.via, `"`) {
				continue // where <via> ends
			}
			got := ""
			for _, h := range scan(t, x.r, []byte(x.line), SourceOptions{TrustedProxies: trusted}) {
				if got = h.Addr.String(); h.Proxy.IsValid() {
					if h.Port != 0 {
						got += fmt.Sprintf(" port %d", h.Port)
					}
					got += " by " + h.Proxy.String()
				}
			}
			if got != c.want {
				t.Errorf("%s: got %q, want %q", x.line, got, c.want)
			}
		}
	}
	// Without trust nobody speaks for another.
	for _, h := range scan(t, object, []byte(`{"msg":"refused","peer":"10.0.0.1","headers":{"X-Forwarded-For":"192.0.2.7"}}`), SourceOptions{}) {
		if h.Addr != netip.MustParseAddr("10.0.0.1") || h.Proxy.IsValid() {
			t.Errorf("hit of %s by %s", h.Addr, h.Proxy)
		}
	}
}

// FuzzAccessAddressComesFirst: the address of a line is its first word or its
// second, whatever comes later.
func FuzzAccessAddressComesFirst(f *testing.F) {
	for _, text := range hostileWeb()[:40] {
		f.Add(text, text)
	}
	f.Fuzz(func(t *testing.T, user, rest string) {
		if strings.Contains(user+rest, "\n") {
			return
		}
		var a access
		line := "203.0.113.61 - " + user + ` [21/Nov/2026:08:00:00 +0000] "` + rest
		if a.parse([]byte(line)) && a.addr != attacker {
			t.Fatalf("%q: %s", line, a.addr)
		}
		if a.parse([]byte(user)) {
			words := strings.SplitN(user, " ", 3)
			if !slices.ContainsFunc(words[:2], func(w string) bool { x, _, ok := endpoint([]byte(w)); return ok && x == a.addr }) {
				t.Fatalf("%q: %s", user, a.addr)
			}
		}
	})
}

func BenchmarkAccess(b *testing.B) {
	line := []byte(`192.0.2.7 - - [21/Nov/2026:08:00:00 +0000] "GET /wp-login.php?x=y HTTP/1.1" 401 512 "https://example.org/" "Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/119.0"`)
	var a access
	b.SetBytes(int64(len(line)))
	b.ReportAllocs()
	for b.Loop() {
		if !a.parse(line) {
			b.Fatal("no access")
		}
	}
}
