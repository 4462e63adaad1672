package notify

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/gate"
)

// hostile is what outsiders write into user names, reasons and log lines. Each
// holds the word EVIL once behind what it tries.
var hostile = []string{
	"x\r\nBcc: eve@evil.invalid\r\n\r\nEVIL",
	"x\nSubject: EVIL",
	"\n~!touch /tmp/EVIL\n",
	"\n.\nMAIL FROM:<EVIL@evil.invalid>\n",
	"\nFrom eve EVIL",
	"<script>EVIL</script><img src=http://evil.invalid/EVIL onerror=EVIL>",
	`"><a href="javascript:EVIL">`,
	"{{.Host}} {{call EVIL}} ${EVIL} %s%n%d $(EVIL) `EVIL`",
	"\u202eEVIL\u202c \u2066EVIL\u2069 \u200bEVIL\ufeff",
	"@everyone @here <!channel> <@U123> [EVIL](http://evil.invalid) *EVIL* |EVIL| www.evil.invalid",
	"\x1b]0;EVIL\x07\x1b[2J\x00\x7f\x9b31mEVIL",
	`","id":"0/forged","EVIL":"`,
	"\xff\xfe\xc0\x80EVIL",
	"EVIL \U000e0041\u3164\u034f\ufe0f",
	strings.Repeat("EVIL ", 200_000),
}

// attack is a message whose every text came from outside.
func attack(text string) *Message {
	d := gate.Decision{Time: noon, Until: noon.Add(time.Hour), Verdict: gate.Ban, Subject: sampleAddr, Rule: text, Why: text, Offence: 2,
		Proof: &gate.Proof{Count: 1, First: []gate.Event{{Line: text}}}}
	tell := gate.Decision{Time: noon, Verdict: gate.Tell, Topic: "panel." + text, Rule: text, Why: text}
	w := wave{Channel: "sample"}
	w.Kind = Clean(d.Kind(), maxName)
	w.Severity = SeverityOf(w.Kind)
	w.add(itemOf(asRecord(7, d), text), 7, noon)
	w.add(itemOf(asRecord(8, tell), text), 8, noon)
	m := messageOf(&letter{ID: "8/sample", Wave: w, Note: Clean(text, maxWhy)}, text, func(gate.Subject) string { return text })
	return m
}

// TestAttackMail: nothing from outside forges a header, a recipient, a part or a
// command, or runs in a mail reader; and the mail stays small.
func TestAttackMail(t *testing.T) {
	for _, text := range hostile {
		p := &postOffice{}
		c := Channel{Name: "mail", Mail: []string{"ann@example.org"}, Server: p.serve(t, nil, false), TLS: "none"}
		if _, err := sendThrough(t, c, noWorld(nil), attack(text)); err != nil {
			t.Fatalf("%.40q: %v", text, err)
		}
		m := p.mails[0]
		if len(m.to) != 1 || m.to[0] != "ann@example.org" || !strings.HasPrefix(m.from, "gatehouse@") {
			t.Errorf("%.40q: from %s to %s", text, m.from, m.to)
		}
		if len(m.data) > 64<<10 {
			t.Errorf("%.40q: %d bytes", text, len(m.data))
		}
		msg, plain, html := opened(t, m.data)
		known := map[string]bool{}
		for _, h := range []string{"Auto-Submitted", "Content-Type", "Date", "From", "Message-Id", "Mime-Version", "Precedence", "Subject", "To", "X-Auto-Response-Suppress", "X-Gatehouse-Delivery", "X-Gatehouse-Kind", "Importance", "Priority", "X-Msmail-Priority", "X-Priority"} {
			known[h] = true
		}
		for h, values := range msg.Header {
			if !known[h] || len(values) != 1 {
				t.Errorf("%.40q: header %s: %q", text, h, values)
			}
		}
		for line := range strings.SplitSeq(plain, "\n") {
			if strings.HasPrefix(line, "~") || strings.HasPrefix(line, ".") || strings.HasPrefix(line, "From ") {
				t.Errorf("%.40q: the line %q", text, line)
			}
		}
		visible(t, text, plain)
		visible(t, text, html)
		for _, bad := range []string{"<script", "<img", "javascript:", "href=", "onerror=EVIL>"} {
			if strings.Contains(strings.ReplaceAll(html, "&lt;", ""), bad) && strings.Contains(html, "<"+strings.TrimPrefix(bad, "<")) {
				t.Errorf("%.40q: %s in the page", text, bad)
			}
		}
	}
}

// visible wants text without characters that a reader does not see.
func visible(t *testing.T, attack, text string) {
	t.Helper()
	if !utf8.ValidString(text) {
		t.Errorf("%.40q: broken text", attack)
	}
	for _, r := range text {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u2060' || r == '\u3164') {
			t.Errorf("%.40q: the character %U", attack, r)
			return
		}
	}
}

