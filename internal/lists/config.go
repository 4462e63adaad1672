package lists

import (
	"net/url"
	"strings"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// List is one block list: where it comes from, and what it is for. Of File and URL
// one is set.
type List struct {
	Name      string
	File      string // absolute path
	URL       string // http or https
	Format    formats.Format
	Every     time.Duration  // how often the source is asked; default 12h for a URL, 1m for a file, which is also read when it changes
	Timeout   time.Duration  // for one request; default 2m
	Limits    Limits         // what it may cost
	Private   bool           // private and reserved networks in it are meant
	SHA256    string         // its checksum, or the path or URL of a file of checksums; "" = none
	Minisign  string         // the public key that signs it; "" = none
	Signature string         // path or URL of the signature; "" = the source with .minisig behind it
	Verdict   gate.Verdict   // Ban, or Allow: what it names is never banned
	Direction gate.Direction // In, Out, or DirectionNone for both
	Expire    time.Duration  // how old it may become while its source gives nothing; 0 = any age
	Shrink    int            // by how many percent it may shrink at once
	Grow      int            // by how many percent it may grow at once
}

// Config is all lists and where their copies lie.
type Config struct {
	Lists  []List
	Folder string // absolute
	Agent  string // what requests call themselves; default gatehouse
}

func (l List) withDefaults() List {
	if l.Every <= 0 {
		if l.Every = 12 * time.Hour; l.File != "" {
			l.Every = time.Minute
		}
	}
	if l.Timeout <= 0 {
		l.Timeout = 2 * time.Minute
	}
	if l.Verdict == gate.VerdictNone {
		l.Verdict = gate.Ban
	}
	l.Limits = l.Limits.withDefaults()
	return l
}

// where is the source as configured.
func (l *List) where() string {
	if l.File != "" {
		return l.File
	}
	return l.URL
}

// Source is where the list comes from, without what may be a secret: the user and the
// query of a URL.
func (l *List) Source() string {
	if l.File != "" {
		return l.File
	}
	u, err := url.Parse(l.URL)
	if err != nil {
		return "a URL"
	}
	u.User, u.Fragment = nil, ""
	if u.RawQuery != "" {
		u.RawQuery = ""
		return u.String() + "?…"
	}
	return u.String()
}

func isURL(s string) bool { return strings.HasPrefix(s, "https://") || strings.HasPrefix(s, "http://") }
