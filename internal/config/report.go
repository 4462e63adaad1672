package config

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// Report is the section of the same name; without targets nothing is reported.
type Report struct {
	To           []ReportTarget `key:"to" default:"[]" doc:"To whom abuse is reported. Each entry has a name and one of mail, abuseipdb, blocklist_de and url."`
	DryRun       bool           `key:"dry_run" default:"false" example:"true" doc:"true sends nothing, and records what would have been sent to whom. Begin with it."`
	Organisation string         `key:"organisation" example:"Example Ltd" check:"label" doc:"Who reports, in words. Must be there to report by mail."`
	Contact      string         `key:"contact" example:"abuse@example.org" check:"mailbox" doc:"A mail address at which whoever gets a report can ask back. Must be there to report by mail."`
	Rules        []string       `key:"rules" example:"[sshd]" check:"filled word" doc:"Only bans of these watches are reported. Default: all that rest on proven evidence."`
	Offence      int            `key:"offence" default:"1" min:"1" max:"1000" example:"2" doc:"From which ban of an offender on it is reported: 2 lets the first pass."`
	Limit        gate.Threshold `key:"limit" default:"100 in 1d" doc:"Most offenders that are reported within a time; who is beyond is not."`
	Own          []netip.Prefix `key:"own" default:"[]" example:"[192.0.2.0/24, 2001:db8::/48]" doc:"Your own networks: what comes from there is never reported, and addresses in them never leave in evidence. This machine's own addresses, allowed ones and private ones need not be named."`
	Hide         []string       `key:"hide" default:"[]" example:"[intranet, example.org]" doc:"Words that never leave in evidence, besides the names of this machine, its accounts and those that were tried."`
	Digest       ReportDigest   `key:"digest" doc:"A summary for yourself: who was banned most, from where, at which services, and the trend."`
}

// ReportTarget is one entry of report.to.
type ReportTarget struct {
	Name      string            `key:"name" required:"true" example:"holder" check:"word" doc:"What the entry is called, in records and in the preview."`
	Mail      string            `key:"mail" example:"mail" check:"word" doc:"Write in X-ARF to the abuse contact of who holds the address, through this channel of notify."`
	AbuseIPDB Secret            `key:"abuseipdb" instead:"mail" example:"{file: /etc/gatehouse/abuseipdb.key}" check:"hidden" doc:"Report to AbuseIPDB; where the key of its API is."`
	Blocklist Secret            `key:"blocklist_de" instead:"mail" example:"{file: /etc/gatehouse/blocklist.key}" check:"hidden" doc:"Report to blocklist.de; where the key of your server there is."`
	URL       Secret            `key:"url" instead:"mail" example:"https://example.org/abuse" doc:"Post what a template makes of the report to this address."`
	Server    string            `key:"server" instead:"mail" example:"gatehouse@example.org" check:"mailbox" doc:"For blocklist_de: the mail address under which your server is known there."`
	Template  string            `key:"template" instead:"mail" example:"/etc/gatehouse/report.json" check:"path" doc:"For url: a file with a template of Go. Default: the whole report as JSON. docs/report.md lists what it can use."`
	Type      string            `key:"type" instead:"mail" example:"application/x-www-form-urlencoded" doc:"For url: what the template writes. Default: application/json."`
	Headers   map[string]Secret `key:"headers" instead:"mail" example:"{X-Api-Key: {file: /etc/gatehouse/api.key}}" doc:"For url: further headers, each with its value or where that is."`
	API       string            `key:"api" instead:"mail" example:"https://api.abuseipdb.com" check:"webaddress" doc:"For abuseipdb and blocklist_de: another address that speaks like theirs."`
	CA        string            `key:"ca" instead:"mail" example:"/etc/gatehouse/ca.pem" check:"path" doc:"For all but mail: certificates in PEM that are trusted besides those of the system."`
}

// ReportDigest is the section of the same name in report.
type ReportDigest struct {
	Every string   `key:"every" default:"off" enum:"off daily weekly" example:"weekly" doc:"How often: daily, weekly (on Mondays), or off."`
	At    string   `key:"at" default:"\"08:00\"" check:"clock" doc:"At what time of the day, on the clock of notify."`
	To    []string `key:"to" default:"[]" example:"[mail]" check:"word" doc:"Channels of notify. By mail it comes whole, with charts; others get its first sentence."`
}

// howToReport are the keys of which a target has one.
var howToReport = []string{"mail", "abuseipdb", "blocklist_de", "url"}

// belongsToReport says for which of them a key is.
var belongsToReport = map[string][]string{
	"server": {"blocklist_de"}, "template": {"url"}, "type": {"url"}, "headers": {"url"},
	"api": {"abuseipdb", "blocklist_de"}, "ca": {"abuseipdb", "blocklist_de", "url"},
}

