package notify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Item is one record as a message shows it. All of its text is clean.
type Item struct {
	Seq      uint64    `json:"seq"`                // number of the record
	Time     time.Time `json:"time"`               // when it was decided
	Kind     string    `json:"kind"`               // ban, release, panel.alarm, ...
	Subject  string    `json:"subject,omitempty"`  // who, in canonical form
	Network  string    `json:"network,omitempty"`  // the configured network that the subject lies in
	Who      string    `json:"who,omitempty"`      // what else is known of the subject: name, country, owner
	Rule     string    `json:"rule,omitempty"`     // which rule, or who asked
	Offence  int       `json:"offence,omitempty"`  // how often it was banned, this one included
	Why      string    `json:"why"`                // a sentence
	Done     string    `json:"done,omitempty"`     // what was done about it; "" of what is only told
	Until    time.Time `json:"until,omitzero"`     // when that ends; zero = never, or nothing was done
	Forever  bool      `json:"forever,omitempty"`  // what was done has no end
	Undo     string    `json:"undo,omitempty"`     // the command that undoes it, or that tells more
	Evidence []string  `json:"evidence,omitempty"` // some lines of what was seen
}

// evidenceLines is how many lines of evidence an item keeps.
const evidenceLines = 3

// itemOf turns a record into what a message shows of it.
func itemOf(r *gate.Record, network string) Item {
	it := Item{
		Seq: r.Seq, Time: r.Time.UTC(), Kind: Clean(r.Kind(), maxName), Subject: r.Subject.String(), Network: Clean(network, maxName),
		Rule: Clean(r.Rule, maxName), Offence: r.Offence, Why: Clean(r.Why, maxWhy), Done: doneOf(r), Undo: undoOf(r),
	}
	if r.Verdict == gate.Ban || !r.Until.IsZero() {
		it.Until, it.Forever = r.Until.UTC(), r.Until.IsZero()
	}
	if it.Forever {
		it.Until = time.Time{}
	}
	if r.Proof != nil {
		for _, e := range slices.Concat(r.Proof.First, r.Proof.Last) {
			if len(it.Evidence) == evidenceLines {
				break
			}
			if e.Line != "" {
				it.Evidence = append(it.Evidence, Clean(e.Line, maxEvidence))
			}
		}
	}
	return it
}

// doneOf says what was done, in a few words.
func doneOf(r *gate.Record) string {
	on := ""
	if !r.Scope.Ports.IsEmpty() {
		on = " on " + Clean(r.Scope.Ports.String(), 120)
	}
	switch r.Verdict {
	case gate.Ban:
		switch {
		case r.Scope.HTTP:
			return "its requests to the web server are refused; the kernel cannot see it behind the proxy"
		case r.Scope.New:
			return "new connections of it are dropped" + on
		}
		return "its packets are dropped" + on
	case gate.Release:
		return "its packets pass again" + on
	case gate.Close:
		return "closed"
	case gate.Open:
		return "open"
	case gate.Allow:
		return "it is never banned from now on"
	case gate.Disallow:
		return "it can be banned again"
	}
	if r.Topic == "" {
		return "nothing: it may not be banned"
	}
	return ""
}

// undoOf returns the command that undoes what a record did, or that tells more
// where there is nothing to undo. It is made of canonical text only.
func undoOf(r *gate.Record) string {
	s := r.Subject.String()
	if r.Subject.Kind() == gate.KindPort {
		p, d := r.Subject.Ports()
		words := strings.ReplaceAll(p.String(), " ", " ") + " --" + d.String()
		switch r.Verdict {
		case gate.Close:
			return "gatehouse port open " + words
		case gate.Open:
			return "gatehouse port close " + words
		}
		return "gatehouse port list"
	}
	switch {
	case !r.Subject.IsValid():
		return "gatehouse log -n 20"
	case !r.Subject.IsNet():
		return "gatehouse log --subject " + s
	}
	switch r.Verdict {
	case gate.Ban:
		return "gatehouse unban " + s
	case gate.Release:
		return "gatehouse ban " + s
	case gate.Allow:
		return "gatehouse allow remove " + s
	case gate.Disallow:
		return "gatehouse allow add " + s
	}
	return "gatehouse why " + s
}

// Tally is how many records of a message have something in common.
type Tally struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

// Message is what templates get: one letter, ready to be written. All text in it
// is clean.
type Message struct {
	ID       string    `json:"id"`             // `seq/channel`: a receiver that has seen it drops it
	Host     string    `json:"host"`           // the machine that tells
	Kind     string    `json:"kind"`           // of all records in it
	Severity Severity  `json:"severity"`       // how much it matters
	Title    string    `json:"title"`          // one line that says it all
	Count    int       `json:"count"`          // how many records, those included that are not listed
	More     int       `json:"more"`           // how many are not listed
	From     time.Time `json:"from"`           // when the first of them was decided
	To       time.Time `json:"to"`             // when the last one was
	Rules    []Tally   `json:"rules"`          // by rule, the most frequent first
	Items    []Item    `json:"items"`          // the first and the last ones
	Note     string    `json:"note,omitempty"` // what else to know, such as why it comes this way
}

// messageOf makes the message of a letter for a channel.
func messageOf(l *letter, host string, who func(gate.Subject) string) *Message {
	w := &l.Wave
	m := &Message{
		ID: l.ID, Host: Clean(host, maxName), Kind: w.Kind, Severity: w.Severity, Count: w.Count, From: w.From, To: w.To,
		Items: slices.Concat(w.Head, w.Tail), Rules: w.tallies(), Note: l.Note,
	}
	m.More = w.Count - len(m.Items)
	if who != nil {
		for i := range m.Items {
			if s, err := gate.ParseSubject(m.Items[i].Subject); err == nil && s.IsNet() {
				m.Items[i].Who = Clean(who(s), 2*maxName)
			}
		}
	}
	m.Title = titleOf(m)
	return m
}

// titleOf writes the headline: of one record what and who, of several how many.
func titleOf(m *Message) string {
	k := kindOf(m.Kind)
	if m.Count > 1 || len(m.Items) == 0 {
		t := fmt.Sprintf("%d %s", m.Count, k.many)
		if len(m.Rules) > 0 && len(m.Rules) <= 3 {
			var names []string
			for _, r := range m.Rules {
				names = append(names, r.Name)
			}
			t += " (" + strings.Join(names, ", ") + ")"
		}
		return t
	}
	it := m.Items[0]
	t := k.one
	switch {
	case strings.Contains(m.Kind, "."), m.Kind == "test":
		if t == "" {
			t = m.Kind
		}
		return t + ": " + Clean(it.Why, 120)
	case it.Subject != "":
		t += " " + it.Subject
	}
	if m.Kind == "ban" {
		t += " " + lasting(it) + " (" + it.Rule + ")"
	}
	return t
}

// lasting says how long a ban was meant to last.
func lasting(it Item) string {
	if it.Forever {
		return "forever"
	}
	return "for " + gate.FormatDuration(it.Until.Sub(it.Time).Round(time.Second))
}
