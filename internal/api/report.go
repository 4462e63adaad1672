package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/internal/gate"
)

// AbuseReport is what is reported of an address, or would be.
type AbuseReport struct {
	Address netip.Addr `json:"address" doc:"who is reported"`
	Record  uint64     `json:"record,omitempty" doc:"number of the ban that it is about; absent = none fits"`
	Banned  *time.Time `json:"banned,omitempty" doc:"when that was"`
	DryRun  bool       `json:"dry_run" doc:"nothing is sent: it was only asked for, or the configuration has dry_run"`
	Refused string     `json:"refused,omitempty" doc:"why it is not reported, a sentence; absent = it is"`
	Parcels []Parcel   `json:"parcels" doc:"what each target gets"`
}

// Parcel is what one target gets, without secrets.
type Parcel struct {
	Target  string   `json:"target" doc:"as configured"`
	How     string   `json:"how" doc:"mail through a channel, or method and URL of a request"`
	To      string   `json:"to" doc:"mail address or host"`
	Headers []string `json:"headers,omitempty" doc:"of the request"`
	Subject string   `json:"subject,omitempty" doc:"of the mail"`
	Body    string   `json:"body" doc:"text of the mail or the request; a form as a line a field"`
	XARF    string   `json:"xarf,omitempty" doc:"the document that goes with the mail"`
	Answer  string   `json:"answer,omitempty" doc:"what the other side answered; absent = it was not sent"`
	Problem string   `json:"problem,omitempty" doc:"why it cannot be sent, or was not"`
}

// Count is one line of a digest.
type Count struct {
	Name     string `json:"name" doc:"an address, a network, a country, a watch"`
	About    string `json:"about,omitempty" doc:"what else is known of it"`
	Bans     int    `json:"bans" doc:"how often it was banned"`
	Attempts int    `json:"attempts" doc:"failures that led to that"`
}

// Bucket is what happened in one hour or day.
type Bucket struct {
	From time.Time `json:"from" doc:"when it begins"`
	Bans int       `json:"bans" doc:"bans in it"`
}

// Digest is the summary of a time.
type Digest struct {
	Host      string    `json:"host" doc:"name of the machine"`
	From      time.Time `json:"from" doc:"from when"`
	To        time.Time `json:"to" doc:"to when"`
	Sentence  string    `json:"sentence" doc:"all of it in a sentence"`
	Bans      int       `json:"bans" doc:"bans in all"`
	Before    int       `json:"before" doc:"bans in as long a time before"`
	Attempts  int       `json:"attempts" doc:"failures that led to them"`
	Addresses int       `json:"addresses" doc:"different addresses and networks that were banned"`
	Partial   bool      `json:"partial" doc:"there were more than can be told apart: the lists are of the busiest"`
	Reports   int       `json:"reports" doc:"reports of abuse that were sent"`
	Offenders []Count   `json:"offenders" doc:"the busiest"`
	Networks  []Count   `json:"networks" doc:"the busiest: who announces them, else as registered, else /24 and /48"`
	Countries []Count   `json:"countries" doc:"the busiest, as far as they are known"`
	Services  []Count   `json:"services" doc:"by watch"`
	Step      string    `json:"step" enum:"hour,day" doc:"of the trend"`
	Trend     []Bucket  `json:"trend" doc:"bans by hour or day, oldest first"`
	Text      string    `json:"text,omitempty" doc:"written out, where form=text asks for it"`
	HTML      string    `json:"html,omitempty" doc:"as a page, where form=html asks for it"`
}

// Abuse is what the daemon can be asked about reports.
type Abuse struct {
	// Show returns what would be reported of an address.
	Show func(ctx context.Context, addr netip.Addr) (AbuseReport, error)
	// Send reports an address now.
	Send func(ctx context.Context, addr netip.Addr) (AbuseReport, error)
	// Digest sums up the time since a moment; form is text, html or "".
	Digest func(ctx context.Context, since time.Time, form string) (Digest, error)
}

type reportInput struct {
	Address string `query:"address" required:"true" doc:"an address"`
}

func (s *Server) reportShow(ctx context.Context, in *reportInput) (AbuseReport, error) {
	return s.abuse(ctx, in, s.backend.Abuse.Show)
}

func (s *Server) reportSend(ctx context.Context, in *reportInput) (AbuseReport, error) {
	return s.abuse(ctx, in, s.backend.Abuse.Send)
}

func (s *Server) abuse(ctx context.Context, in *reportInput, do func(context.Context, netip.Addr) (AbuseReport, error)) (AbuseReport, error) {
	addr, err := parseAddress(in.Address)
	if err != nil {
		return AbuseReport{}, err
	}
	r, err := do(ctx, addr)
	r.Parcels = own(r.Parcels)
	return r, err
}

type digestInput struct {
	Since string `query:"since" default:"7d" doc:"how long back: 24h, 7d, 30d"`
	Form  string `query:"form" enum:"text,html" doc:"also write it out"`
}

func (s *Server) digest(ctx context.Context, in *digestInput) (Digest, error) {
	back, err := gate.ParseDuration(in.Since)
	if err == nil && (back < time.Hour || back > 400*gate.Day) {
		err = &Error{Message: "a digest is of an hour to 400 days", Hint: "write --since 24h, 7d or 30d"}
	}
	if err != nil {
		e := asError(err)
		e.Status = http.StatusUnprocessableEntity
		return Digest{}, e
	}
	d, err := s.backend.Abuse.Digest(ctx, time.Now().Add(-back), in.Form)
	d.From, d.To = d.From.UTC(), d.To.UTC()
	d.Offenders, d.Networks, d.Countries, d.Services, d.Trend = own(d.Offenders), own(d.Networks), own(d.Countries), own(d.Services), own(d.Trend)
	for i := range d.Trend {
		d.Trend[i].From = d.Trend[i].From.UTC()
	}
	return d, err
}

// ShowReport returns what would be reported of an address.
func (c *Client) ShowReport(ctx context.Context, addr netip.Addr) (r AbuseReport, err error) {
	return r, c.call(ctx, "GET", "/v1/report?address="+url.QueryEscape(addr.String()), nil, &r)
}

// SendReport reports an address now.
func (c *Client) SendReport(ctx context.Context, addr netip.Addr) (r AbuseReport, err error) {
	return r, c.call(ctx, "POST", "/v1/report?address="+url.QueryEscape(addr.String()), nil, &r)
}

// Digest sums up the latest time; form is text, html or "".
func (c *Client) Digest(ctx context.Context, since time.Duration, form string) (d Digest, err error) {
	v := url.Values{"since": {gate.FormatDuration(since)}}
	set(v, "form", form)
	return d, c.call(ctx, "GET", "/v1/digest?"+v.Encode(), nil, &d)
}
