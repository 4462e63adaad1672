package logs

import (
	"path"
	"slices"
	"strings"

	"gatehouse/internal/rules"
)

// Which users a service may be run by. A unit can hold processes of people: where
// pam_systemd is missing their logins stay in the unit of sshd, and mail servers
// run programs for them.
const (
	firstPerson   = 1000  // UID_MIN of login.defs(5)
	firstDynamic  = 61184 // DynamicUser= of systemd.exec(5), to
	lastDynamic   = 65519
	nobody        = 65534
	serviceLogins = "ssh" // the service whose unit holds the logins themselves: its lines count from root only
)

// isSystem reports whether the user is root, or one that systems make for their
// services.
func isSystem(uid int) bool {
	return uid >= 0 && uid < firstPerson || uid >= firstDynamic && uid <= lastDynamic || uid == nobody
}

// speaks reports whether a process of this user can speak for the service of a
// rule; owner is the user that its unit names, -1 = none.
func speaks(r *rules.Rule, uid, owner int) bool {
	if r.Service == serviceLogins {
		return uid == 0
	}
	return isSystem(uid) || uid >= 0 && uid == owner
}

// isPersonal reports whether a unit holds what people run: their sessions and
// their own service managers. Its lines never count, whatever a pattern says.
func isPersonal(unit string) bool {
	return strings.HasPrefix(unit, "session-") && strings.HasSuffix(unit, ".scope") ||
		strings.HasPrefix(unit, "user@") || strings.HasPrefix(unit, "user-")
}

// hasUnit reports whether a unit is one that the pattern names.
func hasUnit(pattern, unit string) bool {
	if pattern == unit {
		return true
	}
	ok, _ := path.Match(pattern, unit)
	return ok
}

// systemFolders are where a system keeps its programs.
var systemFolders = [...]string{"/usr/", "/bin/", "/sbin/", "/lib/", "/libexec/"}

// isProgram reports whether the file is a program of the rule, where a system
// keeps its programs. journald tells of each entry which file its writer ran; it
// is all there is where a process ended before its unit was looked up.
func isProgram(r *rules.Rule, exe string) bool {
	return slices.ContainsFunc(systemFolders[:], func(f string) bool { return strings.HasPrefix(exe, f) }) &&
		!strings.Contains(exe, "/../") && r.Names(path.Base(exe))
}
