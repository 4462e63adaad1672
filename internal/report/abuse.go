package report

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Report is one report of abuse: what templates get, and what is posted as JSON.
// Nothing in it is ours but who reports.
type Report struct {
	ID           string    `json:"id"`                     // a UUID that stays the same when it is sent again
	Address      string    `json:"address"`                // the offender
	Network      string    `json:"network,omitempty"`      // the registered network that it is of
	Country      string    `json:"country,omitempty"`      // two letters
	Operator     string    `json:"operator,omitempty"`     // who announces or holds it
	Service      string    `json:"service,omitempty"`      // which was attacked: ssh
	Rule         string    `json:"rule"`                   // the watch that saw it
	What         string    `json:"what"`                   // in words
	Categories   string    `json:"categories"`             // numbers of AbuseIPDB, with commas
	First        time.Time `json:"first"`                  // when it was first seen
	Last         time.Time `json:"last"`                   // when it was last seen
	Count        int       `json:"count"`                  // how often
	Offence      int       `json:"offence,omitempty"`      // how often it was banned
	Port         uint16    `json:"port,omitempty"`         // which was tried
	Proto        string    `json:"proto"`                  // tcp or udp
	Lines        []string  `json:"lines"`                  // of a log, without what is ours
	Organisation string    `json:"organisation,omitempty"` // who reports
	Contact      string    `json:"contact,omitempty"`      // their mail address

	matter matter
}

// New returns the report of a record that is fit to be reported.
func (c *Config) New(r *gate.Record, addr netip.Addr, whom Whom, service string, private []string, salt string) *Report {
	m := matterOf(r.Rule, service)
	out := &Report{
		ID: identifier(salt, r, addr), Address: addr.String(), Country: whom.Country, Operator: clean(whom.Operator, 120), Service: service,
		Rule: gate.Quote(r.Rule, 64), What: m.words, Categories: m.categories, Count: r.Proof.Count, Offence: r.Offence, Proto: "tcp",
		Organisation: c.Organisation, Contact: c.Contact, Lines: []string{}, matter: m,
	}
	out.Rule = strings.Trim(out.Rule, `"`)
	if whom.Network.IsValid() {
		out.Network = whom.Network.String()
	}
	events := slices.Concat(r.Proof.First, r.Proof.Last)
	var tried []string
	for _, e := range events {
		if e.Detail.User != "" {
			tried = append(tried, e.Detail.User)
		}
		if e.Detail.Via != "" {
			private = append(private, e.Detail.Via)
		}
		if e.Detail.Port != 0 {
			out.Port = e.Detail.Port
		}
		if e.Detail.Proto == gate.UDP {
			out.Proto = "udp"
		}
		if out.First.IsZero() || e.Time.Before(out.First) {
			out.First = e.Time.UTC().Truncate(time.Second)
		}
		if t := e.Time.UTC().Truncate(time.Second); t.After(out.Last) {
			out.Last = t
		}
	}
	h := NewHidden(addr, tried, append(slices.Clone(c.Hide), private...))
	for i, e := range events {
		if strings.TrimSpace(e.Line) != "" && (i < firstLines || i >= len(events)-lastLines) {
			out.Lines = append(out.Lines, h.Line(e.Line))
		}
	}
	return out
}

// identifier is a UUID made of what is reported and of a secret of this machine,
// so that nobody can tell from it which record it was.
func identifier(salt string, r *gate.Record, addr netip.Addr) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %s %d", salt, r.Seq, addr, r.Time.UnixNano()))
	b := sum[:16]
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80 // the form of version 4 (RFC 9562, section 5.4)
	x := hex.EncodeToString(b)
	return x[:8] + "-" + x[8:12] + "-" + x[12:16] + "-" + x[16:20] + "-" + x[20:]
}

// xarfContact is who reports (XARF 4, contact_info).
type xarfContact struct {
	Org     string `json:"org"`
	Contact string `json:"contact"`
	Domain  string `json:"domain"`
}

// xarfEvidence is one piece of evidence (XARF 4, evidence_item).
type xarfEvidence struct {
	ContentType string `json:"content_type"`
	Description string `json:"description"`
	Payload     string `json:"payload"` // base64
	Size        int    `json:"size"`
	Hash        string `json:"hash"`
}

