package logs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// Watch is one rule on some sources: files, or units in the journal, or what comes
// by syslog, or the output of a command.
type Watch struct {
	// Name is what events carry as their Rule. It is unique.
	Name string
	// Rule says what counts in the files.
	Rule *rules.Rule
	// Filter is a filter of fail2ban that says it in place of the rule's patterns;
	// Rule is then the one that stands for it. nil = the rule does.
	Filter *fail2ban.Installed
	// Files are absolute paths, or patterns of such: `*`, `?` and `[a-z]` within
	// a component, as in [path/filepath.Match]. They may name what does not exist
	// yet. A pattern leaves out hidden files, compressed files and rotated files
	// of a log that it matches too; a path leaves out nothing.
	Files []string
	// Journal are systemd units whose entries in the journal count, or patterns of
	// such as in [path.Match]: `sshd@*.service`.
	Journal []string
	// Either says that Files and Journal are two ways to the same lines: one of them
	// is read. A unit counts only where a file of it is installed.
	Either bool
	// Auto says that the watch was not asked for by name: what is not on this machine
	// is not told of.
	Auto bool
	// Syslog is where lines are listened for; nil = nowhere. Several watches may have
	// the same address, with the same settings.
	Syslog *Listen
	// Command is a program with its arguments, of which the output counts; it is run
	// without a shell. Several watches may have the same.
	Command []string
	// Proxies are those that speak for others in its lines: see
	// [rules.SourceOptions]. Their clients' events are Detail.Proxied.
	Proxies []netip.Prefix
	// Format takes the place of the rule's where both are syslog or plain;
	// FormatUnset = as the rule says.
	Format rules.Format
}

// Config is what the sensor needs to know. The zero value watches nothing.
type Config struct {
	// Watches are the rules and their files, in the order in which a line that
	// counts for several of them is reported.
	Watches []Watch
	// Lookback is how far back a log counts that is read for the first time: the
	// longest window of all watches. 0 = one hour. At most 64 MB of a log are read
	// back, whatever it says.
	Lookback time.Duration
	// Journal is where the journal is.
	Journal Journal
	// Zone is the time zone of dates that name none; nil = [time.Local].
	Zone *time.Location
}

// Check returns what is wrong with the patterns, if anything.
func (c Config) Check() error {
	for _, w := range c.Watches {
		for _, p := range w.Files {
			if err := checkPattern(p); err != nil {
				return fmt.Errorf("watch %s: %w", w.Name, err)
			}
		}
		if err := w.check(); err != nil {
			return fmt.Errorf("watch %s: %w", w.Name, err)
		}
	}
	return checkListens(c.Watches)
}

// check returns what is wrong with what is not a file.
func (w Watch) check() error {
	for _, u := range w.Journal {
		if _, err := path.Match(u, ""); err != nil || u == "" || strings.ContainsAny(u, "/\x00") {
			return fmt.Errorf("%s is not the name of a unit, nor a pattern of such", gate.Quote(u, 128))
		}
	}
	if w.Syslog != nil {
		if err := w.Syslog.check(); err != nil {
			return err
		}
	}
	if w.Command != nil && (len(w.Command) == 0 || w.Command[0] == "") {
		return errors.New("a command without a program")
	}
	return nil
}

func checkPattern(p string) error {
	if !filepath.IsAbs(p) {
		return fmt.Errorf("%s is not an absolute path: begin it with /", gate.Quote(p, 128))
	}
	if strings.ContainsRune(p, 0) {
		return fmt.Errorf("%s is not a path: it contains a NUL byte", gate.Quote(p, 128))
	}
	if _, err := filepath.Match(p, ""); err != nil {
		return fmt.Errorf("%s is not a pattern: a bracket is not closed, or a backslash ends it", gate.Quote(p, 128))
	}
	return nil
}

// Deps is what the sensor needs from its surroundings.
type Deps struct {
	// Log takes what an operator should know. Required.
	Log *slog.Logger
	// Now is the wall clock; nil = [time.Now].
	Now func() time.Time
	// Emit takes a batch; it blocks while the line is busy. It is called for one
	// batch of a source after the other, and for several sources at the same time.
	// An error means that the batch was not taken; it ends Run. Required.
	Emit func(context.Context, gate.Batch) error
	// Mark returns the mark of the last batch of the source that counts, "" if
	// there is none. It is asked once for each source; nil = there are none.
	Mark func(source string) string
	// Spoke reports whether the kernel knows of a TCP connection that this peer
	// opened, with port 0 of any of its address. It decides whether lines count
	// that anybody could have written because they have no header (see
	// rules.Hit.Evidence), for which it must answer at once; nil = nobody can tell,
	// and none of these count.
	Spoke func(peer netip.AddrPort) bool
	// Lookup returns the addresses of a host name, which filters of fail2ban may
	// take for a peer; nil = such names count for nobody.
	Lookup func(ctx context.Context, name string) ([]netip.Addr, error)
}
