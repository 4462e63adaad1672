package mqtt

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"
)

// broker is a real mosquitto on loopback.
type broker struct {
	t    *testing.T
	conf string
	addr string
	cmd  *exec.Cmd
}

// newBroker writes its configuration and starts it; with a password file it lets
// only gatehouse and house in.
func newBroker(t *testing.T, logins bool) *broker {
	t.Helper()
	path, err := exec.LookPath("mosquitto")
	if err != nil {
		if path = "/usr/sbin/mosquitto"; !exists(path) {
			t.Skip("mosquitto is not installed: apt-get install mosquitto")
		}
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &broker{t: t, addr: l.Addr().String(), conf: filepath.Join(t.TempDir(), "mosquitto.conf")}
	l.Close()
	_, port, _ := net.SplitHostPort(b.addr)
	conf := "listener " + port + " 127.0.0.1\nallow_anonymous " + fmt.Sprint(!logins) + "\nlog_type none\n"
	if logins {
		file := filepath.Join(filepath.Dir(b.conf), "passwords")
		for i, user := range []string{"gatehouse", "house"} {
			args := []string{"-b", file, user, "s3cret-word"}
			if i == 0 {
				args = append([]string{"-c"}, args...)
			}
			if out, err := exec.Command("mosquitto_passwd", args...).CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
		}
		conf += "password_file " + file + "\n"
		if err := os.Chmod(file, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	conf += "user " + "root\n"
	if err := os.WriteFile(b.conf, []byte(conf), 0o644); err != nil {
		t.Fatal(err)
	}
	b.cmd = exec.Command(path, "-c", b.conf)
	b.start()
	t.Cleanup(func() { b.stop() })
	return b
}

func exists(path string) bool { _, err := os.Stat(path); return err == nil }

// start starts the broker and waits until it answers.
func (b *broker) start() {
	b.t.Helper()
	b.cmd = exec.Command(b.cmd.Path, b.cmd.Args[1:]...)
	var out strings.Builder
	b.cmd.Stdout, b.cmd.Stderr = &out, &out
	if err := b.cmd.Start(); err != nil {
		b.t.Fatal(err)
	}
	until(b.t, "the broker answers", func() bool {
		c, err := net.Dial("tcp", b.addr)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
}

func (b *broker) stop() {
	if b.cmd.ProcessState == nil {
		_ = b.cmd.Process.Kill()
		_ = b.cmd.Wait()
	}
}

// until waits for something that other processes do.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !is(); {
		if time.Now().After(end) {
			t.Fatalf("it never happened that %s", what)
		}
		time.Sleep(5 * time.Millisecond) // another process tells nothing
	}
}

// house is another client of the broker: it sees every topic.
type house struct {
	c  *paho.Client
	mu sync.Mutex
	is map[string]string
	n  int
}

func newHouse(t *testing.T, b *broker, user string) *house {
	t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		t.Fatal(err)
	}
	h := &house{is: map[string]string{}}
	h.c = paho.NewClient(paho.ClientConfig{ClientID: "house", Conn: packets.NewThreadSafeConn(conn), OnPublishReceived: []func(paho.PublishReceived) (bool, error){
		func(r paho.PublishReceived) (bool, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.is[r.Packet.Topic] = string(r.Packet.Payload)
			h.n++
			return true, nil
		}}})
	p := &paho.Connect{ClientID: "house", KeepAlive: 30, CleanStart: true}
	if user != "" {
		p.Username, p.UsernameFlag, p.Password, p.PasswordFlag = user, true, []byte("s3cret-word"), true
	}
	if _, err := h.c.Connect(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if _, err := h.c.Subscribe(t.Context(), &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "#", QoS: 1}}}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return h
}

func (h *house) at(topic string) string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.is[topic]
}

func (h *house) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.is = map[string]string{}
}

func (h *house) say(t *testing.T, topic, payload string, retain bool) {
	t.Helper()
	if _, err := h.c.Publish(t.Context(), &paho.Publish{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain}); err != nil {
		t.Fatal(err)
	}
}

