package notify

import (
	"fmt"
	"path"
	"strings"

	"gatehouse/internal/gate"
)

// Severity is how much a kind of record matters to people.
type Severity uint8

// The severities, the least first. SeverityNone is invalid.
const (
	SeverityNone Severity = iota
	Info                  // for the curious: a ban is over
	Notice                // normal work of the guard: a ban, a port that was closed
	Warning               // somebody should look: a list that is held back, a message that was lost
	Critical              // somebody should act now: an alarm
)

var severityNames = []string{"", "info", "notice", "warning", "critical"}

// String returns the severity in one lower-case word; "" for SeverityNone.
func (s Severity) String() string {
	if int(s) < len(severityNames) {
		return severityNames[s]
	}
	return ""
}

// MarshalText implements encoding.TextMarshaler.
func (s Severity) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler; empty text is SeverityNone.
func (s *Severity) UnmarshalText(b []byte) error {
	for i, n := range severityNames {
		if n == string(b) {
			*s = Severity(i)
			return nil
		}
	}
	return fmt.Errorf("%s is not a severity: write info, notice, warning or critical", gate.Quote(string(b), 32))
}

// kind is what is known of a kind of record: how much it matters and how a
// message calls it.
type kind struct {
	name     string // as gate.Decision.Kind has it; `part.*` stands for the rest of a part
	severity Severity
	one      string // the headline of a single record, before its subject
	many     string // the headline of several, behind their number
}

// kinds is the table of severities: a pure function of the kind of a record. The
// first line that matches holds; what no line knows is a notice.
var kinds = []kind{
	{"ban", Notice, "banned", "bans"},
	{"release", Info, "ban lifted", "bans lifted"},
	{"close", Notice, "closed", "times ports were closed"},
	{"open", Notice, "opened", "times ports were opened"},
	{"allow", Notice, "allowed", "allow entries added"},
	{"disallow", Notice, "no longer allowed", "allow entries removed"},
	{"tell", Notice, "not banned", "offenders that may not be banned"},

	{"panel.alarm", Critical, "ALARM", "alarms"},
	{"panel.fire", Critical, "FIRE", "fire alarms"},
	{"panel.panic", Critical, "PANIC", "calls for help"},
	{"panel.tamper", Critical, "tampering with the alarm system", "times tampering with the alarm system"},
	{"panel.*-restored", Notice, "alarm panel", "times all was well again at the alarm panel"},
	{"panel.fault", Info, "zone open", "times a zone was opened"},
	{"panel.restore", Info, "zone closed", "times a zone was closed"},
	{"panel.arm", Notice, "armed", "times the alarm panel was armed"},
	{"panel.disarm", Notice, "disarmed", "times the alarm panel was disarmed"},
	{"panel.bypass", Notice, "zone left out", "zones left out"},
	{"panel.report", Notice, "alarm panel", "reports of the alarm panel"},
	{"panel.keys", Info, "keys pressed", "times keys were pressed"},
	{"panel.command", Notice, "command to the alarm panel", "commands to the alarm panel"},
	{"panel.program", Warning, "alarm panel is being programmed", "times the alarm panel was programmed"},
	{"panel.ac", Warning, "alarm panel without mains power", "losses of mains power at the alarm panel"},
	{"panel.battery", Warning, "low battery of the alarm system", "low batteries of the alarm system"},
	{"panel.silent", Critical, "alarm panel is silent", "times the alarm panel was silent"},
	{"panel.lost", Critical, "alarm panel is lost", "losses of the alarm panel"},
	{"panel.*", Warning, "alarm panel", "messages of the alarm panel"},
	{"list.held", Warning, "block list held back", "block lists held back"},
	{"list.failed", Warning, "block list cannot be read", "block lists that cannot be read"},
	{"list.*", Notice, "block list", "changes of block lists"},
	{"port.*", Notice, "ports", "messages on ports"},
	{"scan.*", Notice, "port scan", "port scans"},
	{"hook.failed", Warning, "a command of yours failed", "commands of yours failed"},
	{"hook.late", Warning, "a command of yours is late", "times commands of yours were late"},
	{"hook.*", Notice, "your commands", "messages on your commands"},
	{"status.degraded", Warning, "out of order", "parts out of order"},
	{"status.*", Notice, "status", "changes of status"},
	{"notify.*", Warning, "notifications", "messages on notifications"},
	{"report.failed", Warning, "abuse not reported", "reports of abuse that failed"},
	{"report.digest", Info, "digest", "digests"},
	{"report.dry", Info, "abuse not reported, as asked", "reports of abuse that were not sent, as asked"},
	{"report.*", Info, "abuse reported", "reports of abuse"},
	{"test", Notice, "test message", "test messages"},
}

// anyKind is for what the table does not know.
var anyKind = kind{"*", Notice, "", "happenings"}

// kindOf looks a kind of record up.
func kindOf(name string) kind {
	for _, k := range kinds {
		if k.name == name || strings.Contains(k.name, "*") && KindMatches(k.name, name) {
			return k
		}
	}
	return anyKind
}

// SeverityOf returns how much a kind of record matters: the documented table,
// and nothing else, decides it.
func SeverityOf(name string) Severity { return kindOf(name).severity }

// Kinds returns every kind that the table knows; `part.*` stands for whatever
// else that part tells.
func Kinds() []string {
	var names []string
	for _, k := range kinds {
		names = append(names, k.name)
	}
	return names
}

// KindMatches reports whether a kind is one that a pattern means: the kind itself,
// `part.*`, or `*`.
func KindMatches(pattern, name string) bool {
	ok, err := path.Match(pattern, name)
	return ok && err == nil
}

// KnownKind reports whether some kind of record can match a pattern of a route.
func KnownKind(pattern string) bool {
	for _, k := range kinds {
		if KindMatches(pattern, k.name) || kindOf(pattern).name != anyKind.name {
			return true
		}
	}
	return false
}
