package main

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// fakeDaemon is a daemon with the manners of the real one, and without a
// kernel: it keeps bans and allowed entries, and tells one story.
type fakeDaemon struct {
	mu      sync.Mutex // guards what follows
	bans    map[gate.Subject]api.Ban
	allowed map[string]gate.Subject
	stop    context.CancelFunc
	broken  bool // reload finds an error
	armed   ad2.Mode

	confirmed int  // changes of ports that were confirmed
	taken     bool // what was held back of the list own
	now       time.Time

	following chan struct{} // gets a value for each follower that has all there is; holds 8
}

// daemonKey is the key of the script's latest fakeDaemon among its values.
type daemonKey struct{}

// awaitFollower waits until somebody follows the log and has all there is.
func awaitFollower(ts *testscript.TestScript, _ bool, _ []string) {
	d := ts.Value(daemonKey{}).(**fakeDaemon)
	<-(*d).following
}

// startDaemon serves a fakeDaemon until it is stopped or the script ends.
func startDaemon(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: daemon SOCKET [broken]")
	}
	d := &fakeDaemon{
		bans: map[gate.Subject]api.Ban{}, allowed: map[string]gate.Subject{"198.51.100.0/24": subject("198.51.100.0/24")},
		now: time.Now(), broken: len(args) > 1, following: make(chan struct{}, 8),
	}
	*ts.Value(daemonKey{}).(**fakeDaemon) = d
	ctx, cancel := context.WithCancel(context.Background())
	d.stop = cancel
	s := api.New(api.Config{Socket: ts.MkAbs(args[0]), Version: "1.2.3"}, d.backend(), slog.New(slog.DiscardHandler))
	ts.Check(s.Listen())
	ended := make(chan error, 1) // one send, by Run's goroutine
	go func() { ended <- s.Run(ctx) }()
	ts.Defer(func() {
		cancel()
		ts.Check(<-ended)
	})
}

func subject(text string) gate.Subject {
	s, err := gate.ParseSubject(text)
	if err != nil {
		panic(err)
	}
	return s
}

