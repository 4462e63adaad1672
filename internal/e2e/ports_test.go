package e2e

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/netlab"
)

// portLine is one element of `port list --json`.
type portLine struct {
	State, Ports, Service, Direction, From, Kind, By, Why string
	Since, Until                                          *time.Time
	Packets                                               *uint64
	Pending                                               bool
	Others                                                []string
}

// dials reports whether a TCP connection succeeds; a short patience is enough on a
// switch without delay.
func dials(t *testing.T, y *yard, who, to string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 250*time.Millisecond)
	defer cancel()
	c, err := y.others[who].Dial(ctx, "tcp", to)
	if err != nil {
		return false
	}
	defer c.Close()
	return beats(c, time.Second)
}

func dial(t *testing.T, y *yard, who, to string) net.Conn {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	c, err := y.others[who].Dial(ctx, "tcp", to)
	if err != nil {
		t.Fatalf("connect to %s: %v", to, err)
	}
	t.Cleanup(func() { c.Close() })
	if !beats(c, time.Second) {
		t.Fatalf("%s does not answer", to)
	}
	return c
}

// A closed port is closed to new and to live connections, for both families, and
// opens again; another port and what the host itself opens never suffer.
func TestPortCloseAndOpen(t *testing.T) {
	y := newYard(t, "watch: []\n", "client")
	for _, at := range []string{gate4 + ":8080", "[" + gate6 + "]:8080", gate4 + ":9090"} {
		echo(t, y.gate, at)
	}
	echo(t, y.others["client"], "192.0.2.10:8080")
	y.daemon.Start()
	four, six, other := gate4+":8080", "["+gate6+"]:8080", gate4+":9090"
	live4, live6, live := dial(t, y, "client", four), dial(t, y, "client", six), dial(t, y, "client", other)
	own, err := y.gate.Dial(context.Background(), "tcp", "192.0.2.10:8080")
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()

	y.daemon.Must("port", "close", "8000-8500/tcp", "--reason", "a test")
	for name, c := range map[string]net.Conn{"IPv4": live4, "IPv6": live6} {
		if beats(c, 200*time.Millisecond) {
			t.Errorf("a live connection of %s goes on on a closed port", name)
		}
	}
	for _, at := range []string{four, six} {
		if dials(t, y, "client", at) {
			t.Errorf("%s is closed and can be connected to", at)
		}
	}
	if !beats(live, time.Second) || !beats(own, time.Second) {
		t.Error("a connection on another port, or of the host's own, has suffered")
	}
	var list []portLine
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 1 || list[0].State != "closed" || list[0].Ports != "8000-8500/tcp" || list[0].By != "root" || list[0].Packets == nil || *list[0].Packets == 0 ||
		!strings.Contains(list[0].Why, "a test") {
		t.Errorf("port list: %+v", list)
	}
	y.daemon.Must("port", "open", "8080")
	if !dials(t, y, "client", four) || !dials(t, y, "client", six) {
		t.Error("a part of the closed range was opened and cannot be connected to")
	}
	y.daemon.Must("ban", "192.0.2.10")
	if dials(t, y, "client", four) {
		t.Error("a banned address gets in by what was opened")
	}
	y.daemon.Must("unban", "192.0.2.10")
	y.daemon.Kill()
	if !dials(t, y, "client", four) {
		t.Error("with the daemon dead what was opened is closed")
	}
	y.daemon.Start()
	if !dials(t, y, "client", four) {
		t.Error("after a restart what was opened is closed")
	}
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 1 || list[0].Ports != "8000-8079,8081-8500/tcp" {
		t.Errorf("after a restart: %+v", list)
	}
}

