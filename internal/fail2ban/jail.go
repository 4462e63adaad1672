package fail2ban

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"
)

// Jail is a section of the jail files: what is watched, and what follows.
type Jail struct {
	Name    string
	At      Position
	Enabled bool
	Filter  Call // zero = none
	Backend string
	Logs    []Log
	Journal [][]string // matches of the jail itself; nil = those of the filter

	MaxRetry  int
	FindTime  time.Duration
	BanTime   time.Duration // gate.Forever = for ever
	Increment Increment

	IgnoreIP      []string // addresses, networks, names, file:PATH
	IgnoreSelf    bool
	IgnoreCommand string

	Port     string // as written: names, numbers, ranges, or "0:65535" for all
	Protocol string
	Chain    string
	Actions  []Call

	Zone       *int // logtimezone in minutes east of UTC; nil = that of the machine
	Encoding   string
	MaxMatches int
	// Set holds the options that take precedence over the filter's.
	Set map[string]string
	// Problems are what could not be understood; the rest of the jail holds.
	Problems []Problem
}

// Log is a log that a jail watches.
type Log struct {
	Path string // a pattern of file names
	Tail bool   // it is read from its end on, not from its beginning
}

// Increment says how ban times grow for those who come back (bantime.*).
type Increment struct {
	Enabled     bool
	Factor      float64   // 0 = not set
	Formula     string    // Python, never evaluated; "" = not set
	Multipliers []float64 // of the ban time, by how often there was a ban
	MaxTime     time.Duration
	RandomTime  time.Duration
	AllJails    bool
}

// jailOptions are the options that fail2ban reads of a jail, but for those of
// its filter.
var jailOptions = []string{
	"enabled", "backend", "maxretry", "maxmatches", "findtime", "bantime",
	"bantime.increment", "bantime.factor", "bantime.formula", "bantime.multipliers", "bantime.maxtime", "bantime.rndtime", "bantime.overalljails",
	"ignorecommand", "ignoreself", "ignoreip", "ignorecache", "filter", "logtimezone", "logencoding", "logpath", "action", "skip_if_nologs", "systemd_if_nologs",
}

// usualOptions are names that jails set for their actions.
var usualOptions = []string{
	"port", "protocol", "chain", "banaction", "banaction_allports", "mta", "destemail", "sender", "sendername", "fail2ban_agent", "mode", "abuseipdb_apikey", "blocklist_de_apikey", "known", "__name__",
}

// ReadJails reads jail.conf, jail.d/*.conf, jail.local and jail.d/*.local below
// fsys, and returns the jails in their order, disabled ones included. The error
// says that the files as a whole cannot be read; what is wrong with one jail is
// among its Problems.
func ReadJails(fsys fs.FS) ([]Jail, error) {
	l := newLoader(fsys)
	conf, err := l.load("jail")
	if err != nil {
		return nil, fmt.Errorf("read jails: %w", err)
	}
	for name, v := range map[string]string{"fail2ban_version": "1.1.0", "fail2ban_confpath": "/etc/fail2ban"} {
		if !has(conf.defaults, name) {
			conf.defaults.set(name, option{value: v})
		}
	}
	var out []Jail
	for _, name := range slices.Clone(conf.names) {
		if name == "INCLUDES" || strings.HasPrefix(name, "KNOWN/") {
			continue
		}
		r := jailReader{l: l, conf: conf, jail: Jail{Name: name, At: conf.at[name]}}
		r.read()
		out = append(out, r.jail)
	}
	if len(out) > 0 {
		out[0].Problems = append(slices.Clone(conf.warns), out[0].Problems...)
	}
	return out, nil
}

// Options returns how the jail's filter is to be compiled.
func (j *Jail) Options() Options {
	return Options{Set: j.Set, Journal: strings.HasPrefix(j.Backend, "systemd")}
}

// Compile compiles the filter of the jail.
func (j *Jail) Compile(fsys fs.FS) (*Filter, error) {
	if j.Filter.Name == "" {
		return nil, &Problem{j.At, fmt.Sprintf("jail %s has no filter", j.Name), "write filter = NAME"}
	}
	return compileCall(newLoader(fsys), j.Filter, j.Options())
}
