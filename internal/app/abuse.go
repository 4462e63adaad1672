package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/enrich"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/notify"
	"gatehouse/internal/policy"
	"gatehouse/internal/report"
	"gatehouse/internal/rules"
)

// keepReport is the namespace of what is to be reported, the name of the part, and
// what its records begin with.
const keepReport = "report"

// reporting is the running reporter, which a reload replaces whole: all that it
// knows is in the ledger.
type reporting struct {
	reporter *report.Reporter
	crew     *crew
	cancel   context.CancelFunc
	parts    []string // names among the faults
}

// startReport starts reporting abuse, and sending digests, if that is asked for.
func (d *daemon) startReport(ctx context.Context, p *plan) {
	if !p.config.Report.IsOn() {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	deps := d.reportDeps(p.config)
	deps.Tell = func(kind string, s gate.Subject, sentence string) { d.tell(ctx, keepReport, kind, s, sentence) }
	n, err := report.New(d.reportConfig(p.config), deps)
	if err != nil {
		cancel()
		d.faults.report(keepReport, err.Error(), "nothing is reported until the ledger can be read: see the log of the daemon")
		return
	}
	d.faults.report(keepReport, "", "")
	t := &reporting{reporter: n, crew: newCrew(d.log, d.faults), cancel: cancel, parts: []string{"digest"}}
	for _, target := range p.config.Report.To {
		t.parts = append(t.parts, target.Name)
	}
	t.crew.start(ctx, task{keepReport, n.Run})
	d.mu.Lock()
	d.reporting = t
	d.mu.Unlock()
}

// stopReport stops reporting; what waits is stored.
func (d *daemon) stopReport() {
	d.mu.Lock()
	t := d.reporting
	d.reporting = nil
	d.mu.Unlock()
	if t == nil {
		return
	}
	t.cancel()
	t.crew.wait()
	for _, name := range t.parts {
		d.faults.report(reportPart(name), "", "")
	}
}

// reportPart names a target among the parts of the daemon.
func reportPart(name string) string { return keepReport + " " + name }

// reportDeps is what reports use of the rest; Tell is for the caller to add.
func (d *daemon) reportDeps(c *config.Config) report.Deps {
	return report.Deps{
		Log: d.log, Host: hostName(), Store: d.ledger.Keep(keepReport), Newest: d.ledger.Newest, Flush: d.ledger.Flush, Follow: d.ledger.Follow,
		Records: func(after uint64, since time.Time, limit int) ([]gate.Record, error) {
			return d.ledger.Records(ledger.Query{After: after, Since: since, Limit: limit})
		},
		About: func(s gate.Subject, limit int) ([]gate.Record, error) {
			return d.ledger.Records(ledger.Query{Subject: s, Covering: true, Verdicts: []gate.Verdict{gate.Ban}, Reverse: true, Limit: limit})
		},
		Spared: d.spared, Private: privateWords, Service: func(rule string) string { return serviceOf(c.Rules, rule) },
		Known: func(a netip.Addr) report.Whom { return whomOf(d.known(a), false) },
		Look: func(ctx context.Context, a netip.Addr) report.Whom {
			if e := d.enricher(); e != nil {
				return whomOf(e.Look(ctx, a, false), true)
			}
			return report.Whom{Problem: "the daemon is stopping"}
		},
		Mail: d.mailReport, Post: notify.Exchange, Again: sendAgain,
		Fault: func(target, why, hint string) { d.faults.report(reportPart(target), why, hint) },
		Now:   time.Now,
	}
}

// whomOf is who holds an address as reports want it.
func whomOf(f enrich.Facts, asked bool) report.Whom {
	w := report.Whom{Country: f.Country, Operator: f.Operator, Network: f.Held.Network, Abuse: f.Held.Abuse}
	if w.Operator == "" {
		if w.Operator = f.Held.Owner; w.Operator == "" {
			w.Operator = f.Held.Title
		}
	}
	if f.AS != 0 {
		w.Operator = strings.TrimSpace(fmt.Sprintf("AS%d %s", f.AS, w.Operator))
	}
	for _, n := range f.Names {
		if n.Confirmed && w.Name == "" {
			w.Name = n.Name
		}
	}
	if asked && f.Held.Source == "" {
		w.Problem = "its abuse contact is not known: " + strings.Join(f.Unregistered, "; ")
	}
	return w
}

// spared says why a subject must not be reported.
func (d *daemon) spared(ctx context.Context, s gate.Subject) (why string, err error) {
	h := d.host.Snapshot()
	if h.IsOnLink(s.Addr()) {
		return s.String() + " lies in a network that this machine is attached to", nil
	}
	for _, p := range d.plan.Load().config.Proxies {
		if p.Contains(s.Addr()) {
			return s.String() + " is a trusted proxy", nil
		}
	}
	var known policy.Explanation
	if err := d.spine.do(ctx, func() { known = d.spine.policy.Explain(s, nil, time.Now(), h) }); err != nil {
		return "", err
	}
	switch {
	case known.Guarded != "":
		return known.Guarded, nil
	case len(known.Allowed) > 0:
		return s.String() + " is on the allow list (" + known.Allowed[0].Text + ")", nil
	}
	return "", nil
}

// mailReport sends a mail of the reports' through a channel.
func (d *daemon) mailReport(ctx context.Context, channel string, m report.Mail) (string, error) {
	n := d.notifier()
	if n == nil {
		return "", errors.New("nobody is to be told: there is no channel")
	}
	out := notify.Mail{ID: m.ID, Kind: m.Kind, To: m.To, ReplyTo: m.ReplyTo, Subject: m.Subject, Text: m.Text, HTML: m.HTML, Short: m.Short}
	if m.XARF != "" {
		out.Header = []notify.MailHeader{{Name: "X-XARF", Value: "PLAIN"}}
		out.Attach = []notify.Attachment{{Name: "xarf.json", Type: "application/json", Data: m.XARF}}
	}
	return n.Mail(ctx, channel, out)
}

// sendAgain says of an error of a channel whether trying again is in vain.
func sendAgain(err error) (permanent bool, after time.Duration) {
	if f, ok := errors.AsType[*notify.Failure](err); ok {
		return f.Permanent, f.After
	}
	return false, 0
}

// Bounds of the list of accounts.
const (
	maxPasswd   = 1 << 20 // bytes of /etc/passwd that are read
	firstPerson = 1000    // user ids of people begin here,
	lastPerson  = 60000   // and end here
)

// privateWords are the names of this machine and of the people on it.
func privateWords() (words []string) {
	if name, err := os.Hostname(); err == nil && name != "" {
		words = append(words, name)
		if short, _, ok := strings.Cut(name, "."); ok {
			words = append(words, short)
		}
	}
	f, err := os.Open("/etc/passwd")
	if err != nil {
		return words
	}
	defer f.Close()
	lines := bufio.NewScanner(io.LimitReader(f, maxPasswd))
	for lines.Scan() {
		fields := strings.Split(lines.Text(), ":")
		if len(fields) < 4 {
			continue
		}
		if id, err := strconv.Atoi(fields[2]); err == nil && id >= firstPerson && id < lastPerson {
			words = append(words, fields[0])
		}
	}
	return words
}

// serviceOf is the service that a watch guards.
func serviceOf(folder, watch string) string {
	base, _, _ := strings.Cut(watch, ".")
	if !gate.IsName(base) {
		return ""
	}
	if r, err := readRule(filepath.Join(folder, base+".yaml")); err == nil {
		return r.Service
	}
	for _, r := range rules.BuiltinNamed(base) {
		return r.Service
	}
	return ""
}

// reportConfig maps the section of the configuration to the part's own.
func (d *daemon) reportConfig(c *config.Config) report.Config {
	r := &c.Report
	out := report.Config{
		DryRun: r.DryRun, Rules: r.Rules, Offence: r.Offence, Limit: r.Limit, Own: r.Own, Hide: r.Hide,
		Organisation: r.Organisation, Contact: r.Contact, Zone: zoneOf(c),
		Digest: report.Schedule{At: clockOf(r.Digest.At), To: r.Digest.To},
	}
	switch r.Digest.Every {
	case "daily":
		out.Digest.Every = report.Daily
	case "weekly":
		out.Digest.Every = report.Weekly
	}
	read := func(s config.Secret) report.Secret {
		if s == (config.Secret{}) {
			return nil
		}
		return func() (string, error) { return secret(s).Read(d.o.Getenv) }
	}
	for _, t := range r.To {
		target := report.Target{
			Name: t.Name, Channel: t.Mail, AbuseIPDB: read(t.AbuseIPDB), Blocklist: read(t.Blocklist), URL: read(t.URL),
			Server: t.Server, Template: t.Template, Type: t.Type, API: t.API, CA: t.CA,
		}
		for _, name := range slices.Sorted(maps.Keys(t.Headers)) {
			target.Headers = append(target.Headers, report.Header{Name: http.CanonicalHeaderKey(name), Value: read(t.Headers[name])})
		}
		out.Targets = append(out.Targets, target)
	}
	return out
}

// zoneOf is the clock by which people are told.
func zoneOf(c *config.Config) *time.Location {
	if zone, err := time.LoadLocation(c.Notify.Zone); err == nil && c.Notify.Zone != "" {
		return zone
	}
	return time.Local
}

// clockOf reads a time of the day that the configuration has checked.
func clockOf(text string) time.Duration {
	t, err := time.Parse("15:04", text)
	if err != nil {
		return 0
	}
	return time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute
}

// abuseDesk is what the API can ask about reports.
func (d *daemon) abuseDesk() api.Abuse {
	return api.Abuse{Show: d.showReport, Send: d.sendReport, Digest: d.digest}
}

// showReport is what would be reported of an address; where nothing is to be
// reported to anybody, it still says whether it could be.
func (d *daemon) showReport(ctx context.Context, addr netip.Addr) (api.AbuseReport, error) {
	rp, err := d.reporterOrSpare()
	if err != nil {
		return api.AbuseReport{}, err
	}
	p, err := rp.Show(ctx, addr)
	out := reportOf(p)
	out.DryRun = true
	return out, err
}

// sendReport reports an address now.
func (d *daemon) sendReport(ctx context.Context, addr netip.Addr) (api.AbuseReport, error) {
	d.mu.Lock()
	t := d.reporting
	d.mu.Unlock()
	if t == nil || len(d.plan.Load().config.Report.To) == 0 {
		return api.AbuseReport{}, &api.Error{Message: "nobody is named to whom abuse is reported", Hint: "name them under report: to: in the configuration, then: gatehouse reload"}
	}
	p, err := t.reporter.Send(ctx, addr)
	out := reportOf(p)
	out.DryRun = d.plan.Load().config.Report.DryRun
	return out, err
}

// reporterOrSpare is the running reporter, or one that only shows.
func (d *daemon) reporterOrSpare() (*report.Reporter, error) {
	d.mu.Lock()
	t := d.reporting
	d.mu.Unlock()
	if t != nil {
		return t.reporter, nil
	}
	c := d.plan.Load().config
	return report.New(d.reportConfig(c), d.reportDeps(c))
}

func reportOf(p report.Preview) api.AbuseReport {
	out := api.AbuseReport{Address: p.Addr, Record: p.Record, Banned: api.TimeOf(p.At), Refused: p.Refused, Parcels: []api.Parcel{}}
	for i, o := range p.Parcels {
		v := api.Parcel{Target: o.Target, How: o.How, To: o.To, Headers: o.Headers, Subject: o.Subject, Body: o.Body, XARF: o.XARF, Problem: o.Problem}
		if i < len(p.Answers) {
			v.Answer = p.Answers[i]
		}
		out.Parcels = append(out.Parcels, v)
	}
	return out
}

// digest sums up the time since a moment.
func (d *daemon) digest(ctx context.Context, since time.Time, form string) (out api.Digest, err error) {
	c := d.plan.Load().config
	s, err := report.Sum(ctx, d.reportDeps(c), zoneOf(c), since, time.Now())
	if err != nil {
		return out, err
	}
	out = api.Digest{
		Host: s.Host, From: s.From, To: s.To, Sentence: s.Sentence(), Bans: s.Bans, Before: s.Before, Attempts: s.Attempts, Addresses: s.Addresses,
		Partial: s.Partial, Reports: s.Reports, Step: s.Step,
		Offenders: counts(s.Offenders), Networks: counts(s.Networks), Countries: counts(s.Countries), Services: counts(s.Services),
	}
	for _, b := range s.Trend {
		out.Trend = append(out.Trend, api.Bucket(b))
	}
	switch form {
	case "text":
		out.Text, err = s.Text()
	case "html":
		out.HTML, err = s.HTML()
	}
	return out, err
}

func counts(list []report.Tally) []api.Count {
	out := []api.Count{}
	for _, t := range list {
		out = append(out, api.Count(t))
	}
	return out
}