func (d *fakeDaemon) backend() api.Backend {
	return api.Backend{
		Status: d.status,
		Whois:  d.whois, Abuse: d.abuse(),
		Notify: d.notify(),
		Panel:  d.panel(),
		Ports:  d.ports, AskPorts: d.askPorts, ConfirmPorts: d.confirmPorts,
		Adopt: func(_ context.Context, ds []gate.Decision) (api.Adopted, error) {
			out := api.Adopted{Refused: []api.Answer{}}
			for _, x := range ds {
				if x.Life(d.now) > 0 {
					out.Banned++
				} else {
					out.Recorded++
				}
			}
			return out, nil
		},
		Ask: func(_ context.Context, asks []api.Wish) ([]gate.Answer, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			out := make([]gate.Answer, len(asks))
			for i, a := range asks {
				out[i] = d.answer(a)
			}
			return out, nil
		},
		Bans: func(_ context.Context, q api.BansQuery, yield func(api.Ban) error) error {
			d.mu.Lock()
			bans := slices.Collect(maps.Values(d.bans))
			d.mu.Unlock()
			for _, b := range bans {
				if q.Rule == "" || q.Rule == b.Rule {
					if err := yield(b); err != nil {
						return err
					}
				}
			}
			return nil
		},
		Why: func(_ context.Context, s gate.Subject) (api.Why, error) { return d.why(s), nil },
		WhatIf: func(_ context.Context, s gate.Subject) ([]api.Prospect, error) {
			return []api.Prospect{{If: "it crossed the threshold of sshd now", Decisions: []gate.Decision{{Time: d.now, Until: d.now.Add(time.Hour), Verdict: gate.Ban, Subject: s, Rule: "sshd", Why: "second offence within 90d, so 1h"}}}, {If: "you allowed it", Refused: "it is allowed already"}}, nil
		},
		Log: func(ctx context.Context, q api.LogQuery, yield func(gate.Record) error) error {
			rs := d.records()
			if q.Last > 0 {
				rs = rs[max(0, len(rs)-q.Last):]
			}
			for _, r := range rs {
				if q.Rule != "" && q.Rule != r.Rule {
					continue
				}
				if err := yield(r); err != nil {
					return err
				}
			}
			if q.Follow {
				d.following <- struct{}{}
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
		List:     d.list,
		HookRuns: d.hookRuns,
		AllowList: func() []api.Allowed {
			d.mu.Lock()
			defer d.mu.Unlock()
			var out []api.Allowed
			for e, s := range d.allowed {
				a := api.Allowed{Entry: e, Origin: "command"}
				if e == "198.51.100.0/24" {
					a.Origin = "config"
				}
				if s.IsValid() {
					a.Covers = []gate.Subject{s}
				} else {
					a.Covers, a.Problem = []gate.Subject{subject("203.0.113.200")}, "no such host; its last address is kept"
				}
				out = append(out, a)
			}
			slices.SortFunc(out, func(a, b api.Allowed) int { return cmp.Compare(a.Entry, b.Entry) })
			return out
		},
		Reload: func(context.Context) error {
			if d.broken {
				return &api.Error{Message: "reload: 1 error in the configuration; nothing has changed", Hint: "correct it, then: gatehouse reload",
					Problems: []api.Problem{{File: "/etc/gatehouse/gatehouse.yaml", Line: 2, Column: 1, Error: `unknown key "alow"`, Excerpt: "alow: []\n^", Hint: "did you mean allow?"}}}
			}
			return nil
		},
		Stop: func(bool) error { d.stop(); return nil },
	}
}

// answer does what a wish wants.
func (d *fakeDaemon) answer(w api.Wish) gate.Answer {
	a := gate.Answer{Subject: w.Subject}
	switch w.Verdict {
	case gate.Ban:
		if subject("127.0.0.0/8").Covers(w.Subject) {
			a.Refused, a.Hint = "it is loopback", "the guard against locking out cannot be switched off"
			return a
		}
		for e, s := range d.allowed {
			if s.Covers(w.Subject) {
				a.Refused, a.Hint = e+" is allowed", "remove it from allow: in the configuration first"
				return a
			}
		}
		var until *time.Time
		if w.For > 0 && w.For != gate.Forever {
			until = api.TimeOf(d.now.Add(w.For + 30*time.Second))
		}
		old, again := d.bans[w.Subject]
		if again && (old.Until == nil || until != nil && until.Before(*old.Until)) {
			until = old.Until
		} else {
			a.Changed = true
		}
		if until != nil {
			a.Until = *until
		}
		d.bans[w.Subject] = api.Ban{Subject: w.Subject, Since: d.now.Add(-150 * time.Second), Until: until, Rule: "command", Origin: w.By,
			Reason: cmp.Or(w.Reason, "banned by command"), Ports: w.Ports, Offences: 1, Enforced: true}
	case gate.Release:
		if w.All {
			a.Changed = len(d.bans) > 0
			clear(d.bans)
			return a
		}
		if _, a.Changed = d.bans[w.Subject]; !a.Changed {
			for s := range d.bans {
				if s.Covers(w.Subject) {
					a.Refused, a.Hint = "it lies in "+s.String()+", which is banned", "gatehouse unban "+s.String()
				}
			}
		}
		delete(d.bans, w.Subject)
	case gate.Allow, gate.Disallow:
		entry := cmp.Or(w.Name, w.Subject.String())
		_, there := d.allowed[entry]
		switch {
		case w.Verdict == gate.Allow:
			d.allowed[entry], a.Changed = w.Subject, !there
		case entry == "198.51.100.0/24":
			a.Refused, a.Hint = "it stands in the configuration", "remove it there, then: gatehouse reload"
		default:
			a.Changed = there
			delete(d.allowed, entry)
		}
	}
	return a
}

func (d *fakeDaemon) status() api.Status {
	last := d.now.Add(-4 * time.Second)
	return api.Status{
		Version: "1.2.3", State: api.Degraded, Since: d.now.Add(-2*time.Hour - time.Minute),
		Sources: []api.Source{
			{Name: "/var/log/auth.log", Rule: "sshd", State: "caught up", Lines: 12034, Hits: 311, Last: &last},
			{Name: "/var/log/mail.log", Rule: "postfix", State: "unreadable", Why: "permission denied"},
		},
		Bans: 1204, Drops: api.Drops{Packets: 88120, Bytes: 5100000},
		Never: []gate.Subject{subject("127.0.0.0/8"), subject("192.0.2.254")}, Allow: []string{"198.51.100.0/24"},
		Ledger:   api.Ledger{Path: "/var/lib/gatehouse/gatehouse.db", Records: 5120, State: "ok"},
		Firewall: api.Firewall{Table: "inet gatehouse", State: "ok", Verdict: "drop"},
		Lists:    d.lists(), Hooks: d.hooks(), Channels: d.channels(), Broker: &api.Broker{Server: "192.0.2.9:1883", Why: "the broker refuses the login"},
		Degraded: []api.Weakness{{Part: "logs", Why: "cannot read /var/log/mail.log", Since: d.now.Add(-3*time.Minute - time.Second), Hint: "add gatehouse to the group adm"}},
	}
}

// why tells of 203.0.113.9, who is banned, of 203.0.113.5, who is counted, and
// of others that there is nothing.
func (d *fakeDaemon) why(s gate.Subject) api.Why {
	w := api.Why{Subject: s, Verdict: api.IsFree, Sentence: s.String() + " is not banned, and nothing is counted against it."}
	switch s.String() {
	case "203.0.113.9":
		rs := d.records()
		w.Verdict, w.Sentence = api.IsBanned, "203.0.113.9 is banned: "+rs[0].Why+"."
		w.Bans = []api.Ban{{Subject: s, Since: rs[0].Time, Until: api.TimeOf(rs[0].Until), Rule: "sshd", Origin: "file:/var/log/auth.log@1234", Reason: rs[0].Why, Offences: 2, Enforced: true}}
		w.History = rs[:1]
		who, _ := d.whois(context.Background(), s.Addr(), false) // it never fails
		w.Who = &who
	case "203.0.113.5":
		t, _ := gate.ParseThreshold("5 in 10m")
		w.Verdict, w.Sentence = api.IsWatched, "203.0.113.5 is not banned: 3 failures of the 5 in 10m that sshd allows."
		w.Windows = []api.Window{{Rule: "sshd", Count: 3, Threshold: t, Oldest: d.now.Add(-5 * time.Minute), Newest: d.now.Add(-150 * time.Second),
			Lines: []string{"sshd[7]: Failed password for root from 203.0.113.5 port 4 ssh2"}}}
	case "100.66.7.0/24":
		w.Verdict, w.Sentence = api.IsBanned, "100.66.7.0/24 is banned by aggregate."
		w.History = []gate.Record{{Seq: 3, Decision: gate.Decision{Time: d.now, Verdict: gate.Ban, Subject: s, Rule: "aggregate", Why: "2 offenders",
			Proof: &gate.Proof{Count: 1, First: []gate.Event{{Class: gate.ClassInfo, Subject: subject("100.66.7.2"), Line: "5 failed logins at once"}}}}}}
	case "198.51.100.9":
		w.Verdict, w.Sentence = api.IsBanned, "198.51.100.9 lies in 198.51.100.0/24, which is banned by the list drop."
		w.Lists = []api.Listing{{List: "drop", Entry: subject("198.51.100.0/24"), Verdict: gate.Ban, Since: d.now.Add(-time.Hour), InForce: true}}
	case "127.0.0.1":
		w.Verdict, w.Sentence, w.Allowed = api.IsNever, "127.0.0.1 can never be banned: it is loopback.", "it is loopback"
	}
	return w
}

// records are two decisions; the first one's evidence is hostile.
func (d *fakeDaemon) records() []gate.Record {
	at := d.now.Add(-150 * time.Second)
	s := subject("203.0.113.9")
	proof := &gate.Proof{Count: 30}
	for range gate.ProofFirst {
		proof.First = append(proof.First, gate.Event{Time: at, Rule: "sshd", Subject: s, Class: gate.ClassFailure, Evidence: gate.Proven,
			Line: "sshd[1]: Failed password for invalid user \x1b]0;owned\x07\u202etoor from 203.0.113.9 port 4 ssh2"})
	}
	return []gate.Record{
		{Seq: 1, Decision: gate.Decision{Time: at, Until: at.Add(time.Hour), Verdict: gate.Ban, Subject: s, Rule: "sshd", Offence: 2,
			Why: "5 failed logins in 3m20s (sshd allows 4 in 10m); second offence within 90d, so 1h", Proof: proof}},
		{Seq: 2, Decision: gate.Decision{Time: at.Add(time.Minute), Verdict: gate.Release, Subject: subject("203.0.113.77"), Rule: "command", Why: "lifted by root"}},
	}
}
