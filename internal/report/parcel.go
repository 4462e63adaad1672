package report

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"text/template"
	"time"
)

// Bounds of what is sent.
const (
	maxTemplate = 64 << 10  // bytes of a template
	maxBody     = 256 << 10 // bytes that it may write
	maxComment  = 1000      // bytes of a comment for AbuseIPDB, which takes 1024
	maxLogs     = 8 << 10   // bytes of lines for blocklist.de
)

// Outgoing is what one target gets, as a person may see it: without secrets.
type Outgoing struct {
	Target  string   `json:"target"`
	How     string   `json:"how"` // mail, or the request's method and URL
	To      string   `json:"to"`  // mail address or host
	Headers []string `json:"headers,omitempty"`
	Subject string   `json:"subject,omitempty"`
	Body    string   `json:"body"`
	XARF    string   `json:"xarf,omitempty"`    // goes with a mail
	Problem string   `json:"problem,omitempty"` // why it cannot be sent
}

// parcel is what one target gets, ready to be sent.
type parcel struct {
	shown   Outgoing
	channel string
	mail    Mail
	url     string
	header  http.Header
	body    string
	ca      string
	judge   func(answer string) error // what an answer means that HTTP calls a success; nil = that
	secrets []string
}

// Addresses of services.
const (
	abuseIPDB = "https://api.abuseipdb.com"
	blocklist = "https://www.blocklist.de"
	hidden    = "(hidden)"
)

// errNobody is what a report gets whose addressee is not known, and will not be.
var errNobody = errors.New("no abuse contact is registered for it")

// wrap writes a report for a target. Without real no secret is read.
func (t *Target) wrap(r *Report, whom Whom, real bool) (p parcel, err error) {
	p.shown.Target, p.ca = t.Name, t.CA
	secret := func(s Secret) (string, error) {
		if !real {
			return hidden, nil
		}
		v, err := s()
		if v != "" {
			p.secrets = append(p.secrets, v)
		}
		return v, err
	}
	switch {
	case t.Channel != "":
		err = t.wrapMail(&p, r, whom)
	case t.AbuseIPDB != nil:
		err = t.wrapAbuseIPDB(&p, r, secret)
	case t.Blocklist != nil:
		err = t.wrapBlocklist(&p, r, secret)
	default:
		err = t.wrapPost(&p, r, secret, real)
	}
	return p, err
}

func (t *Target) wrapMail(p *parcel, r *Report, whom Whom) error {
	p.channel = t.Channel
	p.mail = Mail{ID: "report." + r.ID, Kind: "report.sent", ReplyTo: r.Contact, Subject: r.subject(), Text: r.letter(), XARF: r.XARF()}
	p.shown.How, p.shown.Subject, p.shown.Body, p.shown.XARF = "mail through "+t.Channel, p.mail.Subject, p.mail.Text, p.mail.XARF
	switch {
	case len(whom.Abuse) > 0:
		p.mail.To, p.shown.To = whom.Abuse[0], whom.Abuse[0]
		return nil
	case whom.Problem != "":
		return errors.New(whom.Problem)
	}
	return errNobody
}

// wrapAbuseIPDB writes a report for the API v2 of AbuseIPDB.
func (t *Target) wrapAbuseIPDB(p *parcel, r *Report, secret func(Secret) (string, error)) error {
	form := url.Values{}
	form.Set("ip", r.Address)
	form.Set("categories", r.Categories)
	form.Set("timestamp", r.Last.Format(time.RFC3339))
	form.Set("comment", clean(r.sentence()+": "+strings.Join(r.Lines, " | "), maxComment))
	key, err := secret(t.AbuseIPDB)
	p.post(base(t.API, abuseIPDB)+"/api/v2/report", "application/x-www-form-urlencoded", form.Encode(), http.Header{"Key": {key}, "Accept": {"application/json"}})
	p.shown.Body = readable(form)
	return err
}

// wrapBlocklist writes a report for the HTTP interface of blocklist.de.
func (t *Target) wrapBlocklist(p *parcel, r *Report, secret func(Secret) (string, error)) error {
	key, err := secret(t.Blocklist)
	logs := strings.Join(r.Lines, "\n")
	form := url.Values{}
	form.Set("server", t.Server)
	form.Set("apikey", key)
	form.Set("service", r.matter.service)
	form.Set("ip", r.Address)
	form.Set("format", "text")
	form.Set("logs", logs[:min(len(logs), maxLogs)])
	p.post(base(t.API, blocklist)+"/en/httpreports.html", "application/x-www-form-urlencoded", form.Encode(), http.Header{})
	form.Set("apikey", hidden)
	p.shown.Body = readable(form)
	p.judge = func(answer string) error { // "status: success", or "status: error" and which
		if low := strings.ToLower(answer); strings.Contains(low, "error") && !strings.Contains(low, "success") {
			return &refusal{"the service answers " + answer}
		}
		return nil
	}
	return err
}

