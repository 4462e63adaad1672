package fail2ban

import "strings"

// own are the built-in rules of Gatehouse that read what a stock filter reads,
// by the filter's name, with spaces between. Whether they see as much is not said
// here: see Covered.
var own = map[string]string{
	"apache-auth":        "apache apache-denied apache-strict",
	"apache-badbots":     "web-bots web-spam",
	"apache-botsearch":   "web-probes apache-probes",
	"apache-modsecurity": "modsecurity",
	"asterisk":           "asterisk asterisk-security",
	"courier-auth":       "courier",
	"courier-smtp":       "courier courier-reject",
	"cyrus-imap":         "cyrus-imap",
	"dovecot":            "dovecot dovecot-auth pam",
	"dropbear":           "dropbear",
	"drupal-auth":        "drupal",
	"ejabberd-auth":      "ejabberd",
	"exim":               "exim exim-reject",
	"freeswitch":         "freeswitch",
	"grafana":            "grafana",
	"guacamole":          "guacamole",
	"haproxy-http-auth":  "haproxy",
	"lighttpd-auth":      "lighttpd",
	"mongodb-auth":       "mongodb",
	"murmur":             "mumble",
	"mysqld-auth":        "mysql",
	"named-refused":      "bind",
	"nginx-botsearch":    "web-probes web-searches nginx-probes",
	"nginx-forbidden":    "nginx",
	"nginx-http-auth":    "nginx",
	"nginx-limit-req":    "nginx-limits",
	"openvpn":            "openvpn",
	"pam-generic":        "pam",
	"phpmyadmin-syslog":  "phpmyadmin",
	"postfix":            "postfix postfix-reject",
	"proftpd":            "proftpd pam",
	"proxmox":            "proxmox",
	"pure-ftpd":          "pure-ftpd pam",
	"roundcube-auth":     "roundcube roundcube-errors",
	"sendmail-auth":      "sendmail",
	"sendmail-reject":    "sendmail-reject sendmail",
	"sogo-auth":          "sogo",
	"squid":              "squid squid-denied",
	"sshd":               "sshd pam",
	"traefik-auth":       "traefik web-auth",
	"vaultwarden":        "vaultwarden",
	"vsftpd":             "vsftpd pam",
	"webmin-auth":        "webmin",
	"xrdp":               "xrdp",
	"mosquitto":          "mosquitto",
	"gitea":              "gitea",
	"nextcloud":          "nextcloud",
	"home-assistant":     "home-assistant",
	"hass":               "home-assistant",
	"jellyfin":           "jellyfin",
	"postgresql":         "postgresql",
	"authelia":           "authelia",
	"cockpit":            "cockpit",
	"samba":              "samba",
	"wordpress":          "wordpress",
	"wordpress-hard":     "wordpress",
	"wordpress-soft":     "wordpress",
	"apache-denied":      "apache-denied",
}

// ownElsewhere are the rules that read, beside those of own, what a stock filter
// reads in its other modes (ddos, extra, aggressive).
var ownElsewhere = map[string]string{
	"sshd":            "sshd-probes",
	"postfix":         "postfix-probes",
	"dovecot":         "dovecot-probes",
	"nginx-http-auth": "nginx-probes",
	"exim":            "exim-names",
	"apache-auth":     "apache-evasive",
}

// OwnRulesInAnyMode returns OwnRules and the rules for what the filter reads in its
// other modes.
func OwnRulesInAnyMode(filter string) []string {
	return append(OwnRules(filter), strings.Fields(ownElsewhere[filter])...)
}

// OwnRules returns the names of the built-in rules that together read what a stock
// filter reads, the one that is most like it first; none if there is none.
func OwnRules(filter string) []string { return strings.Fields(own[filter]) }

// Own returns the first of OwnRules; "" if there is none.
func Own(filter string) string {
	first, _, _ := strings.Cut(own[filter], " ")
	return first
}

// unproven are stock filters that read of packets whose sender may be forged:
// what comes by UDP, and first packets of TCP.
var unproven = map[string]bool{
	"asterisk": true, "freeswitch": true, "named-refused": true, "nsd": true, "openvpn": true,
	"counter-strike": true, "softethervpn": true, "scanlogd": true, "portsentry": true, "murmur": true,
}

// covered are stock filters, in their mode normal, of which the built-in rules see
// at least as much: every failure of fail2ban's own samples, but for those that are
// explained. A test holds it against the samples.
var covered = map[string]bool{
	"courier-auth": true, "haproxy-http-auth": true, "murmur": true, "nginx-limit-req": true, "phpmyadmin-syslog": true, "pure-ftpd": true,
}

// Covered reports whether the built-in rules see at least as much as a stock filter
// in its mode normal.
func Covered(filter string) bool { return covered[filter] }