// check holds what spans several keys of a target.
func (t *ReportTarget) check(d *decoder, n *node) {
	has := func(k string) bool { v := n.get(k); return v != nil && v.kind != nothing }
	how := ""
	for _, k := range howToReport {
		switch {
		case !has(k):
		case how != "":
			d.problem(n.get(k), "write an entry for each", "%s and %s in one entry", how, k)
			d.problems[len(d.problems)-1].Excerpt = ""
		default:
			how = k
		}
	}
	if how == "" {
		d.problem(n, "write one of "+strings.Join(howToReport, ", "), "a report that goes nowhere")
		return
	}
	for _, e := range n.entries {
		if for_, ok := belongsToReport[e.key.text]; ok && !slices.Contains(for_, how) && e.value.kind != nothing {
			d.problem(e.key, "remove it", "%s has no meaning for %s", e.key.text, how)
		}
	}
	if how == "blocklist_de" && !has("server") {
		d.problem(n.get(how), "add server: gatehouse@example.org", "blocklist_de without server")
		d.problems[len(d.problems)-1].Excerpt = ""
	}
	if how == "url" && t.URL.Text != "" {
		if err := webAddress(reflect.ValueOf(&t.URL.Text).Elem()); err != nil {
			d.problem(n.get(how), "write https://example.org/abuse", "this is not the address of a web server")
			d.problems[len(d.problems)-1].Excerpt = ""
		}
	}
}

// check holds what spans several keys.
func (r *Report) check(d *decoder, n *node) {
	if v := n.get("limit"); v != nil && (r.Limit.Within == gate.Forever || r.Limit.Count > 1000) {
		d.problem(v, "write limit: 100 in 1d", "at most 1000 offenders are reported, within a time that ends")
	}
	if v := n.get("digest"); v != nil {
		if to := v.get("to"); r.Digest.Every != "off" && r.Digest.Every != "" && len(r.Digest.To) == 0 && (to == nil || to.kind == list) {
			d.problem(v, "add to: [mail]", "a digest for nobody")
		}
	}
	uniqueNames(d, n.get("to"), "report target")
	for _, t := range r.To {
		if t.Mail == "" {
			continue
		}
		for key, value := range map[string]string{"organisation": r.Organisation, "contact": r.Contact} {
			if v := n.get(key); value == "" && (v == nil || v.kind == nothing) {
				d.problem(n.get("to"), "add "+key+": "+map[string]string{"organisation": "Example Ltd", "contact": "abuse@example.org"}[key],
					"reports by mail without %s: nobody acts on what nobody signs", key)
			}
		}
		break
	}
}

// checkReports checks the channels that reports name.
func (c *Config) checkReports(d *decoder, n *node) {
	at := n.get("report")
	if at == nil {
		return
	}
	channels := map[string]*node{}
	mails := map[string]bool{}
	for _, ch := range c.Notify.Channels {
		channels[ch.Name] = n
		mails[ch.Name] = len(ch.Mail) > 0
	}
	if s := n.get("notify"); s != nil {
		if cs := s.get("channels"); cs != nil && cs.kind == list {
			for _, e := range cs.items { // those with an error of their own, too
				if name := e.get("name"); name != nil && name.kind == text && channels[name.text] == nil {
					channels[name.text], mails[name.text] = n, e.get("mail") != nil
				}
			}
		}
	}
	if to := at.get("to"); to != nil && to.kind == list {
		for _, e := range to.items {
			m := e.get("mail")
			if m == nil || m.kind != text {
				continue
			}
			if c.Enrich.Lookups == "off" {
				d.problem(m, "write enrich: {lookups: asked}, or remove the entry", "nobody is asked for abuse contacts: lookups is off")
			}
			if d.channelAt(m, channels); channels[m.text] != nil && !mails[m.text] {
				d.problem(m, "name a channel with mail in it", "the channel %s does not send mail", gate.Quote(m.text, 64))
			}
		}
	}
	if g := at.get("digest"); g != nil {
		if to := g.get("to"); to != nil && to.kind == list {
			for _, item := range to.items {
				d.channelAt(item, channels)
			}
		}
	}
}

// clockForm is a time of the day.
var clockForm = regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]$`)

// clock wants a time of the day.
func clock(v reflect.Value) error {
	if s := v.String(); !clockForm.MatchString(s) {
		return wrong(gate.Quote(s, 32)+" is not a time of the day", `write it in quotes: "08:00"`)
	}
	return nil
}

// IsOn reports whether anything is reported or summed up.
func (r *Report) IsOn() bool {
	return len(r.To) > 0 || strings.TrimSpace(r.Digest.Every) != "off" && len(r.Digest.To) > 0
}