// TestAttackOthers: the same for JSON, chats, text messages, calls and syslog.
func TestAttackOthers(t *testing.T) {
	var body []byte
	var header http.Header
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
		w.WriteHeader(201)
	}))
	defer s.Close()
	number := []string{"+441632960961"}
	twilio := Channel{From: "+441632960960", Account: "AC123", Token: Secret{Text: "tok-en"}, API: s.URL}
	for _, text := range hostile {
		m := attack(text)
		if _, err := sendThrough(t, Channel{Name: "hook", Webhook: Secret{Text: s.URL}}, noWorld(nil), m); err != nil {
			t.Fatal(err)
		}
		var got Message
		if err := json.Unmarshal(body, &got); err != nil || got.ID != "8/sample" || got.Count != 2 || header.Get("X-Gatehouse-Delivery") != "8/sample" {
			t.Errorf("%.40q: %v %.200s", text, err, body)
		}
		if len(body) > 64<<10 {
			t.Errorf("%.40q: %d bytes", text, len(body))
		}

		sms := twilio
		sms.Name, sms.SMS = "sms", number
		if _, err := sendThrough(t, sms, noWorld(nil), m); err != nil {
			t.Fatal(err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil || len(form) != 3 || form.Get("To") != number[0] || len(form.Get("Body")) > maxSMS || strings.Trim(form.Get("Body"), printable) != "" {
			t.Errorf("%.40q: %v %q", text, err, form)
		}
		call := twilio
		call.Name, call.Voice = "voice", number
		if _, err := sendThrough(t, call, noWorld(nil), m); err != nil {
			t.Fatal(err)
		}
		form, err = url.ParseQuery(string(body))
		if err != nil || strings.Count(form.Get("Twiml"), "<") != 7 {
			t.Errorf("%.40q: %v %q", text, err, form)
		}

		var pushed PushRequest
		o := noWorld(nil)
		o.Push = func(_ context.Context, p PushRequest) (PushAnswer, error) { pushed = p; return PushAnswer{}, nil }
		if _, err := sendThrough(t, Channel{Name: "phone", URL: Secret{Text: "ntfy://127.0.0.1/x"}}, o, m); err != nil {
			t.Fatal(err)
		}
		visible(t, text, pushed.Title)
		visible(t, text, pushed.Text)
		for _, bad := range []string{"@everyone", "@here", "<!channel>", "<@U", "](http", "http://", "www.evil", "*EVIL*", "`EVIL`", "\r"} {
			if strings.Contains(pushed.Title+pushed.Text, bad) {
				t.Errorf("%.40q: %s in a chat", text, bad)
			}
		}
		if len(pushed.Text) > maxChat || len(pushed.Title) > maxTitle+3 || strings.Contains(pushed.Title, "\n") {
			t.Errorf("%.40q: %d and %d bytes", text, len(pushed.Title), len(pushed.Text))
		}
	}
}

// printable is what a text message may hold.
const printable = "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~"

// TestAttackSyslog: one message is one line.
func TestAttackSyslog(t *testing.T) {
	lines := make(chan string, len(hostile))
	addr := packetServer(t, lines)
	for _, text := range hostile {
		if _, err := sendThrough(t, Channel{Name: "log", Syslog: "udp://" + addr}, noWorld(nil), attack(text)); err != nil {
			t.Fatal(err)
		}
		line := <-lines
		if !strings.HasPrefix(line, "<37>1 20") || len(line) > 2048 {
			t.Errorf("%.40q: %.80q, %d bytes", text, line, len(line))
		}
		visible(t, text, line)
		if strings.Contains(line, "\n") {
			t.Errorf("%.40q: several lines", text)
		}
		head := strings.SplitN(line, " ", 8)
		if len(head) != 8 || head[3] != "gatehouse" || head[6] != "-" {
			t.Errorf("%.40q: the header %q", text, head)
		}
	}
}

// FuzzClean: whatever comes from outside, what is written is one visible, bounded
// line.
func FuzzClean(f *testing.F) {
	for _, s := range hostile[:len(hostile)-1] {
		f.Add(s, 40)
	}
	f.Fuzz(func(t *testing.T, s string, max int) {
		max = 1 + (max&0x7fffffff)%1000
		got := Clean(s, max)
		visible(t, s, got)
		if len(got) > max+len("…") || strings.ContainsAny(got, "\r\n\t") {
			t.Errorf("%q within %d gives %q", s, max, got)
		}
		if again := Clean(got, len(got)+3); again != got {
			t.Errorf("%q is cleaned to %q, and then to %q", s, got, again)
		}
	})
}

// FuzzRetryAfter: whatever a server asks for, it is a wait within bounds.
func FuzzRetryAfter(f *testing.F) {
	f.Add("120")
	f.Add("Sat, 21 Nov 2026 12:00:00 GMT")
	f.Fuzz(func(t *testing.T, s string) {
		if d := retryAfter(s, noon); d < 0 || d > longestAsk {
			t.Errorf("%q: %s", s, d)
		}
	})
}
