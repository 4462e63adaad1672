package portscan

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/florianl/go-nflog/v2"

	"gatehouse/internal/gate"
)

// caught collects what a sensor hands on.
func caught(t *testing.T) (Deps, <-chan gate.Event) {
	events := make(chan gate.Event, 10_000)
	return Deps{Emit: func(_ context.Context, b gate.Batch) error {
		for _, e := range b.Events {
			events <- e
		}
		return nil
	}}, events
}

func message(prefix string, seq uint32, payload []byte) nflog.Attribute {
	return nflog.Attribute{Prefix: &prefix, Seq: &seq, Payload: &payload}
}

func TestTake(t *testing.T) {
	full := 0
	s := New(Config{}, Deps{Full: func(Packet) { full++ }})
	s.take(nflog.Attribute{})
	s.take(message("gatehouse probe", 0, []byte{1, 2, 3}))
	s.take(message("gatehouse probe", 1, v4(6, 0, 0, tcp(syn, 4))))
	s.take(message("gatehouse trap", 2, v4(6, 0, 0, tcp(syn, 4))))
	s.take(message("gatehouse full", 3, v4(6, 0, 0, tcp(syn, 4))))
	s.take(message("gatehouse full", 4, v4(6, 0, 0, tcp(syn, 4))))
	st := s.Status()
	if st.Strange != 2 || st.Reports != 4 || st.Holds != 1 || full != 1 || st.FullAt.IsZero() || len(s.queue) != 2 {
		t.Errorf("%+v, full %d times, %d queued", st, full, len(s.queue))
	}
	h, ok := s.Held(netip.MustParsePrefix("198.51.100.7/32"))
	if !ok || h.Report != gate.ReportTrap || !strings.Contains(h.Line, "port 23/tcp") {
		t.Errorf("%+v, %v", h, ok)
	}
	if _, ok := s.Held(netip.MustParsePrefix("198.51.100.8/32")); ok {
		t.Error("somebody else is held")
	}
	for range 2 * queueLen {
		s.take(message("gatehouse probe", 5, v4(6, 0, 0, tcp(syn, 4))))
	}
	if st := s.Status(); st.Dropped != queueLen+2 || len(s.queue) != queueLen {
		t.Errorf("%d dropped, %d queued", st.Dropped, len(s.queue))
	}
}

func TestSequence(t *testing.T) {
	var q sequence
	for _, c := range []struct {
		seq uint32
		gap uint64
	}{{7, 0}, {8, 0}, {10, 1}, {11, 0}, {111, 99}, {0, 0}, {1, 0}, {1<<32 - 1, 0}, {0, 0}, {2, 1}} {
		if got := q.gap(c.seq); got != c.gap {
			t.Errorf("%d: %d missing, want %d", c.seq, got, c.gap)
		}
	}
}

