package rules

import (
	"regexp"
	"slices"

	"gatehouse/internal/gate"
)

// Rule says how to read the log of one service. It is immutable after Parse.
type Rule struct {
	Name      string         // a gate name: "sshd"
	Title     string         // for people, one line: "OpenSSH server"
	Doc       string         // for people, any number of lines: what counts and why
	Service   string         // a gate name of what is guarded: "ssh"; "" = none
	Noun      string         // one of what its patterns count, "failed login"; "" = failure
	Ports     gate.Ports     // where the service listens by default; empty = not told
	Evidence  gate.Evidence  // what a line of it proves; never EvidenceNone
	Programs  []string       // syslog tags that its messages carry; empty = any
	Sources   Sources        // where its messages are usually found
	Threshold gate.Threshold // when to act; zero = the configured default
	Session   Session        // what joins the lines of one connection, unless a pattern says otherwise
	Longest   int            // longer messages, in bytes, never match unless a pattern says otherwise; 0 = MaxLine
	Format    Format         // how its lines are written; FormatUnset = FormatSyslog
	Continues bool           // a line without a date belongs to the dated line before it
	Optional  bool           // watched only where somebody names it: what it counts honest peers do as well
	Fields    Fields         // for FormatJSON: where a line has what, unless a pattern says otherwise
	Patterns  []Pattern      // tried in this order: the first that matches wins
	Samples   []Sample       // lines with what they must give

	format  Format   // in force
	recalls bool     // some pattern has the address of its session
	paths   []string // of the fields that its patterns ask for; for FormatJSON only
}

// Sources is where the messages of a rule are usually found.
type Sources struct {
	Files   []string // globs of absolute paths
	Journal []string // systemd units
}

// Session says what joins the lines of one connection.
type Session uint8

// The kinds of session key.
const (
	SessionUnset Session = iota // on a Pattern: as the rule says; on a Rule: as SessionNone
	SessionNone                 // each line stands alone
	SessionPID                  // the process number in the header, together with the host
)

var sessionNames = [...]string{"", "none", "pid"}

// String returns `none`, `pid` or "".
func (s Session) String() string { return sessionNames[s%Session(len(sessionNames))] }

// Pattern is one kind of message.
type Pattern struct {
	Name     string        // a gate name, unique within the rule
	Class    gate.Class    // what such a message means for the counting; never ClassNone or ClassAsk
	Match    string        // the expression as written, macros included; "" where the format has fields
	Where    []Condition   // all of them must hold; only where the format has fields
	Fields   Fields        // overrides the rule's; for FormatJSON only
	Reads    string        // which statement of which program writes the message: "OpenSSH 9.2 auth.c, auth_log"
	Session  Session       // overrides the rule's
	Longest  int           // overrides the rule's; 0 = as the rule says
	Evidence gate.Evidence // overrides the rule's; EvidenceNone = as the rule says
	Peer     Peer          // whence the address; PeerLine = from the line itself
	Known    bool          // the account in it exists on the machine: no stranger chose its name
	Service  string        // overrides the rule's
	Ports    gate.Ports    // overrides the rule's

	expr   string         // Match with its macros expanded
	re     *regexp.Regexp // compiled expr
	groups groups         // which group of re is what
	conds  []condition    // Where, compiled
	places places         // where the fields are; for FormatJSON only
	// clues are expressions of which each one matches, unanchored, every raw
	// line that the pattern matches: what the literals are taken from.
	clues    []string
	needs    []clause      // taken from the clues
	exact    *exact        // re, compiled anew; nil where that is
	session  Session       // in force
	longest  int           // in force
	evidence gate.Evidence // in force
	whole    bool          // is tried on the whole line where it does not match the message
}

// Origins of a sample.
const (
	OriginCaptured = "captured" // written by the real program
	OriginSource   = "source"   // made after the statement in the program's source
)

// Sample is one line of log and what the rule must make of it.
type Sample struct {
	Line   string  // the raw line, header included
	Expect *Expect // nil: the line must not match
	Origin string  // OriginCaptured or OriginSource
}

// Expect is what a hit must say. Zero fields other than Pattern and Addr are
// not compared.
type Expect struct {
	Pattern string // its pattern's name
	Addr    string // its address in canonical text
	User    string
	Port    uint16
	Session uint64 // the number that joins: a process number
	Repeat  int
}

// PatternNamed returns the pattern of this name, or nil.
func (r *Rule) PatternNamed(name string) *Pattern {
	if i := slices.IndexFunc(r.Patterns, func(p Pattern) bool { return p.Name == name }); i >= 0 {
		return &r.Patterns[i]
	}
	return nil
}

// settle fills in what each pattern takes from its rule.
func (r *Rule) settle() {
	if r.format = r.Format; r.format == FormatUnset {
		r.format = FormatSyslog
	}
	for i := range r.Patterns {
		p := &r.Patterns[i]
		p.session, p.longest = p.Session, p.Longest
		if p.session == SessionUnset {
			p.session = r.Session
		}
		if p.longest == 0 {
			p.longest = r.Longest
		}
		if p.longest == 0 {
			p.longest = MaxLine
		}
		p.settleMatch()
		if p.evidence = p.Evidence; p.evidence == gate.EvidenceNone {
			p.evidence = r.Evidence
		}
	}
	r.settlePaths()
	r.settlePeers()
}