// A service that rests closed opens by its name for a while, and closes in the
// kernel, though the daemon is dead; who is connected stays.
func TestPortOpeningEnds(t *testing.T) {
	y := newYard(t, "watch: []\nservices: {web: {ports: 8080/tcp, rest: closed}}\n", "client", "stranger")
	echo(t, y.gate, gate4+":8080")
	y.daemon.Start()
	at := gate4 + ":8080"
	if dials(t, y, "client", at) {
		t.Fatal("it rests closed and is open")
	}
	r := y.daemon.CLI("port", "open", "8080/tcp")
	if r.Code != 1 || !strings.Contains(r.Err, "rest closed") || !strings.Contains(r.Err, "gatehouse port open web") {
		t.Errorf("opening by number: %d %s", r.Code, r.Err)
	}
	begun := time.Now()
	y.daemon.Must("port", "open", "web", "--for", "2s", "--from", "192.0.2.10")
	live := dial(t, y, "client", at)
	if dials(t, y, "stranger", at) {
		t.Error("it was opened for one and another gets in")
	}
	y.daemon.Kill()
	for time.Since(begun) < 1700*time.Millisecond {
		if !dials(t, y, "client", at) {
			t.Fatalf("closed after %v of 2s", time.Since(begun))
		}
	}
	for dials(t, y, "client", at) {
		if time.Since(begun) > 4*time.Second {
			t.Fatal("an opening for 2s does not end with the daemon dead")
		}
	}
	if !beats(live, time.Second) {
		t.Error("a connection that lived when the opening ended was cut")
	}
	y.daemon.Start()
	if dials(t, y, "client", at) {
		t.Error("after a restart it is open again")
	}
	if !beats(live, time.Second) {
		t.Error("after a restart a connection that the opening let in was cut")
	}
	y.daemon.Must("port", "open", "web", "--for", "1s")
	second := dial(t, y, "client", at)
	for begun := time.Now(); dials(t, y, "client", at); {
		if time.Since(begun) > 3*time.Second {
			t.Fatal("an opening for 1s does not end")
		}
	}
	if !beats(second, time.Second) {
		t.Error("with the daemon alive, a connection that lived when the opening ended was cut")
	}
	y.daemon.Must("port", "close", "web")
	if beats(second, 300*time.Millisecond) {
		t.Error("a closing does not cut what an earlier opening let in")
	}
}

// A schedule that holds now holds from the first moment, and `port list --at`
// tells what will hold.
func TestPortSchedule(t *testing.T) {
	now := time.Now().UTC()
	begin := now.Add(-time.Minute)
	later := now.Add(3 * time.Hour)
	y := newYard(t, fmt.Sprintf("watch: []\nports: {schedule: [{name: now, close: \"8080/tcp\", from: \"%d %d * * *\", for: 2h, zone: UTC}, {name: soon, close: \"9090/tcp\", from: \"%d %d * * *\", for: 1h, zone: UTC}]}\n",
		begin.Minute(), begin.Hour(), later.Minute(), later.Hour()), "client")
	echo(t, y.gate, gate4+":8080")
	y.daemon.Start()
	if dials(t, y, "client", gate4+":8080") {
		t.Error("a schedule closes it now, and it is open")
	}
	var list []portLine
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 1 || list[0].Kind != "schedule" || list[0].Until == nil {
		t.Errorf("now: %+v", list)
	}
	y.daemon.JSON(&list, "port", "list", "--at", later.Add(10*time.Minute).Format(time.RFC3339))
	if len(list) != 1 || list[0].Ports != "9090/tcp" {
		t.Errorf("later: %+v", list)
	}
	r := y.daemon.CLI("port", "open", "8080/tcp")
	if r.Code != 1 || !strings.Contains(r.Err, "the schedule now closes 8080/tcp") {
		t.Errorf("opening against the schedule: %d %s", r.Code, r.Err)
	}
	y.daemon.Must("port", "open", "http-alt")
	if !dials(t, y, "client", gate4+":8080") {
		t.Error("opened by its name and still closed")
	}
	y.daemon.Configure("watch: []\n")
	y.daemon.Must("reload")
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 0 {
		t.Errorf("the schedules are gone, and: %+v", list)
	}
}