// TestLossIsMadeUp: after a loss the held addresses are read, those that were
// reported are not told twice, and not more often than now and then.
func TestLossIsMadeUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		s := New(Config{}, Deps{Held: func(most int) ([]netip.Prefix, error) {
			asked.Add(1)
			return []netip.Prefix{netip.MustParsePrefix("198.51.100.7/32"), netip.MustParsePrefix("2001:db8::/64")}, nil
		}})
		s.take(message("gatehouse trap", 0, v4(6, 0, 0, tcp(syn, 4))))
		lost := make(chan struct{}, 1)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() { done <- s.makeUp(ctx, lost) }()
		for range 2 { // the second one waits
			lost <- struct{}{}
			synctest.Wait()
		}
		if asked.Load() != 1 || len(s.queue) != 2 {
			t.Errorf("asked %d times, %d events", asked.Load(), len(s.queue))
		}
		<-s.queue
		if e := <-s.queue; e.Class != gate.ClassHeld || e.Subject.String() != "2001:db8::/64" || e.Pattern != "packet@lost" || e.Rule != Rule {
			t.Errorf("%+v", e)
		}
		time.Sleep(readEvery)
		synctest.Wait()
		if asked.Load() != 2 || len(s.queue) != 0 {
			t.Errorf("asked %d times, %d events", asked.Load(), len(s.queue))
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func freePort(t *testing.T) uint16 {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return uint16(ln.Addr().(*net.TCPAddr).Port)
}

// decoyed runs a sensor with one decoy until the test ends.
func decoyed(t *testing.T, d Decoy) (*Sensor, <-chan gate.Event) {
	deps, events := caught(t)
	s := New(Config{Decoys: []Decoy{d}}, deps)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	for end := time.Now().Add(10 * time.Second); len(s.Status().Decoys) == 0; {
		if time.Now().After(end) {
			t.Fatal("the decoy does not open")
		}
		time.Sleep(time.Millisecond)
	}
	return s, events
}

func TestDecoy(t *testing.T) {
	port := freePort(t)
	s, events := decoyed(t, Decoy{Proto: gate.TCP, Port: port, Banner: "Welcome\n", Tarpit: time.Minute})
	at := net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port)))
	var kept []net.Conn
	for range maxKeptFrom {
		c, err := net.Dial("tcp", at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		kept = append(kept, c)
	}
	buf := make([]byte, 64)
	kept[0].SetReadDeadline(time.Now().Add(10 * time.Second))
	if n, err := kept[0].Read(buf); err != nil || string(buf[:n]) != "Welcome" {
		t.Errorf("banner %q, %v", buf[:n], err)
	}
	e := <-events
	if e.Evidence != gate.Proven || e.Class != gate.ClassFailure || e.Pattern != "connect@decoy" || e.Subject.String() != "127.0.0.1" ||
		e.Detail.Port != port || e.Detail.Via != "127.0.0.1" || !strings.Contains(e.Line, "to the decoy on port") {
		t.Errorf("%+v", e)
	}
	// One more is not kept, and nobody is told of a second time.
	c, err := net.Dial("tcp", at)
	if err == nil {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Read(buf); err == nil {
			t.Error("a connection too many is kept")
		}
		c.Close()
	}
	if st := s.Status().Decoys[0]; !st.Open || st.Hits != maxKeptFrom+1 || st.Kept != maxKeptFrom || len(events) != 0 {
		t.Errorf("%+v, %d more events", st, len(events))
	}
}

// TestDecoyIsSilentOverUDP pins that no datagram is ever answered.
func TestDecoyIsSilentOverUDP(t *testing.T) {
	port := freePort(t)
	_, events := decoyed(t, Decoy{Proto: gate.UDP, Port: port, Banner: "Welcome\n", Tarpit: time.Minute})
	c, err := net.Dial("udp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if e := <-events; e.Evidence != gate.Forgeable || e.Pattern != "udp" || e.Detail.Proto != gate.UDP {
		t.Errorf("%+v", e)
	}
	c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
	if n, err := c.Read(make([]byte, 64)); err == nil {
		t.Errorf("%d bytes came back", n)
	}
}

// TestDecoyOnATakenPort pins that it is told what is wrong, and the rest goes on.
func TestDecoyOnATakenPort(t *testing.T) {
	ln, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	faults := make(chan string, 4)
	deps, _ := caught(t)
	deps.Fault = func(part, why, hint string) { faults <- part + ": " + why }
	taken, free := uint16(ln.Addr().(*net.TCPAddr).Port), freePort(t)
	s := New(Config{Decoys: []Decoy{{Proto: gate.TCP, Port: taken}, {Proto: gate.TCP, Port: free}}}, deps)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	if f := <-faults; f != "decoy "+strconv.Itoa(int(taken))+"/tcp: something listens there already" {
		t.Error(f)
	}
	if f := <-faults; f != "decoy "+strconv.Itoa(int(free))+"/tcp: " {
		t.Error(f)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestEmitFails(t *testing.T) {
	s := New(Config{}, Deps{Emit: func(context.Context, gate.Batch) error { return errors.New("stopping") }})
	s.take(message("gatehouse probe", 1, v4(6, 0, 0, tcp(syn, 4))))
	if err := s.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("%v", err)
	}
}

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	for i := range 3 * maxHeld {
		m.add(Held{Source: netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), Since: time.Unix(int64(i), 0)})
	}
	if n := len(m.young) + len(m.old); n > 2*maxHeld {
		t.Errorf("%d remembered", n)
	}
	if h, ok := m.within(netip.MustParsePrefix("10.0.0.0/8")); !ok || h.Since.Unix() != 3*maxHeld-1 {
		t.Errorf("%+v, %v", h, ok)
	}
}
