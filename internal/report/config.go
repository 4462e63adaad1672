package report

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Config is what is to be reported, to whom.
type Config struct {
	Targets      []Target
	DryRun       bool           // send nothing, record what would have been sent
	Rules        []string       // only bans of these watches; empty = all
	Offence      int            // from which ban of an offender on; 0 = 1
	Limit        gate.Threshold // most offenders within a time; zero = DefaultLimit
	Own          []netip.Prefix // never reported, never shown
	Hide         []string       // words that never leave
	Organisation string         // who reports
	Contact      string         // mail address for questions
	Digest       Schedule
	Zone         *time.Location // clock of the digest; nil = local
}

// DefaultLimit is 100 offenders in a day.
func DefaultLimit() gate.Threshold { return gate.Threshold{Count: 100, Within: gate.Day} }

// Secret returns a secret, or why it cannot be read.
type Secret func() (string, error)

// Target is one whom abuse is reported to. Exactly one of Channel, AbuseIPDB,
// Blocklist and URL is set.
type Target struct {
	Name      string
	Channel   string // X-ARF mail to the abuse contact, through this channel
	AbuseIPDB Secret // key of its API
	Blocklist Secret // key of our server at blocklist.de
	URL       Secret
	Server    string // Blocklist: mail address of our server there
	Template  string // URL: file; "" = the report as JSON
	Type      string // URL: media type; "" = application/json
	Headers   []Header
	API       string // AbuseIPDB, Blocklist: another base URL
	CA        string // file with certificates that are trusted besides the system's
}

// Header is one further header of a request.
type Header struct {
	Name  string
	Value Secret
}

// Every is how often a digest comes.
type Every uint8

// How often.
const (
	Never Every = iota
	Daily
	Weekly // on Mondays
)

// Schedule is when a digest is sent, and to whom.
type Schedule struct {
	Every Every
	At    time.Duration // behind midnight
	To    []string      // channels
}

// Mail is a mail to be sent through a channel.
type Mail struct {
	ID      string
	Kind    string
	To      string // "" = whom the channel reaches
	ReplyTo string
	Subject string
	Text    string
	HTML    string
	XARF    string // the report as JSON, which goes with the mail; "" = none
	Short   string // what a channel says that is not mail
}

// Whom is who holds an address, as far as it is known.
type Whom struct {
	Name     string // confirmed by DNS
	Country  string // two letters
	Operator string // who announces it, or holds it
	Network  netip.Prefix
	Abuse    []string // mail addresses for reports, the best first
	Problem  string   // why there is none
}

// Store is the small durable state; ledger.Keep is one.
type Store interface {
	Get(name string) (value []byte, found bool, err error)
	Put(name string, value []byte)
}

// Deps is what a Reporter uses of the rest. All are required.
type Deps struct {
	Log    *slog.Logger
	Host   string // name of this machine, for digests; never in a report
	Store  Store
	Newest func() uint64
	Flush  func(ctx context.Context) error // returns when what was stored is durable
	// Follow yields each record behind a number, those to come included.
	Follow func(ctx context.Context, after uint64, yield func(gate.Record) bool) error
	// Records returns some records behind a number, oldest first, none when there
	// are no more.
	Records func(after uint64, since time.Time, limit int) ([]gate.Record, error)
	// About returns the newest records on a subject, the newest first.
	About func(s gate.Subject, limit int) ([]gate.Record, error)
	// Spared says why a subject must not be reported: it is allowed, it is this
	// machine; "" if nothing speaks against it.
	Spared func(ctx context.Context, s gate.Subject) (string, error)
	// Private returns what never leaves: names of this machine and of its accounts.
	Private func() []string
	// Service returns the service that a watch guards: ssh; "" = unknown.
	Service func(rule string) string
	Known   func(addr netip.Addr) Whom                      // at once
	Look    func(ctx context.Context, addr netip.Addr) Whom // asks registries
	Mail    func(ctx context.Context, channel string, m Mail) (answer string, err error)
	Post    func(ctx context.Context, r *http.Request, ca string) (answer string, err error)
	// Again says of an error of Mail or Post whether trying again is in vain, and how
	// long the other side asks to wait.
	Again func(err error) (permanent bool, after time.Duration)
	Tell  func(kind string, s gate.Subject, sentence string)
	Fault func(target, why, hint string) // why "" = nothing is wrong
	Now   func() time.Time
}