// xarf is a report as XARF 4 has it: category connection, types login_attack,
// port_scan and vuln_scanning.
type xarf struct {
	Version     string         `json:"xarf_version"`
	ID          string         `json:"report_id"`
	Timestamp   time.Time      `json:"timestamp"`
	Reporter    xarfContact    `json:"reporter"`
	Sender      xarfContact    `json:"sender"`
	Source      string         `json:"source_identifier"`
	Category    string         `json:"category"`
	Type        string         `json:"type"`
	EvidenceOf  string         `json:"evidence_source"`
	Port        uint16         `json:"destination_port,omitempty"`
	Protocol    string         `json:"protocol"`
	First       time.Time      `json:"first_seen"`
	Last        time.Time      `json:"last_seen"`
	ScanType    string         `json:"scan_type,omitempty"`
	Requests    int            `json:"total_requests,omitempty"`
	Description string         `json:"description"`
	Evidence    []xarfEvidence `json:"evidence"`
}

// XARF returns the report as a document of XARF 4 (xarf.org).
func (r *Report) XARF() string {
	_, domain, _ := strings.Cut(r.Contact, "@")
	us := xarfContact{r.Organisation, r.Contact, domain}
	lines := strings.Join(r.Lines, "\n") + "\n"
	sum := sha256.Sum256([]byte(lines))
	x := xarf{
		Version: "4.0.0", ID: r.ID, Timestamp: r.Last, Reporter: us, Sender: us, Source: r.Address, Category: "connection", Type: r.matter.xarf,
		EvidenceOf: "automated_filter", Port: r.Port, Protocol: r.Proto, First: r.First, Last: r.Last, Description: r.sentence(),
		Evidence: []xarfEvidence{{
			ContentType: "text/plain", Description: "lines of the log of the machine that was attacked, without its names and addresses",
			Payload: base64.StdEncoding.EncodeToString([]byte(lines)), Size: len(lines), Hash: "sha256:" + hex.EncodeToString(sum[:]),
		}},
	}
	if x.Type == "vuln_scanning" {
		x.ScanType, x.Requests = "web_vuln_scan", r.Count
	}
	b, err := json.MarshalIndent(x, "", "  ")
	if err != nil {
		return "" // texts, numbers and times of this century only: cannot fail
	}
	return string(b) + "\n"
}

// sentence says what happened in a sentence.
func (r *Report) sentence() string {
	s := fmt.Sprintf("%d %s from %s", r.Count, r.What, r.Address)
	if r.First.Equal(r.Last) {
		return s + " at " + r.First.Format(time.RFC3339)
	}
	return s + " between " + r.First.Format(time.RFC3339) + " and " + r.Last.Format(time.RFC3339)
}

// subject is the headline of a mail.
func (r *Report) subject() string {
	return fmt.Sprintf("Abuse report: %s from %s", r.What, r.Address)
}

// letter is the text of a mail to who holds the address.
func (r *Report) letter() string {
	var b strings.Builder
	b.WriteString("Hello,\n\nan address of yours attacked a machine of ours:\n\n")
	row := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "  %-9s %s\n", name+":", value)
		}
	}
	row("Address", r.Address)
	row("Network", strings.TrimSpace(r.Network+" "+r.Operator))
	row("What", fmt.Sprintf("%d %s", r.Count, r.What))
	if r.Port != 0 {
		row("Port", fmt.Sprintf("%d/%s", r.Port, r.Proto))
	}
	row("First", r.First.Format(time.RFC3339))
	row("Last", r.Last.Format(time.RFC3339))
	if r.Offence > 1 {
		row("Before", fmt.Sprintf("it was shut out here %d times in all", r.Offence))
	}
	row("Report", r.ID)
	b.WriteString("\nIt may well be a machine of a customer that others have taken over.\nPlease look into it.\n\n")
	b.WriteString("Lines of our log, on our clock, without our names and addresses:\n\n")
	for _, l := range r.Lines {
		b.WriteString("  " + l + "\n")
	}
	b.WriteString("\nThe same for machines is in the attached xarf.json (XARF 4, https://xarf.org).\n")
	fmt.Fprintf(&b, "Questions reach a person at %s. No answer is needed otherwise.\n\n-- \n%s\n", r.Contact, r.Organisation)
	return b.String()
}
