package app

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/logs"
	"gatehouse/internal/rules"
)

// logWatch says where the lines of a watch come from: from where its entry says, or
// where the rule says that its messages usually are. There it leaves the choice
// between files and journal to the sensor, which sees what is on this machine and
// what appears and goes later. auto says that nobody asked for the rule by name.
func logWatch(r *rules.Rule, name string, w config.Watch, auto bool) logs.Watch {
	out := logs.Watch{
		Name: name, Rule: r, Auto: auto,
		Files: w.Files, Journal: w.Journal, Command: w.Command, Format: formatNamed(w.Format),
	}
	if w.Syslog != "" {
		out.Syslog = &logs.Listen{Address: w.Syslog, Allow: w.AllowFrom, Cert: w.Cert, Key: w.Key, ClientCA: w.ClientCA}
	}
	if len(w.Files)+len(w.Journal)+len(w.Command) == 0 && w.Syslog == "" {
		out.Files, out.Journal, out.Either = r.Sources.Files, withInstances(r.Sources.Journal), true
	}
	return out
}

// withInstances adds to each service its instances, which systemd starts for each
// connection where the service is socket-activated: sshd@*.service.
func withInstances(units []string) (all []string) {
	for _, u := range units {
		all = append(all, u)
		base, isService := strings.CutSuffix(u, ".service")
		if isService && !strings.ContainsAny(base, "@*?[") {
			all = append(all, base+"@*.service")
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// formatNamed returns the format of this name; FormatUnset for none.
func formatNamed(name string) rules.Format {
	for _, f := range []rules.Format{rules.FormatSyslog, rules.FormatPlain} {
		if f.String() == name {
			return f
		}
	}
	return rules.FormatUnset
}

// absent is the one line of the status for the rules that auto found no log for.
func absent(names []string) (api.Source, bool) {
	if len(names) == 0 {
		return api.Source{}, false
	}
	why := fmt.Sprintf("%d rules have no log here", len(names))
	if len(names) == 1 {
		why = names[0] + " has no log here"
	}
	return api.Source{Name: "auto", State: logs.Waiting.String(), Why: why}, true
}

// sourcePart names a source among what does not work: `log /var/log/auth.log`,
// `journal ssh.service`.
func sourcePart(name string) string {
	if kind, rest, ok := strings.Cut(name, ":"); ok && !path.IsAbs(name) {
		return kind + " " + rest
	}
	return "log " + name
}
