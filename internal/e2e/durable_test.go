package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/rig"
)

type rigEntry = rig.Entry

// rounds is how many crashes the test does; the soak asks for more.
func rounds(def int) int {
	var n int
	if fmt.Sscanf(os.Getenv("GATEHOUSE_ROUNDS"), "%d", &n); n > 0 {
		return n
	}
	return def
}

// The daemon is killed at random moments while failures are logged and bans are
// asked for. No ban that was acknowledged is lost; each address, which fails
// exactly as often as the threshold wants, is banned exactly once; those that
// fail once less are never banned: no line is counted twice or missed.
func TestKillNine(t *testing.T) {
	y := newYard(t, "")
	y.daemon.Configure(watchLog(y.log, "threshold: 3 in 1d, ban: [1d]"))
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var guilty, innocent []string
	wg.Go(func() { // the log
		for i := 0; ; i++ {
			bad, good := fmt.Sprintf("10.1.%d.%d", i/250, i%250+1), fmt.Sprintf("10.2.%d.%d", i/250, i%250+1)
			for k := range 3 {
				failures(t, y.log, bad, 1)
				if k < 2 {
					failures(t, y.log, good, 1)
				}
			}
			guilty, innocent = append(guilty, bad), append(innocent, good)
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond): // the pace of the log
			}
		}
	})
	var acknowledged []string
	wg.Go(func() { // the commands
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			a := fmt.Sprintf("10.3.%d.%d", i/250, i%250+1)
			if r := y.daemon.CLI("ban", a); r.Code == 0 {
				acknowledged = append(acknowledged, a)
			}
		}
	})
	n := rounds(12)
	for range n {
		time.Sleep(time.Duration(rand.IntN(250)) * time.Millisecond) // the random moment
		y.daemon.Kill()
		y.daemon.Start()
	}
	close(stop)
	wg.Wait()
	next := y.daemon.Follow()
	last := guilty[len(guilty)-1]
	if _, err := next(isBan(last)); err != nil {
		t.Fatalf("the last offender %s: %v", last, err)
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	banned := map[string]ban{}
	for _, b := range bans {
		banned[b.Subject] = b
	}
	for _, a := range acknowledged {
		if _, ok := banned[a]; !ok {
			t.Errorf("the ban of %s was acknowledged and is lost", a)
		}
	}
	for _, a := range guilty {
		if b, ok := banned[a]; !ok {
			t.Errorf("%s failed three times and is not banned: a line was missed", a)
		} else if b.Offences != 1 {
			t.Errorf("%s has %d offences: lines were counted twice", a, b.Offences)
		}
	}
	for _, a := range innocent {
		if _, ok := banned[a]; ok {
			t.Errorf("%s failed twice and is banned: a line was counted twice", a)
		}
	}
	once := map[string]int{}
	for line := range strings.Lines(y.daemon.Must("--json", "log")) {
		if a, ok := strings.CutPrefix(line, `{"seq"`); ok && strings.Contains(a, `"verdict":"ban"`) {
			_, s, _ := strings.Cut(a, `"subject":"`)
			s, _, _ = strings.Cut(s, `"`)
			once[s]++
		}
	}
	for a, k := range once {
		if k > 1 {
			t.Errorf("%s was recorded as banned %d times", a, k)
		}
	}
	t.Logf("%d crashes, %d offenders, %d acknowledged commands", n, len(guilty), len(acknowledged))
}

// While the daemon restarts, in order and after a crash, not one packet of a
// banned address passes.
func TestRestartLeavesNoGap(t *testing.T) {
	y := newYard(t, "watch: []\n", "attacker")
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.10")
	var list strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&list, "100.64.%d.%d\n", i>>8, i&255)
	}
	if r := y.daemon.CLIInput(strings.NewReader(list.String()), "ban", "-"); r.Code != 0 {
		t.Fatalf("ban -: %s", r.Err)
	}
	sink, err := y.gate.ListenPacket("udp", gate4+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	var passed, sent atomic.Uint64
	go func() {
		for b := make([]byte, 64); ; {
			if _, _, err := sink.ReadFrom(b); err != nil {
				return
			}
			passed.Add(1)
		}
	}()
	c, err := y.others["attacker"].Dial(context.Background(), "udp", gate4+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				if _, err := c.Write([]byte("x")); err == nil {
					sent.Add(1)
				}
			}
		}
	})
	for i := range 6 {
		if i%2 == 0 {
			y.daemon.Stop()
		} else {
			y.daemon.Kill()
		}
		y.daemon.Start()
	}
	y.daemon.Must("reload")
	close(stop)
	wg.Wait()
	if passed.Load() > 0 || sent.Load() < 1000 {
		t.Errorf("%d of %d packets passed", passed.Load(), sent.Load())
	}
}

