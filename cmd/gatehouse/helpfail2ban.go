package main

import (
	"fmt"
	"strings"
)

// habit is one command or option of fail2ban's programs, and ours.
type habit struct{ theirs, ours string }

// habits are the commands and options of fail2ban's programs, each with what does
// the same here. An empty line parts the programs.
var habits = []struct {
	program string
	list    []habit
}{
	{"fail2ban-client", []habit{
		{"start", "systemctl start gatehouse, or: gatehouse run"},
		{"stop", "gatehouse stop (bans stay in the kernel until they end; --flush lifts them)"},
		{"restart", "systemctl restart gatehouse (nothing is open meanwhile)"},
		{"reload [JAIL], reload --restart, --unban, --if-exists", "gatehouse reload (bans and counts stay; there is one configuration)"},
		{"status", "gatehouse status"},
		{"status JAIL", "gatehouse bans --rule RULE; gatehouse status has its logs"},
		{"stats, statistics", "gatehouse status"},
		{"ping, version, -V", "gatehouse status (exit 3: no daemon); gatehouse version"},
		{"banned", "gatehouse bans"},
		{"banned IP", "gatehouse why IP"},
		{"unban IP...", "gatehouse unban IP..."},
		{"unban --all", "gatehouse unban --all"},
		{"set JAIL banip IP...", "gatehouse ban IP... --for 1h"},
		{"set JAIL unbanip [--report-absent] IP...", "gatehouse unban IP... (--json tells what changed)"},
		{"set JAIL attempt IP", "gatehouse ban IP; to test a rule: gatehouse match RULE LOG"},
		{"get JAIL banip [--with-time], get JAIL banned", "gatehouse bans --rule RULE"},
		{"set JAIL addignoreip IP, delignoreip IP", "gatehouse allow add IP, gatehouse allow remove IP"},
		{"get JAIL ignoreip", "gatehouse allow list"},
		{"set|get JAIL ignoreself, ignorecommand", "this machine is never banned; allow: in the configuration"},
		{"set|get JAIL bantime, maxretry, findtime, maxmatches", "ban:, threshold: in the entry of watch, then: gatehouse reload"},
		{"set JAIL bantime.increment, bantime.factor, ...", "ban: [10m, 1h, 1d] is the ladder"},
		{"set|get JAIL addlogpath, dellogpath, logpath", "files: in the entry of watch, then: gatehouse reload"},
		{"set|get JAIL addjournalmatch, deljournalmatch, journalmatch", "journal: [NAME.service] in the entry of watch"},
		{"set|get JAIL logencoding, logtimezone", "UTF-8; dates without a zone are of this machine's"},
		{"set|get JAIL addfailregex, failregex, ignoreregex, prefregex, datepattern, maxlines, usedns", "a rule file (gatehouse rules show RULE is an example), or the filter: fail2ban: NAME"},
		{"set|get JAIL addaction, delaction, action ..., actionban, actionunban", "the firewall is built in; hooks: run commands of yours"},
		{"set JAIL idle on|off, add JAIL, start JAIL, stop JAIL", "add or remove the entry of watch, then: gatehouse reload"},
		{"flushlogs, set|get logtarget, loglevel, syslogsocket", "journalctl -u gatehouse; gatehouse log --follow for what is decided"},
		{"set|get dbfile, dbpurgeage, dbmaxmatches", "state:, keep:, forget: in the configuration"},
		{"set|get allowipv6, thread", "IPv6 is counted by /64; nothing to set"},
		{"-c DIR", "gatehouse --config FILE"},
		{"-s SOCKET", "gatehouse --socket PATH"},
		{"-p PIDFILE, -b, -x, --async, --timeout", "not needed"},
		{"-f", "gatehouse run"},
		{"-d, --dp, --dump", "gatehouse config reference; gatehouse rules show RULE"},
		{"-t, --test", "gatehouse check"},
		{"-i", "not needed: completion for the shell: gatehouse completion bash"},
		{"-v, -q, --loglevel, --logtarget", "gatehouse run on a terminal tells each decision; --json for programs"},
		{"--str2sec STRING", "durations are 90s, 10m, 1h30m, 7d, 2w, forever"},
	}},
	{"fail2ban-server", []habit{
		{"fail2ban-server -f start", "gatehouse run"},
		{"fail2ban-server -b start", "systemctl start gatehouse"},
		{"(no change at first)", "gatehouse run --observe decides and records, and bans nobody"},
	}},
	{"fail2ban-regex", []habit{
		{"fail2ban-regex LOG FILTER", "gatehouse match fail2ban:FILTER LOG"},
		{"fail2ban-regex LOG FILTER[mode=aggressive]", "gatehouse match 'fail2ban:FILTER[mode=aggressive]' LOG"},
		{"fail2ban-regex LOG /PATH/filter.d/FILTER.conf", "gatehouse match /PATH/filter.d/FILTER.conf LOG"},
		{"fail2ban-regex LOG 'REGEX'", "gatehouse match 'REGEX' LOG (<addr> in place of <HOST>)"},
		{"fail2ban-regex systemd-journal FILTER", "journalctl -o short | gatehouse match fail2ban:FILTER -"},
		{"fail2ban-regex 'LINE' FILTER", "echo 'LINE' | gatehouse match fail2ban:FILTER -"},
		{"--print-all-missed, --print-no-missed", "--missed"},
		{"--print-all-matched, -o FORMAT, -v", "--each: one JSON document for each line"},
		{"-D, --debuggex", "gatehouse rules show fail2ban:FILTER has the expressions as they are matched"},
		{"-d, -e, -r, --usedns, -L, -m, --timezone", "options of the filter: fail2ban:FILTER[datepattern=...]"},
		{"(what would have been banned)", "gatehouse replay LOG; beside fail2ban: gatehouse replay LOG --compare-fail2ban DB"},
	}},
	{"fail2ban-testcases", []habit{{"fail2ban-testcases", "gatehouse rules test"}}},
}

// writeFail2banHelp writes, for each command and option of fail2ban's programs, ours.
func writeFail2banHelp(e *env) {
	fmt.Fprintf(e.out, "%s\n", wrap("For each command and option of fail2ban's programs, what does the same here. To move over: gatehouse import fail2ban --dry-run shows "+
		"the configuration that becomes of yours. JAIL is the name of an entry of watch here: a rule, or fail2ban-FILTER.", 78))
	for _, p := range habits {
		fmt.Fprintf(e.out, "\n%s\n", e.paint(bold, p.program))
		for _, h := range p.list {
			fmt.Fprintf(e.out, "  %s\n      %s\n", h.theirs, strings.ReplaceAll(wrap(h.ours, 70), "\n", "\n      "))
		}
	}
}
