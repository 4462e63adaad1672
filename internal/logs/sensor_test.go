package logs

import (
	"errors"
	"os"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func TestReadsWhatIsThereAndWhatComes(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\ntwo\nthr")
	b.start("a.log")
	b.expect("one", "two")
	b.write("a.log", "ee\n")
	b.expect("one", "two", "three")
	b.stop()
	n := len(b.batches)
	if b.batches[0].Live || !b.batches[n-1].Live {
		t.Error("what was there before is live, or what came is not")
	}
	if e := b.batches[n-1].Events[0]; e.Origin.Source != "file:"+b.path("a.log") || e.Origin.Offset != 8 {
		t.Errorf("origin %+v", e.Origin)
	}
}

// Each case is a history of one log; want is what is read in the end.
func TestHistories(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(*bench)
		want string
	}{
		{"a rotated file is followed for its late writers", func(b *bench) {
			b.rename("a.log", "a.log.1")
			b.write("a.log.1", "two\n")
			b.expect("one", "two")
			b.write("a.log", "three\n")
			b.expect("one", "two", "three")
			b.write("a.log.1", "late\n")
		}, "one two three late"},
		{"late writers are heard where nothing took the place, also under the next name", func(b *bench) {
			b.rename("a.log", "a.log.1")
			b.write("a.log.1", "two\n")
			b.expect("one", "two")
			b.rename("a.log.1", "a.log.2")
			b.write("a.log.2", "three\n")
		}, "one two three"},
		{"and in another folder", func(b *bench) {
			b.must(os.Mkdir(b.path("old"), 0o755))
			b.rename("a.log", "old/a.log.1")
			b.write("old/a.log.1", "two\n")
		}, "one two"},
		{"an unfinished last line of a rotated file is a line", func(b *bench) {
			b.write("a.log", "unfinished")
			b.rename("a.log", "a.log.1")
			b.write("a.log", "two\n")
		}, "one two unfinished"},
		{"deleted and created again", func(b *bench) {
			b.must(os.Remove(b.path("a.log")))
			b.state("a.log", Waiting)
			b.write("a.log", "two\n")
		}, "one two"},
		{"emptied, without a copy", func(b *bench) {
			b.must(os.Truncate(b.path("a.log"), 0))
			b.write("a.log", "2\n")
		}, "one 2"},
		{"overwritten with more than before", func(b *bench) {
			b.must(os.WriteFile(b.path("a.log"), []byte("another\nlog\n"), 0o644))
		}, "one another log"},
		{"emptied, and the same again", func(b *bench) {
			b.must(os.Truncate(b.path("a.log"), 0))
			b.until("a mark at the start", func() bool { return strings.Contains(b.marks["file:"+b.path("a.log")], ":0:0:0:0:0:0:-") })
			b.write("a.log", "one\n")
		}, "one one"},
		{"put back after a rotation", func(b *bench) {
			b.rename("a.log", "a.log.1")
			b.state("a.log", Waiting)
			b.rename("a.log.1", "a.log")
			b.state("a.log", CaughtUp)
			b.write("a.log", "two\n")
		}, "one two"},
		{"replaced by a folder, then back", func(b *bench) {
			b.rename("a.log", "a.log.1")
			b.must(os.Mkdir(b.path("a.log"), 0o755))
			if why := b.state("a.log", Unreadable); !strings.Contains(why, "a folder") {
				b.Errorf("why: %q", why)
			}
			b.must(os.Remove(b.path("a.log")))
			b.write("a.log", "two\n")
		}, "one two"},
		{"replaced by a named pipe, then back", func(b *bench) {
			b.must(os.Remove(b.path("a.log")))
			b.must(syscall.Mkfifo(b.path("a.log"), 0o600))
			if why := b.state("a.log", Unreadable); !strings.Contains(why, "a named pipe") {
				b.Errorf("why: %q", why)
			}
			b.must(os.Remove(b.path("a.log")))
			b.write("a.log", "two\n")
		}, "one two"},
		{"its folder is removed and comes back", func(b *bench) {
			b.must(os.RemoveAll(b.path("d")))
			b.must(os.Mkdir(b.path("d"), 0o755))
			b.write("d/b.log", "two\n")
		}, "one two"},
		{"its folder is renamed and another takes its place", func(b *bench) {
			b.rename("d", "e")
			b.must(os.Mkdir(b.path("d"), 0o755))
			b.write("d/b.log", "two\n")
		}, "one two"},
		{"NUL bytes in front of a line", func(b *bench) {
			b.write("a.log", "\x00\x00\x00two\n\x00\x00three\nfo\x00ur\n")
		}, "one two three fo\x00ur"},
		{"a sparse run of NUL bytes that is longer than a block", func(b *bench) {
			b.must(os.Truncate(b.path("a.log"), 3<<30))
			b.write("a.log", "two\n")
		}, "one two"},
		{"a writer that goes on at its old offset after the file was emptied", func(b *bench) {
			f, err := os.OpenFile(b.path("a.log"), os.O_WRONLY, 0)
			b.must(err)
			defer f.Close()
			b.must(os.Truncate(b.path("a.log"), 0))
			_, err = f.WriteAt([]byte("two\n"), 2<<20)
			b.must(err)
			b.expect("one", "two")
			_, err = f.WriteAt([]byte("three\n"), 2<<20+4)
			b.must(err)
		}, "one two three"},
		{"empty lines and CRLF", func(b *bench) { b.write("a.log", "\n\r\ntwo\r\n") }, "one \r two\r"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.must(os.Mkdir(b.path("d"), 0o755))
			b.write("a.log", "one\n")
			b.start("a.log", "d/*.log")
			b.expect("one")
			c.run(b)
			b.expect(strings.Split(c.want, " ")...)
			b.stop()
		})
	}
}

