package report

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of a digest.
const (
	maxTracked = 50_000 // addresses that are counted one by one at a time
	topLines   = 10     // lines of each list
	pageSize   = 1000   // records that are read at once
	maxSpan    = 400 * gate.Day
)

// Tally is one line of a digest.
type Tally struct {
	Name     string `json:"name"`               // an address, a network, a country, a watch
	About    string `json:"about,omitempty"`    // what else is known of it
	Bans     int    `json:"bans"`               // how often it was banned
	Attempts int    `json:"attempts,omitempty"` // failures that led to them
}

// Bucket is what happened in one hour or one day.
type Bucket struct {
	From time.Time `json:"from"`
	Bans int       `json:"bans"`
}

// Digest is the summary of a time.
type Digest struct {
	Host      string    `json:"host"`
	From      time.Time `json:"from"`
	To        time.Time `json:"to"`
	Bans      int       `json:"bans"`
	Before    int       `json:"before"`    // bans in as long a time before
	Attempts  int       `json:"attempts"`  // failures that led to them
	Addresses int       `json:"addresses"` // different ones that were banned; see Partial
	Partial   bool      `json:"partial"`   // there were more addresses than can be told apart: the lists are of the busiest
	Reports   int       `json:"reports"`   // reports of abuse that were sent
	Offenders []Tally   `json:"offenders"`
	Networks  []Tally   `json:"networks"`
	Countries []Tally   `json:"countries"`
	Services  []Tally   `json:"services"` // by watch
	Step      string    `json:"step"`     // of the trend: hour or day
	Trend     []Bucket  `json:"trend"`
}

// tracked is what is counted of one address.
type tracked struct{ bans, attempts int }

// sum adds records up to a digest.
type sum struct {
	d     *Digest
	addrs map[gate.Subject]*tracked
	rules map[string]*tracked
}

// Sum returns the digest of the time from one moment to another.
func (rp *Reporter) Sum(ctx context.Context, from, to time.Time) (*Digest, error) {
	return Sum(ctx, rp.d, rp.c.Zone, from, to)
}

