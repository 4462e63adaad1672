package host

import "strings"

// sessionUser reads the title of an sshd process and returns the user if it says
// that the user is authenticated.
//
// The titles are those of setproctitle(3) in OpenSSH 7 to 10: session.c,
// session_proctitle (`bob@pts/0,pts/1`, `bob@notty`, `bob@internal-sftp`, `bob`),
// and of those that are none: sshd.c and sshd-session.c (`[accepted]`, `[net]`,
// `[priv]`, `[listener]`), which also name the user before he is authenticated.
// A name may contain `@`, as those of a directory do.
func sessionUser(title string) (user string, ok bool) {
	rest, ok := strings.CutPrefix(title, "sshd: ")
	if !ok {
		if rest, ok = strings.CutPrefix(title, "sshd-session: "); !ok {
			return "", false
		}
	}
	rest = strings.TrimRight(rest, " ")
	if rest == "" || rest[0] == '[' || rest[0] == '/' || strings.HasSuffix(rest, "]") || strings.Contains(rest, " [") {
		return "", false
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 && isTTYs(rest[i+1:]) {
		rest = rest[:i]
	}
	return rest, rest != ""
}

// isTTYs reports whether the part of a title after `@` names where a session is,
// and is not the domain of a user.
func isTTYs(s string) bool {
	switch s {
	case "notty", "internal-sftp", "sftp":
		return true
	}
	return strings.HasPrefix(s, "pts/") || strings.HasPrefix(s, "tty")
}
