package report

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/notify"
)

var update = flag.Bool("update", false, "write golden files anew")

// golden compares a text with a file.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; write it anew with -update and look at it:\n%s", file, got)
	}
}

// TestGolden: what each target gets, to the letter.
func TestGolden(t *testing.T) {
	template := filepath.Join(t.TempDir(), "own.tmpl")
	if err := os.WriteFile(template, []byte(`{"ip":{{json .Address}},"log":{{json (join .Lines "\n")}},"when":"{{stamp .Last}}"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	d.add(ban("45.0.0.7", noon, func(d *gate.Decision) { d.Offence = 3 }))
	rp := d.reporter(Config{Targets: []Target{
		{Name: "holder", Channel: "mail"}, {Name: "abuseipdb", AbuseIPDB: secret("topsecret")}, {Name: "blocklist", Blocklist: secret("topsecret"), Server: "gate@example.org"},
		{Name: "plain", URL: secret("https://example.org/abuse?token=topsecret")}, {Name: "own", URL: secret("https://example.org/"), Template: template, Headers: []Header{{"X-Api-Key", secret("topsecret")}}},
	}})
	rp.state.Salt = "salt"
	p, err := rp.Show(t.Context(), gateAddr("45.0.0.7"))
	if err != nil || p.Refused != "" || len(p.Parcels) != 5 {
		t.Fatalf("%+v, %v", p, err)
	}
	b, err := json.MarshalIndent(p.Parcels, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(b), "topsecret") || strings.Contains(string(b), "carol") || strings.Contains(string(b), "gate sshd") {
		t.Errorf("something of ours leaves: %s", b)
	}
	golden(t, "holder.txt", p.Parcels[0].Subject+"\n\n"+p.Parcels[0].Body)
	golden(t, "holder.json", p.Parcels[0].XARF)
	golden(t, "abuseipdb.txt", strings.Join(p.Parcels[1].Headers, "\n")+"\n\n"+p.Parcels[1].Body)
	golden(t, "blocklist.txt", p.Parcels[2].How+"\n\n"+p.Parcels[2].Body)
	golden(t, "plain.json", p.Parcels[3].Body)
	golden(t, "own.txt", p.Parcels[4].Body)
	if len(d.mails) > 0 || len(d.told) > 0 || len(rp.state.Jobs) > 0 {
		t.Error("a preview does something")
	}
}

// TestXARF: what the schema of XARF 4 wants of every report, and of the types that
// are used.
func TestXARF(t *testing.T) {
	for rule, want := range map[string]string{"sshd": "login_attack", "web-probes": "vuln_scanning", "scan": "port_scan", "of-my-own": "login_attack", "sshd.2": "login_attack"} {
		c := Config{Organisation: "Example Ltd", Contact: "abuse@example.org"}
		r := gate.Record{Seq: 7, Decision: ban("2a00::7", noon)}
		r.Rule = rule
		var x map[string]any
		if err := json.Unmarshal([]byte(c.New(&r, r.Subject.Addr(), Whom{}, "", nil, "salt").XARF()), &x); err != nil {
			t.Fatal(err)
		}
		for _, k := range []string{"xarf_version", "report_id", "timestamp", "reporter", "sender", "source_identifier", "category", "type", "protocol", "first_seen", "evidence"} {
			if x[k] == nil || x[k] == "" {
				t.Errorf("%s: %s is missing", rule, k)
			}
		}
		if x["type"] != want || x["category"] != "connection" || (x["scan_type"] != nil) != (want == "vuln_scanning") {
			t.Errorf("%s: %v %v", rule, x["type"], x["scan_type"])
		}
	}
}

// endpoint is a web server of a target.
type endpoint struct {
	mu      sync.Mutex
	answers []http.HandlerFunc // the next ones; behind them 200
	got     []*http.Request
	bodies  []string
	url     string
}

func newEndpoint(t *testing.T, answers ...http.HandlerFunc) *endpoint {
	e := &endpoint{answers: answers}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		e.mu.Lock()
		e.got, e.bodies = append(e.got, r), append(e.bodies, string(b))
		answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "status: success") }
		if len(e.answers) > 0 {
			answer, e.answers = e.answers[0], e.answers[1:]
		}
		e.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	e.url = s.URL
	return e
}

func answer(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if len(header) == 2 {
			w.Header().Set(header[0], header[1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// TestSending: what arrives at real endpoints, and what becomes of their answers.
func TestSending(t *testing.T) {
	d := newDesk(t)
	hang := func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	abuse := newEndpoint(t, answer(429, `{"errors":[]}`, "Retry-After", "7200"), answer(500, "oops topsecret1"))
	block := newEndpoint(t, answer(200, "status: error\nerror: apikey topsecret2 unknown"))
	own := newEndpoint(t, answer(422, "no topsecret3"))
	slow := newEndpoint(t, hang)
	rp := d.reporter(Config{Targets: []Target{
		{Name: "abuseipdb", AbuseIPDB: secret("topsecret1"), API: abuse.url}, {Name: "blocklist", Blocklist: secret("topsecret2"), Server: "gate@example.org", API: block.url},
		{Name: "own", URL: secret(own.url + "/x?token=topsecret3")},
	}})
	d.add(ban("45.0.0.7", noon))
	d.feed(rp)
	d.work(rp)
	d.tells("at once", "failed: 45.0.0.7 was not reported to blocklist: the service answers HTTP/1.1 200 OK status: error error: apikey … unknown",
		"failed: 45.0.0.7 was not reported to own: ")
	if why := d.faults["abuseipdb"]; !strings.Contains(why, "429") {
		t.Errorf("the fault is %q", why)
	}
	d.after(time.Hour)
	if d.work(rp); len(abuse.got) != 1 {
		t.Errorf("asked %d times although the server wants two hours", len(abuse.got))
	}
	d.after(time.Hour)
	if d.work(rp); len(abuse.got) != 2 || strings.Contains(d.faults["abuseipdb"], "topsecret") {
		t.Errorf("asked %d times; %v", len(abuse.got), d.faults)
	}
	d.after(10 * time.Minute)
	d.work(rp)
	d.tells("in the end", "sent: 45.0.0.7 was reported to abuseipdb ("+strings.TrimPrefix(abuse.url, "http://")+"): HTTP/1.1 200 OK status: success")
	if len(d.faults) != 2 || len(rp.state.Jobs) != 0 {
		t.Errorf("left: %v, %d jobs", d.faults, len(rp.state.Jobs))
	}
	r := abuse.got[2]
	if r.URL.Path != "/api/v2/report" || r.Header.Get("Key") != "topsecret1" || !strings.Contains(abuse.bodies[2], "categories=18%2C22") || !strings.Contains(abuse.bodies[2], "ip=45.0.0.7") {
		t.Errorf("AbuseIPDB got %s %v %s", r.URL, r.Header, abuse.bodies[2])
	}
	if r := block.got[0]; r.URL.Path != "/en/httpreports.html" || !strings.Contains(block.bodies[0], "apikey=topsecret2") || !strings.Contains(block.bodies[0], "service=ssh") {
		t.Errorf("blocklist.de got %s %s", r.URL, block.bodies[0])
	}
	var doc Report
	if err := json.Unmarshal([]byte(own.bodies[0]), &doc); err != nil || doc.Address != "45.0.0.7" || own.got[0].URL.RawQuery != "token=topsecret3" {
		t.Errorf("the URL got %s: %v", own.bodies[0], err)
	}

	rp = d.reporter(Config{Targets: []Target{{Name: "slow", URL: secret(slow.url)}}})
	d.add(ban("45.0.1.7", d.now))
	d.feed(rp)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	j, _, _ := rp.next("slow")
	if _, _, err := rp.attempt(ctx, j); err == nil {
		t.Error("a server that hangs takes a report")
	}
	if len(rp.state.Jobs) != 1 {
		t.Error("a report is lost while the daemon stops")
	}
}

// TestOnceADay: an offender is reported once a day, whatever happens, and no more
// offenders than the limit admits; also over a restart.
func TestOnceADay(t *testing.T) {
	d := newDesk(t)
	c := Config{Targets: []Target{{Name: "holder", Channel: "mail"}}, Limit: gate.Threshold{Count: 2, Within: gate.Day}}
	d.add(ban("45.0.0.1", noon)) // before anybody wanted reports
	rp := d.reporter(c)
	mails := func(what string, want int) {
		t.Helper()
		d.feed(rp)
		d.work(rp)
		if len(d.mails) != want {
			t.Errorf("%s: %d mails, want %d: %v", what, len(d.mails), want, d.told)
		}
	}
	mails("what was before", 0)
	d.add(ban("45.0.0.7", d.now), ban("45.0.0.7", d.now))
	mails("twice the same", 1)
	rp = d.reporter(c)
	mails("after a restart", 1)
	d.after(time.Hour)
	d.add(ban("45.0.0.7", d.now), ban("2a00:0:0:1::/64", d.now), ban("2a00:0:0:1::5", d.now))
	mails("one network of IPv6 is one offender", 2)
	d.add(ban("45.0.0.8", d.now))
	mails("beyond the limit", 2)
	if _, why := rp.admit(9, gateAddr("45.0.0.9"), d.now); !strings.Contains(why, "2 in 1d") {
		t.Error(why)
	}
	d.after(23 * time.Hour)
	d.add(ban("45.0.0.7", d.now))
	mails("a day later", 3)
	d.after(25 * time.Hour)
	d.add(ban("45.0.0.10", d.now.Add(-25*time.Hour)))
	mails("what is old", 3)
	d.spared["45.0.0.11"] = "it is on the allow list"
	d.add(ban("45.0.0.11", d.now))
	mails("who is allowed", 3)
}

// TestAllowedMeanwhile: who is allowed before the report is sent is not reported;
// a contact that is not known yet is looked for again, for a day.
func TestAllowedMeanwhile(t *testing.T) {
	d := newDesk(t)
	c := Config{Targets: []Target{{Name: "holder", Channel: "mail"}}}
	rp := d.reporter(c)
	d.whom = Whom{Problem: "its abuse contact is not known: RDAP: hangs"}
	d.add(ban("45.0.0.7", noon), ban("45.0.0.8", noon), ban("45.0.0.9", noon))
	d.feed(rp)
	d.work(rp)
	d.tells("no contact yet")
	d.after(time.Hour)
	d.spared["45.0.0.7"] = "it is on the allow list"
	rp = d.reporter(c) // a restart in between
	d.work(rp)
	d.tells("allowed", "failed: 45.0.0.7 was not reported to holder: it is on the allow list")
	d.whom = Whom{Abuse: []string{"abuse@hosting.example"}}
	d.after(time.Hour)
	d.work(rp)
	d.tells("found", "sent: 45.0.0.8 was reported to holder (abuse@hosting.example): 250 taken", "sent: 45.0.0.9 ")
	d.whom = Whom{}
	d.add(ban("45.0.0.10", d.now))
	d.feed(rp)
	d.work(rp)
	d.tells("none is registered", "failed: 45.0.0.10 was not reported to holder: no abuse contact is registered for it")
	d.whom = Whom{Problem: "its abuse contact is not known"}
	d.add(ban("45.0.0.11", d.now))
	d.feed(rp)
	for range 30 {
		d.work(rp)
		d.after(time.Hour)
	}
	d.tells("given up", "failed: 45.0.0.11 was not reported to holder: its abuse contact is not known")
	d.mailErr = &notify.Failure{Why: "550 no", Permanent: true}
	d.whom = Whom{Abuse: []string{"abuse@hosting.example"}}
	d.add(ban("45.0.0.12", d.now))
	d.feed(rp)
	d.work(rp)
	d.tells("refused for good", "failed: 45.0.0.12 was not reported to holder: 550 no")
	mails := len(d.mails)
	d.mailErr, d.flushErr = nil, errors.New("disk full")
	d.add(ban("45.0.0.13", d.now))
	d.feed(rp)
	d.work(rp)
	if d.tells("not remembered"); len(d.mails) != mails {
		t.Error("what cannot be remembered is reported")
	}
}

// TestDryRun sends nothing, and records what it would have sent.
func TestDryRun(t *testing.T) {
	d := newDesk(t)
	read := func() (string, error) { t.Error("a secret is read"); return "", errors.New("no") }
	rp := d.reporter(Config{DryRun: true, Targets: []Target{{Name: "holder", Channel: "mail"}, {Name: "abuseipdb", AbuseIPDB: read}}})
	d.add(ban("45.0.0.7", noon))
	d.feed(rp)
	d.work(rp)
	d.tells("dry", "dry: 45.0.0.7 would have been reported to holder (abuse@hosting.example)", "dry: 45.0.0.7 would have been reported to abuseipdb (api.abuseipdb.com)")
	if len(d.mails) != 0 {
		t.Error("a mail was sent")
	}
}

// TestSend: a person can have an address reported now, within the same bounds.
func TestSend(t *testing.T) {
	d := newDesk(t)
	rp := d.reporter(Config{Targets: []Target{{Name: "holder", Channel: "mail"}}})
	d.add(ban("45.0.0.7", noon), ban("45.0.0.8", noon, func(d *gate.Decision) { d.Scope.New = true }),
		ban("45.0.0.9", noon), ban("45.0.0.9", noon, func(d *gate.Decision) { d.Rule, d.Proof = "command", nil }))
	for _, c := range []struct{ addr, refused string }{
		{"45.0.0.7", ""}, {"45.0.0.7", "once a day"}, {"45.0.0.8", "forged"}, {"45.0.0.9", ""}, {"45.0.0.10", "never banned"},
	} {
		p, err := rp.Send(t.Context(), gateAddr(c.addr))
		if err != nil || (p.Refused == "") != (c.refused == "") || !strings.Contains(p.Refused, c.refused) {
			t.Errorf("%s: %q, want %q; %v", c.addr, p.Refused, c.refused, err)
		}
		if p.Refused == "" && (len(p.Answers) != 1 || p.Answers[0] != "250 taken") {
			t.Errorf("%s: %+v", c.addr, p)
		}
	}
	if len(d.mails) != 2 || len(rp.state.Jobs) != 0 {
		t.Errorf("%d mails, %d jobs", len(d.mails), len(rp.state.Jobs))
	}
	if d.mails[0].To != "abuse@hosting.example" || d.mails[0].ReplyTo != "abuse@example.org" || d.mails[0].ID == d.mails[1].ID {
		t.Errorf("%+v", d.mails[0])
	}
}

// TestRun: it follows, reports and ends.
func TestRun(t *testing.T) {
	d := newDesk(t)
	rp := d.reporter(Config{Targets: []Target{{Name: "holder", Channel: "mail"}}})
	d.add(ban("45.0.0.7", noon))
	sent := make(chan string, 1)
	rp.d.Tell = func(kind string, _ gate.Subject, sentence string) { sent <- kind }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- rp.Run(ctx) }()
	if kind := <-sent; kind != "sent" {
		t.Error(kind)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if rp = d.reporter(Config{Targets: rp.c.Targets}); rp.state.Seq != 1 || len(rp.state.Offenders) != 1 {
		t.Errorf("%+v", rp.state)
	}
}

// TestCheckTemplate: errors of templates are found before anything is sent.
func TestCheckTemplate(t *testing.T) {
	file := filepath.Join(t.TempDir(), "t")
	for text, want := range map[string]string{
		`{"ip":{{json .Address}}}`: "", `{{.Adress}}`: "Adress", `{{json .Address`: "unclosed", `{{xarf .}}`: "",
		`{{range .Lines}}{{query .}}{{end}}`: "", `{{define "x"}}{{template "x"}}{{end}}{{template "x"}}`: "depth",
	} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		err := CheckTemplate(file)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	if err := CheckTemplate(filepath.Join(t.TempDir(), "gone")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}
