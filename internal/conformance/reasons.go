package main

import "regexp"

// remark says why our rule and a filter differ about lines of a kind.
type remark struct {
	filter string
	line   *regexp.Regexp
	why    string
}

// unseen are kinds of lines that are failures to a filter and not to our rule.
var unseen = []remark{
	{"asterisk", regexp.MustCompile(`SessionID="[^"]*[ "].*RemoteAddress=`), "the peer chose the session's name, and wrote what looks like the end of the line into it: what follows cannot be told from its text"},
	{"asterisk", regexp.MustCompile(`Request '[A-Z]+' from '[^>]*'.*>' failed for`), "a quotation mark in the name that the peer chose: what follows cannot be told from its text"},
	{"freeswitch", regexp.MustCompile(`SIP auth challenge`), "every honest client is asked for its password once before it gives it"},
	{"lighttpd-auth", regexp.MustCompile(`[0-9]: mod_auth\.c`), "no lighttpd writes a line that lacks the bracket before its file"},
	{"mongodb-auth", regexp.MustCompile(`end connection`), "the text log of MongoDB before 4.4, which told the address in other lines: only its log in JSON is read"},
	{"nginx-http-auth", regexp.MustCompile(`password mismatch, client: .* was not found in`), "a name with a colon cannot come by basic authentication: nginx cuts it there"},
	{"pam-generic", regexp.MustCompile(`rhost=.* rhost=`), "two addresses, of which one is in a name that the peer chose: what follows a blank cannot be told from PAM's words"},
	{"proftpd", regexp.MustCompile(`Maximum login attempts`), "each of these attempts has a line of its own, which counts"},
	{"sendmail-reject", regexp.MustCompile(`nrcpts=0`), "mail without a recipient is what an honest server leaves behind, too; that recipients were refused is in other lines, without the address"},
	{"sogo-auth", regexp.MustCompile(`Login from '[^']*, `), "the list is a header field that anyone can send, and its first address anybody's"},
	{"traefik-auth", regexp.MustCompile(`^[^ ]+ - - `), "each browser asks once without a password before it shows the form"},
	{"asterisk", regexp.MustCompile(`hacking attempt detected`), "no Asterisk writes it: its source has had no such message from 1.4 to 23"},
	{"sshd", regexp.MustCompile(`from [0-9a-f:]+$`), "no sshd leaves the port out"},
	{"sshd", regexp.MustCompile(`ssh2: from `), "no sshd writes such text behind ssh2, and behind a name that the peer chose it can be the peer's own"},
	{"sshd", regexp.MustCompile(`pam_unix\(sshd:auth\): authentication failure|Accepted password`), "the line of PAM stands beside one of sshd, which counts; a session that succeeded is not held against its peer"},
	{"sshd", regexp.MustCompile(`fatal: Read from socket failed`), "the address is in a line of third-party patches (Remote: ADDRESS-PORT), glued to a port as in a host name"},
}

// extra are kinds of lines that our rule counts and a filter does not.
var extra = []remark{
	{"traefik-auth", regexp.MustCompile(` - username `), "a refused password is a failure to the filter in its modes normal and aggressive, and not in its mode ddos alone"},
	{"sshd", regexp.MustCompile(`Disconnected from authenticating user`), "the same line is a failure to the filter in its modes extra and aggressive; we count it once a connection"},
	{"postfix", regexp.MustCompile(`Invalid authentication mechanism`), "the same line is a failure to the filter in its mode aggressive; of ours only postfix-probes counts it"},
	{"postfix", regexp.MustCompile(`improper command pipelining`), "the same line is a failure to the filter in its mode normal"},
}

func reason(filter, line string) string { return remarked(unseen, filter, line) }
func counts(filter, line string) string { return remarked(extra, filter, line) }

func remarked(list []remark, filter, line string) string {
	for _, r := range list {
		if r.filter == filter && r.line.MatchString(line) {
			return r.why
		}
	}
	return ""
}