// Boot order: a permanent ban is in the kernel before an interface is up.
func TestBanIsThereBeforeTheNetwork(t *testing.T) {
	y := newYard(t, "watch: []\n", "attacker")
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.10")
	y.daemon.Must("stop", "--flush")
	if out, err := y.gate.Command("ip", "link", "set", "eth0", "down").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	y.daemon.Start()
	sink, err := y.gate.ListenPacket("udp", "0.0.0.0:9")
	if err != nil {
		t.Fatal(err)
	}
	defer sink.Close()
	if out, err := y.gate.Command("ip", "link", "set", "eth0", "up").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	c, err := y.others["attacker"].Dial(context.Background(), "udp", gate4+":9")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	deadline := time.Now().Add(10 * time.Second)
	for {
		c.Write([]byte("x"))
		var st status
		y.daemon.JSON(&st, "status")
		if st.Drops.Packets > 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no packet arrived at the ban")
		}
	}
	sink.SetReadDeadline(time.Now())
	if n, _, err := sink.ReadFrom(make([]byte, 8)); err == nil {
		t.Errorf("a packet of %d bytes came through", n)
	}
}

// Loading the table under live connections changes nothing for them.
func TestLiveConnectionsGoOn(t *testing.T) {
	const n = 1000
	y := newYard(t, "watch: []\n", "friend")
	echo(t, y.gate, gate4+":7")
	var conns []net.Conn
	for range n {
		c, err := y.others["friend"].Dial(context.Background(), "tcp", gate4+":7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		conns = append(conns, c)
	}
	check := func(when string) {
		t.Helper()
		for i, c := range conns {
			if !beats(c, 5*time.Second) {
				t.Fatalf("%s connection %d is dead", when, i)
			}
		}
	}
	check("before the start")
	y.daemon.Start()
	check("after the start")
	y.daemon.Must("ban", "198.51.100.7")
	y.daemon.Must("reload")
	check("after a reload")
	y.daemon.Stop()
	check("after the stop")
}

// A foreign flush of all rules is healed within a second; the tables of others
// stay as they are to the byte.
func TestForeignFlushIsHealed(t *testing.T) {
	y := newYard(t, "watch: []\n", "attacker", "other")
	rules := `table ip filter {
	chain INPUT {
		type filter hook input priority 0; policy accept;
		tcp dport 81 counter drop
	}
}
table inet fw4 {
	set s {
		type ipv4_addr
		elements = { 203.0.113.1, 203.0.113.2 }
	}
	chain c {
		type filter hook forward priority 5;
		ip saddr @s drop
	}
}
`
	load := func() {
		cmd := y.gate.Command("nft", "-f", "-")
		cmd.Stdin = strings.NewReader(rules)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v: %s", err, out)
		}
	}
	foreign := func() string {
		var s string
		for _, table := range []string{"ip filter", "inet fw4"} {
			out, err := y.gate.Command("nft", append([]string{"list", "table"}, strings.Fields(table)...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("nft: %v: %s", err, out)
			}
			s += string(out)
		}
		return s
	}
	load()
	before := foreign()
	y.daemon.Start()
	y.daemon.Must("ban", "192.0.2.10")
	echo(t, y.gate, gate4+":7")
	if foreign() != before {
		t.Error("the tables of others have changed")
	}
	attacker := y.others["attacker"]
	if reaches(attacker, netip.MustParseAddr("192.0.2.10"), gate4+":7") {
		t.Fatal("banned, and gets through")
	}
	if out, err := y.gate.Command("nft", "flush", "ruleset").CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
	flushed := time.Now()
	for {
		if list, err := y.gate.Command("nft", "list", "table", "inet", "gatehouse").Output(); err == nil && strings.Contains(string(list), "192.0.2.10") {
			break
		}
		if time.Since(flushed) > time.Second {
			t.Fatal("not healed within a second")
		}
	}
	if reaches(attacker, netip.MustParseAddr("192.0.2.10"), gate4+":7") {
		t.Error("healed, and gets through")
	}
	if !reaches(y.others["other"], netip.MustParseAddr("192.0.2.11"), gate4+":7") {
		t.Error("another is shut out")
	}
	load()
	y.daemon.Must("stop", "--flush")
	if foreign() != before {
		t.Error("the tables of others have changed")
	}
	if out, err := y.gate.Command("nft", "list", "table", "inet", "gatehouse").CombinedOutput(); err == nil {
		t.Errorf("the table is still there:\n%s", out)
	}
}