// Who closes the port of their own SSH session gets it back after the time to
// confirm, though the daemon was killed; a session on another port lives on. With
// a confirmation the closing stays.
func TestPortRollback(t *testing.T) {
	y := newYard(t, "watch: []\nports: {confirm: 2s}\n", "operator", "colleague")
	sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}})
	second := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Port: 2222})
	user := "ann"
	if sshd.Real {
		user = "root"
	}
	y.daemon.Start()
	open := func(who string, to netip.AddrPort) *netlab.SSHSession {
		t.Helper()
		s, err := y.others[who].OpenSSH(context.Background(), netlab.Login{To: to, User: user, Password: netlab.Password})
		if err != nil {
			t.Skipf("no session to close: %v", err)
		}
		t.Cleanup(s.Close)
		return s
	}
	mine, other := open("operator", sshd.Addr), open("colleague", second.Addr)
	port := sshd.Addr.String()
	command := fmt.Sprintf("%s --config %s --socket %s port close ssh", y.daemon.Bin, y.daemon.Config(), y.daemon.Socket())
	if out, err := mine.Say(command+" --for 1h --from 203.0.113.0/24", 5*time.Second); err != nil || !strings.Contains(out, "closed") || strings.Contains(out, "confirm") {
		t.Fatalf("a closing that does not cut the session: %q, %v", out, err)
	}
	begun := time.Now()
	mine.Say(command, 300*time.Millisecond) // the answer is cut off
	for banner(y, "operator", port) {
		if time.Since(begun) > 2*time.Second {
			t.Fatal("it was asked to close and is open")
		}
	}
	if err := other.Beat(2 * time.Second); err != nil {
		t.Errorf("a session on another port has died: %v", err)
	}
	var list []portLine
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 2 || !list[1].Pending && !list[0].Pending {
		t.Errorf("while it waits: %+v", list)
	}
	y.daemon.Kill()
	for !banner(y, "operator", port) {
		if time.Since(begun) > 8*time.Second {
			t.Fatal("nobody confirmed it, the daemon is dead, and it is still closed")
		}
	}
	if took := time.Since(begun); took < 1500*time.Millisecond {
		t.Errorf("it was taken back after %v", took)
	}
	y.daemon.Start()
	y.daemon.JSON(&list, "port", "list")
	if len(list) != 1 {
		t.Errorf("after the restart: %+v", list)
	}
	open("operator", sshd.Addr).Say(command, 300*time.Millisecond)
	for banner(y, "operator", port) {
	}
	if out := y.daemon.Must("port", "confirm"); !strings.Contains(out, "confirmed 1 change") {
		t.Error(out)
	}
	time.Sleep(2300 * time.Millisecond) // the time to confirm passes
	if banner(y, "operator", port) {
		t.Error("it was confirmed, and is open again")
	}
	if log := y.daemon.Must("log"); !strings.Contains(log, "unless it is confirmed") || !strings.Contains(log, "root confirmed it") {
		t.Errorf("the log: %s", log)
	}
}

// banner reports whether an SSH server greets.
func banner(y *yard, who, to string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	c, err := y.others[who].Dial(ctx, "tcp", to)
	if err != nil {
		return false
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Second))
	_, err = c.Read(make([]byte, 4))
	return err == nil
}

