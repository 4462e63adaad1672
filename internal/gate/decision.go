package gate

import (
	"fmt"
	"net/netip"
	"strconv"
	"time"
)

// Verdict is what is decided.
type Verdict uint8

// The verdicts. VerdictNone is invalid.
const (
	VerdictNone Verdict = iota
	Ban                 // drop what the subject sends
	Release             // no longer ban it
	Close               // close ports
	Open                // open ports
	Allow               // never ban it from now on
	Disallow            // take an Allow back
	Tell                // change nothing, but record and tell
)

var verdictNames = [...]string{"", "ban", "release", "close", "open", "allow", "disallow", "tell"}

// String returns the verdict in one lower-case word; "" for VerdictNone.
func (v Verdict) String() string {
	if int(v) < len(verdictNames) {
		return verdictNames[v]
	}
	return strconv.Itoa(int(v))
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verdict) UnmarshalText(b []byte) error {
	for i, n := range verdictNames {
		if n == string(b) {
			*v = Verdict(i)
			return nil
		}
	}
	return fmt.Errorf("%s is not a verdict", Quote(string(b), 32))
}

// Proof is what a finding rests on: the first events, the last ones, and how
// many there were in truth.
type Proof struct {
	Count int     `json:"count"`           // true number of events that counted
	First []Event `json:"first,omitempty"` // the first ones, at most ProofFirst
	Last  []Event `json:"last,omitempty"`  // the last ones, at most ProofLast, none of them in First
}

// How many events a Proof keeps: enough to tell a story, few enough to store.
const (
	ProofFirst = 8
	ProofLast  = 24
)

// Add appends an event, moving the oldest of Last out when it is full.
func (p *Proof) Add(e Event) {
	p.Count++
	if len(p.First) < ProofFirst {
		p.First = append(p.First, e)
		return
	}
	if len(p.Last) == ProofLast {
		copy(p.Last, p.Last[1:])
		p.Last = p.Last[:ProofLast-1]
	}
	p.Last = append(p.Last, e)
}

// Finding says that a threshold was crossed, and by what. An ask is a finding
// too: it crosses at once.
type Finding struct {
	Time      time.Time // when the last event happened
	Origin    Origin    // of the event that crossed it
	Rule      string    // the watch
	Subject   Subject   // who: an address, or for IPv6 the prefix that is counted together
	Last      Subject   // the single address of the last event, where Subject is a prefix
	Threshold Threshold // what was crossed
	Evidence  Evidence  // the weakest class among the events
	Proof     Proof     // the events
	Ask       *Ask      // set for an ask
}

// Scope is what part of a subject's traffic a decision is about.
type Scope struct {
	Ports     Ports     `json:"ports,omitzero"`     // empty = all
	Direction Direction `json:"direction,omitzero"` // DirectionNone and In = what the subject sends
	New       bool      `json:"new,omitempty"`      // only new connections: live ones go on. Of an opening: so they do when it ends
	// HTTP says that only requests to a web server are meant: the subject is behind
	// a proxy, so the kernel cannot tell its packets from those of others.
	HTTP bool         `json:"http,omitempty"`
	From netip.Prefix `json:"from,omitzero"` // of a port: only what comes from there; zero = from anywhere
	To   netip.Prefix `json:"to,omitzero"`   // of a port: only what goes there; zero = to anywhere
}

// Decision is a verdict on a subject, with its reason. Its Origin, Rule,
// Subject and Verdict identify it.
type Decision struct {
	Time    time.Time `json:"time"`            // when it was decided
	Until   time.Time `json:"until,omitzero"`  // when a ban ends; zero = never
	Verdict Verdict   `json:"verdict"`         // what
	Subject Subject   `json:"subject"`         // on whom
	Scope   Scope     `json:"scope,omitzero"`  // on which part of it
	Rule    string    `json:"rule"`            // the watch, or who asked: "command"
	Topic   string    `json:"topic,omitempty"` // of a Tell: the kind of happening, `panel.alarm`; see Kind. Of ports: the service that was named
	Origin  Origin    `json:"origin"`          // of the event that led to it; the zero Origin for what time alone did
	Offence int       `json:"offence,omitempty"`
	Why     string    `json:"why"` // a sentence in plain words, made where the decision is made
	Proof   *Proof    `json:"proof,omitempty"`
}

// Record is a decision in the ledger: numbered, for good.
type Record struct {
	Seq uint64 `json:"seq"` // from 1, without gaps
	Decision
}

// Life returns how long the decision's effect lasts from t: Forever where it
// has no end, 0 where it is over.
func (d Decision) Life(t time.Time) time.Duration {
	if d.Until.IsZero() {
		return Forever
	}
	return max(0, d.Until.Sub(t))
}

// Kind returns what kind of record a decision makes, for whoever sorts them:
// `ban`, `release`, `close`, ... or, of a Tell, its topic.
func (d Decision) Kind() string {
	if d.Verdict == Tell && d.Topic != "" {
		return d.Topic
	}
	return d.Verdict.String()
}
