package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/netlab"
	"gatehouse/internal/rig"
)

// scanStatus is the part of `status --json` that is about port scans.
type scanStatus struct {
	Scan struct {
		State     string
		Traps     string
		Overruled []struct{ Port, Why string }
		Held      int
		Reports   uint64
		Lost      uint64
		FullAt    *time.Time `json:"full_at"`
		Decoys    []struct {
			Port, Why string
			Open      bool
			Hits      uint64
			Kept      int
		}
	}
	Degraded []struct{ Part, Why, Hint string }
}

// holdStory is the part of `why --json` that is about a hold.
type holdStory struct {
	Verdict, Sentence string
	Held              *struct {
		Source, Why string
		Until       time.Time
	}
}

func needs(t *testing.T, programs ...string) {
	t.Helper()
	for _, p := range programs {
		if _, err := exec.LookPath(p); err != nil {
			t.Skipf("%s is not installed", p)
		}
	}
}

// runs runs a scanner to its end and ignores what it thinks of it.
func runs(t *testing.T, h *netlab.Host, line string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	f := strings.Fields(line)
	if out, err := h.CommandContext(ctx, f[0], f[1:]...).CombinedOutput(); ctx.Err() != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(rig.Patience); !ok(); {
		if time.Now().After(end) {
			t.Fatalf("%s: not within %v", what, rig.Patience)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func (y *yard) story(of string) (s holdStory) {
	y.daemon.JSON(&s, "why", of)
	return s
}

// TestScanIsNamed scans in every way and wants each told by its name, with its
// ports, once the fifth was tried.
func TestScanIsNamed(t *testing.T) {
	needs(t, "nmap")
	y := newYard(t, "watch: []\nscan: {settle: 0s}\n", "bad")
	bad := y.others["bad"]
	y.daemon.Start()
	next := y.daemon.Follow()
	const fast = " -n -Pn -e eth0 --max-retries 0 --host-timeout 3s -p 100-108 "
	for i, c := range []struct{ scan, want string }{
		{"-sS", "half-open (SYN) scan of 5 ports ("},
		{"-sF", "FIN scan of 5 ports ("},
		{"-sN", "NULL scan of 5 ports ("},
		{"-sX", "Xmas scan of 5 ports ("},
		{"-sA", "ACK or window scan of 5 ports ("},
		{"-sW", "ACK or window scan of 5 ports ("},
		{"-sM", "Maimon (FIN and ACK) scan of 5 ports ("},
		{"-sU", "UDP scan of 5 ports ("},
		{"-sS -f", "half-open (SYN) scan of 5 ports ("},
		{"-sT", "connect scan of 5 ports ("},
		{"-6 -sS", "half-open (SYN) scan of 5 ports ("},
		{"-6 -sU", "UDP scan of 5 ports ("},
	} {
		from, to := fmt.Sprintf("192.0.2.%d", 100+i), gate4
		if strings.HasPrefix(c.scan, "-6") {
			from, to = fmt.Sprintf("2001:db8::%d", 100+i), gate6
			bad.AddAddr(from + "/64")
		} else {
			bad.AddAddr(from + "/24")
		}
		spoof := " -S " + from
		if c.scan == "-sT" { // from the host's own address: it is the kernel that connects
			from, spoof = "192.0.2.10", ""
		}
		runs(t, bad, "nmap "+c.scan+spoof+fast+to)
		e, err := next(isBan(from))
		if err != nil {
			t.Fatalf("%s: %v\n%s", c.scan, err, y.daemon.Must("log"))
		}
		if !strings.HasPrefix(e.Why, c.want) || !strings.Contains(e.Why, "which anyone can forge, so only new connections") {
			t.Errorf("%s: %s", c.scan, e.Why)
		}
		if d := e.Until.Sub(e.Time); d != 10*time.Minute {
			t.Errorf("%s: for %v", c.scan, d)
		}
	}
	if out := y.daemon.Must("log", "--kind", "scan"); strings.Count(out, "\n") != 12 {
		t.Errorf("log --kind scan:\n%s", out)
	}
}

// TestForgedScans pins that nobody loses anything by packets that others forge in
// his name, as long as he has a live connection, and that the real scanner
// beside them is held.
func TestForgedScans(t *testing.T) {
	needs(t, "nmap", "hping3")
	y := newYard(t, "watch: []\nallow: [192.0.2.12]\nscan: {settle: 0s}\n", "friend", "stranger", "allowed", "bad", "forger")
	y.gate.Route("default", "192.0.2.14")
	echo(t, y.gate, gate4+":7777")
	y.daemon.Start()
	friend, forger := y.others["friend"], y.others["forger"]
	live, err := friend.Dial(context.Background(), "tcp", gate4+":7777")
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	if !beats(live, rig.Patience) {
		t.Fatal("the friend's connection does not work")
	}
	well := func(after string) {
		t.Helper()
		if !beats(live, 2*time.Second) || !reaches(friend, netip.Addr{}, gate4+":7777") {
			t.Errorf("after %s the friend with a live connection has lost something", after)
		}
		if !reaches(y.others["allowed"], netip.Addr{}, gate4+":7777") || !reaches(y.gate, netip.Addr{}, "192.0.2.14:22") && y.held("192.0.2.14") {
			t.Errorf("after %s somebody who is exempt has lost something", after)
		}
	}
	forge := func(who, what string) {
		runs(t, forger, "hping3 -q -a "+who+" "+what+" "+gate4)
	}
	var forgers sync.WaitGroup
	for _, who := range []string{"192.0.2.10", "192.0.2.12", "192.0.2.14"} {
		for _, what := range []string{"-S -p 23 -c 1", "--udp -p 161 -c 1", "-S -p ++200 -c 8 -i u1000"} {
			forgers.Go(func() { forge(who, what) })
		}
	}
	forgers.Wait()
	well("forged packets")
	forge("192.0.2.11", "-S -p 23 -c 1")
	until(t, "a stranger in whose name a trap was tried is held", func() bool { return y.held("192.0.2.11") })
	if s := y.story("192.0.2.11"); s.Verdict != "held" || time.Until(s.Held.Until) > 10*time.Minute {
		t.Errorf("the stranger: %+v", s)
	}

	runs(t, y.others["bad"], "nmap -n -Pn -sS -D 192.0.2.10,192.0.2.12,192.0.2.77,ME --max-retries 0 --host-timeout 3s -p 100-108 "+gate4)
	until(t, "the scanner among decoys is held", func() bool { return y.held("192.0.2.13") })
	well("nmap -D")
	y.daemon.Must("unban", "--all")

	// 3000 forged SYNs at 1000 a second, and a real scan in the middle: of other ports,
	// because one that was tried within the window is no new one.
	var flood sync.WaitGroup
	flood.Go(func() { runs(t, forger, "hping3 -q --rand-source -S -p ++300 -c 3000 -i u1000 "+gate4) })
	runs(t, y.others["bad"], "nmap -n -Pn -sS --max-retries 0 --host-timeout 3s -p 110-118 "+gate4)
	until(t, "the scanner beside a flood is held", func() bool { return y.held("192.0.2.13") })
	flood.Wait()
	well("a flood")
	var st scanStatus
	y.daemon.JSON(&st, "status")
	t.Logf("%+v", st.Scan)
}

func (y *yard) held(a string) bool { s := y.story(a); return s.Held != nil }

// TestFloodIsBounded sends as many SYNs from random addresses as it can to
// random ports: memory stays bounded, status answers, who is banned stays out.
func TestFloodIsBounded(t *testing.T) {
	needs(t, "hping3")
	y := newYard(t, "watch: []\n", "bad", "banned")
	y.gate.Route("default", "192.0.2.10")
	echo(t, y.gate, gate4+":7777")
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.11")
	ctx, cancel := context.WithTimeout(context.Background(), rig.Patience)
	defer cancel()
	cmd := y.others["bad"].CommandContext(ctx, "hping3", "-q", "--flood", "--rand-source", "-S", "-p", "++1", gate4)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	flooding, before := time.Now(), received(t, y.gate)
	best, rss := time.Hour, 0
	var st scanStatus
	for begun := time.Now(); time.Since(begun) < 3*time.Second || st.Scan.FullAt == nil && time.Since(begun) < rig.Patience/2; {
		asked := time.Now()
		y.daemon.JSON(&st, "status")
		best = min(best, time.Since(asked))
		rss = max(rss, residentMB(t, y.daemon.Pid()))
		if reaches1(y.others["banned"], gate4+":7777") {
			t.Error("somebody who is banned came in")
		}
	}
	took := time.Since(flooding)
	cancel()
	cmd.Wait()
	t.Logf("%d packets a second arrived", (received(t, y.gate)-before)*int(time.Second)/int(took))
	t.Logf("status answered in %v at best, %d MB resident; %+v", best.Round(time.Millisecond), rss, st.Scan)
	if best > 100*time.Millisecond {
		t.Errorf("status took %v at best", best)
	}
	if rss > 250 {
		t.Errorf("%d MB resident", rss)
	}
	if st.Scan.FullAt == nil {
		t.Skip("this machine is too slow to fill a set")
	}
	until(t, "an alarm", func() bool {
		return strings.Contains(y.daemon.Must("log", "--kind", "scan.alarm"), "a set of the kernel is full")
	})
	if lines := strings.Count(y.daemon.Must("log"), "\n"); lines > 1000 {
		t.Errorf("%d records of a forged flood", lines)
	}
}

// reaches1 is reaches with little patience, for what should fail.
func reaches1(h *netlab.Host, to string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	c, err := h.Dial(ctx, "tcp", to)
	if err == nil {
		c.Close()
	}
	return err == nil
}

// received returns how many packets came in on the host's first interface.
func received(t *testing.T, h *netlab.Host) (n int) {
	t.Helper()
	out, err := h.Command("cat", "/proc/net/dev").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, rest, _ := strings.Cut(strings.TrimSpace(line), ":"); name == "eth0" {
			var bytes int
			fmt.Sscan(rest, &bytes, &n)
		}
	}
	return n
}

func residentMB(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	kb := 0
	fmt.Sscan(rest, &kb)
	return kb >> 10
}

// TestRulesUnderLiveConnections loads the rules while 1000 connections live,
// which connection tracking has never heard of, and closes them afterwards:
// nobody is found guilty of anything.
func TestRulesUnderLiveConnections(t *testing.T) {
	y := newYard(t, "watch: []\nscan: {settle: 0s, advanced: 1024}\n", "friend")
	echo(t, y.gate, gate4+":7777")
	var conns []net.Conn
	for range 1000 {
		c, err := y.others["friend"].Dial(context.Background(), "tcp", gate4+":7777")
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, c)
	}
	y.daemon.Start()
	for _, c := range conns {
		if !beats(c, rig.Patience) {
			t.Fatal("a connection broke")
		}
	}
	for _, c := range conns {
		c.Close()
	}
	if !reaches(y.others["friend"], netip.Addr{}, gate4+":7777") {
		t.Error("the friend cannot come in any more")
	}
	var st scanStatus
	y.daemon.JSON(&st, "status")
	if st.Scan.State != "armed" || st.Scan.Reports != 0 || st.Scan.Held != 0 || y.daemon.Must("log") != "" {
		t.Errorf("%+v\n%s", st.Scan, y.daemon.Must("log"))
	}
}

// TestRestartWhileHeld pins that who is held stays held while the daemon is dead
// and after it is back, and that a service on a trap's port wins.
func TestRestartWhileHeld(t *testing.T) {
	y := newYard(t, "watch: []\nscan: {traps: [23/tcp, 24/tcp]}\n", "bad")
	echo(t, y.gate, gate4+":7777")
	y.daemon.Start()
	bad := y.others["bad"]
	reaches1(bad, gate4+":23")
	until(t, "held", func() bool { return y.held("192.0.2.10") })
	y.daemon.Kill()
	if reaches1(bad, gate4+":7777") {
		t.Error("not held while the daemon is dead")
	}
	y.daemon.Start()
	if reaches1(bad, gate4+":7777") || !y.held("192.0.2.10") {
		t.Error("not held after a restart")
	}
	echo(t, y.gate, gate4+":24")
	y.daemon.Must("reload")
	var st scanStatus
	y.daemon.JSON(&st, "status")
	if len(st.Scan.Overruled) != 1 || st.Scan.Overruled[0].Port != "24/tcp" || st.Scan.Traps != "23/tcp" {
		t.Errorf("%+v", st.Scan)
	}
	if out := y.daemon.Must("check"); !strings.Contains(out, "note: trap 24/tcp: something listens there") {
		t.Errorf("check says nothing of the service: %s", out)
	}
	if out := y.daemon.Must("unban", "192.0.2.10"); !strings.Contains(out, "the kernel held it") {
		t.Errorf("unban: %s", out)
	}
	if !reaches(bad, netip.Addr{}, gate4+":24") || !reaches(bad, netip.Addr{}, gate4+":7777") {
		t.Error("the service on the trap's port cannot be reached")
	}
}

// TestDecoyProves pins that a finished connection to a decoy leads to a real ban,
// also of somebody who is held, and that very many connections change nothing.
func TestDecoyProves(t *testing.T) {
	y := newYard(t, "watch: []\nallow: [192.0.2.11]\nscan: {decoys: [2323/tcp, 7777/tcp], ban: [1h, 1d]}\n", "bad", "many")
	echo(t, y.gate, gate4+":7777")
	y.daemon.Start()
	next := y.daemon.Follow()
	bad := y.others["bad"]
	reaches1(bad, gate4+":23")
	until(t, "held", func() bool { return y.held("192.0.2.10") })
	c, err := bad.Dial(context.Background(), "tcp", gate4+":2323")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	e, err := next(isBan("192.0.2.10"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(e.Why, "connection to the decoy on port 2323/tcp") || e.Until.Sub(e.Time) != time.Hour || e.Offence != 1 {
		t.Errorf("%+v", e)
	}
	var st scanStatus
	y.daemon.JSON(&st, "status")
	if len(st.Degraded) != 1 || st.Degraded[0].Part != "decoy 7777/tcp" || !strings.Contains(st.Degraded[0].Why, "something listens there already") {
		t.Errorf("a decoy on a port in use: %+v", st.Degraded)
	}

	const all = 1 << 16
	var workers sync.WaitGroup
	var left, failed atomic.Int64
	left.Store(all)
	begun := time.Now()
	for range 4 {
		workers.Go(func() {
			_ = y.others["many"].Do(func() error {
				for left.Add(-1) >= 0 {
					c, err := net.DialTimeout("tcp", gate4+":2323", rig.Patience)
					if err != nil {
						failed.Add(1)
						continue
					}
					c.(*net.TCPConn).SetLinger(0)
					c.Close()
				}
				return nil
			})
		})
	}
	workers.Wait()
	y.daemon.JSON(&st, "status")
	rss := residentMB(t, y.daemon.Pid())
	t.Logf("%d connections in %v, %d of them reset at once; %d MB resident; %+v", all, time.Since(begun).Round(time.Millisecond), failed.Load(), rss, st.Scan.Decoys)
	if hits := st.Scan.Decoys[0].Hits; rss > 150 || hits < all*9/10 || st.Scan.Decoys[0].Kept > 2*4 {
		t.Errorf("%d MB resident, %d visits, %d kept", rss, hits, st.Scan.Decoys[0].Kept)
	}
}
