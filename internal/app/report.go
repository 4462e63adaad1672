package app

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/detect"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/logs"
	"gatehouse/internal/policy"
)

// backend is what the API can ask the daemon for.
func (d *daemon) backend() api.Backend {
	return api.Backend{
		Notify: api.Notify{Queue: d.notifyQueue, Test: d.notifyTest},
		Whois:  d.whois, Abuse: d.abuseDesk(),
		Panel:  d.panelDesk(),
		Status: d.status, Ask: d.ask, Adopt: d.adopt, Bans: d.bans, Why: d.why, WhatIf: d.whatIf, Log: d.records,
		Ports: d.ports, AskPorts: d.askPorts, ConfirmPorts: d.confirmPorts,
		AllowList: d.allowed, List: d.listAsked, HookRuns: d.hooks.runs, Reload: d.reload, Stop: d.stopAsked,
	}
}

// stopAsked begins the shutdown.
func (d *daemon) stopAsked(flush bool) error {
	if flush {
		d.flush.Store(true)
	}
	d.stop()
	return nil
}

// status is the state of the daemon.
func (d *daemon) status() api.Status {
	var bans int
	var allow []policy.AllowEntry
	_ = d.spine.do(context.Background(), func() { bans, allow = d.spine.policy.Len(), d.spine.policy.Allow() }) // a stopping daemon shows none
	fw, lh := d.firewall.Status(), d.ledger.Health()
	st := api.Status{
		Version: d.o.Version, PID: os.Getpid(), Since: d.begun, Config: d.o.Config, Bans: bans,
		Sources: []api.Source{}, Never: []gate.Subject{}, Allow: []string{}, Degraded: []api.Weakness{},
		Drops:    api.Drops{Packets: fw.Drops.Ban.Packets + fw.Drops.Doubt.Packets, Bytes: fw.Drops.Ban.Bytes + fw.Drops.Doubt.Bytes},
		Ledger:   api.Ledger{Path: d.ledger.Path(), Records: d.ledger.Newest(), State: lh.State.String()},
		Firewall: api.Firewall{Table: "inet " + fw.Table, State: firewallState(fw), Healed: uint64(fw.Heals), Verdict: d.plan.Load().firewall.Verdict.String()},
	}
	if lh.Why != "" {
		st.Ledger.State += ": " + lh.Why
	}
	for _, p := range d.host.Snapshot().Never() {
		st.Never = append(st.Never, gate.PrefixSubject(p))
	}
	for _, e := range allow {
		if !slices.Contains(st.Allow, e.Text) {
			st.Allow = append(st.Allow, e.Text)
		}
	}
	st.Lists, st.Hooks = d.lists.report(), d.hooks.report()
	st.Scan = d.scans.report()
	st.Drops.Packets, st.Drops.Bytes = st.Drops.Packets+st.Scan.Dropped.Packets, st.Drops.Bytes+st.Scan.Dropped.Bytes
	st.Sources = d.sources()
	st.Channels = d.channelStatus()
	st.Broker = d.mqttStatus()
	st.Panel = d.panelWords()
	st.Notes = append([]string{}, d.portNotes()...)
	st.Degraded = d.weaknesses(st.Sources)
	st.State = state(fw, len(st.Degraded) > 0)
	return st
}

// state is how the daemon is, in a word.
func state(fw firewall.Status, weak bool) api.State {
	switch fw.Mode {
	case firewall.Observing:
		return api.Observing
	case firewall.Open:
		return api.Open
	case firewall.HandsOff:
		return api.HandsOff
	case firewall.Degraded:
		return api.Degraded
	}
	if weak {
		return api.Degraded
	}
	return api.Guarding
}

func firewallState(fw firewall.Status) string {
	if fw.Mode == firewall.Enforcing {
		return "ok"
	}
	if fw.Why == "" {
		return fw.Mode.String()
	}
	return fw.Mode.String() + ": " + fw.Why
}

