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
	{"sshd", regexp.MustCompile(`ssh2: from `), "no sshd writes such text behind ssh2, and behind a name that the peer chose it can be the peer's own"},
	{"sshd", regexp.MustCompile(`pam_unix\(sshd:auth\): authentication failure|Accepted password`), "the line of PAM stands beside one of sshd, which counts; a session that succeeded is not held against its peer"},
	{"sshd", regexp.MustCompile(`fatal: Read from socket failed`), "the address is in a line of third-party patches (Remote: ADDRESS-PORT), glued to a port as in a host name"},
}

// extra are kinds of lines that our rule counts and a filter does not.
var extra = []remark{
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
