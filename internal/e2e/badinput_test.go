package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/netlab"
	"gatehouse/internal/rig"
)

// A log that is not there yet is waited for and shown; once it appears it counts
// from its first line.
func TestMissingLogIsWaitedFor(t *testing.T) {
	y := newYard(t, "")
	log := filepath.Join(t.TempDir(), "later", "auth.log")
	y.daemon.Configure(watchLog(log, "threshold: 3 in 10m, ban: [1h]"))
	y.daemon.Start()
	var st status
	y.daemon.JSON(&st, "status")
	if len(st.Sources) != 1 || st.Sources[0].State != "waiting" || st.Sources[0].Name != log {
		t.Errorf("sources: %+v", st.Sources)
	}
	next := y.daemon.Follow()
	if err := os.MkdirAll(filepath.Dir(log), 0o755); err != nil {
		t.Fatal(err)
	}
	failures(t, log, "203.0.113.7", 3)
	if _, err := next(isBan("203.0.113.7")); err != nil {
		t.Error(err)
	}
}

// A log that cannot be read names what is missing; the rest goes on.
func TestUnreadableLogIsNamed(t *testing.T) {
	y := newYard(t, "")
	dir := filepath.Join(t.TempDir(), "auth.log")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	y.daemon.Configure(fmt.Sprintf("watch: [{rule: sshd, files: [%s, %s], threshold: 3 in 10m, ban: [1h]}]\n", dir, y.log))
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	next := y.daemon.Follow()
	failures(t, y.log, "203.0.113.7", 3)
	if _, err := next(isBan("203.0.113.7")); err != nil {
		t.Error(err)
	}
	var st status
	y.daemon.JSON(&st, "status")
	found := false
	for _, s := range st.Sources {
		if s.Name == dir {
			found = s.State == "unreadable" && s.Why != ""
		}
	}
	if !found {
		t.Errorf("sources: %+v", st.Sources)
	}
}

