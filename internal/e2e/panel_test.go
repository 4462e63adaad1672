package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rig"
)

// villa is an emulated alarm panel at a pseudo-terminal.
type villa struct {
	t      *testing.T
	device string
	in     io.WriteCloser
	end    func()
}

// startVilla starts an emulated panel on the guarded host, its clock thirty times
// as fast as ours.
func startVilla(t *testing.T, y *yard, device string) *villa {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := y.gate.Command(y.daemon.Bin, "panel", "emulate", "--pty", device, "--speed", "30")
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	_ = r.Close() // the child has its own
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }() // it is killed: that is its status
	v := &villa{t: t, device: device, in: w, end: func() { _ = cmd.Process.Kill(); <-ended }}
	t.Cleanup(func() { w.Close(); v.end() })
	return v
}

// say does something at the house.
func (v *villa) say(words string) {
	v.t.Helper()
	if _, err := io.WriteString(v.in, words+"\n"); err != nil {
		v.t.Fatal(err)
	}
}

// panelSays matches a record of the panel that says this.
func panelSays(words string) func(rig.Entry) bool {
	return func(e rig.Entry) bool { return e.Rule == "panel" && strings.Contains(e.Why, words) }
}

// partitionOne is how the first partition is.
func partitionOne(y *yard) (p struct {
	Mode string
	Exit bool
}) {
	var st struct {
		Panel struct {
			Partitions []struct {
				Mode string
				Exit bool
			}
		}
	}
	y.daemon.JSON(&st, "panel", "status")
	if len(st.Panel.Partitions) > 0 {
		p.Mode, p.Exit = st.Panel.Partitions[0].Mode, st.Panel.Partitions[0].Exit
	}
	return p
}

// A house is armed, broken into and disarmed at a serial device; a daemon that
// was killed meanwhile knows how it is; a device that is pulled out is told; and
// the code stands nowhere.
func TestAlarmPanel(t *testing.T) {
	y := newYard(t, "")
	dir := t.TempDir()
	device, code := filepath.Join(dir, "panel"), filepath.Join(dir, "code")
	if err := os.WriteFile(code, []byte("4321\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := startVilla(t, y, device)
	y.daemon.Configure(fmt.Sprintf(`watch: []
scan: off
panel:
  device: %s
  code: {file: %s}
  partitions: [{partition: 1, name: House, keypads: [1, 16, 18]}, {partition: 2, keypads: [2, 20], address: 20}]
  zones: [{zone: 2, name: Kitchen window, type: window}]
  quiet: [report]
`, device, code))
	y.daemon.Start()
	next := y.daemon.Follow()
	expect := func(words string) rig.Entry {
		t.Helper()
		e, err := next(panelSays(words))
		if err != nil {
			t.Fatalf("%q: %v\n%s", words, err, y.daemon.Log())
		}
		return e
	}
	y.daemon.Must("panel", "arm", "away", "--no-code") // the configured one is used
	expect("House (partition 1) was armed (away)")
	for begun := time.Now(); partitionOne(y).Exit; {
		if time.Since(begun) > 20*time.Second {
			t.Fatal("the exit delay does not end")
		}
	}

	y.daemon.Kill()
	y.daemon.Start()
	if p := partitionOne(y); p.Mode != "away" {
		t.Errorf("after a crash the partition is %+v", p)
	}
	next = y.daemon.Follow()
	v.say("open 2")
	if e := expect("alarm: Kitchen window (zone 2, partition 1), armed away"); e.Subject != "zone:1/2" || e.Verdict != "tell" {
		t.Errorf("%+v", e)
	}
	v.say("close 2")
	if r := y.daemon.CLIInput(strings.NewReader("9876\n"), "panel", "disarm", "--code-file", "-"); r.Code != 1 || !strings.Contains(r.Err, "ALARM 02") {
		t.Errorf("a wrong code: %+v", r)
	}
	if r := y.daemon.CLIInput(strings.NewReader("1234\n"), "panel", "disarm", "--code-file", "-"); r.Code != 0 || !strings.Contains(r.Out, "disarmed") {
		t.Errorf("the right code: %+v", r)
	}
	expect("House (partition 1) was disarmed")
	n := 0
	for line := range strings.Lines(y.daemon.Must("log", "--rule", "panel")) {
		if strings.Contains(line, "was armed (away)") {
			n++
		}
	}
	if n != 1 {
		t.Errorf("arming is recorded %d times", n)
	}

	v.end()
	expect("connection lost")
	var st struct{ Degraded []struct{ Part, Why string } }
	y.daemon.JSON(&st, "status")
	if len(st.Degraded) == 0 || st.Degraded[0].Part != "alarm panel" {
		t.Errorf("status without a panel: %+v", st)
	}
	startVilla(t, y, device)
	expect("connected again")

	y.daemon.Stop()
	hay := []byte(y.daemon.Log())
	for _, f := range mustGlob(t, filepath.Join(y.daemon.State(), "*")) {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		hay = append(hay, b...)
	}
	for _, secret := range []string{"43212", "43211", "98761", "12341", "4321\n", "9876\n"} {
		if bytes.Contains(hay, []byte(secret)) {
			t.Errorf("%q stands in the log or the state of the daemon", secret)
		}
	}
}

func mustGlob(t *testing.T, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("%s: %v", pattern, err)
	}
	return files
}
