package migrate

import (
	"fmt"
	"regexp"
	"strings"

	"gatehouse/internal/fail2ban"
)

// firewalls are the beginnings of the names of actions that shut somebody out in a
// firewall of this machine: what Gatehouse does itself.
var firewalls = []string{
	"iptables", "nftables", "ipset", "ufw", "firewallcmd", "shorewall", "route", "pf", "npf", "ipfw", "ipfilter", "bsd-ipfw",
	"osx-", "apf", "hostsdeny", "symbiosis-blacklist", "dummy", "banaction",
}

func isFirewall(name string) bool {
	for _, f := range firewalls {
		if name == f || strings.HasPrefix(name, f+"-") || strings.HasSuffix(f, "-") && strings.HasPrefix(name, f) {
			return true
		}
	}
	return false
}

// kind is what an action does that is no ban.
type kind struct {
	names   []string // beginnings
	section string   // of our configuration that does the same
	what    string
	example func(c fail2ban.Call, j *fail2ban.Jail) string // of the section
}

// hookExample shows a hook: a program of the operator's, run without a shell.
func hookExample(name string) func(fail2ban.Call, *fail2ban.Jail) string {
	return func(fail2ban.Call, *fail2ban.Jail) string {
		return fmt.Sprintf(`hooks: [{on: [ban], run: [/etc/gatehouse/%s, "{subject}", "{rule}"]}]`, name)
	}
}

// fixed shows the same for each action of a kind.
func fixed(example string) func(fail2ban.Call, *fail2ban.Jail) string {
	return func(fail2ban.Call, *fail2ban.Jail) string { return example }
}

// kinds are the stock actions that do something else than ban.
var kinds = []kind{
	{[]string{"sendmail", "mail", "smtp", "mail-whois", "apprise"}, "notify", "tells somebody", fixed("notify: {channels: [{name: mail, mail: [you@example.org]}]}")},
	{[]string{"abuseipdb"}, "report", "reports the address elsewhere", fixed("report: {to: [{name: abuseipdb, abuseipdb: {file: /etc/gatehouse/abuseipdb.key}}]}")},
	{[]string{"blocklist_de"}, "report", "reports the address elsewhere", fixed("report: {to: [{name: blocklist, blocklist_de: {file: /etc/gatehouse/blocklist.key}, server: you@example.org}]}")},
	{[]string{"complain", "xarf-login-attack"}, "report", "writes to who holds the address", fixed("report: {organisation: Example Ltd, contact: abuse@example.org, to: [{name: holder, mail: mail}]}, and a channel mail under notify")},
	{[]string{"badips", "dshield", "mynetwatchman", "ipthreat"}, "report", "reports the address elsewhere", hookExample("report")},
	{[]string{"cloudflare", "netscaler", "nsupdate", "nginx-block-map"}, "hooks", "shuts the address out elsewhere", hookExample("on-ban")},
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// mailbox is an address that a channel of notify takes.
var mailbox = regexp.MustCompile(`^[A-Za-z0-9._%+-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,200}[A-Za-z0-9])?$`)

// mailsTo returns to whom an action sends mail, "" if it is none that does.
func mailsTo(c fail2ban.Call) string {
	k, ok := kindOf(c.Name)
	if !ok || k.section != "notify" || strings.HasPrefix(c.Name, "apprise") {
		return ""
	}
	to := firstOf(c.Args["dest"], c.Args["destemail"], "root@localhost")
	if !mailbox.MatchString(to) {
		return ""
	}
	return to
}

// actionsOf says of each action of a jail that is neither a ban by the firewall nor a
// mail what is to be done instead.
func actionsOf(j *fail2ban.Jail, remark func(text, hint string)) {
	told := map[string]bool{}
	for _, c := range j.Actions {
		if isFirewall(c.Name) || told[c.Name] || mailsTo(c) != "" {
			continue
		}
		told[c.Name] = true
		if strings.HasSuffix(c.Name, ".py") && !strings.HasPrefix(c.Name, "smtp") {
			remark(fmt.Sprintf("the action %s is a program in Python, and nothing of fail2ban's is run", c.Name),
				"make it a command of its own and call it by a hook: "+hookExample("on-ban")(c, j))
			continue
		}
		k, ok := kindOf(c.Name)
		if !ok {
			remark(fmt.Sprintf("the action %s is your own: what its actionban does is not run", c.Name),
				"put the command into a file and call it by a hook: "+hookExample("on-ban")(c, j))
			continue
		}
		remark(fmt.Sprintf("the action %s %s", c.Name, k.what), "write: "+k.example(c, j))
	}
}

func kindOf(name string) (kind, bool) {
	for _, k := range kinds {
		for _, n := range k.names {
			if name == n || strings.HasPrefix(name, n+"-") || strings.HasPrefix(name, n+".") {
				return k, true
			}
		}
	}
	return kind{}, false
}
