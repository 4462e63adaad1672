package api

import (
	"context"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Backend is what the daemon can be asked for. Each function is called on the
// goroutine of a request, several at once, and must return soon after its
// context ends. An error that is an [*Error] reaches the caller with its hint;
// the text of any other error does, too.
type Backend struct {
	// Status returns the state of the daemon now.
	Status func() Status
	// Ask hands wishes to the line and returns one answer for each, in order,
	// when what they changed is in the ledger.
	Ask func(ctx context.Context, asks []Wish) ([]gate.Answer, error)
	// Adopt takes over bans that another program decided; see Adoption.
	Adopt func(ctx context.Context, ds []gate.Decision) (Adopted, error)
	// Bans yields the bans in force. It holds no lock while yield runs, and
	// stops with yield's error.
	Bans func(ctx context.Context, q BansQuery, yield func(Ban) error) error
	// Why returns what is known about a subject.
	Why func(ctx context.Context, s gate.Subject) (Why, error)
	// WhatIf returns what would follow if something happened to a subject now.
	WhatIf func(ctx context.Context, s gate.Subject) ([]Prospect, error)
	// Log yields records, oldest first; with Follow it goes on until ctx ends.
	Log func(ctx context.Context, q LogQuery, yield func(gate.Record) error) error
	// AllowList returns what is never banned because somebody said so.
	AllowList func() []Allowed
	// HookRuns returns the latest runs of a hook, oldest first.
	HookRuns func(name string) ([]HookRun, error)
	// List looks at a block list now, or where by names who asks, takes what is held
	// back of it.
	List func(ctx context.Context, name, by string) error
	// Ports returns what holds for ports now, or at another time.
	Ports func(ctx context.Context, at time.Time) ([]Port, error)
	// AskPorts hands a wish about ports to the line, and returns an answer for each
	// service of it, and one for its ports, when what they changed is in the ledger.
	AskPorts func(ctx context.Context, w PortWish) ([]PortAnswer, error)
	// ConfirmPorts makes what waits to be confirmed last, and returns how much it was.
	ConfirmPorts func(ctx context.Context, by string) (int, error)
	// Reload reads the configuration again; on an error nothing has changed.
	Reload func(ctx context.Context) error
	// Notify is about telling people.
	Notify Notify
	// Whois returns who is behind an address; fresh asks the registries again.
	Whois func(ctx context.Context, addr netip.Addr, fresh bool) (Whois, error)
	// Abuse is about reports of abuse and digests.
	Abuse Abuse
	// Panel is about the alarm panel.
	Panel PanelDesk
	// Stop begins the ordered shutdown and returns; with flush the bans leave
	// the kernel, too.
	Stop func(flush bool) error
}

// Wish is one wish about one subject. The subject is zero where Ask.Name says
// whom it is about (a host name to allow) and where Ask.All is set.
type Wish struct {
	Subject gate.Subject
	gate.Ask
}

// BansQuery selects bans. The zero value selects all.
type BansQuery struct {
	Rule string // of this rule only
	List string // what this block list bans
}

// LogQuery selects records. The zero value selects all that there are.
type LogQuery struct {
	After   uint64       // records behind this sequence number
	Last    int          // begin with the newest so many, 0 = with the oldest
	Limit   int          // end after so many, 0 = no limit
	Follow  bool         // go on with what comes
	Rule    string       // of this rule only
	Kind    string       // of this kind only: a verdict (`ban`), a part (`scan`: all of this rule) or a topic (`scan.held`)
	Subject gate.Subject // on this subject, what covers it, or what lies in it
	Since   time.Time    // decided at or after this time
}

// Ban is one ban in force.
type Ban struct {
	Subject  gate.Subject `json:"subject" doc:"address or prefix"`
	Since    time.Time    `json:"since" doc:"when it was banned"`
	Until    *time.Time   `json:"until" doc:"when it ends; null = never"`
	Rule     string       `json:"rule" doc:"which rule, or command"`
	Origin   string       `json:"origin" doc:"where it was seen, or who asked"`
	Reason   string       `json:"reason" doc:"why, in a sentence"`
	Ports    gate.Ports   `json:"ports" doc:"which ports are closed to it; empty = all"`
	Offences int          `json:"offences" doc:"how often it was banned, this one included"`
	HTTP     bool         `json:"http,omitempty" doc:"it comes by a trusted proxy: only the web server or the proxy can refuse it"`
	Enforced bool         `json:"enforced" doc:"whether what it sends is refused: by the kernel, or by a web server that is told of it"`

	Evidence gate.Evidence `json:"evidence,omitempty" doc:"what it rests on: proven, or forgeable, which spares live connections"`
}

// State is how the daemon is, in one word or two.
type State string

// The states, the best first.
const (
	Guarding  State = "guarding"  // bans are enforced
	Observing State = "observing" // decisions are taken, none is enforced: as asked
	Open      State = "open"      // the emergency file is there: nothing is enforced
	HandsOff  State = "hands off" // others removed our table again and again: nothing is enforced for a while
	Degraded  State = "degraded"  // a part does not work: see Status.Degraded
)

// Status is the state of the daemon.
type Status struct {
	Version  string         `json:"version" doc:"version of the daemon"`
	PID      int            `json:"pid" doc:"its process"`
	State    State          `json:"state" enum:"guarding,observing,open,hands off,degraded" doc:"how it is"`
	Since    time.Time      `json:"since" doc:"when it started"`
	Config   string         `json:"config" doc:"the configuration file; empty = built-in defaults"`
	Sources  []Source       `json:"sources" doc:"what is watched"`
	Bans     int            `json:"bans" doc:"bans in force"`
	Drops    Drops          `json:"drops" doc:"what the firewall dropped since it was loaded"`
	Never    []gate.Subject `json:"never" doc:"who can never be banned: this machine, its gateways, its name servers, who is logged in"`
	Allow    []string       `json:"allow" doc:"who is never banned because somebody said so"`
	Scan     *Scan          `json:"scan,omitempty" doc:"what guards against port scans"`
	Ledger   Ledger         `json:"ledger" doc:"the memory of all decisions"`
	Firewall Firewall       `json:"firewall" doc:"our table in the kernel"`
	Channels []Channel      `json:"channels,omitempty" doc:"ways to people, and how they fare"`
	Broker   *Broker        `json:"broker,omitempty" doc:"the MQTT broker, where there is one"`
	Panel    string         `json:"panel,omitempty" doc:"how the alarm panel is, in a sentence; absent = there is none"`
	Degraded []Weakness     `json:"degraded" doc:"what does not work, and what to do"`
	Notes    []string       `json:"notes" doc:"what to know that is no fault"`
	Lists    []List         `json:"lists" doc:"the block lists"`
	Hooks    []Hook         `json:"hooks" doc:"the commands that are run for what is recorded"`
}

// Source is one thing that is watched.
type Source struct {
	Name   string     `json:"name" doc:"path or unit"`
	Rule   string     `json:"rule" doc:"which rule reads it"`
	State  string     `json:"state" doc:"waiting, reading, caught up or unreadable"`
	Why    string     `json:"why,omitempty" doc:"why it cannot be read"`
	Lines  uint64     `json:"lines" doc:"lines read since the start"`
	Hits   uint64     `json:"hits" doc:"lines that the rule recognised"`
	Behind int64      `json:"behind" doc:"bytes that are still to be read"`
	Last   *time.Time `json:"last" doc:"when the last line came; null = none yet"`
}

// Drops counts what was dropped.
type Drops struct {
	Packets uint64 `json:"packets" doc:"packets dropped"`
	Bytes   uint64 `json:"bytes" doc:"their size in bytes"`
}

// Ledger is the state of the ledger.
type Ledger struct {
	Path    string `json:"path" doc:"the database file"`
	Records uint64 `json:"records" doc:"number of the newest record"`
	State   string `json:"state" doc:"ok, or what is wrong"`
}

// Firewall is the state of the firewall.
type Firewall struct {
	Table   string `json:"table" doc:"our table in the kernel"`
	State   string `json:"state" doc:"ok, or what is wrong"`
	Healed  uint64 `json:"healed" doc:"how often somebody removed the table and it was put back"`
	Verdict string `json:"verdict" doc:"drop or reject"`
}

// Weakness is one thing that does not work.
type Weakness struct {
	Part  string    `json:"part" doc:"which part"`
	Why   string    `json:"why" doc:"what is wrong"`
	Since time.Time `json:"since" doc:"since when"`
	Hint  string    `json:"hint,omitempty" doc:"what to do"`
}

// What Why.Verdict can say.
const (
	IsBanned  = "banned"  // a ban covers it
	IsNever   = "never"   // the guard against locking out forbids a ban
	IsAllowed = "allowed" // the allow list covers it
	IsWatched = "watched" // not banned; some of its failures are being counted
	IsFree    = "free"    // not banned, and nothing is counted against it
)

// Why is the whole story of one subject.
type Why struct {
	Subject  gate.Subject  `json:"subject" doc:"who was asked about"`
	Verdict  string        `json:"verdict" enum:"banned,never,allowed,held,watched,free" doc:"what holds now"`
	Sentence string        `json:"sentence" doc:"the verdict and its reason in one sentence"`
	Bans     []Ban         `json:"bans" doc:"the bans that cover it, the widest first"`
	Allowed  string        `json:"allowed,omitempty" doc:"why it may not be banned: the entry of the allow list, or what the guard says"`
	Held     *Held         `json:"held,omitempty" doc:"how the kernel holds it for a port scan; absent = it does not"`
	Windows  []Window      `json:"windows" doc:"what is being counted against it"`
	Lists    []Listing     `json:"lists" doc:"entries of block lists that cover it"`
	Hooks    []HookRun     `json:"hooks" doc:"the latest commands that were run for it, oldest first"`
	Who      *Whois        `json:"who,omitempty" doc:"who is behind it, as far as it is known here; gatehouse whois asks others"`
	History  []gate.Record `json:"history" doc:"earlier and present decisions with their evidence, oldest first"`
	WhatIf   []Prospect    `json:"what_if,omitempty" doc:"what would follow; where it was asked for"`
}

// Window is what one rule counts against a subject just now.
type Window struct {
	Rule      string         `json:"rule" doc:"which rule"`
	Count     int            `json:"count" doc:"how many count now"`
	Threshold gate.Threshold `json:"threshold" doc:"how many within how long lead to a ban"`
	Oldest    time.Time      `json:"oldest" doc:"when the first of them happened"`
	Newest    time.Time      `json:"newest" doc:"when the last of them happened"`
	Lines     []string       `json:"lines,omitempty" doc:"some of the lines, oldest first"`
}

// Allowed is one entry of the allow list.
type Allowed struct {
	Entry    string         `json:"entry" doc:"as it was written: an address, a prefix or a host name"`
	Covers   []gate.Subject `json:"covers" doc:"the addresses and prefixes that it stands for now"`
	Origin   string         `json:"origin" doc:"config or command"`
	Problem  string         `json:"problem,omitempty" doc:"why its name does not resolve now"`
	Resolved *time.Time     `json:"resolved,omitempty" doc:"when its name was last resolved"`
}

// Answer is what became of one wish.
type Answer struct {
	Subject string     `json:"subject" doc:"whom the wish was about, in canonical form"`
	Changed bool       `json:"changed" doc:"false: it was so already, or the wish was refused"`
	Until   *time.Time `json:"until,omitempty" doc:"when the ban that holds now ends; absent = never, or there is none"`
	Refused string     `json:"refused,omitempty" doc:"why not, in a sentence; absent = granted"`
	Hint    string     `json:"hint,omitempty" doc:"what to do instead"`
	Note    string     `json:"note,omitempty" doc:"what else to know"`
}

// Problem is one error in a file, with its place.
type Problem struct {
	File    string `json:"file,omitempty" doc:"which file"`
	Line    int    `json:"line,omitempty" doc:"from 1"`
	Column  int    `json:"column,omitempty" doc:"from 1"`
	Error   string `json:"error" doc:"what is wrong"`
	Excerpt string `json:"excerpt,omitempty" doc:"the line, and a caret below the place"`
	Hint    string `json:"hint,omitempty" doc:"what to do"`
}

// TimeOf returns a pointer to t in UTC for the documents of this package, where
// nil stands for never; the zero time gives nil.
func TimeOf(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// recordInUTC returns r with all its times in UTC; r's own evidence is not
// changed.
func recordInUTC(r gate.Record) gate.Record {
	r.Time = r.Time.UTC()
	if !r.Until.IsZero() {
		r.Until = r.Until.UTC()
	}
	if r.Proof != nil {
		p := *r.Proof
		p.First, p.Last = eventsInUTC(p.First), eventsInUTC(p.Last)
		r.Proof = &p
	}
	return r
}

func eventsInUTC(es []gate.Event) []gate.Event {
	if es == nil {
		return nil
	}
	out := make([]gate.Event, len(es))
	for i, e := range es {
		e.Time = e.Time.UTC()
		out[i] = e
	}
	return out
}