// weaknesses lists what does not work.
func (d *daemon) weaknesses(sources []api.Source) []api.Weakness {
	list := []api.Weakness{}
	for _, f := range d.faults.wrong() {
		list = append(list, api.Weakness{Part: f.Part, Why: firstLine(f.Why), Since: f.Since, Hint: f.Hint})
	}
	for _, s := range sources {
		if s.State == logs.Unreadable.String() {
			list = append(list, api.Weakness{Part: sourcePart(s.Name), Why: s.Why, Since: d.begun, Hint: "let the daemon read it, or take it out of watch: in the configuration"})
		}
	}
	if blind := d.host.Blind(); blind != "" && !d.o.Observe {
		list = append(list, api.Weakness{Part: "ssh sessions", Why: blind, Since: d.begun, Hint: "run as root, or give CAP_SYS_PTRACE: without it whoever is logged in is not exempt"})
	}
	for name, why := range d.names.problems() {
		list = append(list, api.Weakness{Part: "allowed name " + name, Why: why, Since: d.begun, Hint: "its last addresses stay allowed; check the name and the resolver"})
	}
	return list
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

// sources is what is watched.
func (d *daemon) sources() []api.Source {
	d.mu.Lock()
	s := d.sensor
	d.mu.Unlock()
	list := []api.Source{}
	if s == nil {
		return list
	}
	for _, l := range s.logs.Status() {
		list = append(list, api.Source{
			Name: l.Path, Rule: strings.Join(l.Rules, ", "), State: l.State.String(), Why: l.Remarks(),
			Lines: l.Lines, Hits: l.Hits, Behind: l.Behind, Last: api.TimeOf(l.LastLine),
		})
	}
	if none, ok := absent(s.logs.Absent()); ok {
		list = append(list, none)
	}
	return list
}

// oneLine is the status for a service manager.
func (d *daemon) oneLine() string {
	fw := d.firewall.Health()
	watching := len(d.plan.Load().logs.Watches)
	d.mu.Lock()
	s := d.sensor
	d.mu.Unlock()
	if s != nil {
		watching -= len(s.logs.Absent())
	}
	return fmt.Sprintf("%s, watching %d rules", fw.Mode, watching)
}

// bans yields the bans in force, as the ledger has them.
func (d *daemon) bans(ctx context.Context, q api.BansQuery, yield func(api.Ban) error) error {
	if q.List != "" {
		return d.lists.listBans(ctx, q.List, yield)
	}
	now := time.Now()
	for live, err := range d.ledger.Current() {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case live.Verdict != gate.Ban, !live.Subject.IsNet(), q.Rule != "" && live.Rule != q.Rule, live.Life(now) == 0:
			continue
		}
		if err := yield(d.banOf(live)); err != nil {
			return err
		}
	}
	return nil
}

func (d *daemon) banOf(l ledger.Live) api.Ban {
	return api.Ban{
		Subject: l.Subject, Since: l.Time.UTC(), Until: api.TimeOf(l.Until), Rule: l.Rule, Origin: l.Origin.String(),
		Reason: l.Why, Ports: l.Scope.Ports, Offences: l.Offence, HTTP: l.Scope.HTTP, Enforced: d.enforced(l.Subject, l.Scope), Evidence: evidenceOf(l.Scope),
	}
}

// historyMost is how many records a story tells.
const historyMost = 50

// why is the whole story of a subject.
func (d *daemon) why(ctx context.Context, s gate.Subject) (api.Why, error) {
	w := api.Why{Subject: s, Bans: []api.Ban{}, Windows: []api.Window{}, History: []gate.Record{}}
	var known policy.Explanation
	var windows []detect.Window
	now := time.Now()
	err := d.spine.do(ctx, func() {
		windows = d.spine.detect.Windows(s, now)
		known = d.spine.policy.Explain(s, policyWindows(windows), now, d.host.Snapshot())
	})
	if err != nil {
		return w, err
	}
	records, err := d.ledger.Records(ledger.Query{Subject: s, Covering: s.Kind() == gate.KindAddr, Reverse: true, Limit: historyMost})
	if err != nil {
		return w, err
	}
	slices.Reverse(records)
	if records != nil {
		w.History = records
	}
	for _, b := range slices.Backward(known.Bans) {
		w.Bans = append(w.Bans, d.story(b))
	}
	for _, v := range windows {
		w.Windows = append(w.Windows, windowOf(v))
	}
	w.Verdict = verdictOf(known)
	if len(known.Text) > 0 {
		w.Sentence = known.Text[0]
	} else if !s.IsNet() {
		w.Sentence = s.String() + " is no address: what is known of it is what was decided about it"
	}
	if w.Allowed = known.Guarded; w.Allowed == "" && len(known.Allowed) > 0 {
		w.Allowed = "it is on the allow list (" + known.Allowed[0].Text + ")"
	}
	d.onLists(&w)
	w.Hooks = d.hooks.about(s)
	d.scans.tell(&w)
	d.onWho(&w)
	return w, nil
}

// policyWindows are detect's windows as policy wants them.
func policyWindows(ws []detect.Window) []policy.Window {
	out := make([]policy.Window, len(ws))
	for i, w := range ws {
		out[i] = policy.Window{Rule: w.Rule, Threshold: w.Threshold, Count: w.Count, Oldest: w.Oldest, Newest: w.Newest}
	}
	return out
}

