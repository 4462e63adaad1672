package config

import (
	"net/netip"
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
	// Files are absolute globs. Of Files, Journal, Syslog and Command at most one is
	// set; where none is, the rule says where to look.
	Files []string `key:"files" example:"[/var/log/auth.log, /var/log/auth-*.log]" check:"filled glob" doc:"Files to read, as absolute paths in which * and ? match within one folder. Logs of containers are recognised: /var/lib/docker/containers/*/*-json.log. Default: where the rule itself looks, in files or in the journal. One entry has only one of files, journal, syslog and command."`
	// Journal are units of systemd, or patterns of such.
	Journal []string `key:"journal" instead:"files" example:"[ssh.service, \"sshd@*.service\"]" check:"filled unit" doc:"Units whose entries in the journal to read, in place of files. What a person's session or program writes never counts."`
	// Syslog is the URL to listen at, as logs.Listen has it.
	Syslog string `key:"syslog" instead:"files" example:"udp://127.0.0.1:5514" check:"listen" doc:"Where to listen for messages of syslog, in place of files: udp://ADDRESS:PORT, tcp://ADDRESS:PORT, tls://ADDRESS:PORT, or unix:///PATH for datagrams. Several entries may name the same, with the same settings. What comes over the network unsigned counts for little: short bans of new connections."`
	// AllowFrom goes with Syslog: empty is this machine.
	AllowFrom []netip.Prefix `key:"allow_from" instead:"files" example:"[192.0.2.0/24, 2001:db8::7]" check:"filled" doc:"Who may send to syslog: addresses and prefixes. Must be there unless the address is a loopback one."`
	// Cert, Key and ClientCA go with Syslog and tls://.
	Cert     string `key:"cert" instead:"files" example:"/etc/gatehouse/syslog.crt" check:"path" doc:"Certificate in PEM for tls://."`
	Key      string `key:"key" instead:"files" example:"/etc/gatehouse/syslog.key" check:"path" doc:"Private key in PEM for tls://."`
	ClientCA string `key:"client_ca" instead:"files" example:"/etc/gatehouse/senders.crt" check:"path" doc:"Certificates in PEM of which one must have signed that of each sender, for tls://. What comes so signed counts like a log of this machine."`
	// Command is a program and its arguments.
	Command []string `key:"command" instead:"files" example:"[docker, logs, --follow, --since=10m, web]" check:"filled command" doc:"A program whose output to read, in place of files: a list of its name and arguments, run without a shell, and started again when it ends."`
	// Format is syslog, plain or empty.
	Format string `key:"format" enum:"syslog plain" instead:"files" example:"plain" doc:"What stands before the message in each line: a header of syslog, or a plain date. Default: as the rule says."`
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
		checkDoors(d, c.Watch, watch.items)
	}
}