// Sum returns the digest of the time from one moment to another, on the clock of
// a zone. Of the Deps it uses Host, Records and Known.
func Sum(ctx context.Context, deps Deps, zone *time.Location, from, to time.Time) (*Digest, error) {
	if from.Before(to.Add(-maxSpan)) {
		from = to.Add(-maxSpan)
	}
	d := &Digest{Host: clean(deps.Host, 120), From: from.In(zone), To: to.In(zone), Step: "day", Offenders: []Tally{}, Networks: []Tally{}, Countries: []Tally{}, Services: []Tally{}}
	s := &sum{d: d, addrs: map[gate.Subject]*tracked{}, rules: map[string]*tracked{}}
	s.buckets()
	before := from.Add(from.Sub(to))
	since := before
	for after := uint64(0); ; since = (time.Time{}) { // from the first one on, they are read by number
		rs, err := deps.Records(after, since, pageSize)
		if err != nil {
			return nil, err
		}
		for i := range rs {
			after = rs[i].Seq
			switch r := &rs[i]; {
			case r.Time.Before(before):
			case r.Time.Before(from):
				if isBan(r) {
					d.Before++
				}
			case r.Time.Before(to):
				s.add(r)
			}
		}
		if len(rs) == 0 {
			break
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	s.finish(deps.Known)
	return d, nil
}

// isBan reports whether a record is a ban that a watch led to.
func isBan(r *gate.Record) bool {
	return r.Verdict == gate.Ban && r.Subject.IsNet()
}

// buckets lays out the trend: whole days of the zone, or hours of up to two days.
func (s *sum) buckets() {
	d := s.d
	at := time.Date(d.From.Year(), d.From.Month(), d.From.Day(), 0, 0, 0, 0, d.From.Location())
	next := func(t time.Time) time.Time { return t.AddDate(0, 0, 1) }
	if d.To.Sub(d.From) <= 2*gate.Day {
		d.Step = "hour"
		at = at.Add(time.Duration(d.From.Hour()) * time.Hour)
		next = func(t time.Time) time.Time { return t.Add(time.Hour) }
	}
	for ; at.Before(d.To); at = next(at) {
		d.Trend = append(d.Trend, Bucket{From: at})
	}
}

// add counts one record.
func (s *sum) add(r *gate.Record) {
	if r.Verdict == gate.Tell && r.Kind() == "report.sent" {
		s.d.Reports++
	}
	if !isBan(r) {
		return
	}
	attempts := 0
	if r.Proof != nil && len(r.Proof.First) > 0 {
		attempts = r.Proof.Count
	}
	s.d.Bans++
	s.d.Attempts += attempts
	if i, exact := slices.BinarySearchFunc(s.d.Trend, r.Time, func(b Bucket, t time.Time) int { return b.From.Compare(t) }); exact {
		s.d.Trend[i].Bans++
	} else if i > 0 {
		s.d.Trend[i-1].Bans++
	}
	count := func(t *tracked) *tracked {
		if t == nil {
			t = &tracked{}
		}
		t.bans++
		t.attempts += attempts
		return t
	}
	s.rules[r.Rule] = count(s.rules[r.Rule])
	known := s.addrs[r.Subject]
	if known == nil {
		if len(s.addrs) >= maxTracked {
			s.thin()
		}
		s.d.Addresses++
	}
	s.addrs[r.Subject] = count(known)
}

// thin makes room by forgetting the least busy, so that who comes again and again
// stays (lossy counting).
func (s *sum) thin() {
	s.d.Partial = true
	for least := 1; len(s.addrs) > maxTracked/2; least *= 2 {
		for a, t := range s.addrs {
			if t.bans <= least {
				delete(s.addrs, a)
			}
		}
	}
}

// finish makes the lists.
func (s *sum) finish(known func(netip.Addr) Whom) {
	networks, countries := map[string]*tracked{}, map[string]*tracked{}
	add := func(m map[string]*tracked, name string, t *tracked) {
		if name == "" {
			return
		}
		if m[name] == nil {
			m[name] = &tracked{}
		}
		m[name].bans += t.bans
		m[name].attempts += t.attempts
	}
	for a, t := range s.addrs {
		w := known(a.Addr())
		add(networks, networkName(a, w), t)
		add(countries, w.Country, t)
	}
	addrs := make(map[string]*tracked, len(s.addrs))
	about := map[string]string{}
	for a, t := range s.addrs {
		addrs[a.String()] = t
	}
	s.d.Offenders = top(addrs)
	for _, t := range s.d.Offenders {
		if a, err := gate.ParseSubject(t.Name); err == nil {
			about[t.Name] = known(a.Addr()).String()
		}
	}
	for i := range s.d.Offenders {
		s.d.Offenders[i].About = about[s.d.Offenders[i].Name]
	}
	s.d.Networks, s.d.Countries, s.d.Services = top(networks), top(countries), top(s.rules)
}

// networkName is what a digest calls the network of an offender.
func networkName(a gate.Subject, w Whom) string {
	switch {
	case w.Operator != "":
		return w.Operator
	case w.Network.IsValid():
		return w.Network.String()
	}
	bits := 24
	if a.Addr().Is6() {
		bits = 48
	}
	p, err := a.Addr().Prefix(min(bits, a.Prefix().Bits()))
	if err != nil {
		return ""
	}
	return p.String()
}

// String returns what is known of an address in a line.
func (w Whom) String() string {
	out := ""
	for _, s := range []string{w.Name, w.Country, w.Operator} {
		if s != "" && out != "" {
			out += ", "
		}
		out += s
	}
	return out
}

// top returns the lines with most bans.
func top(m map[string]*tracked) []Tally {
	list := make([]Tally, 0, len(m))
	for name, t := range m {
		list = append(list, Tally{Name: clean(name, 120), Bans: t.bans, Attempts: t.attempts})
	}
	slices.SortFunc(list, func(a, b Tally) int {
		return cmp.Or(cmp.Compare(b.Bans, a.Bans), cmp.Compare(b.Attempts, a.Attempts), cmp.Compare(a.Name, b.Name))
	})
	return list[:min(len(list), topLines)]
}

// Sentence says it all in a sentence.
func (d *Digest) Sentence() string {
	s := fmt.Sprintf("%s on %s: %s of %s", d.spanName(), d.Host, plural(d.Bans, "ban"), plural(d.Addresses, "address"))
	if d.Partial {
		s += " or more"
	}
	if d.Attempts > 0 {
		s += ", after " + plural(d.Attempts, "attempt")
	}
	switch {
	case d.Before == 0:
	case d.Bans >= d.Before:
		s += fmt.Sprintf("; %d%% more than before", (d.Bans-d.Before)*100/d.Before)
	default:
		s += fmt.Sprintf("; %d%% less than before", (d.Before-d.Bans)*100/d.Before)
	}
	if len(d.Services) > 0 {
		s += "; most at " + d.Services[0].Name
	}
	if len(d.Networks) > 0 {
		s += "; most from " + d.Networks[0].Name
	}
	return s
}

// spanName names the time of a digest.
func (d *Digest) spanName() string {
	switch span := d.To.Sub(d.From).Round(time.Hour); span {
	case gate.Day:
		return "one day"
	case 7 * gate.Day:
		return "one week"
	default:
		return gate.FormatDuration(span)
	}
}

// plural writes a number with its noun.
func plural(n int, noun string) string {
	s := grouped(n) + " " + noun
	switch {
	case n == 1:
		return s
	case noun == "address":
		return s + "es"
	}
	return s + "s"
}

// grouped writes a number with commas between thousands.
func grouped(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