// story is a ban in force as the API tells it.
func (d *daemon) story(b policy.Ban) api.Ban {
	return api.Ban{
		Subject: b.Subject, Since: b.Since.UTC(), Until: api.TimeOf(b.Until), Rule: b.Rule, Origin: b.Origin.String(),
		Reason: b.Why, Ports: b.Scope.Ports, Offences: b.Offence, HTTP: b.Scope.HTTP, Enforced: d.enforced(b.Subject, b.Scope), Evidence: evidenceOf(b.Scope),
	}
}

func windowOf(v detect.Window) api.Window {
	w := api.Window{Rule: v.Rule, Count: v.Count, Threshold: v.Threshold, Oldest: v.Oldest.UTC(), Newest: v.Newest.UTC()}
	for _, e := range slices.Concat(v.Proof.First, v.Proof.Last) {
		if e.Line != "" {
			w.Lines = append(w.Lines, e.Line)
		}
	}
	return w
}

// verdictOf says in a word what holds.
func verdictOf(e policy.Explanation) string {
	switch {
	case e.Guarded != "":
		return api.IsNever
	case len(e.Allowed) > 0:
		return api.IsAllowed
	case len(e.Bans) > 0:
		return api.IsBanned
	case len(e.Windows) > 0:
		return api.IsWatched
	}
	return api.IsFree
}

// records yields the ledger's records.
func (d *daemon) records(ctx context.Context, q api.LogQuery, yield func(gate.Record) error) error {
	after, left := q.After, q.Limit
	lq := ledger.Query{After: after, Subject: q.Subject, Covering: q.Subject.IsValid(), Rule: q.Rule, Since: q.Since}
	keep, some := byKind(&lq, q)
	if !some {
		return nil
	}
	if q.Last > 0 {
		rs, err := d.newestRecords(lq, q.Last, keep)
		if err != nil {
			return err
		}
		for _, r := range slices.Backward(rs) {
			if err := yield(r); err != nil {
				return err
			}
			after = max(after, r.Seq)
		}
		if !q.Follow {
			return nil
		}
		if len(rs) == 0 {
			after = max(after, d.ledger.Newest())
		}
	}
	if q.Follow {
		var failed error
		err := d.ledger.Follow(ctx, after, func(r gate.Record) bool {
			if !matches(q, r) {
				return true
			}
			if failed = yield(r); failed != nil {
				return false
			}
			left--
			return q.Limit == 0 || left > 0
		})
		return errors.Join(failed, err)
	}
	lq.Reverse, lq.Limit = false, 1000
	for {
		lq.After = after
		rs, err := d.ledger.Records(lq)
		if err != nil || len(rs) == 0 {
			return err
		}
		for _, r := range rs {
			after = r.Seq
			if !keep(r) {
				continue
			}
			if err := yield(r); err != nil {
				return err
			}
			if left--; q.Limit > 0 && left == 0 {
				return nil
			}
		}
	}
}

// matches reports whether a record is one that a query asks for.
func matches(q api.LogQuery, r gate.Record) bool {
	return (q.Rule == "" || r.Rule == q.Rule) && isKind(q, r) && !r.Time.Before(q.Since) &&
		(!q.Subject.IsValid() || r.Subject == q.Subject || r.Subject.Covers(q.Subject) || q.Subject.Covers(r.Subject))
}

// allowed is the allow list with where each entry comes from.
func (d *daemon) allowed() []api.Allowed {
	var entries []policy.AllowEntry
	var names []string
	var origin func(string) string
	_ = d.spine.do(context.Background(), func() { // a stopping daemon shows none
		entries, names = d.spine.policy.Allow(), d.spine.allow.names()
		origins := map[string]string{}
		for _, n := range names {
			origins[n] = d.spine.allow.origin(n)
		}
		origin = func(n string) string { return origins[n] }
	})
	addrs, problems := d.names.addresses(), d.names.problems()
	list := []api.Allowed{}
	for _, e := range entries {
		if !slices.Contains(names, e.Text) {
			list = append(list, api.Allowed{Entry: e.Text, Covers: []gate.Subject{gate.PrefixSubject(e.Prefix)}, Origin: e.Origin})
		}
	}
	for _, n := range names {
		list = append(list, api.Allowed{Entry: n, Covers: subjects(addrs[n]), Origin: origin(n), Problem: problems[n]})
	}
	return list
}

func subjects(addrs []netip.Addr) []gate.Subject {
	list := []gate.Subject{}
	for _, a := range addrs {
		list = append(list, gate.AddrSubject(a))
	}
	return list
}
