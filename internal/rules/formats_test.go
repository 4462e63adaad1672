package rules

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// jsonRule asks for all that a rule on JSON can.
func jsonRule(tb testing.TB) *Rule {
	tb.Helper()
	r, err := Parse("json.yaml", []byte(`
rule: app
title: App
evidence: proven
format: json
programs: appd
fields: {addr: remote, user: user.name, port: port, session: id, time: ts}
patterns:
  - {name: refused, class: failure, where: {msg: '^login/refused$', status: [401, 403]}}
  - {name: told, class: hint, where: {msg: '^bad name <user> from <addr>$'}, fields: {session: conn}}
  - {name: late, class: info, where: {msg: '^late by <addr>:<port> at <time>$', ok: false}, evidence: forgeable}
  - {name: nested, class: failure, where: {"log.level": '^warning$', attr.tags.0: '^auth'}, fields: {addr: attr.remote}}
`))
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestJSONScan(t *testing.T) {
	cases := []struct{ line, want string }{
		{`{"ts":1795248000.5,"msg":"login/refused","status":401,"remote":"192.0.2.7","user":{"name":"joe"},"port":99,"id":"a"}`, `app/refused 192.0.2.7 user="joe" port=99 session=` + sessionOf("a") + ` class=failure evidence=proven host= repeat=1 at=0 time=2026-11-21T08:00:00Z`},
		{`{"ts":"2026-11-21T08:00:00.5Z","msg":"login\/refused","status":"403","remote":"192.0.2.7:99","user.name":"jo\u0065"}`, `app/refused 192.0.2.7 user="joe" port=99 session=0 class=failure evidence=proven host= repeat=1 at=0 time=2026-11-21T08:00:00Z`},
		{`{"msg":"lo\u0067in/refused","status":401,"remote":"[2001:db8::7]:99"}`, `app/refused 2001:db8::7 user="" port=99 session=0 class=failure evidence=proven host= repeat=1 at=0 time=0001-01-01T00:00:00Z`},
		{"\x00\x00" + ` {"msg":"login/refused","status":401,"remote":"192.0.2.7"} ` + "\r", `app/refused 192.0.2.7 user="" port=0 session=0 class=failure evidence=proven host= repeat=1 at=0 time=0001-01-01T00:00:00Z`},
		{`Nov 21 08:00:00 h appd[7]: {"msg":"login/refused","status":401,"remote":"192.0.2.7"}`, `app/refused 192.0.2.7 user="" port=0 session=0 class=failure evidence=proven host=h repeat=1 at=0 time=2026-11-21T08:00:00Z`},
		{`Nov 21 08:00:00 h other[7]: {"msg":"login/refused","status":401,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"bad name x from 198.51.100.7 from 192.0.2.7","remote":"198.51.100.7","conn":7}`, `app/told 192.0.2.7 user="x from 198.51.100.7" port=0 session=7 class=hint evidence=proven host= repeat=1 at=0 time=0001-01-01T00:00:00Z`},
		{`{"msg":"late by 192.0.2.7:99 at 2026-11-21 08:00:00","ok":false}`, `app/late 192.0.2.7 user="" port=99 session=0 class=info evidence=forgeable host= repeat=1 at=0 time=2026-11-21T08:00:00Z`},
		{`{"log":{"level":"warning"},"attr":{"tags":["auth","x"],"remote":"192.0.2.7"}}`, `app/nested 192.0.2.7 user="" port=0 session=0 class=failure evidence=proven host= repeat=1 at=0 time=0001-01-01T00:00:00Z`},
		// conditions
		{`{"msg":"login/refused","status":402,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"login/refused","status":401.0,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"login/refused","remote":"192.0.2.7"}`, ""},
		{`{"msg":"login/refused","status":null,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"login/refused","status":401,"status":200,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"x login/refused","status":401,"remote":"192.0.2.7"}`, ""},
		{`{"msg":"late by 192.0.2.7:99 at 2026-11-21 08:00:00","ok":true}`, ""},
		{`{"log":{"level":"warning"},"attr":{"tags":["x","auth"],"remote":"192.0.2.7"}}`, ""},
		// no address
		{`{"msg":"login/refused","status":401,"remote":"host.example"}`, ""},
		{`{"msg":"login/refused","status":401,"remote":"192.0.2.7 198.51.100.7"}`, ""},
		{`{"msg":"login/refused","status":401,"remote":""}`, ""},
		{`{"msg":"login/refused","status":401,"remote":{"ip":"192.0.2.7"}}`, ""},
		{`{"msg":"login/refused","status":401}`, ""},
		// not JSON
		{`{"msg":"login/refused","status":401,"remote":"192.0.2.7"`, "misfit"},
		{`{"msg":"login/refused","status":401,"remote":"192.0.2.7"}{}`, "misfit"},
		{`login/refused 401 192.0.2.7`, "misfit"},
		{`{"msg":"login/refused","status":401,"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `,"remote":"192.0.2.7"}`, "misfit"},
	}
	for _, c := range cases {
		for _, naive := range []bool{false, true} {
			got := ""
			s := NewMatcher([]*Rule{jsonRule(t)}, Options{Naive: naive}).Scanner(SourceOptions{Zone: time.UTC})
			if st := s.Scan([]byte(c.line), sampleNow, func(h *Hit) { got = hitString(h) }); st.Misfits > 0 {
				got = "misfit"
			}
			if got != c.want {
				t.Errorf("naive=%t: %s:\n got %s\nwant %s", naive, c.line, got, c.want)
			}
		}
	}
}

func sessionOf(text string) string { return fmt.Sprintf("%x", session([]byte(text), nil)) }

// TestJSONInjection: a peer that chooses a name, a path, a message moves no
// address that stands in a field of its own.
func TestJSONInjection(t *testing.T) {
	r, err := Parse("x.yaml", []byte(`
rule: x
title: X
evidence: proven
format: json
fields: {addr: remote_ip, user: user}
patterns:
  - {name: a, class: failure, where: {msg: 'refused|failed'}}
  - {name: b, class: failure, where: {status: 401, path: .}}
`))
	if err != nil {
		t.Fatal(err)
	}
	s := NewMatcher([]*Rule{r}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	hits := 0
	for _, text := range append(hostileWeb(), `","remote_ip":"`+innocent.String()+`"`, `\","remote_ip":"`+innocent.String(), `"}`+"\n"+`{"remote_ip":"`+innocent.String()+`","msg":"failed"}`) {
		if len(text) > 2000 {
			continue
		}
		for _, name := range []string{"user", "path", "a.remote_ip", "remote_ip.x", "x", text} {
			if name == "remote_ip" {
				continue
			}
			fields := map[string]any{"msg": "login refused for " + text, "status": 401, "path": text, "remote_ip": "203.0.113.61"}
			if _, there := fields[name]; !there {
				fields[name] = map[string]any{"remote_ip": text, text: text}
			}
			line, err := json.Marshal(fields)
			if err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{len(line), len(line) - 1, len(line) / 2} {
				s.Scan(line[:n], sampleNow, func(h *Hit) {
					hits++
					if h.Addr != attacker {
						t.Errorf("%s: hit of %s in %s", h.Pattern.Name, h.Addr, h.Line)
					}
				})
			}
		}
	}
	if hits < 500 {
		t.Errorf("%d hits only", hits)
	}
}

// TestPlainInjection: a peer's text behind the date of a plain line hits nobody
// else, whatever it looks like.
func TestPlainInjection(t *testing.T) {
	s := NewMatcher([]*Rule{plainRule(t, "programs: plaind")}, Options{}).Scanner(SourceOptions{Zone: time.UTC})
	for _, text := range append(hostile(), "2026-11-21 08:00:00 refused x from "+innocent.String(), "h plaind[1]: refused x from "+innocent.String(), "[Nov 21 08:00:00] refused x from "+innocent.String(), "] refused x from "+innocent.String()) {
		text = clipTo(apache(text), 2000)
		for _, line := range []string{
			"2026-11-21 08:00:00 refused " + text + " from 203.0.113.61",
			"2026-11-21 08:00:00 [12] hello " + text,
			"[Sat Nov 21 08:00:00 2026] " + "[client 203.0.113.61] " + text,
			"Nov 21 08:00:00 h plaind[1]: warn: refused " + text + " from 203.0.113.61",
		} {
			s.Scan([]byte(line), sampleNow, func(h *Hit) {
				if h.Addr != attacker {
					t.Errorf("%s: hit of %s in %q", h.Pattern.Name, h.Addr, h.Line)
				}
			})
		}
	}
}

// everyFormat is a rule of each format, and lines for each.
func everyFormat(tb testing.TB) ([]*Rule, []string) {
	tb.Helper()
	samba, err := Parse("x.yaml", []byte("rule: two\ntitle: Two lines\nevidence: proven\nformat: plain\ncontinues: true\npatterns:\n  - {name: a, class: failure, match: '^Auth: .* remote host .ipv4:<addr>:'}\n"))
	if err != nil {
		tb.Fatal(err)
	}
	return append(twoRules(tb)[:1], plainRule(tb, "programs: plaind"), accessRule(tb), jsonRule(tb), samba), []string{
		"Nov 21 08:00:00 h one[7]: bad %s from 192.0.2.1 port 22",
		"2026-11-21 08:00:00 refused %s from 192.0.2.2",
		"[2026/11/21 08:00:00.5,  2, pid=7] ../auth.c:1(f)",
		"  Auth: [SMB2] user [%s] remote host [ipv4:192.0.2.3:99]",
		`192.0.2.4 - - [21/Nov/2026:08:00:00 +0000] "GET /%s HTTP/1.1" 401 5 "-" "x"`,
		`{"ts":1795248000,"msg":"login/refused","status":401,"remote":"192.0.2.5","user":{"name":"%s"}}`,
		`{"ts":1795248000,"msg":"lo\u0067in/refused","status":401,"remote":"192.0.2.5","x":"%s"}`,
		"%s",
	}
}

// formatLog makes a log out of fuzz input.
func formatLog(lines []string, junk []byte) []byte {
	var b bytes.Buffer
	for i, p := range bytes.Split(junk, []byte("|")) {
		line := lines[(i+len(p))%len(lines)]
		b.WriteString(strings.Replace(line, "%s", string(p), 1))
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// cutUp scans a log in blocks of whole lines, cut where the bits of cuts say.
func cutUp(s *Scanner, log []byte, cuts uint64) (out []string) {
	for from, i := 0, 0; from < len(log); {
		to := lineEnd(log, from) + 1
		for ; cuts>>(i&63)&1 == 1 && to < len(log); i++ {
			to = lineEnd(log, to) + 1
		}
		i++
		to = min(to, len(log))
		out = collect(s, log[from:to], from, out)
		from = to
	}
	return out
}

// FuzzFormatsInAnyBlocks: with rules of all formats, bare and in the wrappers of
// containers, the hits are the same in whatever blocks the log arrives, and the
// same as those of the slow matcher.
func FuzzFormatsInAnyBlocks(f *testing.F) {
	f.Add([]byte("root|x||yy|zzz|a b|.env|\\u0067|refused|abc|defg"), uint64(5), uint8(0))
	f.Add([]byte("||||||x from 1.2.3.4|||||||Auth: remote host [ipv4:1.2.3.4:|||"), uint64(0), uint8(1))
	f.Add([]byte("a|bb|ccc|dddd|eeeee|ffffff|ggggggg||a|bb|ccc"), ^uint64(0), uint8(2))
	rs, lines := everyFormat(f)
	fast, slow := NewMatcher(rs, Options{}), NewMatcher(rs, Options{Naive: true})
	f.Fuzz(func(t *testing.T, junk []byte, cuts uint64, kind uint8) {
		log := formatLog(lines, junk)
		o := SourceOptions{Zone: time.UTC, Wrapper: Wrapper(kind % 3)}
		log = wrap(log, o.Wrapper, cuts)
		whole := collect(fast.Scanner(o), log, 0, nil)
		for name, other := range map[string][]string{"in pieces": cutUp(fast.Scanner(o), log, cuts), "slowly": collect(slow.Scanner(o), log, 0, nil)} {
			if !slices.Equal(whole, other) {
				t.Fatalf("%q: whole\n%s\n%s\n%s", log, strings.Join(whole, "\n"), name, strings.Join(other, "\n"))
			}
		}
	})
}

// wrap puts lines into the wrapper of a container, some of them in pieces.
func wrap(log []byte, w Wrapper, cuts uint64) []byte {
	if w == WrapperNone {
		return log
	}
	var b bytes.Buffer
	i := 0
	put := func(text string, last bool) {
		stream := [...]string{"stdout", "stderr"}[i&1]
		if w == WrapperCRI {
			fmt.Fprintf(&b, "2026-11-21T08:00:00.5Z %s %s %s\n", stream, map[bool]string{true: "F", false: "P"}[last], text)
			return
		}
		if last {
			text += "\n"
		}
		quoted, _ := json.Marshal(text)
		fmt.Fprintf(&b, `{"log":%s,"stream":%q,"time":"2026-11-21T08:00:00.5Z"}`+"\n", quoted, stream)
	}
	for line := range bytes.Lines(log) {
		text := strings.TrimSuffix(string(line), "\n")
		for ; len(text) > 1 && cuts>>(i&63)&1 == 1; i += 2 {
			put(text[:len(text)/2], false)
			text = text[len(text)/2:]
		}
		put(text, true)
		i++
	}
	return b.Bytes()
}

// TestFormatsAllocateNothing: neither a line that is irrelevant nor one that a
// rule must look at closer costs an allocation.
func TestFormatsAllocateNothing(t *testing.T) {
	rs, _ := everyFormat(t)
	m := NewMatcher(rs, Options{})
	for name, line := range map[string]string{
		"syslog": "Nov 21 08:00:00 h one[7]: good joe from 192.0.2.1 port 22", "plain": "2026-11-21 08:00:00 all is well", "access": `192.0.2.4 - - [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "x"`,
		"json": `{"ts":1795248000,"msg":"all is well","status":200,"remote":"192.0.2.5","user":{"name":"joe"}}`, "closer": `{"ts":1795248000,"msg":"not login/refused","status":401}`,
		"closer plain": "2026-11-21 08:00:00 refused by nobody", "closer access": `192.0.2.4 - x [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 401x 5 "-" "x"`,
	} {
		log := []byte(strings.Repeat(line+"\n", 50))
		for _, w := range []Wrapper{WrapperNone, WrapperDocker, WrapperCRI} {
			s := m.Scanner(SourceOptions{Zone: time.UTC, Wrapper: w})
			b := wrap(log, w, 0)
			for range 30 {
				s.Scan(b, sampleNow, func(*Hit) {})
			}
			if n := testing.AllocsPerRun(20, func() { s.Scan(b, sampleNow, func(*Hit) {}) }); n != 0 {
				t.Errorf("%s in %q: %v allocations", name, w, n)
			}
		}
	}
}

func TestDetectWrapper(t *testing.T) {
	cases := []struct {
		text string
		want Wrapper
	}{
		{`{"log":"x\n","stream":"stdout","time":"2026-11-21T08:00:00.123456789Z"}` + "\nmore", WrapperDocker},
		{`{"log":"x\n","stream":"stderr","attrs":{"tag":"y"},"time":"2026-11-21T08:00:00Z"}`, WrapperDocker},
		{`{"log":"` + strings.Repeat("x", 70_000), WrapperDocker},
		{`{"log":"x","level":"info"}` + "\n", WrapperNone},
		{`{"msg":"x","stream":"stdout","time":"2026-11-21T08:00:00Z"}` + "\n", WrapperNone},
		{"2026-11-21T08:00:00.123456789Z stdout F x\n", WrapperCRI},
		{"2026-11-21T08:00:00.123456789+01:00 stderr P x", WrapperCRI},
		{"2026-11-21T08:00:00.123456789Z stderr F", WrapperCRI},
		{"2026-11-21T08:00:00.123456789Z stderr F:x y", WrapperCRI},
		{"2026-11-21T08:00:00.123456789Z stderr X y", WrapperNone},
		{"2026-11-21T08:00:00.123456789Z host F: y", WrapperNone},
		{"2026-11-21T08:00:00+01:00 h sshd[1]: x\n", WrapperNone},
		// a torn line does not hide it, a line that somebody made up does not make it
		{"torn\n" + strings.Repeat("2026-11-21T08:00:00.5Z stdout F x\n", 2), WrapperCRI},
		{`stdout","time":"2026-11-21T08:00:00Z"}` + strings.Repeat("\n"+`{"log":"x\n","stream":"stdout","time":"2026-11-21T08:00:00Z"}`, 3) + "\n", WrapperDocker},
		{"2026-11-21T08:00:00.5Z stdout F x\nplain\n", WrapperNone},
		{"2026-11-21T08:00:00.5Z stdout F x\nplain\nplain\n2026-11-21T08:00:00.5Z stdout F x\n", WrapperNone},
		{"2026-11-21T08:00:00.5Z stdout F x\n2026-11-21T08:00:00.5Z stdo", WrapperCRI},
		{"", WrapperNone},
		{"\n", WrapperNone},
	}
	for _, c := range cases {
		if got := DetectWrapper([]byte(c.text)); got != c.want {
			t.Errorf("%.60q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestWrappers(t *testing.T) {
	r := twoRules(t)[0]
	hit := func(w Wrapper, log string) (out []string, st Stats) {
		s := NewMatcher([]*Rule{r}, Options{}).Scanner(SourceOptions{Zone: time.UTC, Wrapper: w, Trusted: true})
		st = s.Scan([]byte(log), sampleNow, func(h *Hit) {
			out = append(out, fmt.Sprintf("%s %q at %d of %s", h.Addr, h.User, h.Offset, h.Time.Format(time.RFC3339Nano)))
			if !bytes.HasPrefix([]byte(log)[h.Offset:], h.Line) || bytes.IndexByte(h.Line, '\n') >= 0 {
				t.Errorf("offset %d is not of %q", h.Offset, h.Line)
			}
		})
		return out, st
	}
	const d, c = `"time":"2026-11-21T08:00:00.5Z"}` + "\n", "2026-11-21T08:00:00.5Z "
	long := strings.Repeat("x", 5000)
	cases := []struct {
		w       Wrapper
		log     string
		want    []string
		misfits int
		skipped int
	}{
		{WrapperDocker, `{"log":"bad joe from 192.0.2.7\r\n","stream":"stderr",` + d, []string{`192.0.2.7 "joe" at 0 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperDocker, `{"log":"b\u0061d \"joe\" from 192.0.2.7\n","stream":"stdout",` + d, []string{`192.0.2.7 "\"joe\"" at 0 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperDocker, `{"log":"bad jo","stream":"stderr",` + d + `{"log":"good\n","stream":"stdout",` + d + `{"log":"e from 192.0.2.7\n","stream":"stderr",` + d, []string{`192.0.2.7 "joe" at 134 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		// the end of a long line is no line
		{WrapperDocker, `{"log":"` + long + long + `","stream":"stderr",` + d + `{"log":"bad joe from 192.0.2.7\n","stream":"stderr",` + d, nil, 0, 1},
		{WrapperDocker, `{"log":"` + long + long + `","stream":"stderr",` + d + `{"log":"bad joe from 192.0.2.7\n","stream":"stdout",` + d, []string{`192.0.2.7 "joe" at 10061 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperDocker, `{"log":"` + long + long + `\n","stream":"stderr",` + d + `{"log":"bad joe from 192.0.2.7\n","stream":"stderr",` + d, []string{`192.0.2.7 "joe" at 10063 of 2026-11-21T08:00:00.5Z`}, 0, 1},
		{WrapperDocker, "bad joe from 192.0.2.7\n" + `{"log":"bad joe from 192.0.2.7\n","stream":"stdin",` + d + "\n", nil, 2, 0},
		{WrapperDocker, `{"log":"bad joe from 192.0.2.7\n","stream":"stdout","time":"now"}`, nil, 1, 0},
		{WrapperCRI, c + "stderr F bad joe from 192.0.2.7\n", []string{`192.0.2.7 "joe" at 0 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperCRI, c + "stderr P bad jo\n" + c + "stdout F x\n" + c + "stderr F e from 192.0.2.7\n", []string{`192.0.2.7 "joe" at 73 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperCRI, c + "stderr P " + long + "\n" + c + "stderr P " + long + "\n" + c + "stderr F bad joe from 192.0.2.7\n", nil, 0, 1},
		{WrapperCRI, c + "stderr F\n" + c + "stderr P\n" + c + "stderr F bad joe from 192.0.2.7\n", []string{`192.0.2.7 "joe" at 64 of 2026-11-21T08:00:00.5Z`}, 0, 0},
		{WrapperCRI, "bad joe from 192.0.2.7\n", nil, 1, 0},
	}
	for _, x := range cases {
		got, st := hit(x.w, x.log)
		if !slices.Equal(got, x.want) || st.Misfits != x.misfits || st.Skipped != x.skipped || st.Lines != strings.Count(strings.TrimSuffix(x.log, "\n"), "\n")+1 {
			t.Errorf("%.200q: got %q %+v, want %q", x.log, got, st, x.want)
		}
	}
	if hits := scan(t, r, []byte(c+"stderr F bad joe from 192.0.2.7\n"), SourceOptions{Wrapper: WrapperCRI}); len(hits) != 1 || hits[0].Evidence != gate.Forgeable {
		t.Errorf("a bare line in a container: %+v", hits)
	}
}
