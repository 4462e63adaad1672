package e2e

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rig"
)

// fail2banServer is a real fail2ban, of Debian's package, that runs on the guarded
// host beside Gatehouse.
type fail2banServer struct {
	conf, db string
	lines    chan string // what it logs; closed when it has ended
	stop     func()
}

// unpackedFail2ban is where make peers unpacks Debian's package.
const unpackedFail2ban = "../../build/fail2ban"

// newFail2ban writes a configuration with one jail that follows the yard's log.
func newFail2ban(t *testing.T, y *yard) *fail2banServer {
	t.Helper()
	dir := t.TempDir()
	f := &fail2banServer{conf: filepath.Join(dir, "etc/fail2ban"), db: filepath.Join(dir, "fail2ban.sqlite3")}
	if _, err := os.Stat(unpackedFail2ban + "/etc/fail2ban"); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	if err := os.CopyFS(f.conf, os.DirFS(unpackedFail2ban+"/etc/fail2ban")); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"fail2ban.local": fmt.Sprintf("[Definition]\nloglevel = INFO\nlogtarget = STDOUT\nsocket = %[1]s/sock\npidfile = %[1]s/pid\ndbfile = %[2]s\n", dir, f.db),
		"jail.local": fmt.Sprintf("[DEFAULT]\nbanaction = nftables-multiport\nbackend = polling\nmaxretry = 3\nbantime = 1h\nignoreip = 192.0.2.99\n"+
			"[sshd]\nenabled = true\nlogpath = %s\nport = 7,22\n", y.log),
		"jail.d/defaults-debian.conf": "",
	} {
		if err := os.WriteFile(filepath.Join(f.conf, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

// start starts it and returns when it watches.
func (f *fail2banServer) start(t *testing.T, y *yard) {
	t.Helper()
	const python = "/usr/bin/python3"
	if _, err := os.Stat(python); err != nil {
		t.Skip("python3 is not installed")
	}
	root, err := filepath.Abs(unpackedFail2ban)
	if err != nil {
		t.Fatal(err)
	}
	cmd := y.gate.Command(python, root+"/usr/bin/fail2ban-server", "-c", f.conf, "-f", "start")
	cmd.Env = append(os.Environ(), "PYTHONPATH="+root+"/usr/lib/python3/dist-packages", "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1")
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = in, in
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	in.Close()
	f.lines = make(chan string, 1024) // the reader waits when the test is that far behind
	lines := f.lines
	go func() {
		defer close(lines)
		for s := bufio.NewScanner(out); s.Scan(); {
			lines <- s.Text()
		}
		out.Close()
	}()
	f.stop = func() {
		_ = cmd.Process.Signal(os.Interrupt)
		for range lines { // until it has ended
		}
		_ = cmd.Wait()
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _, _ = io.Copy(io.Discard, out) })
	f.await(t, "Jail 'sshd' started")
}

// await waits for a line of its log.
func (f *fail2banServer) await(t *testing.T, text string) {
	t.Helper()
	timeout := time.After(rig.Patience)
	var all []string
	for {
		select {
		case l, ok := <-f.lines:
			if all = append(all, l); strings.Contains(l, text) {
				return
			}
			if !ok {
				t.Skipf("fail2ban does not run here:\n%s", strings.Join(all, "\n"))
			}
		case <-timeout:
			t.Fatalf("fail2ban has not said %q:\n%s", text, strings.Join(all, "\n"))
		}
	}
}

// TestSwitchFromFail2ban is the switch-over as the guide has it: side by side with a
// real fail2ban that bans in nftables, compare, take over, switch.
func TestSwitchFromFail2ban(t *testing.T) {
	y := newYard(t, "", "attacker", "second", "friend")
	f := newFail2ban(t, y)
	echo(t, y.gate, gate4+":7")
	attacker, from := y.others["attacker"], netip.MustParseAddr("192.0.2.10")

	// Side by side: what fail2ban has, and no ban of ours.
	y.daemon.Must("import", "fail2ban", f.conf, "--no-bans")
	y.daemon.Must("check")
	y.daemon.Args = []string{"--observe"}
	y.daemon.Start()
	f.start(t, y)
	next := y.daemon.Follow()
	failures(t, y.log, "192.0.2.10", 3)
	f.await(t, "Ban 192.0.2.10")
	ours, err := next(isBan("192.0.2.10"))
	if err != nil {
		t.Fatalf("%v\n%s", err, y.daemon.Log())
	}
	if ours.Rule != "fail2ban-sshd" || ours.Until.Sub(ours.Time).Round(time.Minute) != time.Hour {
		t.Errorf("our decision: %+v", ours)
	}
	for begun := time.Now(); reaches(attacker, from, gate4+":7"); { // it logs a ban before it bans
		if time.Since(begun) > rig.Patience {
			t.Fatal("fail2ban has banned the attacker, and it gets through")
		}
	}
	if out, err := y.gate.Command("nft", "list", "ruleset").Output(); err != nil || !strings.Contains(string(out), "192.0.2.10") {
		t.Errorf("fail2ban's ban is not in nftables: %v\n%s", err, out)
	}

	// The report of the differences: none.
	var report struct {
		Comparison struct {
			Both        int
			Differences []any
		}
	}
	out := y.daemon.Must("--json", "replay", y.log, "--compare-fail2ban", f.db)
	if err := json.Unmarshal([]byte(out), &report); err != nil || report.Comparison.Both != 1 || len(report.Comparison.Differences) > 0 {
		t.Errorf("%v: %s", err, out)
	}

	// The switch: fail2ban ends and takes its bans out of the kernel, ours take over.
	f.stop()
	if !reaches(attacker, from, gate4+":7") {
		t.Error("fail2ban has ended, and the attacker is still shut out")
	}
	y.daemon.Stop()
	y.daemon.Args = nil
	var taken struct {
		Changed bool
		Bans    struct{ Banned, Recorded, Unchanged int }
	}
	y.daemon.JSON(&taken, "import", "fail2ban", f.conf, "--database", f.db)
	if taken.Changed || taken.Bans.Banned != 1 {
		t.Errorf("taken over: %+v", taken)
	}
	y.daemon.Start()
	if reaches(attacker, from, gate4+":7") {
		t.Error("the attacker that fail2ban had banned gets through")
	}
	var bans []ban
	if y.daemon.JSON(&bans, "bans"); len(bans) != 1 || bans[0].Rule != "fail2ban-sshd" || !bans[0].Enforced || bans[0].Until == nil || time.Until(*bans[0].Until) > time.Hour {
		t.Errorf("bans: %+v", bans)
	}
	// Again, with the daemon running: nothing changes.
	y.daemon.JSON(&taken, "import", "fail2ban", f.conf, "--database", f.db)
	if taken.Changed || taken.Bans.Banned+taken.Bans.Recorded > 0 || taken.Bans.Unchanged == 0 {
		t.Errorf("taken over again: %+v", taken)
	}
	// The filter goes on where fail2ban left off; who was ignored stays ignored.
	next = y.daemon.Follow()
	failures(t, y.log, "192.0.2.99", 5)
	failures(t, y.log, "192.0.2.11", 3)
	if got, err := next(func(e rig.Entry) bool { return e.Verdict == "ban" && e.Subject != "192.0.2.10" }); err != nil || got.Subject != "192.0.2.11" {
		t.Errorf("%+v, %v", got, err)
	}
	t.Logf("\n%s", y.daemon.Must("why", "192.0.2.10"))
}