// guard is what a follower is told of.
type guard struct {
	mu    sync.Mutex
	state State
	news  chan struct{}
	asked []Command
	fault string
}

func (g *guard) change(f func(*State)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(&g.state)
	close(g.news)
	g.news = make(chan struct{})
}

func (g *guard) run(t *testing.T, c Config, more ...Source) (*Follower, func()) {
	t.Helper()
	c.Topic, c.Discovery, c.Host, c.Version = "gatehouse", "homeassistant", "gate.example.org", "1.0"
	f, err := New(c, Deps{
		Log: slog.New(slog.DiscardHandler), More: more,
		State: func() State { g.mu.Lock(); defer g.mu.Unlock(); return g.state },
		News:  func() <-chan struct{} { g.mu.Lock(); defer g.mu.Unlock(); return g.news },
		Ask: func(_ context.Context, c Command) (bool, error) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.asked = append(g.asked, c)
			if c.Subject == "127.0.0.1" {
				return false, fmt.Errorf("127.0.0.1 is this machine")
			}
			return true, nil
		},
		Fault: func(why, _ string) { g.mu.Lock(); defer g.mu.Unlock(); g.fault = why },
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- f.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(stop)
	return f, stop
}

func newGuard() *guard {
	return &guard{news: make(chan struct{}), state: State{Mode: "guarding", Bans: 1, Recent: []Ban{{Subject: "192.0.2.7", Until: "forever", Why: "5 failed logins"}},
		Services: []Service{{Name: "ssh", Ports: "22/tcp", Open: true}}}}
}

const (
	own   = "gatehouse/gate_example_org/"
	found = "homeassistant/sensor/gate_example_org/"
)

// TestShows: Home Assistant finds the guard, sees what changes, and that it is gone.
func TestShows(t *testing.T) {
	b, g := newBroker(t, true), newGuard()
	h := newHouse(t, b, "house")
	_, stop := g.run(t, Config{Server: "mqtt://" + b.addr, User: "gatehouse", Password: "s3cret-word", Commands: []string{"ports"}})
	until(t, "bans are shown", func() bool { return h.at(own+"bans/state") == "1" && h.at(own+"availability") == "online" })
	var doc map[string]any
	until(t, "bans are found", func() bool { return json.Unmarshal([]byte(h.at(found+"bans/config")), &doc) == nil })
	for key, want := range map[string]string{"state_topic": own + "bans/state", "availability_topic": own + "availability", "json_attributes_topic": own + "bans/attributes", "unique_id": "gate_example_org_bans"} {
		if doc[key] != want {
			t.Errorf("%s: %v", key, doc[key])
		}
	}
	until(t, "the service is shown as a switch", func() bool {
		return h.at(own+"service_ssh/state") == "ON" && strings.Contains(h.at("homeassistant/switch/gate_example_org/service_ssh/config"), `"command_topic"`)
	})
	g.change(func(s *State) { s.Bans, s.Services = 2, nil })
	until(t, "the change is shown", func() bool {
		return h.at(own+"bans/state") == "2" && h.at("homeassistant/switch/gate_example_org/service_ssh/config") == ""
	})
	stop()
	until(t, "it is offline", func() bool { return h.at(own+"availability") == "offline" })
}

// TestHeals: a broker that restarts empty, a document that somebody deletes, and
// one of an earlier version.
func TestHeals(t *testing.T) {
	b, g := newBroker(t, false), newGuard()
	h := newHouse(t, b, "")
	h.say(t, found+"old_thing/config", `{"name": "of an earlier version"}`, true)
	h.say(t, own+"old_thing/state", "1", true)
	f, _ := g.run(t, Config{Server: "mqtt://" + b.addr})
	until(t, "bans are shown", func() bool { return h.at(found+"bans/config") != "" })
	until(t, "what is no longer is taken away", func() bool { return h.at(found+"old_thing/config") == "" && h.at(own+"old_thing/state") == "" })
	h.forget()
	h.say(t, found+"bans/config", "", true)
	until(t, "it is found again", func() bool { return h.at(found+"bans/config") != "" })
	b.stop()
	until(t, "it is down", func() bool { return !f.Status().Up })
	g.mu.Lock()
	fault := g.fault
	g.mu.Unlock()
	if !strings.Contains(fault, "no connection to 127.0.0.1") {
		t.Error(fault)
	}
	b.start()
	h = newHouse(t, b, "")
	until(t, "all is there again", func() bool { return h.at(found+"bans/config") != "" && h.at(own+"bans/state") == "1" })
	if s := f.Status(); !s.Up || s.Why != "" {
		t.Errorf("%+v", s)
	}
}

// TestDies: the broker says for us that we are gone.
func TestWill(t *testing.T) {
	b, g := newBroker(t, false), newGuard()
	h := newHouse(t, b, "")
	f, _ := g.run(t, Config{Server: "mqtt://" + b.addr})
	until(t, "it is online", func() bool { return h.at(own+"availability") == "online" && f.Status().Up })
	f.mu.Lock()
	conn := f.conn
	f.mu.Unlock()
	h.forget()
	conn.Close()
	until(t, "the broker says that it is offline, and it comes back", func() bool { return h.at(own+"availability") == "online" })
}

// TestCommands: what the configuration allows, and nothing else.
func TestCommands(t *testing.T) {
	b, g := newBroker(t, false), newGuard()
	h := newHouse(t, b, "")
	h.say(t, own+"command", `{"command": "ban", "subject": "192.0.2.66"}`, true) // stored by the broker
	_, _ = g.run(t, Config{Server: "mqtt://" + b.addr, Commands: []string{"ban", "ports"}})
	until(t, "it is online", func() bool {
		return h.at(own+"availability") == "online" && h.at("homeassistant/text/gate_example_org/ban/config") != ""
	})
	for _, c := range []struct{ topic, payload, answer string }{
		{"command", `{"command": "ban", "subject": "192.0.2.7", "for": "1h", "reason": "door bell", "id": "a1"}`, `{"id":"a1","command":"ban","subject":"192.0.2.7","changed":true}`},
		{"command", `{"command": "ban", "subject": "127.0.0.1"}`, `{"command":"ban","subject":"127.0.0.1","changed":false,"refused":"127.0.0.1 is this machine"}`},
		{"command", `{"command": "unban", "subject": "192.0.2.7"}`, `"refused":"commands of this kind are not allowed`},
		{"command", `{"command": "ban", "subject": "everybody"}`, `"refused":"\"everybody\": not an address`},
		{"command", `{"command": "stop"}`, `"refused":"\"stop\" is not a command`},
		{"command", `{"command": "ban", "subject": "192.0.2.7", "all": true}`, `this is not a command`},
		{"command", `{"command": "ban", "subject": "192.0.2.7"} {}`, `something behind`},
		{"command", strings.Repeat("x", 5000), `longer than 4 kB`},
		{"service_ssh/set", "OFF", `{"command":"service_ssh","subject":"","changed":true}`},
		{"service_ssh/set", "MAYBE", `"refused":`},
		{"unban/set", "192.0.2.7", `nothing takes commands there`},
		{"ban/set", "192.0.2.8", `{"command":"ban","subject":"","changed":true}`},
	} {
		h.mu.Lock()
		delete(h.is, own+"answer")
		h.mu.Unlock()
		time.Sleep(time.Second / commandRate) // the rate at which commands are taken
		h.say(t, own+c.topic, c.payload, false)
		until(t, "there is an answer to "+c.payload, func() bool { return h.at(own+"answer") != "" })
		if got := h.at(own + "answer"); !strings.Contains(got, c.answer) {
			t.Errorf("%s %s: %s", c.topic, c.payload, got)
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	var asked []string
	for _, c := range g.asked {
		asked = append(asked, c.Command+" "+c.Subject)
	}
	if got := strings.Join(asked, ", "); got != "ban 192.0.2.7, ban 127.0.0.1, close ssh, ban 192.0.2.8" {
		t.Error(got)
	}
}

// TestLogin: a wrong password is said, and shown nowhere.
func TestLogin(t *testing.T) {
	b, g := newBroker(t, true), newGuard()
	f, _ := g.run(t, Config{Server: "mqtt://" + b.addr, User: "gatehouse", Password: "wr0ng-s3cret"})
	until(t, "the login is refused", func() bool { return f.Status().Why == "the broker refuses the login" })
	g.mu.Lock()
	defer g.mu.Unlock()
	if strings.Contains(g.fault, "wr0ng") || g.fault == "" {
		t.Error(g.fault)
	}
}

// TestStorm: a thousand changes are a few messages.
func TestStorm(t *testing.T) {
	b, g := newBroker(t, false), newGuard()
	h := newHouse(t, b, "")
	_, _ = g.run(t, Config{Server: "mqtt://" + b.addr})
	until(t, "it is online", func() bool { return h.at(own+"bans/state") == "1" })
	h.mu.Lock()
	h.n = 0
	h.mu.Unlock()
	begun := time.Now()
	for range 1000 {
		g.change(func(s *State) { s.Bans++ })
		time.Sleep(time.Millisecond) // a thousand bans a second
	}
	until(t, "the last is shown", func() bool { return h.at(own+"bans/state") == "1001" })
	h.mu.Lock()
	defer h.mu.Unlock()
	if most := 3 + int(time.Since(begun)/(100*time.Millisecond)); h.n > most {
		t.Errorf("%d messages in %v", h.n, time.Since(begun))
	}
}

// panel is a part that has things to show, as an alarm panel does.
type panel struct{ asked chan string }

func (p panel) Changed() <-chan struct{} { return nil }
func (p panel) Entities() []Entity {
	return []Entity{{Component: "alarm_control_panel", ID: "partition_1", Name: "House", State: "disarmed",
		More:    map[string]any{"supported_features": []string{"arm_home", "arm_away"}},
		Command: func(_ context.Context, payload string) error { p.asked <- payload; return nil }}}
}

// TestSource: another part shows its own, and takes commands.
func TestSource(t *testing.T) {
	b, g := newBroker(t, false), newGuard()
	h, p := newHouse(t, b, ""), panel{make(chan string, 1)}
	_, _ = g.run(t, Config{Server: "mqtt://" + b.addr}, p)
	until(t, "it is shown", func() bool {
		return h.at(own+"partition_1/state") == "disarmed" && h.at("homeassistant/alarm_control_panel/gate_example_org/partition_1/config") != ""
	})
	h.say(t, own+"partition_1/set", "ARM_AWAY", false)
	select {
	case got := <-p.asked:
		if got != "ARM_AWAY" {
			t.Error(got)
		}
	case <-time.After(10 * time.Second):
		t.Error("the command never came")
	}
}

// TestFlood: a broker that sends without end loses the connection, and takes no
// memory.
func TestFlood(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	flooded := make(chan int, 10)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n, chunk := 0, make([]byte, 1<<16)
			copy(chunk, []byte{0x30, 0xff, 0xff, 0xff, 0x7f}) // a packet of 268 MB
			for {
				m, err := c.Write(chunk)
				if n += m; err != nil || n > 64<<20 {
					break
				}
			}
			c.Close()
			flooded <- n
		}
	}()
	g := newGuard()
	f, _ := g.run(t, Config{Server: "mqtt://" + l.Addr().String()})
	if n := <-flooded; n > 32<<20 {
		t.Errorf("it took %d MB", n>>20)
	}
	until(t, "it is said", func() bool { return f.Status().Why != "" })
}

// FuzzCommand: whatever comes from a broker, a command that is read is one that the
// line may be asked.
func FuzzCommand(f *testing.F) {
	f.Add([]byte(`{"command": "ban", "subject": "192.0.2.7", "for": "1h"}`))
	f.Add([]byte(`{"command": "open", "subject": "ssh"}`))
	f.Add([]byte(`{"command": "ban", "subject": "list:drop"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := parseCommand(b)
		if err != nil {
			return
		}
		if err := c.check(); err != nil || len(c.Reason) > maxReason || rightOf[c.Command] == "" {
			t.Errorf("%q gives %+v", b, c)
		}
	})
}
