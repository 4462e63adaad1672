package config

import (
	"reflect"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Path is where the configuration file lies unless another one is named.
const Path = "/etc/gatehouse/gatehouse.yaml"

// Config is the whole configuration, complete: what the file did not say holds
// its default. The tags are the definition of the file, see [field].
type Config struct {
	// State is the folder of the ledger, absolute.
	State string `key:"state" example:"/var/lib/gatehouse" check:"path" doc:"Folder of the ledger and of everything else that Gatehouse keeps. Default: /var/lib/gatehouse as root; otherwise gatehouse in $XDG_STATE_HOME, or ~/.local/state/gatehouse."`
	// Socket is the path of the Unix socket of the daemon, absolute.
	Socket string `key:"socket" example:"/run/gatehouse/gatehouse.sock" check:"socket" doc:"Unix socket on which the daemon answers the command line. Default: /run/gatehouse/gatehouse.sock as root; otherwise gatehouse.sock in $XDG_RUNTIME_DIR, or in the state folder."`
	// Watch is what to watch, in the order of the file; empty watches nothing.
	Watch []Watch `key:"watch" default:"[auto]" doc:"What to watch. The entry auto covers every rule whose service or log is found on this machine, also when it appears later. An entry of its own takes the place of what auto does for that rule. An empty list watches nothing."`
	// Threshold is for rules that bring none and watches that set none.
	Threshold gate.Threshold `key:"threshold" default:"5 in 10m" doc:"How many failures within how long lead to a ban, where neither the watch entry nor its rule says otherwise. 5 in 10m bans at the fifth failure within ten minutes."`
	// Ban is the default ladder: never empty, ascending, each step at least 1 s;
	// only the last may be gate.Forever.
	Ban []time.Duration `key:"ban" default:"[10m, 1h, 1d, 1w]" check:"ladder" doc:"How long a ban lasts: the first time, the second time, and so on; the last step repeats. It may end with forever."`
	// Forget is more than 0; gate.Forever never forgets.
	Forget time.Duration `key:"forget" default:"90d" check:"positive" doc:"How long an offender must stay quiet until the ladder starts again at its first step."`
	// Keep is at least Forget; gate.Forever keeps all.
	Keep time.Duration `key:"keep" default:"365d" check:"positive" doc:"How long the ledger keeps records of what was done and why. At least as long as forget, because the ladder remembers by these records."`
	// Allow is who is never banned, in the order of the file.
	Allow []Allow `key:"allow" default:"[]" example:"[192.0.2.10, 2001:db8::/64, admin.example.org]" doc:"Who is never banned: addresses, prefixes and host names. Names are resolved again and again, and keep their last good addresses. This machine's own addresses, its gateway, its resolvers and whoever is logged in over SSH are safe without being named here."`
	// Firewall is how bans are enforced.
	Firewall Firewall `key:"firewall" doc:"How bans are enforced. Gatehouse works in its own table, inet gatehouse, and touches no other."`
	// Rules is the folder of own rule files, absolute; it need not exist.
	Rules string `key:"rules" default:"/etc/gatehouse/rules" check:"path" doc:"Folder of your own rule files, one rule a file, named after the rule: myapp.yaml. A rule there takes the place of a built-in rule of the same name. The folder need not exist."`
}

// Watch is one entry of the watch list: the word auto, or a rule with what
// differs from the defaults.
type Watch struct {
	// Auto says that the entry is the word auto; all else is empty then.
	Auto bool `word:"auto"`
	// Rule is the name of a rule, as gate.IsName wants it.
	Rule string `key:"rule" required:"true" example:"sshd" check:"name" doc:"Name of a built-in rule (gatehouse rules list shows them), or of a file in the folder that rules names."`
	// Files are absolute globs; empty reads where the rule itself looks.
	Files []string `key:"files" example:"[/var/log/auth.log, /var/log/auth-*.log]" check:"filled glob" doc:"Files to read, as absolute paths in which * and ? match within one folder. Default: where the rule itself looks."`
	// Threshold is zero where the rule's own or the default is meant.
	Threshold gate.Threshold `key:"threshold" example:"3 in 5m" doc:"How many failures within how long lead to a ban here. Default: what the rule says, or the general threshold."`
	// Ban is empty where the default ladder is meant.
	Ban []time.Duration `key:"ban" example:"[1h, 1d, forever]" check:"ladder" doc:"How long a ban of this entry lasts: the first time, the second time, and so on. Default: the general ladder."`
	// Ports is what a ban of this entry closes; empty closes all.
	Ports gate.Ports `key:"ports" example:"[22/tcp, 8000-8500]" doc:"Ports that a ban of this entry closes; empty closes all of them. Without /tcp or /udp both are meant."`
}

// Firewall is the section of the same name.
type Firewall struct {
	// Verdict is drop or reject.
	Verdict string `key:"verdict" default:"drop" enum:"drop reject" doc:"What banned packets meet: drop is silence, reject an answer (rate limited, and never where the sender may be forged)."`
}

// Default returns the configuration of an empty file.
func Default(o Options) (*Config, error) { return Parse("", nil, o) }

// Equal reports whether both configurations say the same. Sets of ports are
// compared by their ports, everything else as it is.
func (c *Config) Equal(o *Config) bool {
	a, b := *c, *o
	same := slices.EqualFunc(a.Watch, b.Watch, func(v, w Watch) bool {
		ports := v.Ports.Equal(w.Ports)
		v.Ports, w.Ports = gate.Ports{}, gate.Ports{}
		return ports && reflect.DeepEqual(v, w)
	})
	a.Watch, b.Watch = nil, nil
	return same && reflect.DeepEqual(a, b)
}

// check holds what spans several fields. Parts that could not be read have
// been reported already and are left alone.
func (c *Config) check(d *decoder, n *node) {
	if c.Keep < c.Forget && c.Keep > 0 {
		at := n.get("keep")
		if at == nil {
			at = n.get("forget")
		}
		d.problem(at, "raise keep, or shorten forget: the ladder remembers by the records that are kept",
			"keep %s is shorter than forget %s", gate.FormatDuration(c.Keep), gate.FormatDuration(c.Forget))
	}
	if watch := n.get("watch"); watch != nil && watch.kind == list {
		checkWatches(d, c.Rules, watch.items)
	}
}

// checkWatches checks what no entry can know by itself: that its rule exists,
// and that no log is read twice for the same rule.
func checkWatches(d *decoder, folder string, entries []*node) {
	type source struct{ rule, file string }
	seen := make(map[source]*node)
	once := func(s source, n *node, format string, args ...any) {
		if first := seen[s]; first != nil {
			d.problem(n, "line "+itoa(first.line)+" has it already: each failure would count twice", format, args...)
			return
		}
		seen[s] = n
	}
	for _, entry := range entries {
		if entry.kind == text && entry.text == "auto" {
			once(source{}, entry, "auto is listed twice")
			continue
		}
		rule := entry.get("rule")
		if rule == nil || rule.kind != text || !gate.IsName(rule.text) {
			continue
		}
		if d.o.RuleExists != nil {
			if near, ok := d.o.RuleExists(folder, rule.text); !ok {
				d.problem(rule, didYouMean(near, "gatehouse rules list shows the built-in rules; your own lie in "+folder),
					"there is no rule %s", gate.Quote(rule.text, 64))
			}
		}
		files := entry.get("files")
		if files == nil || files.kind == nothing {
			once(source{rule: rule.text}, rule, "%s is watched twice", rule.text)
			continue
		}
		for _, f := range files.items {
			if f.kind == text {
				once(source{rule.text, f.text}, f, "%s is read twice for %s", gate.Quote(f.text, 64), rule.text)
			}
		}
	}
}
