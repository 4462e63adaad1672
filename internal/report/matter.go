package report

import "strings"

// matter is what a report is about, in the words of those who get it.
type matter struct {
	xarf       string // type of the category connection (XARF 4)
	words      string // in a sentence
	categories string // of AbuseIPDB
	service    string // of blocklist.de
}

// Matters by service. The numbers are those of abuseipdb.com/categories: 5 FTP
// brute force, 8 fraud VoIP, 14 port scan, 15 hacking, 18 brute force, 19 bad web
// bot, 21 web application attack, 22 SSH.
var matters = map[string]matter{
	"ssh":  {"login_attack", "attempts to log in by SSH", "18,22", "ssh"},
	"ftp":  {"login_attack", "attempts to log in by FTP", "5,18", "ftp"},
	"imap": {"login_attack", "attempts to log in to a mail server", "18", "imap"},
	"smtp": {"login_attack", "attempts to log in to a mail server", "18", "mail"},
	"sip":  {"login_attack", "attempts to register at a telephone system", "8,18", "sip"},
	"http": {"login_attack", "attempts to log in to a web application", "18,21", "bruteforcelogin"},
}

// Matters of rules that watch for something else than logins.
var probes = map[string]matter{
	"web-probes":    {"vuln_scanning", "searches for holes of a web server", "19,21", "apache"},
	"web-bots":      {"vuln_scanning", "searches for holes of a web server", "19,21", "apache"},
	"nginx-limits":  {"vuln_scanning", "floods of a web server with requests", "19,21", "apache"},
	"apache-denied": {"vuln_scanning", "requests that a web server denies", "21", "apache"},
	"scan":          {"port_scan", "scans of ports", "14", "all"},
}

// other is for services that have no words of their own.
var other = matter{"login_attack", "attempts to get in", "15,18", "all"}

// matterOf says what a ban of a watch is about.
func matterOf(rule, service string) matter {
	base, _, _ := strings.Cut(rule, ".") // the second watch of a rule is named rule.2
	if m, ok := probes[base]; ok {
		return m
	}
	if m, ok := matters[service]; ok {
		return m
	}
	return other
}
