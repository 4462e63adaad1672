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
	// Networks are in the order of the file.
	Networks []Network `key:"networks" default:"[]" doc:"Parts of the address space that are judged in their own way: short bans for the LAN, long ones for the rest. The first that covers an offender counts."`
	// Aggregate groups nothing where its Offenders are 0.
	Aggregate Aggregate `key:"aggregate" doc:"When many offenders of one network become one ban. Never one that holds an allowed address, this machine's own, its gateway, its resolvers, or a network that is attached directly."`
	// Scores are in the order of the file.
	Scores []Score `key:"scores" default:"[]" doc:"Counts across watches that fade with time: who troubles several services a little, or networks whose addresses take turns."`
	// Retire is in the order of the file.
	Retire []Retire `key:"retire" default:"[]" doc:"Bans that end early, those without an end included. The first entry that fits a ban counts. A reload applies it to the bans that are in force, too."`
	// Notify says who is told of what.
	Notify Notify `key:"notify" doc:"Who is told of what, how and when. Without channels nobody is."`
	// Enrich says who may be asked about addresses.
	Enrich Enrich `key:"enrich" doc:"Who is behind an address: its name, country, network and holder, for gatehouse whois and why, for messages and reports. No decision waits for it. docs/enrich.md tells who is asked, and what that gives away."`
	// Report reports nothing without targets.
	Report Report `key:"report" doc:"Reports of abuse, to who holds an address or to services that collect them, and digests for yourself. Nothing is reported unless you say to whom. docs/report.md tells more."`
	// MQTT is off without a server.
	MQTT MQTT `key:"mqtt" doc:"Shows bans, services and the state of the guard to Home Assistant and whoever else listens on an MQTT broker, and takes commands from there if allowed to."`
	// Panel is off without a device.
	Panel Panel `key:"panel" doc:"An alarm panel (Honeywell or Ademco Vista, DSC) behind an AlarmDecoder adapter: what happens there is recorded and told, and gatehouse panel commands it. docs/panel.md tells how to connect one."`
	// Services are by name, as gate.IsName wants it.
	Services map[string]Service `key:"services" example:"ssh" doc:"Names for ports of this machine, and whether they rest open or closed. Schedules, remote files and commands open and close them by name."`
	// Ports says who opens and closes ports besides commands.
	Ports Ports `key:"ports" doc:"Who closes and opens ports, besides gatehouse port. See docs/ports.md for what beats what."`
	// Scan is what happens about port scans; it may be off.
	Scan Scan `key:"scan" doc:"What happens about port scans: the kernel holds whoever touches a trap or tries many ports, and decoys give proof for longer bans. scan: off turns all of it off. docs/scans.md tells more."`
	// Firewall is how bans are enforced.
	Firewall Firewall `key:"firewall" doc:"How bans are enforced. Gatehouse works in its own table, inet gatehouse, and touches no other."`
	// Lists are in the order of the file.
	Lists []List `key:"lists" default:"[]" doc:"Block lists of others, from a URL or a file: what they name is banned as long as they name it. Who is allowed, and this machine, is never banned by one. docs/lists.md tells more."`
	// Exports are in the order of the file.
	Exports []Export `key:"exports" default:"[]" doc:"The bans for other programs and machines: in files that are kept current, or served over HTTPS. docs/lists.md tells more."`
	// Hooks are in the order of the file.
	Hooks []Hook `key:"hooks" default:"[]" doc:"Commands of your own that are run for bans and whatever else is recorded. They never delay a ban. docs/hooks.md has worked examples."`
	// Proxies are whole networks or single addresses, masked.
	Proxies []netip.Prefix `key:"proxies" default:"[]" check:"proxy" example:"[192.0.2.80, 10.20.0.0/24]" doc:"Reverse proxies before your services, as addresses and prefixes. Where the peer in a log is one of them, the address counts that it says it speaks for (X-Forwarded-For, Forwarded), and never its own. Such a client cannot be banned by the kernel, which sees only packets of the proxy: the ban is recorded and shown as not enforced. A proxy is never banned. Name only proxies that set or extend the header themselves: they are believed."`
	// Rules is the folder of own rule files, absolute; it need not exist.
	Rules string `key:"rules" default:"/etc/gatehouse/rules" check:"path" doc:"Folder of your own rule files, one rule a file, named after the rule: myapp.yaml. A rule there takes the place of a built-in rule of the same name. The folder need not exist."`
	// Filters is the configuration folder of fail2ban, absolute; it need not exist.
	Filters string `key:"filters" default:"/etc/fail2ban" check:"path" doc:"Folder of fail2ban's configuration, in which filter.d lies: entries of watch with fail2ban in them run its filters. fail2ban itself need not be installed, and the folder need not exist."`
}

// Watch is one entry of the watch list: the word auto, or a rule with what
// differs from the defaults.
type Watch struct {
	// Auto says that the entry is the word auto; all else is empty then.
	Auto bool `word:"auto"`
	// Rule is the name of a rule, as gate.IsName wants it.
	Rule string `key:"rule" oneof:"what" example:"sshd" check:"name" doc:"Name of a built-in rule (gatehouse rules list shows them), or of a file in the folder that rules names."`
	// Fail2ban is a filter of fail2ban with its arguments, or a jail in brackets; it
	// is in place of Rule.
	Fail2ban string `key:"fail2ban" oneof:"what" instead:"rule" example:"sshd[mode=aggressive]" doc:"In place of rule: a filter of fail2ban, run as it is. Name it with its arguments, as a jail does: sshd[mode=aggressive]; or name a jail in brackets, whose filter it is then with all that the jail changes of it: [sshd]. Where the entry names no source, the logpath and the journalmatch of the jail say where to look. rule: {fail2ban: NAME} means the same."`
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
	// Proxies take the place of the general ones; empty = those.
	Proxies []netip.Prefix `key:"proxies" check:"filled proxy" example:"[192.0.2.80]" doc:"Reverse proxies whose word counts in the lines of this entry. Default: the general proxies."`
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
	c.checkNetworks(d, n)
	c.checkScores(d, n)
	c.checkLists(d, n)
	c.checkExports(d, n)
	c.checkHooks(d, n)
	c.checkNetworkChannels(d, n)
	c.checkReports(d, n)
	c.checkPorts(d, n)
	if watch := n.get("watch"); watch != nil && watch.kind == list {
		checkWatches(d, c.Rules, watch.items)
		checkFilters(d, c.Filters, watch.items)
		checkDoors(d, c.Watch, watch.items)
	}
}