// A second daemon on the same state says who has it and does no harm.
func TestSecondDaemonIsRefused(t *testing.T) {
	y := newYard(t, "watch: []\n", "attacker")
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.10")
	second := rig.New(t, bin(t), y.gate, "")
	text := fmt.Sprintf("state: %s\nsocket: %s\nwatch: []\n", y.daemon.State(), second.Socket())
	if err := os.WriteFile(second.Config(), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := second.TryStart(); err == nil {
		t.Fatal("the second daemon started")
	}
	if log := second.Log(); !strings.Contains(log, fmt.Sprint(y.daemon.Pid())) || !strings.Contains(log, "hint:") {
		t.Errorf("it said:\n%s", log)
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	if len(bans) != 1 || !bans[0].Enforced {
		t.Errorf("bans of the first: %+v", bans)
	}
}

// A damaged database is set aside; the daemon starts, guards and says so.
func TestDamagedDatabaseIsSetAside(t *testing.T) {
	y := newYard(t, "watch: []\n", "attacker")
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.10")
	y.daemon.Stop()
	files, _ := filepath.Glob(filepath.Join(y.daemon.State(), "*.db*"))
	for _, f := range files {
		if err := os.WriteFile(f, []byte(strings.Repeat("damaged ", 4096)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	y.daemon.Start()
	if aside, _ := filepath.Glob(filepath.Join(y.daemon.State(), "*damaged*")); len(aside) == 0 {
		t.Error("nothing was set aside")
	}
	var st status
	y.daemon.JSON(&st, "status")
	if len(st.Degraded) == 0 {
		t.Error("status does not say that the ledger was damaged")
	}
	y.daemon.Must("ban", "203.0.113.9")
}

// A full disk does not stop bans.
func TestFullDiskDoesNotStopBans(t *testing.T) {
	y := newYard(t, "")
	y.daemon.Configure(watchLog(y.log, "threshold: 3 in 10m, ban: [1h]"))
	if err := os.Mkdir(y.daemon.State(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := y.gate.Do(func() error {
		return syscall.Mount("tmpfs", y.daemon.State(), "tmpfs", 0, "size=1m")
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	if err := y.gate.Do(func() error {
		f, err := os.Create(filepath.Join(y.daemon.State(), "filler"))
		if err != nil {
			return err
		}
		defer f.Close()
		for b := make([]byte, 4096); ; {
			if _, err := f.Write(b); err != nil {
				return nil // full
			}
		}
	}); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(rig.Patience)
	for i := 0; ; i++ {
		a := fmt.Sprintf("203.0.%d.%d", i/250, i%250+1)
		failures(t, y.log, a, 3)
		var st status
		y.daemon.JSON(&st, "status")
		if len(st.Degraded) > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("status never says that the disk is full")
		}
	}
	failures(t, y.log, "198.51.100.99", 3)
	for {
		if out, _ := y.gate.Command("nft", "list", "table", "inet", "gatehouse").Output(); strings.Contains(string(out), "198.51.100.99") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no ban while the disk is full")
		}
	}
	if err := y.gate.Do(func() error { return os.Remove(filepath.Join(y.daemon.State(), "filler")) }); err != nil {
		t.Fatal(err)
	}
	next := y.daemon.Follow()
	if _, err := next(isBan("198.51.100.99")); err != nil {
		t.Errorf("the record of the ban is lost: %v", err)
	}
}

// Who may not use the socket is told so.
func TestSocketRights(t *testing.T) {
	lab := netlab.New(t)
	if !lab.Rooted() {
		t.Skip("a user namespace of one user has nobody else to try with")
	}
	y := newYard(t, "watch: []\n")
	y.daemon.Start()
	for _, dir := range []string{y.daemon.Dir, filepath.Dir(y.daemon.Dir), filepath.Dir(y.daemon.Bin)} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := y.gate.Command(y.daemon.Bin, "--socket", y.daemon.Socket(), "bans")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "hint:") {
		t.Errorf("%v:\n%s", err, out)
	}
}

// What a ban refuses: not an address, an own one, an allowed one, an address
// inside a banned network on unban.
func TestRefusals(t *testing.T) {
	y := newYard(t, "watch: []\nallow: [198.51.100.0/24]\n")
	y.daemon.Start()
	y.daemon.Must("ban", "203.0.113.0/24")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"ban", "nonsense"}, 2, "nonsense"},
		{[]string{"ban", gate4}, 1, "address of this machine"},
		{[]string{"ban", "127.0.0.1"}, 1, "loopback"},
		{[]string{"ban", "0.0.0.0/0"}, 1, ""},
		{[]string{"ban", "198.51.100.7"}, 1, "allow"},
		{[]string{"unban", "203.0.113.7"}, 1, "203.0.113.0/24"},
		{[]string{"unban", "192.0.2.99"}, 0, ""},
		{[]string{"ban", "203.0.113.9", "--for", "5x"}, 2, "5x"},
		{[]string{"ban", "203.0.113.9", "--ports", "0"}, 2, "0"},
	} {
		r := y.daemon.CLI(c.args...)
		if r.Code != c.code || !strings.Contains(r.Err+r.Out, c.says) || c.code != 0 && !strings.Contains(r.Err, "hint:") {
			t.Errorf("gatehouse %v: exit %d, want %d saying %q:\n%s%s", c.args, r.Code, c.code, c.says, r.Out, r.Err)
		}
	}
}

// A broken rule of one's own disables that rule and nothing else; a broken
// configuration changes nothing on reload.
func TestBrokenRuleAndReload(t *testing.T) {
	y := newYard(t, "")
	rules := filepath.Join(t.TempDir(), "rules")
	if err := os.Mkdir(rules, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(rules, "broken.yaml"), []byte("rule: broken\nevidence: proven\npatterns: [{name: x, class: failure, match: '('}]\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	config := watchLog(y.log, "threshold: 3 in 10m, ban: [1h]") + "rules: " + rules + "\n"
	y.daemon.Configure(config)
	y.daemon.Start()
	var st status
	y.daemon.JSON(&st, "status")
	if len(st.Degraded) == 0 || !strings.Contains(fmt.Sprint(st.Degraded), "broken") {
		t.Errorf("status does not name the broken rule: %+v", st.Degraded)
	}
	y.daemon.Configure("bann: [10m]\n")
	if r := y.daemon.CLI("reload"); r.Code != 1 || !strings.Contains(r.Err, "did you mean") {
		t.Errorf("reload of a broken file: exit %d\n%s", r.Code, r.Err)
	}
	next := y.daemon.Follow()
	failures(t, y.log, "203.0.113.7", 2)
	y.daemon.Configure(config + "allow: [203.0.113.8]\n")
	y.daemon.Must("reload")
	failures(t, y.log, "203.0.113.8", 3)
	failures(t, y.log, "203.0.113.7", 1)
	if e, err := next(func(e rigEntry) bool { return e.Verdict == "ban" }); err != nil || e.Subject != "203.0.113.7" {
		t.Errorf("windows must survive a reload, and the allowed one not be banned: %+v, %v", e, err)
	}
}
