package logs

import (
	"os"
	"path/filepath"
	"testing"

	"gatehouse/internal/rules"
)

func TestSpeaks(t *testing.T) {
	ssh, mail := &rules.Rule{Service: "ssh", Programs: []string{"sshd"}}, &rules.Rule{Service: "smtp"}
	for _, tc := range []struct {
		name       string
		rule       *rules.Rule
		uid, owner int
		want       bool
	}{
		{"root for sshd", ssh, 0, -1, true},
		{"a system account for sshd", ssh, 33, -1, false},
		{"a person for sshd, in its unit", ssh, 1000, -1, false},
		{"a person for sshd, though the unit names him", ssh, 1000, 1000, false},
		{"nobody knows who for sshd", ssh, -1, -1, false},
		{"root for mail", mail, 0, -1, true},
		{"a system account for mail", mail, 104, -1, true},
		{"a dynamic user for mail", mail, 61500, -1, true},
		{"nobody for mail", mail, 65534, -1, true},
		{"a person for mail", mail, 1000, -1, false},
		{"the person that the unit names", mail, 1001, 1001, true},
		{"a user of a container", mail, 100000, -1, false},
		{"nobody knows who for mail", mail, -1, -1, false},
	} {
		if got := speaks(tc.rule, tc.uid, tc.owner); got != tc.want {
			t.Errorf("%s: %v", tc.name, got)
		}
	}
}

func TestUnitNames(t *testing.T) {
	for _, tc := range []struct {
		pattern, unit string
		want          bool
	}{
		{"ssh.service", "ssh.service", true},
		{"ssh.service", "ssh.socket", false},
		{"sshd@*.service", "sshd@3-192.0.2.1:22-192.0.2.7:4711.service", true},
		{"sshd@*.service", "sshd.service", false},
		{"ssh[d].service", "sshd.service", true},
	} {
		if got := hasUnit(tc.pattern, tc.unit); got != tc.want {
			t.Errorf("%s and %s: %v", tc.pattern, tc.unit, got)
		}
	}
	for unit, want := range map[string]bool{
		"session-3.scope": true, "session-c2.scope": true, "user@1000.service": true, "user-1000.slice": true, "user-runtime-dir@1000.service": true,
		"ssh.service": false, "sessions.service": false, "session-x.service": false, "": false,
	} {
		if isPersonal(unit) != want {
			t.Errorf("%q is personal: %v", unit, !want)
		}
	}
}

func TestIsProgram(t *testing.T) {
	r := &rules.Rule{Programs: []string{"sshd", "sshd-session"}}
	for exe, want := range map[string]bool{
		"/usr/sbin/sshd": true, "/usr/lib/openssh/sshd-session": true, "/sbin/sshd": true,
		"/home/eve/sshd": false, "/usr/../home/eve/sshd": false, "/usr/bin/logger": false, "sshd": false, "": false, "/tmp/usr/sshd": false,
	} {
		if isProgram(r, exe) != want {
			t.Errorf("%q: %v", exe, !want)
		}
	}
}

func TestUnits(t *testing.T) {
	etc, lib := t.TempDir(), t.TempDir()
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(to, path string) {
		t.Helper()
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
	}
	write(lib+"/ssh.service", "[Service]\nExecStart=/usr/sbin/sshd -D\n")
	write(lib+"/sshd@.service", "[Service]\n")
	link(lib+"/ssh.service", etc+"/sshd.service")
	write(lib+"/off.service", "[Service]\n")
	link("/dev/null", etc+"/off.service")
	write(lib+"/git.service", "[Unit]\nUser=no\n[Service]\n User = 1234 \n")
	write(lib+"/other.service", "[Service]\nUser=1234\n")
	write(etc+"/other.service.d/10.conf", "[Service]\nUser=1235\n")
	write(lib+"/copied.service", "[Service]\nUser=1234\n")
	write(etc+"/copied.service", "[Service]\nExecStart=/bin/true\n")
	link("gone", etc+"/left.service")
	u := units{[]string{etc, lib}}
	for pattern, want := range map[string]string{
		"ssh.service": "ssh.service", "sshd.service": "ssh.service", "sshd@*.service": "sshd@*.service", "sshd@7.service": "sshd@7.service",
		"off.service": "", "none.service": "", "left.service": "", "g*.service": "g*.service", "h*.service": "",
	} {
		name, ok := u.installed(pattern)
		if ok != (want != "") || ok && name != want {
			t.Errorf("%s: %q, %v", pattern, name, ok)
		}
	}
	for unit, want := range map[string]int{"ssh.service": -1, "git.service": 1234, "other.service": 1235, "copied.service": -1, "none.service": -1, "g*.service": -1} {
		if got := u.owner(unit); got != want {
			t.Errorf("%s belongs to %d", unit, got)
		}
	}
	for unit, want := range map[string]string{"sshd@*.service": "system-sshd.slice", "a-b@1.service": `system-a\x2db.slice`, "ssh.service": "", "s*@1.service": ""} {
		if got := templateSlice(unit); got != want {
			t.Errorf("%s lies in %q", unit, got)
		}
	}
}
