package logs

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// everyLine is a lineReader that makes an event of each line.
type everyLine struct{ watches []string }

func (e everyLine) read(block []byte, at spot) (events []gate.Event, lines, skipped int) {
	for len(block) > 0 {
		line, rest, _ := bytes.Cut(block, []byte{'\n'})
		if len(line) > 0 {
			ev := gate.Event{Origin: at.origin, Line: string(line), Time: at.now}
			if !at.live {
				ev.Time = at.written
			}
			if !ev.Time.Before(at.since) {
				for _, ev.Rule = range e.watches {
					events = append(events, ev)
				}
			}
		}
		at.origin.Offset += int64(len(block) - len(rest))
		block, lines = rest, lines+1
	}
	return events, lines, 0
}

// bench is a sensor under test: it collects the lines that it hands over.
type bench struct {
	*testing.T
	dir    string
	sensor *Sensor
	cancel context.CancelFunc
	ended  chan error

	mu      sync.Mutex
	change  chan struct{} // closed and replaced at each batch
	batches []gate.Batch
	lines   []string
	marks   map[string]string
	refuse  error
}

// fast are times for tests. The safety net is off: an event must do.
var fast = timing{drain: 20 * time.Millisecond, linger: 40 * time.Millisecond, rescan: time.Hour, poll: 5 * time.Millisecond, retry: 5 * time.Millisecond}

func newBench(t *testing.T) *bench {
	t.Helper()
	return &bench{T: t, dir: t.TempDir(), change: make(chan struct{}), marks: map[string]string{}}
}

// path returns the path of a file in the bench's folder.
func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// start runs a sensor for these patterns, relative to the folder, from the
// marks that were collected so far.
func (b *bench) start(patterns ...string) {
	b.Helper()
	for i := range patterns {
		patterns[i] = b.path(patterns[i])
	}
	b.startWatches(Watch{Name: "w", Files: patterns})
}

func (b *bench) startWatches(ws ...Watch) {
	b.Helper()
	b.sensor = b.build(ws...)
	b.run()
}

func (b *bench) build(ws ...Watch) *Sensor {
	var out io.Writer = io.Discard
	if testing.Verbose() {
		out = os.Stderr
	}
	s := New(Config{Watches: ws, Lookback: time.Hour}, Deps{
		Log:  slog.New(slog.NewTextHandler(out, nil)),
		Emit: b.emit,
		Mark: b.mark,
	})
	s.times = fast
	s.env.reader = func(ws []Watch) lineReader { return everyLine{watchNames(ws)} }
	return s
}

// run runs the sensor and waits until it has caught up.
func (b *bench) run() {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	b.cancel, b.ended = cancel, make(chan error, 1)
	go func() { b.ended <- b.sensor.Run(ctx) }()
	b.Cleanup(cancel)
	select {
	case <-b.sensor.CaughtUp():
	case err := <-b.ended:
		b.ended <- err
	case <-time.After(5 * time.Second):
		b.Fatal("the sensor does not catch up")
	}
}

// stop ends the sensor.
func (b *bench) stop() {
	b.Helper()
	b.cancel()
	select {
	case err := <-b.ended:
		if err != nil {
			b.Fatalf("Run: %v", err)
		}
	case <-time.After(5 * time.Second):
		buf := make([]byte, 1<<20)
		b.Fatalf("Run does not return\n%s", buf[:runtime.Stack(buf, true)])
	}
}

func (b *bench) emit(ctx context.Context, batch gate.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if b.refuse != nil {
		return b.refuse
	}
	b.batches = append(b.batches, batch)
	for _, e := range batch.Events {
		b.lines = append(b.lines, e.Line)
	}
	b.marks[batch.Source] = batch.Mark
	close(b.change)
	b.change = make(chan struct{})
	return nil
}

func (b *bench) mark(source string) string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.marks[source]
}

// until waits until ok says so; ok is asked after each batch, with mu held.
func (b *bench) until(what string, ok func() bool) {
	b.Helper()
	late := time.After(5 * time.Second)
	for {
		b.mu.Lock()
		done, change := ok(), b.change
		b.mu.Unlock()
		if done {
			return
		}
		select {
		case <-change:
		case <-late:
			b.mu.Lock()
			defer b.mu.Unlock()
			b.Fatalf("waited in vain for %s; %d lines, the last %.200q; status %+v", what, len(b.lines), b.lines[max(0, len(b.lines)-5):], b.sensor.Status())
		}
	}
}

// expect waits for as many lines as these and compares.
func (b *bench) expect(lines ...string) {
	b.Helper()
	b.until(fmt.Sprintf("%d lines", len(lines)), func() bool { return len(b.lines) >= len(lines) })
	b.mu.Lock()
	defer b.mu.Unlock()
	if !slices.Equal(b.lines, lines) {
		b.Fatalf("lines\n got %.300q\nwant %.300q", b.lines, lines)
	}
}

// exactly waits until each of the lines came, and complains about what came
// twice or unasked.
func (b *bench) exactly(want []string) {
	b.Helper()
	b.until(fmt.Sprintf("%d lines", len(want)), func() bool { return len(b.lines) >= len(want) })
	b.mu.Lock()
	defer b.mu.Unlock()
	count := map[string]int{}
	for _, l := range b.lines {
		count[l]++
	}
	for _, l := range want {
		if count[l]--; count[l] < 0 {
			b.Errorf("lost: %.100q", l)
		}
	}
	for _, l := range slices.Sorted(maps.Keys(count)) {
		if count[l] > 0 {
			b.Errorf("%d too many of: %.100q", count[l], l)
		}
	}
}

// state waits until the path has this state, and returns why.
func (b *bench) state(name string, want State) string {
	b.Helper()
	late := time.Now().Add(5 * time.Second)
	for time.Now().Before(late) {
		for _, st := range b.sensor.Status() {
			if st.Path == b.path(name) && st.State == want {
				return st.Why
			}
		}
		runtime.Gosched()
	}
	b.Fatalf("%s is not %s: %+v", name, want, b.sensor.Status())
	return ""
}

func (b *bench) write(name, text string) {
	b.Helper()
	f, err := os.OpenFile(b.path(name), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	b.must(err)
	_, err = f.WriteString(text)
	b.must(err)
	b.must(f.Close())
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) rename(from, to string) { b.Helper(); b.must(os.Rename(b.path(from), b.path(to))) }

// numbered returns n lines from number i on.
func numbered(i, n int) (lines []string) {
	for k := range n {
		lines = append(lines, fmt.Sprintf("line %06d %s", i+k, strings.Repeat("x", (i+k)%37)))
	}
	return lines
}
