package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/rig"
)

// mailbox is a webhook that takes messages, or refuses them.
type mailbox struct {
	mu     sync.Mutex
	closed bool           // it refuses
	counts map[string]int // delivery -> how many records it tells
	times  int            // messages that were taken, doubles included
}

func (m *mailbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var doc struct {
		ID    string
		Count int
	}
	b, err := io.ReadAll(r.Body)
	if err == nil {
		err = json.Unmarshal(b, &doc)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if err != nil || m.closed {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	m.counts[doc.ID] = doc.Count
	m.times++
}

// records is how many records were told, doubles dropped by their identifiers.
func (m *mailbox) records() (n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.counts {
		n += c
	}
	return n
}

func (m *mailbox) open(open bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = !open
}

// TestNotifyKilled: a thousand messages wait for a server that refuses them; the
// daemon is killed with them, and again while it delivers. Each record is told, and
// none twice for a receiver that drops doubles.
func TestNotifyKilled(t *testing.T) {
	y := newYard(t, "watch: []\n")
	box := &mailbox{closed: true, counts: map[string]int{}}
	l, err := y.gate.Listen("tcp", "127.0.0.1:8088")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: box}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { server.Close() })
	y.daemon.Configure("watch: []\nnotify:\n  channels:\n    - {name: hook, webhook: \"http://127.0.0.1:8088/t0psecret\", wait: 0s, every: 0s, limit: 5000 in 1s}\n  routes:\n    - {kinds: [ban], to: [hook]}\n")
	y.daemon.Start()
	const most = 1000
	for i := range most / 20 {
		args := []string{"ban", "--for", "1h"}
		for j := range 20 {
			args = append(args, fmt.Sprintf("198.51.%d.%d", i, j+1))
		}
		y.daemon.Must(args...)
	}
	waiting := func() (n int) {
		var list []struct{ Records int }
		y.daemon.JSON(&list, "notify", "queue")
		for _, w := range list {
			n += w.Records
		}
		return n
	}
	until(t, "all wait", func() bool { return waiting() == most })
	if status := y.daemon.Must("--json", "status"); !strings.Contains(status, "not now") || strings.Contains(status, "t0psecret") {
		t.Error(status)
	}
	y.daemon.Kill()
	y.daemon.Start()
	if n := waiting(); n != most {
		t.Errorf("%d records wait after the kill", n)
	}
	for range 2 {
		before := box.records()
		box.open(true)
		y.daemon.Must("notify", "test", "hook")
		until(t, "some are told", func() bool { return box.records() > before+20 || box.records() > most })
		y.daemon.Kill() // in the middle
		y.daemon.Start()
	}
	until(t, "all are told", func() bool { return box.records() >= most+2 }) // and two tests
	until(t, "nothing waits", func() bool { return waiting() == 0 })
	if n := box.records(); n != most+2 {
		t.Errorf("%d records were told", n)
	}
	t.Logf("%d messages, %d of them doubles, for %d records", box.times, box.times-len(box.counts), most)
	if strings.Contains(y.daemon.Log(), "t0psecret") {
		t.Error("the log holds a secret")
	}
}

// TestNotifyStorm: ten thousand bans are a handful of messages, and no ban waits for
// them.
func TestNotifyStorm(t *testing.T) {
	const most = 10_000
	storm := func(config string) (took time.Duration, box *mailbox, memory int) {
		y := newYard(t, "")
		box = &mailbox{counts: map[string]int{}}
		l, err := y.gate.Listen("tcp", "127.0.0.1:8088")
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: box}
		go func() { _ = server.Serve(l) }()
		defer server.Close()
		y.daemon.Configure(watchLog(y.log, "threshold: 1 in 10m") + config)
		failures(t, y.log, "203.0.113.200", 0)
		y.daemon.Start()
		defer y.daemon.Kill()
		var b strings.Builder
		for i := range most {
			b.WriteString(failureLines(fmt.Sprintf("10.%d.%d.%d", 1+i/62500, i/250%250, 1+i%250), 1))
		}
		begun := time.Now()
		appendTo(t, y.log, b.String())
		until(t, "all are banned", func() bool { return bansOf(t, y.daemon) >= most })
		took = time.Since(begun)
		if config != "" {
			until(t, "all are told", func() bool { return box.records() >= most })
		}
		return took, box, resident(t, y.daemon.Pid())
	}
	without, _, lean := storm("")
	with, box, fat := storm("notify:\n  channels:\n    - {name: hook, webhook: \"http://127.0.0.1:8088/\", wait: 2s, every: 5s}\n  routes:\n    - {kinds: [ban], to: [hook]}\n")
	if n := box.records(); n != most || box.times > 10 {
		t.Errorf("%d messages tell of %d bans", box.times, n)
	}
	if fat > 2*lean+32<<10 {
		t.Errorf("%d kB with notifications, %d kB without", fat, lean)
	}
	t.Logf("%d bans in %s and %d kB, without notifications in %s and %d kB; %d messages", most,
		with.Round(time.Millisecond), fat, without.Round(time.Millisecond), lean, box.times)
}

// resident is the memory of a process in kB.
func resident(t *testing.T, pid int) (kb int) {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "VmRSS:")
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb
}

func bansOf(t *testing.T, d *rig.Daemon) int {
	t.Helper()
	var st struct{ Bans int }
	d.JSON(&st, "status")
	return st.Bans
}
