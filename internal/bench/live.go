package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"gatehouse/internal/netlab"
	"gatehouse/internal/rig"
)

// scene is a guarded host, a host that attacks it, and a socket on the guarded
// one that sees which packets still arrive.
type scene struct {
	gate, bad *netlab.Host
	daemon    *rig.Daemon
	log       *os.File // the log that the daemon follows
	sink      net.PacketConn
	last      atomic.Int64  // when the last packet arrived, Unix nanoseconds
	count     atomic.Uint64 // how many arrived
}

func newScene(b *bench, config string) *scene {
	lab := netlab.New(b)
	s := &scene{gate: lab.Host("gate"), bad: lab.Host("bad")}
	lab.Link(s.gate.At("10.9.0.1/16"), s.bad.At("10.9.255.254/16"))
	dir := b.TempDir()
	var err error
	s.log, err = os.Create(filepath.Join(dir, "auth.log"))
	b.Must(err)
	b.Cleanup(func() { s.log.Close() })
	s.daemon = rig.New(b, b.bin, s.gate, fmt.Sprintf("watch: [{rule: sshd, files: [%s], threshold: 5 in 10m, ban: [1h]}]\n%s", s.log.Name(), config))
	s.sink, err = s.gate.ListenPacket("udp", "10.9.0.1:9")
	b.Must(err)
	b.Cleanup(func() { s.sink.Close() })
	go func() {
		for buf := make([]byte, 64); ; {
			if _, _, err := s.sink.ReadFrom(buf); err != nil {
				return
			}
			s.last.Store(time.Now().UnixNano())
			s.count.Add(1)
		}
	}()
	return s
}

// attack writes n failures of an address to the log, each of a session of its own.
func (s *scene) attack(a netip.Addr, n, session int) error {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "%s gate sshd[%d]: Failed password for root from %s port 4711 ssh2\n", time.Now().Format(time.Stamp), session*10+i, a)
	}
	_, err := s.log.Write(b.Bytes())
	return err
}

// cutOff has an address send packets as fast as they go, logs its failures, and
// returns how long after that the last packet arrived.
func (s *scene) cutOff(b *bench, a netip.Addr, session int) time.Duration {
	s.bad.AddAddr(a.String() + "/16")
	c, err := s.bad.DialFrom(context.Background(), a, "udp", "10.9.0.1:9")
	b.Must(err)
	defer c.Close()
	for before := s.count.Load(); s.count.Load() == before; {
		c.Write([]byte("x"))
		runtime.Gosched()
	}
	written := time.Now()
	b.Must(s.attack(a, 5, session))
	for time.Since(time.Unix(0, max(s.last.Load(), written.UnixNano()))) < quiet {
		if time.Since(written) > 5*time.Second {
			b.Fatalf("%s is not banned after 5 s", a)
		}
		c.Write([]byte("x"))
		runtime.Gosched()
	}
	return max(0, time.Unix(0, s.last.Load()).Sub(written))
}

// quiet is how long no packet must arrive until an address counts as cut off.
const quiet = 30 * time.Millisecond

func latency(b *bench) (string, bool) {
	s := newScene(b, "")
	s.daemon.Start()
	var took []time.Duration
	for i := range 200 {
		took = append(took, s.cutOff(b, netip.AddrFrom4([4]byte{10, 9, 1 + byte(i/250), byte(i%250) + 1}), i))
	}
	slices.Sort(took)
	p50, p95 := quantile(took, .5), quantile(took, .95)
	return fmt.Sprintf("p50 %s, p95 %s", ms(p50), ms(p95)), p50 <= time.Millisecond && p95 <= 5*time.Millisecond
}

// many returns n addresses, one a line, in 100.64.0.0/10.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "100.%d.%d.%d\n", 64+i>>16, i>>8&255, i&255)
	}
	return b.String()
}

// loaded is a scene with 100,000 bans in force, and how long they took.
func loaded(b *bench) (*scene, time.Duration) {
	s := newScene(b, "")
	s.daemon.Start()
	list := many(100_000)
	begun := time.Now()
	r := s.daemon.CLIInput(strings.NewReader(list), "ban", "-", "--for", "1d")
	took := time.Since(begun)
	if r.Code != 0 {
		b.Fatalf("ban -: exit %d: %s", r.Code, r.Err)
	}
	return s, took
}

func bulkBan(b *bench) (string, bool) {
	_, took := loaded(b)
	return fmt.Sprintf("%.2f s", took.Seconds()), took <= 2*time.Second
}

// oneMore measures with 100k loaded how long a line takes to drop packets, the
// time that it takes without them included.
func oneMore(b *bench) (string, bool) {
	s, _ := loaded(b)
	var took []time.Duration
	for i := range 50 {
		took = append(took, s.cutOff(b, netip.AddrFrom4([4]byte{10, 9, 3, byte(i) + 1}), 5000+i))
	}
	slices.Sort(took)
	p50 := quantile(took, .5)
	return fmt.Sprintf("p50 %s, p95 %s, from the line", ms(p50), ms(quantile(took, .95))), p50 <= time.Millisecond
}

func restart(b *bench) (string, bool) {
	s, _ := loaded(b)
	s.bad.AddAddr("10.9.4.1/16")
	if r := s.daemon.CLI("ban", "10.9.4.1"); r.Code != 0 {
		b.Fatalf("ban: %s", r.Err)
	}
	c, err := s.bad.DialFrom(context.Background(), netip.MustParseAddr("10.9.4.1"), "udp", "10.9.0.1:9")
	b.Must(err)
	defer c.Close()
	stop, sent := make(chan struct{}), make(chan uint64)
	before := s.count.Load()
	go func() {
		n := uint64(0)
		for {
			select {
			case <-stop:
				sent <- n
				return
			default:
				if _, err := c.Write([]byte("x")); err == nil {
					n++
				}
				time.Sleep(20 * time.Microsecond)
			}
		}
	}()
	var ready []time.Duration
	for range 5 {
		s.daemon.Stop()
		ready = append(ready, s.daemon.Start())
	}
	close(stop)
	n := <-sent
	passed := s.count.Load() - before
	slices.Sort(ready)
	p50 := quantile(ready, .5)
	return fmt.Sprintf("%.2f s, %d of %d packets", p50.Seconds(), passed, n), p50 <= 300*time.Millisecond && passed == 0
}

// idle measures the resident memory of the daemon and its children, with the
// default configuration, after it has settled.
func idle(b *bench) (string, bool) {
	s := newScene(b, "")
	s.daemon.Start()
	b.Must(s.attack(netip.MustParseAddr("10.9.255.254"), 5, 1))
	s.daemon.Must("status")
	time.Sleep(5 * time.Second)
	kb := 0
	for _, pid := range append(children(s.daemon.Pid()), s.daemon.Pid()) {
		kb += resident(pid)
	}
	return fmt.Sprintf("%.1f MB", float64(kb)/1e3), kb > 0 && kb <= 25_000
}

// resident returns the resident set of a process in kB, 0 if there is none.
func resident(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "VmRSS:" {
			n, _ := strconv.Atoi(f[1])
			return n
		}
	}
	return 0
}

// children returns the direct children of a process.
func children(pid int) (pids []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, t := range tasks {
		b, _ := os.ReadFile(t)
		for _, f := range strings.Fields(string(b)) {
			n, _ := strconv.Atoi(f)
			pids = append(pids, n)
		}
	}
	return pids
}
