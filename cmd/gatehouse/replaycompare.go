package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/migrate"
	"gatehouse/internal/replay"
)

// comparing sets what this policy would have decided on some logs beside what
// fail2ban did decide, by its database. It is a replay.Listener.
type comparing struct {
	*replay.Course
	theirs map[gate.Subject]*theirBans
	ours   map[gate.Subject]*ourBans
}

// theirBans is what fail2ban did with one subject.
type theirBans struct {
	jail  string
	times []time.Time // of its bans, the oldest first
	lines int         // lines of these logs that count against it
}

// ourBans is what we would have done with one subject.
type ourBans struct {
	rule, why string
	times     []time.Time
}

// readTheirs reads the database of fail2ban.
func readTheirs(ctx context.Context, path string, now time.Time) (map[gate.Subject]*theirBans, error) {
	full, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	bans, err := migrate.ReadBans(ctx, full, "", now)
	if err != nil {
		return nil, fileFailure("read", path, err)
	}
	out := map[gate.Subject]*theirBans{}
	for _, b := range bans.List {
		s := gate.PrefixSubject(b.Prefix)
		if out[s] == nil {
			out[s] = &theirBans{jail: b.Jail}
		}
		out[s].times = append(out[s].times, b.Since)
	}
	return out, nil
}

// Line implements replay.Listener.
func (c *comparing) Line(l *replay.Line) error {
	if t := c.theirs[gate.AddrSubject(l.Addr)]; t != nil {
		for _, e := range l.Events {
			if e.Class.Counts() {
				t.lines += l.Times
				break
			}
		}
	}
	return c.Course.Line(l)
}

// decided takes one of our decisions.
func (c *comparing) decided(d *replay.Decision) error {
	if d.Verdict != gate.Ban || d.Expiry || (d.Origin == gate.Origin{}) {
		return nil
	}
	o := c.ours[d.Subject]
	if o == nil {
		o = &ourBans{rule: d.Rule, why: d.Why}
		c.ours[d.Subject] = o
	}
	o.times = append(o.times, d.Time)
	return nil
}

// difference is one subject that only one of the two banned.
type difference struct {
	Subject gate.Subject `json:"subject"`
	First   time.Time    `json:"first"` // ban
	Bans    int          `json:"bans"`  // how many
	Rule    string       `json:"rule"`  // our rule, or fail2ban's jail
	Why     string       `json:"why"`   // we banned it, or did not
	Lines   int          `json:"lines"` // of these logs that count against it, where we did not ban
	Ours    bool         `json:"ours"`  // we banned it, and fail2ban did not
}

// fail2banComparison is the document of replay --compare-fail2ban.
type fail2banComparison struct {
	Database    string       `json:"database"`
	From        time.Time    `json:"from"` // of the logs; what fail2ban decided before or after is not compared
	To          time.Time    `json:"to"`
	Both        int          `json:"both"`           // subjects that both banned
	Earlier     int          `json:"earlier"`        // of these, those that we banned first by more than a second
	Later       int          `json:"later"`          // the same the other way round
	Median      float64      `json:"median_seconds"` // how much earlier we banned; negative = later
	OnlyOurs    int          `json:"only_gatehouse"`
	OnlyTheirs  int          `json:"only_fail2ban"`
	Differences []difference `json:"differences"`  // both kinds, the oldest first
	NotCompared int          `json:"not_compared"` // subjects that fail2ban banned outside the time of the logs
}

// compareSlack is by how much the clocks of a log and of fail2ban may differ at the ends of
// the logs.
const compareSlack = time.Minute

// compare works the differences out. Allow is the configuration's list.
func (c *comparing) compare(database string, conf *config.Config, s replay.Summary) fail2banComparison {
	out := fail2banComparison{Database: database, From: s.First, To: s.Last, Differences: []difference{}}
	var leads []time.Duration
	for sub, t := range c.theirs {
		within := slices.DeleteFunc(slices.Clone(t.times), func(at time.Time) bool {
			return at.Before(s.First.Add(-compareSlack)) || at.After(s.Last.Add(compareSlack))
		})
		o := c.covering(sub)
		switch {
		case o != nil && len(within) > 0:
			out.Both++
			lead := within[0].Sub(o.times[0])
			leads = append(leads, lead)
			switch {
			case lead > time.Second:
				out.Earlier++
			case lead < -time.Second:
				out.Later++
			}
		case len(within) == 0:
			if o == nil {
				out.NotCompared++
			}
		default:
			out.OnlyTheirs++
			out.Differences = append(out.Differences, difference{
				Subject: sub, First: within[0].UTC(), Bans: len(within), Rule: t.jail, Why: whyNot(t, sub, conf), Lines: t.lines,
			})
		}
	}
	for sub, o := range c.ours {
		if c.theyHave(sub) {
			continue
		}
		out.OnlyOurs++
		out.Differences = append(out.Differences, difference{Subject: sub, First: o.times[0].UTC(), Bans: len(o.times), Rule: o.rule, Why: o.why, Ours: true})
	}
	slices.SortFunc(out.Differences, func(a, b difference) int {
		return cmp.Or(a.First.Compare(b.First), cmp.Compare(a.Subject.String(), b.Subject.String()))
	})
	if len(leads) > 0 {
		slices.Sort(leads)
		out.Median = leads[len(leads)/2].Seconds()
	}
	return out
}

