package panel

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/ad2/emulator"
	"gatehouse/internal/emulate"
)

// memory is a Keep without a disk.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (m *memory) Get(name string) ([]byte, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	v, ok := m.m[name]
	return v, ok, nil
}

func (m *memory) Put(name string, v []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.m == nil {
		m.m = map[string][]byte{}
	}
	m.m[name] = v
}

// lab is a Panel that runs against an emulated house.
type lab struct {
	t     testing.TB
	panel *Panel
	keep  *memory
	stop  func()

	mu     sync.Mutex // guards what follows
	events []ad2.Event
	notes  []string
	faults map[string]string
	more   chan struct{}
	sent   uint64 // sendings of delivered
}

// quiet is a log that nobody reads.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// again makes until look again, for what no event tells; it is called with the lock
// held.
func (l *lab) again() {
	time.AfterFunc(50*time.Millisecond, func() { l.add(func() {}) })
}

// newStage runs an emulated house on a TCP port of its own.
func newStage(t testing.TB) (*emulate.Stage, string) { return newStageOf(t, false) }

func newStageOf(t testing.TB, dsc bool) (*emulate.Stage, string) {
	s := emulate.New(emulate.Villa(dsc), 1)
	a, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	runUntilDone(t, s.Run)
	return s, "tcp://" + a.String()
}

// runUntilDone runs a task until the test ends or stop is called.
func runUntilDone(t testing.TB, run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(20 * time.Second):
				t.Error("a task does not end")
			}
		})
	}
	t.Cleanup(stop)
	return stop
}

// villa tells the partitions of the emulated house apart.
var villa = ad2.Config{
	Partitions: []ad2.PartitionConfig{{Number: 1, Name: "House", Keypads: []int{1, 16, 18}}, {Number: 2, Name: "Workshop", Keypads: []int{2, 20}}},
	Zones:      []ad2.ZoneConfig{{Zone: 3, Name: "Front door", Type: "door"}, {Zone: 23, Serial: "0180036", Loop: 1}, {Zone: 24, Serial: "0717496", Loop: 1}},
}

// newLab connects a Panel to a device; change may alter its configuration.
func newLab(t testing.TB, device string, change func(*Config)) *lab {
	return newLabKeeping(t, device, change, &memory{})
}

func newLabKeeping(t testing.TB, device string, change func(*Config), keep *memory) *lab {
	l := &lab{t: t, keep: keep, faults: map[string]string{}, more: make(chan struct{}, 1)}
	c := Config{Device: device, Panel: villa, Addresses: map[int]int{2: 20}}
	if change != nil {
		change(&c)
	}
	p, err := New(c, Deps{
		Log: quiet(), Keep: keep,
		Tell:  func(e ad2.Event) { l.add(func() { l.events = append(l.events, e) }) },
		Note:  func(kind, sentence string, _ int) { l.add(func() { l.notes = append(l.notes, kind+": "+sentence) }) },
		Fault: func(part, why, _ string) { l.add(func() { l.faults[part] = why }) },
	})
	if err != nil {
		t.Fatal(err)
	}
	p.waits = waits{obey: 2 * time.Second, speak: time.Second, answer: time.Second} // no real panel is waited for
	l.panel = p
	l.stop = runUntilDone(t, p.Run)
	return l
}

func (l *lab) add(f func()) {
	l.mu.Lock()
	f()
	l.mu.Unlock()
	select {
	case l.more <- struct{}{}:
	default:
	}
}

// until waits for something that the loop or the outbox brings about.
func (l *lab) until(what string, is func() bool) {
	l.t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		l.mu.Lock()
		ok := is()
		l.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-l.more:
		case <-deadline:
			l.mu.Lock()
			defer l.mu.Unlock()
			l.t.Fatalf("%s did not happen\nevents: %v\nnotes: %q\nfaults: %v", what, sentences(l.events), l.notes, l.faults)
		}
	}
}

func sentences(es []ad2.Event) []string {
	out := make([]string, len(es))
	for i, e := range es {
		out[i] = string(e.Kind) + ": " + e.Sentence()
	}
	return out
}

// saw waits for an event.
func (l *lab) saw(kind ad2.Kind, zone int) {
	l.t.Helper()
	l.until(string(kind), func() bool {
		for _, e := range l.events {
			if e.Kind == kind && e.Zone == zone {
				return true
			}
		}
		return false
	})
}

// count returns how many events of a kind there were.
func (l *lab) count(kind ad2.Kind) (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// known waits until the panel has said how both partitions are.
func (l *lab) known(stage *emulate.Stage) {
	l.t.Helper()
	if up, err := l.panel.await(context.Background(), 10*time.Second, func() bool { return l.panel.up && l.panel.version != "" }); !up {
		l.t.Fatal("the adapter does not answer: ", err)
	}
	wake(stage)
	ok, err := l.panel.await(context.Background(), 20*time.Second, func() bool {
		for n := 1; n <= 2; n++ {
			if v, ok := l.panel.panel.Partition(n, time.Now()); !ok || v.Mode == ad2.ModeUnknown {
				return false
			}
		}
		return true
	})
	if !ok || err != nil {
		l.t.Fatal("the panel says nothing: ", err)
	}
}

// wake makes an emulated house show both partitions at once.
func wake(s *emulate.Stage) {
	s.Do(func(h *emulator.House) { h.AC(true) })
	s.Do(func(h *emulator.House) { h.AC(false) })
}

// dialClient connects to the server of a lab and reads its greeting.
func (l *lab) dialClient() (net.Conn, *bufio.Reader) {
	l.t.Helper()
	conn, err := net.Dial("tcp", l.address())
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	r := bufio.NewReader(conn)
	for _, want := range []string{"!SER2SOCK Connected", "!SER2SOCK SERIAL_"} {
		line, err := r.ReadString('\n')
		if err != nil || !strings.HasPrefix(line, want) {
			l.t.Fatalf("greeted with %q, %v", line, err)
		}
	}
	return conn, r
}

// address waits until the server listens.
func (l *lab) address() string {
	l.t.Helper()
	l.until("listening", func() bool { return l.panel.server.where() != "" })
	return l.panel.server.where()
}

// lineWith reads lines until one has a part.
func lineWith(t testing.TB, r *bufio.Reader, part string) string {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			t.Fatalf("waiting for %q: %v", part, err)
		}
		if strings.Contains(line, part) {
			return line
		}
	}
}

func order(action ad2.Action, code string) Order {
	return Order{Action: action, Code: code, By: "tester", From: "here"}
}

// do carries out an order that must end with done.
func (l *lab) do(o Order) Outcome {
	l.t.Helper()
	out, err := l.panel.Do(context.Background(), o)
	if err != nil || !out.Done {
		l.t.Fatalf("%s: %+v, %v", o, out, err)
	}
	return out
}