// wrapPost writes a report by the operator's template.
func (t *Target) wrapPost(p *parcel, r *Report, secret func(Secret) (string, error), real bool) error {
	body, err := writeReport(t.Template, r)
	if err != nil {
		return err
	}
	where, err := secret(t.URL)
	if err != nil {
		return err
	}
	header := http.Header{}
	for _, h := range t.Headers {
		v, err := secret(h.Value)
		if err != nil {
			return fmt.Errorf("header %s: %w", h.Name, err)
		}
		header.Set(h.Name, v)
	}
	media := t.Type
	if media == "" {
		media = "application/json"
	}
	p.post(where, media, body, header)
	p.shown.Body = body
	if !real {
		p.shown.How, p.shown.To = "POST", "the address of "+t.Name
	}
	return nil
}

// post fills in a request. The values of the headers that are given are hidden.
func (p *parcel) post(where, media, body string, header http.Header) {
	p.url, p.body, p.header = where, body, header
	p.shown.How, p.shown.Body = "POST "+where, body
	if u, err := url.Parse(where); err == nil {
		p.shown.To = u.Host
	}
	p.shown.Headers = []string{"Content-Type: " + media}
	for _, name := range slices.Sorted(maps.Keys(header)) {
		value := hidden
		if name == "Accept" {
			value = header.Get(name)
		}
		p.shown.Headers = append(p.shown.Headers, name+": "+value)
	}
	header.Set("Content-Type", media)
	header.Set("User-Agent", "gatehouse")
}

// send sends a parcel, and returns what the other side answered. Nothing that it
// returns holds a secret.
func (rp *Reporter) send(ctx context.Context, p *parcel) (answer string, err error) {
	if p.channel != "" {
		return rp.d.Mail(ctx, p.channel, p.mail)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, strings.NewReader(p.body))
	if err != nil {
		return "", errors.New("the address cannot be used")
	}
	req.Header = p.header
	answer, err = rp.d.Post(ctx, req, p.ca)
	answer = p.withoutSecrets(answer)
	if err == nil && p.judge != nil {
		err = p.judge(answer)
	}
	return answer, err
}

// refusal is an answer that says no, though HTTP says yes.
type refusal struct{ why string }

// Error implements error.
func (r *refusal) Error() string { return r.why }

// withoutSecrets takes secrets out of a text.
func (p *parcel) withoutSecrets(s string) string {
	for _, v := range p.secrets {
		if len(v) >= 4 {
			s = strings.ReplaceAll(s, v, "…")
			s = strings.ReplaceAll(s, url.QueryEscape(v), "…")
		}
	}
	return s
}

// readable writes a form as a person reads it: a field a line.
func readable(form url.Values) string {
	var b strings.Builder
	for _, k := range slices.Sorted(maps.Keys(form)) {
		fmt.Fprintf(&b, "%s=%s\n", k, form.Get(k))
	}
	return b.String()
}

func base(own, usual string) string {
	if own == "" {
		own = usual
	}
	return strings.TrimSuffix(own, "/")
}

// writeReport writes a report by a template, or as JSON where there is none.
func writeReport(file string, r *Report) (string, error) {
	if file == "" {
		b, err := json.Marshal(r)
		return string(b), err
	}
	t, err := readTemplate(file)
	if err != nil {
		return "", err
	}
	w := &bounded{left: maxBody}
	if err := t.Execute(w, r); err != nil {
		return "", fmt.Errorf("template %s: %s", file, clean(strings.TrimPrefix(err.Error(), "template: "), 300))
	}
	return w.String(), nil
}

// readTemplate reads a template of the operator's.
func readTemplate(file string) (*template.Template, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("template %s: there is no such file", file)
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxTemplate) {
		err = errors.New("not a regular file of at most 64 kB")
	}
	var src []byte
	if err == nil {
		src, err = os.ReadFile(file)
	}
	if err != nil {
		return nil, fmt.Errorf("template %s: %w", file, err)
	}
	t, err := template.New("report").Option("missingkey=error").Funcs(template.FuncMap{
		"json": func(v any) (string, error) {
			b, err := json.Marshal(v)
			return string(b), err
		},
		"query": url.QueryEscape,
		"join":  strings.Join,
		"xarf":  (*Report).XARF,
		"stamp": func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
	}).Parse(string(src))
	if err != nil {
		return nil, fmt.Errorf("template %s: %s", file, clean(strings.TrimPrefix(err.Error(), "template: "), 300))
	}
	return t, nil
}

// CheckTemplate reads a template and fills it in with an example.
func CheckTemplate(file string) error {
	_, err := writeReport(file, Example())
	return err
}

// Example returns a report about an address of the block for documentation.
func Example() *Report {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	return &Report{
		ID: "3c9f1f2e-5a0b-4d7c-8e21-0d6b6f0a9c11", Address: "192.0.2.7", Network: "192.0.2.0/24", Country: "DE", Operator: "Example Net", Service: "ssh",
		Rule: "sshd", What: matters["ssh"].words, Categories: "18,22", First: at.Add(-time.Minute), Last: at, Count: 5, Offence: 2, Port: 22, Proto: "tcp",
		Lines:        []string{"Nov 21 08:00:00 [ours] sshd[811]: Failed password for [account] from 192.0.2.7 port 4711 ssh2"},
		Organisation: "Example Ltd", Contact: "abuse@example.org", matter: matters["ssh"],
	}
}

// bounded refuses more than a number of bytes.
type bounded struct {
	bytes.Buffer
	left int
}

// Write implements io.Writer.
func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errors.New("it writes more than 256 kB")
	}
	return b.Buffer.Write(p)
}