// Each case starts without a file.
func TestAppearsLater(t *testing.T) {
	for _, c := range []struct {
		name, pattern string
		appear        func(*bench)
	}{
		{"file", "a.log", func(b *bench) { b.write("a.log", "one\n") }},
		{"by a pattern", "*.log", func(b *bench) { b.write("a.log", "one\n") }},
		{"with its folders", "x/y/a.log", func(b *bench) {
			b.must(os.MkdirAll(b.path("x/y"), 0o755))
			b.write("x/y/a.log", "one\n")
		}},
		{"in a folder that a pattern matches", "x*/a.log", func(b *bench) {
			b.must(os.MkdirAll(b.path("x1"), 0o755))
			b.write("x1/a.log", "one\n")
		}},
		{"moved there whole", "x/*/a.log", func(b *bench) {
			b.must(os.MkdirAll(b.path("tmp/y"), 0o755))
			b.write("tmp/y/a.log", "one\n")
			b.rename("tmp", "x")
		}},
		{"behind a link that dangled", "l", func(b *bench) { b.write("far.log", "one\n") }},
		{"behind a link in the middle", "m/a.log", func(b *bench) {
			b.must(os.Mkdir(b.path("far"), 0o755))
			b.write("far/a.log", "one\n")
		}},
		{"under a link made later", "k", func(b *bench) {
			b.write("far.log", "one\n")
			b.must(os.Symlink("far.log", b.path("k")))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			b.must(os.Symlink("far.log", b.path("l")))
			b.must(os.Symlink(b.path("far"), b.path("m")))
			b.start(c.pattern)
			c.appear(b)
			b.expect("one")
			b.stop()
		})
	}
}

func TestLinks(t *testing.T) {
	b := newBench(t)
	b.must(os.MkdirAll(b.path("d1"), 0o755))
	b.must(os.MkdirAll(b.path("d2"), 0o755))
	b.write("d1/a.log", "one\n")
	b.write("d2/a.log", "three\n")
	b.must(os.Symlink("d1", b.path("d")))
	b.start("d/a.log")
	b.write("d1/a.log", "two\n")
	b.expect("one", "two")
	b.must(os.Symlink("d2", b.path("new")))
	b.rename("new", "d")
	b.expect("one", "two", "three")
	b.write("d2/a.log", "four\n")
	b.expect("one", "two", "three", "four")
	b.stop()
}