// covering returns our bans of a subject, or of a prefix that it lies in.
func (c *comparing) covering(s gate.Subject) *ourBans {
	if o := c.ours[s]; o != nil {
		return o
	}
	for have, o := range c.ours {
		if have.Kind() == gate.KindPrefix && have.Covers(s) {
			return o
		}
	}
	return nil
}

// theyHave reports whether fail2ban banned a subject, or an address in it.
func (c *comparing) theyHave(s gate.Subject) bool {
	if c.theirs[s] != nil {
		return true
	}
	for have := range c.theirs {
		if s.Kind() == gate.KindPrefix && s.Covers(have) || have.Kind() == gate.KindPrefix && have.Covers(s) {
			return true
		}
	}
	return false
}

// whyNot says why we did not ban somebody.
func whyNot(t *theirBans, s gate.Subject, conf *config.Config) string {
	if by := allowedBy(conf, s); by != "" {
		return "we allow it: " + by
	}
	switch t.lines {
	case 0:
		return "no line of these logs counts against it: name the log of jail " + t.jail + " too, or watch it"
	case 1:
		return "only 1 line of these logs counts against it, which is below the threshold"
	}
	return fmt.Sprintf("%d lines of these logs count against it, which is below the threshold or too far apart", t.lines)
}

// maxDifferences is how many differences a person is told of.
const maxDifferences = 50

func (e *env) writeComparison(c fail2banComparison) error {
	if e.json {
		b, err := marshal(map[string]fail2banComparison{"comparison": c})
		if err == nil {
			_, err = fmt.Fprintf(e.out, "%s\n", b)
		}
		return err
	}
	var t table
	t.add("both banned", grouped(c.Both), fmt.Sprintf("Gatehouse first %s, fail2ban first %s; by %.1f s at the median", grouped(c.Earlier), grouped(c.Later), c.Median))
	t.add("only Gatehouse", grouped(c.OnlyOurs), "")
	t.add("only fail2ban", grouped(c.OnlyTheirs), fmt.Sprintf("%s more at other times than these logs", grouped(c.NotCompared)))
	if err := e.columns(t); err != nil || len(c.Differences) == 0 {
		return err
	}
	fmt.Fprintln(e.out)
	t = table{head: []string{"BANNED BY", "SUBJECT", "FIRST", "BANS", "RULE", "WHY"}}
	for i, d := range c.Differences {
		if i == maxDifferences {
			break
		}
		who := "fail2ban"
		if d.Ours {
			who = "Gatehouse"
		}
		t.add(who, d.Subject.String(), clock(d.First), grouped(d.Bans), d.Rule, d.Why)
	}
	if err := e.columns(t); err != nil {
		return err
	}
	if more := len(c.Differences) - maxDifferences; more > 0 {
		fmt.Fprintf(e.out, "… and %s more; --json tells all\n", grouped(more))
	}
	return nil
}

// replayCompared runs the logs through the policy, and sets what came out beside what
// fail2ban did.
func (e *env) replayCompared(ctx context.Context, args []string, o replayOptions, c *config.Config) error {
	theirs, err := readTheirs(ctx, o.fail2ban, e.now())
	if err != nil {
		return err
	}
	both := &comparing{theirs: theirs, ours: map[gate.Subject]*ourBans{}}
	o.wrap = func(course *replay.Course) replay.Listener {
		both.Course = course
		return both
	}
	_, sum, err := e.course(ctx, args, o, c, both.decided)
	if err != nil {
		return err
	}
	return e.writeComparison(both.compare(o.fail2ban, c, sum))
}
