package logs

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
)

// writer is a program that logs numbered lines, and the rotation of its log.
type writer struct {
	*bench
	r      *rand.Rand
	name   string
	f      *os.File
	append bool
	n      int
	lines  []string
	turns  int // rotations so far
}

func newWriter(b *bench, r *rand.Rand, name string) *writer {
	w := &writer{bench: b, r: r, name: name, append: true}
	w.reopen()
	return w
}

func (w *writer) reopen() {
	if w.f != nil {
		w.must(w.f.Close())
	}
	flags := os.O_WRONLY | os.O_CREATE
	if w.append {
		flags |= os.O_APPEND
	}
	f, err := os.OpenFile(w.path(w.name), flags, 0o644)
	w.must(err)
	w.f = f
}

// log writes up to n lines, some in two pieces, some with CRLF.
func (w *writer) log(n int) {
	for range 1 + w.r.IntN(n) {
		line := numbered(w.n, 1)[0]
		w.n++
		w.lines = append(w.lines, line)
		if line += "\n"; w.r.IntN(4) == 0 {
			cut := w.r.IntN(len(line))
			_, err := w.f.WriteString(line[:cut])
			w.must(err)
			line = line[cut:]
		}
		_, err := w.f.WriteString(line)
		w.must(err)
	}
}

// shift renames NAME.1 to NAME.2 and so on, each with its suffix.
func (w *writer) shift() {
	for i := w.turns; i > 0; i-- {
		for _, suffix := range []string{"", ".gz"} {
			from := fmt.Sprintf("%s.%d%s", w.name, i, suffix)
			if _, err := os.Lstat(w.path(from)); err == nil {
				w.rename(from, fmt.Sprintf("%s.%d%s", w.name, i+1, suffix))
			}
		}
	}
	w.turns++
}

func (w *writer) gzip(name string) {
	in, err := os.ReadFile(w.path(name))
	w.must(err)
	fi, err := os.Stat(w.path(name))
	w.must(err)
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	_, err = z.Write(in)
	w.must(err)
	w.must(z.Close())
	w.must(os.WriteFile(w.path(name+".gz.tmp"), out.Bytes(), 0o644))
	w.must(os.Chtimes(w.path(name+".gz.tmp"), fi.ModTime(), fi.ModTime()))
	w.rename(name+".gz.tmp", name+".gz")
	w.must(os.Remove(w.path(name)))
}

func (w *writer) copyTo(name string) {
	in, err := os.Open(w.path(w.name))
	w.must(err)
	defer in.Close()
	out, err := os.Create(w.path(name))
	w.must(err)
	_, err = io.Copy(out, in)
	w.must(err)
	w.must(out.Close())
}

// rotations are the ways to rotate a log. Each leaves the writer writing to the
// path again, with no line unfinished.
var rotations = []struct {
	name   string
	append bool
	rotate func(*writer)
}{
	{"rename", true, func(w *writer) {
		w.shift()
		w.rename(w.name, w.name+".1")
		w.reopen()
	}},
	{"rename, and the writer is slow to notice", true, func(w *writer) {
		w.shift()
		w.rename(w.name, w.name+".1")
		w.log(5)
		w.reopen()
	}},
	{"rename and create, and the writer is slow to notice", true, func(w *writer) {
		w.shift()
		w.rename(w.name, w.name+".1")
		w.must(os.WriteFile(w.path(w.name), nil, 0o644))
		w.log(5)
		w.reopen()
	}},
	{"rename to a date", true, func(w *writer) {
		w.turns++
		w.rename(w.name, fmt.Sprintf("%s-202611%02d-%02d", w.name, 1+w.turns/24, w.turns%24))
		w.reopen()
	}},
	{"rename and compress the one before", true, func(w *writer) {
		w.shift()
		if w.turns > 1 {
			w.gzip(w.name + ".2")
		}
		w.rename(w.name, w.name+".1")
		w.reopen()
	}},
	{"copy and truncate", true, func(w *writer) {
		w.shift()
		w.copyTo(w.name + ".1")
		w.must(os.Truncate(w.path(w.name), 0))
	}},
	{"copy and truncate under a writer that keeps its offset", false, func(w *writer) {
		w.shift()
		w.copyTo(w.name + ".1")
		w.must(os.Truncate(w.path(w.name), 0))
	}},
	{"a link moves on", true, func(w *writer) {
		w.turns++
		target := fmt.Sprintf("%s.202611%02d%02d", "log", 1+w.turns/24, w.turns%24)
		w.must(os.Symlink(w.path(target), w.path("link.tmp")))
		w.rename("link.tmp", w.name)
		w.reopen()
	}},
}

func seeds(t *testing.T, run func(*testing.T, *rand.Rand)) {
	n := 12
	if testing.Short() {
		n = 2
	}
	for seed := range n {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			run(t, rand.New(rand.NewPCG(uint64(seed), 7)))
		})
	}
}

// Each line is seen exactly once while writer and rotation go on as fast as
// they can.
func TestRotationUnderLoad(t *testing.T) {
	for _, c := range rotations {
		t.Run(c.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, r *rand.Rand) {
				b := newBench(t)
				w := newWriter(b, r, "a.log")
				w.append = c.append
				if w.reopen(); strings.HasPrefix(c.name, "a link") {
					w.must(os.Remove(b.path("a.log")))
					c.rotate(w)
				}
				w.log(3)
				b.start("a.log")
				for range 12 {
					w.log(60)
					c.rotate(w)
				}
				w.log(10)
				b.exactly(w.lines)
				b.stop()
			})
		})
	}
}

// Each line is seen exactly once when the sensor is stopped and started again
// from any mark, with rotations before, while and after.
func TestRotationAndRestarts(t *testing.T) {
	for _, c := range rotations {
		t.Run(c.name, func(t *testing.T) {
			seeds(t, func(t *testing.T, r *rand.Rand) {
				b := newBench(t)
				w := newWriter(b, r, "a.log")
				w.append = c.append
				if w.reopen(); strings.HasPrefix(c.name, "a link") {
					w.must(os.Remove(b.path("a.log")))
					c.rotate(w)
				}
				w.log(3)
				b.start("a.log") // what was rotated before the first start does not count
				running := true
				for range 60 {
					switch r.IntN(8) {
					case 0, 1, 2:
						w.log(20)
					case 3:
						c.rotate(w)
					case 4, 5, 6:
						if !running {
							b.start("a.log")
							running = true
						}
					case 7:
						if running {
							b.stop()
							running = false
							b.crash(r)
						}
					}
				}
				if !running {
					b.start("a.log")
				}
				w.log(10)
				b.exactly(w.lines)
				b.stop()
			})
		})
	}
}

// crash forgets what was handed over after one of the last batches.
func (b *bench) crash(r *rand.Rand) {
	keep := max(1, len(b.batches)-r.IntN(4))
	b.batches = b.batches[:keep]
	b.lines = b.lines[:0]
	clear(b.marks)
	for _, batch := range b.batches {
		for _, e := range batch.Events {
			b.lines = append(b.lines, e.Line)
		}
		b.marks[batch.Source] = batch.Mark
	}
}