// A file that several paths lead to is read once, for the watches of them all.
func TestOneFileManyNames(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.must(os.Link(b.path("a.log"), b.path("b.log")))
	b.must(os.Symlink("a.log", b.path("c.log")))
	b.startWatches(Watch{Name: "v", Files: []string{b.path("b.log")}}, Watch{Name: "w", Files: []string{b.path("*.log"), b.path("a.log")}})
	b.write("a.log", "two\n")
	b.expect("one", "one", "two", "two")
	b.stop()
	var rules []string
	for _, batch := range b.batches {
		for _, e := range batch.Events {
			rules = append(rules, e.Rule)
		}
	}
	if !slices.Equal(rules, []string{"v", "w", "v", "w"}) {
		t.Errorf("rules %q", rules)
	}
}

// A pattern that matches the rotated files of a log, too, does not read them a
// second time: neither by their usual names nor by others.
func TestPatternMatchesRotated(t *testing.T) {
	for _, to := range []string{"a.log.1", "a.log-20261121", "a.log.bak", "before.a.log.x"} {
		t.Run(to, func(t *testing.T) {
			b := newBench(t)
			b.write("a.log", "one\n")
			b.start("*a.log*")
			b.rename("a.log", to)
			b.write(to, "two\n")
			b.write("a.log", "three\n")
			b.exactly([]string{"one", "two", "three"})
			b.until("the old file is let go", func() bool { return strings.Count(b.marks["file:"+b.path("a.log")], " ") == 2 })
			b.write("a.log", "four\n")
			b.exactly([]string{"one", "two", "three", "four"})
			b.stop()
			b.start("*a.log*")
			b.write("a.log", "five\n")
			b.exactly([]string{"one", "two", "three", "four", "five"})
			b.stop()
		})
	}
}

func TestLongLines(t *testing.T) {
	b := newBench(t)
	fits := strings.Repeat("a", maxLine)
	b.write("a.log", "one\n"+fits+"\n"+fits+"a\ntwo\n")
	b.start("a.log")
	b.expect("one", fits, "two")
	f, err := os.OpenFile(b.path("a.log"), os.O_WRONLY|os.O_APPEND, 0)
	b.must(err)
	part := strings.Repeat("x", 1<<20)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 100 {
		_, err = f.WriteString(part)
		b.must(err)
	}
	_, err = f.WriteString("\nthree\n")
	b.must(err)
	b.must(f.Close())
	b.expect("one", fits, "two", "three")
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapInuse) - int64(before.HeapInuse); grown > 16<<20 {
		t.Errorf("a line of 100 MB takes %d MB", grown>>20)
	}
	b.state("a.log", CaughtUp)
	if st := b.sensor.Status()[0]; st.Skipped != 2 || st.Lines != 4 || st.Behind != 0 {
		t.Errorf("status %+v", st)
	}
	b.stop()
}

// A mark within a line that is skipped goes on skipping it.
func TestRestartWithinLongLine(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.start("a.log")
	b.write("a.log", strings.Repeat("x", 3<<20))
	b.until("a mark within the line", func() bool { return strings.HasSuffix(b.marks["file:"+b.path("a.log")], ":s") })
	b.stop()
	b.write("a.log", "not a line of its own\ntwo\n")
	b.start("a.log")
	b.expect("one", "two")
	b.stop()
}

func TestFirstStartReadsBack(t *testing.T) {
	b := newBench(t)
	old := time.Now().Add(-2 * time.Hour)
	b.write("a.log.2", "too old\n")
	b.must(os.Chtimes(b.path("a.log.2"), old, old))
	b.write("a.log.1", "one\n")
	b.write("a.log", "two\n")
	b.write("b.log", "stale\n")
	b.must(os.Chtimes(b.path("b.log"), old, old))
	b.start("a.log", "b.log")
	b.expect("one", "two")
	b.write("b.log", "fresh\n")
	b.expect("one", "two", "fresh")
	b.stop()
}