// A remote file opens a service, the status page tells, and what a person undid
// stays undone.
func TestPortRemoteAndPage(t *testing.T) {
	dir := t.TempDir()
	file, page := filepath.Join(dir, "gate.txt"), filepath.Join(dir, "page.json")
	config := fmt.Sprintf("watch: []\nservices: {web: {ports: 8080/tcp, rest: closed}}\nports:\n  remote: {path: %s, verify: none, every: 10s, longest: 1h}\n  page: {json: %s, html: %s}\n",
		file, page, filepath.Join(dir, "page.html"))
	y := newYard(t, config, "client")
	echo(t, y.gate, gate4+":8080")
	if err := os.WriteFile(file, []byte("open web for 20m\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	shows := func(want string) {
		t.Helper()
		for begun := time.Now(); ; {
			b, err := os.ReadFile(page)
			if err == nil && strings.Contains(string(b), `"state": "`+want+`"`) {
				return
			}
			if time.Since(begun) > 5*time.Second {
				t.Fatalf("the page does not say %s: %s, %v", want, b, err)
			}
		}
	}
	shows("open")
	if !dials(t, y, "client", gate4+":8080") {
		t.Error("the remote file opened it and it is closed")
	}
	if b, err := os.ReadFile(filepath.Join(dir, "page.html")); err != nil || !strings.Contains(string(b), `<td class="open">open</td>`) || strings.Contains(string(b), "192.0.2") {
		t.Errorf("the page: %s, %v", b, err)
	}
	y.daemon.Must("port", "close", "web")
	shows("closed")
	y.daemon.Kill()
	y.daemon.Start()
	shows("closed")
	if dials(t, y, "client", gate4+":8080") {
		t.Error("an unchanged file did again what a person undid")
	}
	if out := y.daemon.Must("status"); !strings.Contains(out, "is not verified") {
		t.Errorf("status does not warn: %s", out)
	}
}

// One packet opens a service for its sender; it is good once, nobody answers, and
// the port looks as if nobody were there.
func TestPortKnock(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "knock.key")
	y := newYard(t, fmt.Sprintf("watch: []\nservices: {web: {ports: 8080/tcp, rest: closed}}\nports: {knock: {port: 62201, key: %s, for: 1h}}\n", key), "client", "stranger")
	text, err := y.gate.Command(y.daemon.Bin, "knock", "--new-key").Output()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(key, text, 0o600); err != nil {
		t.Fatal(err)
	}
	echo(t, y.gate, gate4+":8080")
	y.daemon.Start()
	at := gate4 + ":8080"
	// The packet, as it goes over the wire, to send it again.
	tap, err := y.gate.ListenPacket("udp", gate4+":62299")
	if err != nil {
		t.Fatal(err)
	}
	defer tap.Close()
	if out, err := y.others["client"].Command(y.daemon.Bin, "knock", gate4, "web", "--key", key, "--port", "62299").CombinedOutput(); err != nil {
		t.Fatalf("knock: %s", out)
	}
	packet := make([]byte, 1500)
	tap.SetReadDeadline(time.Now().Add(2 * time.Second))
	n, _, err := tap.ReadFrom(packet)
	if err != nil {
		t.Fatal(err)
	}
	send := func(who string, b []byte) {
		t.Helper()
		c, err := y.others[who].Dial(context.Background(), "udp", gate4+":62201")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.Write(b)
		c.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		if m, err := c.Read(make([]byte, 100)); err == nil || !strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s is answered: %d bytes, %v", who, m, err)
		}
	}
	send("stranger", packet[:n]) // of another address than it says
	send("stranger", []byte("hello"))
	if dials(t, y, "stranger", at) || dials(t, y, "client", at) {
		t.Fatal("open without a knock")
	}
	send("client", packet[:n])
	for begun := time.Now(); !dials(t, y, "client", at); {
		if time.Since(begun) > 5*time.Second {
			t.Fatalf("a knock opens nothing\n%s\n%s", y.daemon.Must("log"), y.daemon.Must("status"))
		}
	}
	if dials(t, y, "stranger", at) {
		t.Error("a stranger gets in")
	}
	y.daemon.Must("port", "reset", "web")
	y.daemon.Kill()
	y.daemon.Start()
	send("client", packet[:n])
	if dials(t, y, "client", at) {
		t.Error("a knock that was heard before a restart opens again")
	}
}

// Once the command has returned, no packet comes through within 5 ms, in either
// direction, as the other end sees it.
func TestPortCloseIsAtOnce(t *testing.T) {
	y := newYard(t, "watch: []\n", "client")
	// The guarded host sends all the time; so does the client.
	ln, err := y.gate.ListenPacket("udp", gate4+":5000")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	y.daemon.Start()
	c, err := y.others["client"].Dial(context.Background(), "udp", gate4+":5000")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var last atomic.Int64 // when the client last got something, ns since 1970
	stop := make(chan struct{})
	var wg sync.WaitGroup
	defer func() { close(stop); c.Close(); ln.Close(); wg.Wait() }()
	wg.Go(func() {
		for b := make([]byte, 100); ; {
			n, from, err := ln.ReadFrom(b)
			if err != nil {
				return
			}
			ln.WriteTo(b[:n], from)
		}
	})
	wg.Go(func() {
		for b := make([]byte, 100); ; {
			if _, err := c.Read(b); err != nil {
				return
			}
			last.Store(time.Now().UnixNano())
		}
	})
	wg.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Microsecond): // the pace of the stream
				c.Write([]byte("x"))
			}
		}
	})
	for begun := time.Now(); last.Load() == 0; {
		if time.Since(begun) > 5*time.Second {
			t.Fatal("the stream does not flow")
		}
	}
	y.daemon.Must("port", "close", "5000/udp")
	closed := time.Now()
	time.Sleep(300 * time.Millisecond) // what comes late would come now
	late := time.Duration(last.Load() - closed.UnixNano())
	t.Logf("the last packet came %v behind the command's return", late)
	if late > 5*time.Millisecond {
		t.Errorf("a packet came %v behind the command's return", late)
	}
}
