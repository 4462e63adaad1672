package enrich

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Lookups says when anybody outside is asked.
type Lookups uint8

// When others are asked. The zero value is the default.
const (
	Asked Lookups = iota // when a person asks, or a report needs to know whom to write to
	Told                 // also for each address that is banned, so that messages can say who it is
	Off                  // never
)

// Config is what the configuration says.
type Config struct {
	Lookups   Lookups
	Databases []string       // files of MaxMind's format, or folders with such; what is missing is passed over
	Keep      time.Duration  // how long an answer of a registry is good; 0 = DefaultKeep
	Limit     gate.Threshold // most look-ups that nobody asked for; zero = DefaultLimit
	Bootstrap string         // where the lists of RDAP servers are: a URL without the file's name; "" = IANA's
	Whois     string         // first whois server, host or host:port; "" = IANA's
}

// Defaults of Config.
const (
	DefaultKeep      = 7 * 24 * time.Hour
	DefaultBootstrap = "https://data.iana.org/rdap"
	DefaultWhois     = "whois.iana.org"
)

// DefaultLimit is 60 look-ups in an hour.
func DefaultLimit() gate.Threshold { return gate.Threshold{Count: 60, Within: time.Hour} }

// DefaultDatabases is where packages and updaters put databases.
func DefaultDatabases() []string {
	return []string{"/var/lib/GeoIP", "/usr/share/GeoIP", "/usr/local/share/GeoIP"}
}

// Store is the small durable state that keeps answers; ledger.Keep is one.
type Store interface {
	All() (map[string][]byte, error)
	Put(name string, value []byte)
	Delete(name string)
}

// Resolver asks the name servers of this machine; net.Resolver is one.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) ([]string, error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// Deps is what an Enricher uses of the rest.
type Deps struct {
	Log      *slog.Logger
	Store    Store    // required
	Resolver Resolver // required
	// Dial connects to a server; nil connects to public addresses only, unless the
	// bootstrap lists are at an address of this machine's own networks.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	Now  func() time.Time // nil = time.Now
}

// complete fills in defaults.
func (c *Config) complete() {
	if c.Keep <= 0 {
		c.Keep = DefaultKeep
	}
	if c.Limit == (gate.Threshold{}) {
		c.Limit = DefaultLimit()
	}
	if c.Bootstrap == "" {
		c.Bootstrap = DefaultBootstrap
	}
	if c.Whois == "" {
		c.Whois = DefaultWhois
	}
}