func TestFirstStartReadsBackBounded(t *testing.T) {
	b := newBench(t)
	b.write("a.log", strings.Repeat(strings.Repeat("x", 1<<10)+"\n", 66<<10))
	b.write("a.log", "last\n")
	b.start("a.log")
	b.stop()
	if n := len(b.lines); n < 63<<10 || n > 64<<10 || b.lines[n-1] != "last" || len(b.lines[0]) != 1<<10 {
		t.Errorf("%d lines, the first of %d bytes", n, len(b.lines[0]))
	}
}

func TestWithoutEvents(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.sensor = b.build(Watch{Name: "w", Files: []string{b.path("*.log")}})
	b.sensor.deaf = true
	b.run()
	b.write("a.log", "two\n")
	b.expect("one", "two")
	b.rename("a.log", "a.log.1")
	b.write("a.log.1", "three\n")
	b.write("a.log", "four\n")
	b.exactly([]string{"one", "two", "three", "four"})
	b.write("b.log", "five\n")
	b.exactly([]string{"one", "two", "three", "four", "five"})
	b.stop()
}

func TestRefusedBatchEndsRun(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.start("a.log")
	b.refuse = errors.New("the line is gone")
	b.write("a.log", "two\n")
	if err := <-b.ended; !errors.Is(err, b.refuse) {
		t.Fatalf("Run: %v", err)
	}
	b.refuse = nil
	b.run() // the same sensor again
	b.expect("one", "two")
	b.stop()
}

func TestPanicEndsRun(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.sensor = b.build(Watch{Name: "w", Files: []string{b.path("a.log")}})
	b.sensor.env.reader = func([]Watch) lineReader { panic("a rule went wrong") }
	b.run()
	if err := <-b.ended; err == nil || !strings.Contains(err.Error(), "a rule went wrong") {
		t.Fatalf("Run: %v", err)
	}
}

func TestStatus(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\ntwo")
	b.start("a.log", "none.log", "*.txt", "x[")
	b.expect("one")
	b.state("a.log", CaughtUp)
	var got []string
	for _, st := range b.sensor.Status() {
		got = append(got, strings.TrimPrefix(st.Path, b.dir+"/")+": "+st.State.String()+", "+st.Why)
	}
	want := []string{
		"*.txt: waiting, no file matches yet",
		"a.log: caught up, ",
		"none.log: waiting, there is no such file yet",
		"x[: unreadable, " + gate.Quote(b.path("x["), 128) + " is not a pattern: a bracket is not closed, or a backslash ends it",
	}
	if !slices.Equal(got, want) {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	if st := b.sensor.Status()[1]; st.Lines != 1 || st.Hits != 1 || st.Behind != 3 || !slices.Equal(st.Rules, []string{"w"}) || st.LastLine.IsZero() {
		t.Errorf("status %+v", st)
	}
	b.stop()
}

// A source of a pattern is gone from the status once its file is, and its path
// is read anew when it comes back.
func TestSourcesComeAndGo(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.start("*.log")
	b.must(os.Remove(b.path("a.log")))
	b.state("*.log", Waiting)
	b.write("a.log", "two\n")
	b.expect("one", "two")
	b.stop()
}

func TestRunLeavesNothingBehind(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "one\n")
	b.start("*.log")
	b.rename("a.log", "a.log.1")
	b.write("a.log", "two\n")
	b.expect("one", "two")
	b.stop()
	for try := 0; ; try++ {
		buf := make([]byte, 1<<20)
		stacks := string(buf[:runtime.Stack(buf, true)])
		if !strings.Contains(stacks, "logs.(*round)") && !strings.Contains(stacks, "fsnotify") {
			return
		}
		if try > 1000 {
			t.Fatal(stacks)
		}
		runtime.Gosched()
	}
}
