package logs

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// journalRemote finds systemd-journal-remote, which writes real journal files, and what
// its environment must have.
func journalRemote(t testing.TB) (program string, env []string) {
	t.Helper()
	if _, err := exec.LookPath("journalctl"); err != nil {
		t.Skip("journalctl is missing")
	}
	peers, err := filepath.Abs("../../build/peers")
	if err != nil {
		t.Fatal(err)
	}
	libs, _ := filepath.Glob(peers + "/usr/lib/*-linux-*")
	env = append(os.Environ(), "LD_LIBRARY_PATH="+strings.Join(libs, ":"))
	for _, p := range []string{"/lib/systemd", "/usr/lib/systemd", peers + "/lib/systemd", peers + "/usr/lib/systemd"} {
		p += "/systemd-journal-remote"
		c := exec.Command(p, "--version")
		if c.Env = env; c.Run() == nil {
			return p, env
		}
	}
	t.Skip("systemd-journal-remote is missing: make peers")
	return "", nil
}

// journalWriter writes a journal file as journald does.
type journalWriter struct {
	testing.TB
	folder string
	in     io.WriteCloser
	child  *exec.Cmd
	n      int
	begun  time.Time
}

func newJournalWriter(t testing.TB) *journalWriter {
	t.Helper()
	program, env := journalRemote(t)
	w := &journalWriter{TB: t, folder: t.TempDir(), begun: time.Now().Add(-10 * time.Minute)}
	w.child = exec.Command(program, "--output="+w.folder+"/system.journal", "-")
	w.child.Env = env
	var err error
	if w.in, err = w.child.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := w.child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w
}

func (w *journalWriter) close() {
	if w.in != nil {
		_ = w.in.Close()
		_ = w.child.Wait()
		w.in = nil
	}
}

// write writes entries, each a second after the one before; fields is `;` between
// fields, without leading name for the message.
func (w *journalWriter) write(entries ...string) {
	w.Helper()
	for _, e := range entries {
		w.n++
		at := w.begun.Add(time.Duration(w.n) * time.Millisecond)
		w.writeAt(at, e)
	}
}

func (w *journalWriter) writeAt(at time.Time, e string) {
	w.Helper()
	fields := append([]string{
		fmt.Sprintf("__REALTIME_TIMESTAMP=%d", at.UnixMicro()), fmt.Sprintf("__MONOTONIC_TIMESTAMP=%d", 1e6+w.n*1000),
		"_BOOT_ID=11111111222233334444555566667777", "_MACHINE_ID=aaaaaaaabbbbccccddddeeeeffff0000", "_HOSTNAME=box",
	}, strings.Split(e, ";")...)
	if _, err := io.WriteString(w.in, exported(fields...)); err != nil {
		w.Fatal(err)
	}
}

// failed is an entry of sshd about a failed password from this port.
func failed(port int, more string) string {
	return fmt.Sprintf("MESSAGE=Failed password for root from 192.0.2.7 port %d ssh2;SYSLOG_IDENTIFIER=sshd;_PID=77;%s", port, more)
}

const sshUnit = "_SYSTEMD_UNIT=ssh.service;_UID=0"

// journalConfig watches sshd in the journal of a folder.
func journalConfig(t testing.TB, folder string, units ...string) Config {
	t.Helper()
	return Config{
		Watches:  []Watch{{Name: "sshd", Rule: builtin(t, "sshd"), Journal: units}},
		Lookback: time.Hour, Journal: Journal{Folder: folder, Units: []string{}}, Zone: time.UTC,
	}
}

// startConfig runs a sensor with its rules.
func (b *bench) startConfig(c Config) {
	b.Helper()
	b.sensor = b.build()
	b.sensor = New(c, Deps{Log: b.sensor.env.log, Emit: b.emit, Mark: b.mark})
	b.sensor.times = fast
	b.run()
}

// ports waits for as many events and returns the ports in their lines, in order.
func (b *bench) ports(n int) []string {
	b.Helper()
	b.until(fmt.Sprintf("%d events", n), func() bool { return len(b.lines) >= n })
	b.mu.Lock()
	defer b.mu.Unlock()
	return portsIn(b.lines)
}

func portsIn(lines []string) (ports []string) {
	for _, l := range lines {
		_, p, _ := strings.Cut(l, " port ")
		p, _, _ = strings.Cut(p, " ")
		ports = append(ports, p)
	}
	return ports
}

func (b *bench) wantPorts(want ...string) {
	b.Helper()
	if got := b.ports(len(want)); !slices.Equal(got, want) {
		b.Fatalf("ports %v, want %v", got, want)
	}
}

// Who may speak for sshd, and who cannot, whatever he writes.
func TestJournalForgery(t *testing.T) {
	w := newJournalWriter(t)
	w.write(
		failed(1, "_SYSTEMD_UNIT=ssh.service;_UID=0"),
		failed(66, "_SYSTEMD_UNIT=session-3.scope;_UID=1000"),
		failed(66, "_SYSTEMD_UNIT=session-3.scope;_UID=0;_EXE=/usr/sbin/sshd"),
		failed(66, "_SYSTEMD_UNIT=user@1000.service;_UID=1000;UNIT=ssh.service"),
		failed(66, "_SYSTEMD_UNIT=ssh.service;_UID=1000"),
		failed(66, "_SYSTEMD_UNIT=cron.service;_UID=0"),
		failed(66, "_UID=1000;_EXE=/usr/sbin/sshd"),
		failed(66, "_UID=0;_EXE=/usr/bin/logger"),
		failed(66, "_UID=0"),
		failed(66, "_SYSTEMD_UNIT=ssh.service"),
		failed(2, "_UID=0;_EXE=/usr/sbin/sshd"),
		failed(3, "_SYSTEMD_UNIT=sshd@4-192.0.2.1:22-192.0.2.7:4711.service;_SYSTEMD_SLICE=system-sshd.slice;_UID=0"),
		failed(66, "_SYSTEMD_UNIT=sshd@x.service;_SYSTEMD_SLICE=system-sshd.slice;_UID=1000"),
		"MESSAGE=Failed password for x\nNov 21 08:00:00 box sshd[1]: Failed password for root from 192.0.2.66 port 66 ssh2\n from 192.0.2.7 port 9 ssh2;SYSLOG_IDENTIFIER=sshd;_PID=77;"+sshUnit,
		failed(4, "_SYSTEMD_UNIT=ssh.service;_UID=0"),
	)
	w.close()
	b := newBench(t)
	b.startConfig(journalConfig(t, w.folder, "ssh.service", "sshd@*.service"))
	got := b.ports(5)
	slices.Sort(got) // each unit is a source of its own
	if want := []string{"1", "2", "3", "4", "66"}; !slices.Equal(got, want) {
		t.Errorf("ports %v, want %v", got, want)
	}
	b.stop()
	for _, e := range events(b) {
		if e.Subject.String() != "192.0.2.7" {
			t.Errorf("a bystander: %+v", e)
		}
		if e.Evidence != gate.Proven || e.Detail.Via != "box" || e.Detail.Session == 0 {
			t.Errorf("%+v", e)
		}
	}
}

func events(b *bench) (all []gate.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, batch := range b.batches {
		all = append(all, batch.Events...)
	}
	return all
}

// What was there is read back, what comes is read at once, a restart goes on where
// it was, and a unit that is watched later is read back for itself.
func TestJournalGoesOn(t *testing.T) {
	w := newJournalWriter(t)
	w.writeAt(time.Now().Add(-2*time.Hour), failed(66, sshUnit)) // older than anybody looks back
	w.write(failed(1, sshUnit), failed(2, sshUnit))
	b := newBench(t)
	b.startWhenThere(w, journalConfig(t, w.folder, "ssh.service"))
	b.wantPorts("1", "2")
	w.write(failed(3, sshUnit), failed(50, "_SYSTEMD_UNIT=other.service;_UID=0"), failed(4, sshUnit))
	b.wantPorts("1", "2", "3", "4")
	b.mu.Lock()
	last := b.batches[len(b.batches)-1]
	b.mu.Unlock()
	if !last.Live || last.Source != "journal:ssh.service" || last.Events[0].Origin.Offset == 0 || last.Events[0].Origin.Epoch == 0 {
		t.Errorf("the last batch is %+v", last)
	}
	st := b.sensor.Status()
	if len(st) != 1 || st[0].Path != "journal:ssh.service" || st[0].State != CaughtUp || st[0].Hits != 4 || !slices.Equal(st[0].Rules, []string{"sshd"}) {
		t.Errorf("status %+v", st)
	}
	b.stop()
	w.write(failed(5, sshUnit))
	b.startConfig(journalConfig(t, w.folder, "ssh.service"))
	b.wantPorts("1", "2", "3", "4", "5")
	b.stop()
	c := journalConfig(t, w.folder, "ssh.service", "other.service")
	b.startConfig(c)
	b.wantPorts("1", "2", "3", "4", "5", "50")
	w.write(failed(6, sshUnit))
	b.wantPorts("1", "2", "3", "4", "5", "50", "6")
	b.stop()
	seen := map[gate.Origin]bool{}
	for _, e := range events(b) {
		if seen[e.Origin] {
			t.Errorf("two events of %v", e.Origin)
		}
		seen[e.Origin] = true
	}
}

// startWhenThere runs a sensor once the writer has made its file.
func (b *bench) startWhenThere(w *journalWriter, c Config) {
	b.Helper()
	late := time.Now().Add(5 * time.Second)
	for {
		out, err := exec.Command("journalctl", "--directory="+w.folder, "--output=cat").Output()
		if err == nil && strings.Count(string(out), "\n") >= w.n {
			break
		}
		if time.Now().After(late) {
			b.Fatal("the journal is not there")
		}
	}
	b.startConfig(c)
}

// The journal without what reads it, and then with it.
func TestJournalMissing(t *testing.T) {
	b := newBench(t)
	c := journalConfig(t, b.path("none"), "ssh.service")
	c.Journal.Program = b.path("journalctl")
	b.startConfig(c)
	if why := b.sourceState("journal:ssh.service", Unreadable); !strings.Contains(why, "not installed") {
		t.Errorf("why: %q", why)
	}
	b.script("journalctl", "echo no journal today >&2; exit 1")
	if why := b.sourceState("journal:ssh.service", Unreadable); !strings.Contains(why, "keeps no journal") {
		b.until2("the reason to change", func() bool {
			return strings.Contains(b.sourceState("journal:ssh.service", Unreadable), "keeps no journal")
		})
	}
	b.must(os.MkdirAll(b.path("none/x"), 0o755))
	b.until2("what it says", func() bool {
		st := b.sensor.Status()
		return strings.Contains(st[0].Why, "no journal today")
	})
	b.stop()
}

// until2 waits for what no batch tells of.
func (b *bench) until2(what string, ok func() bool) {
	b.Helper()
	for late := time.Now().Add(10 * time.Second); !ok(); {
		if time.Now().After(late) {
			b.Fatalf("waited in vain for %s: %+v", what, b.sensor.Status())
		}
		time.Sleep(time.Millisecond)
	}
}

// sourceState waits until a source that is no file has this state.
func (b *bench) sourceState(name string, want State) (why string) {
	b.Helper()
	b.until2(name+" to be "+want.String(), func() bool {
		for _, st := range b.sensor.Status() {
			if st.Path == name && st.State == want {
				why = st.Why
				return true
			}
		}
		return false
	})
	return why
}

// script writes a program.
func (b *bench) script(name, text string) string {
	b.Helper()
	p := b.path(name)
	b.must(os.WriteFile(p+".new", []byte("#!/bin/sh\n"+text+"\n"), 0o755))
	b.must(os.Rename(p+".new", p))
	return p
}

// journalctl dies again and again, and writes half an entry before: each entry
// counts once.
func TestJournalChildDies(t *testing.T) {
	b := newBench(t)
	b.must(os.MkdirAll(b.path("j/x"), 0o755))
	var all strings.Builder
	for i := range 30 {
		all.WriteString(exported(append([]string{atCursor(i + 1)}, strings.Split(failed(i+1, sshUnit), ";")...)...))
	}
	text := all.String()
	for i := range 6 {
		b.must(os.WriteFile(b.path(fmt.Sprintf("part%d", i)), []byte(text[:min(len(text), (i+1)*len(text)/6)]), 0o644))
	}
	// Each call gives one part more, from the beginning, whatever it is asked for.
	program := b.script("journalctl", `cd `+b.dir+`; n=$(cat n 2>/dev/null || echo 0); echo $(( n < 5 ? n + 1 : 5 )) >n; cat part$n; case "$*" in *--follow*) [ $n = 5 ] && exec sleep 1000;; esac; exit 0`)
	c := journalConfig(t, b.path("j"), "ssh.service")
	c.Journal.Program, c.Lookback = program, 100*365*24*time.Hour
	b.startConfig(c)
	var want []string
	for i := range 30 {
		want = append(want, fmt.Sprint(i+1))
	}
	b.wantPorts(want...)
	b.stop()
}

// What journalctl is asked for: the entry of the mark itself, and terms that
// nobody can turn into options.
func TestJournalArguments(t *testing.T) {
	first, _ := parseCursor(strings.TrimPrefix(atCursor(5), "__CURSOR="))
	second, _ := parseCursor(strings.TrimPrefix(atCursor(9), "__CURSOR="))
	ws := []Watch{{Name: "sshd", Rule: builtin(t, "sshd")}}
	feed := func(unit string, mark cursor, fresh time.Time) *unitFeed {
		return &unitFeed{unit: unit, mark: mark, next: mark, fresh: fresh, known: &unitWatch{watches: ws}}
	}
	old, young := first.time().Add(-time.Hour), second.time().Add(time.Hour)
	for _, tc := range []struct {
		name  string
		feeds []*unitFeed
		want  string
	}{
		{"new", []*unitFeed{feed("a.service", cursor{}, old)}, fmt.Sprintf("--since=@%d", old.Unix())},
		{"the oldest mark", []*unitFeed{feed("a.service", second, old), feed("b.service", first, old)}, "--cursor=" + first.text},
		{"a new one beside, from before the mark", []*unitFeed{feed("a.service", second, old), feed("b.service", cursor{}, old)}, fmt.Sprintf("--since=@%d", old.Unix())},
		{"a new one beside, from after the mark", []*unitFeed{feed("a.service", second, old), feed("b.service", cursor{}, young)}, "--cursor=" + second.text},
	} {
		r := &reading{journal: &journal{}, feeds: tc.feeds}
		if got := r.start(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
	r := &reading{journal: &journal{}, feeds: []*unitFeed{feed("ssh.service", cursor{}, old), feed("sshd@*.service", cursor{}, old)}}
	got := strings.Join(r.matches(), " ")
	if !strings.HasPrefix(got, "_SYSTEMD_UNIT=ssh.service + _SYSTEMD_SLICE=system-sshd.slice + SYSLOG_IDENTIFIER=sshd _UID=0") {
		t.Errorf("asked for %s", got)
	}
}

// The journal of a unit is exactly-once when the process is killed at any moment.
func TestJournalKilled(t *testing.T) {
	if folder := os.Getenv("GATEHOUSE_TEST_JOURNAL"); folder != "" {
		followForTest(t, folder, os.Getenv("GATEHOUSE_TEST_RECORD"))
		return
	}
	w := newJournalWriter(t)
	const rounds, each = 8, 1000
	record := filepath.Join(t.TempDir(), "record")
	for round := range rounds {
		for i := range each {
			w.write(failed(round*each+i+1, sshUnit), failed(66, "_SYSTEMD_UNIT=session-1.scope;_UID=1000"))
		}
		child := exec.Command(os.Args[0], "-test.run=^TestJournalKilled$")
		child.Env = append(os.Environ(), "GATEHOUSE_TEST_JOURNAL="+w.folder, "GATEHOUSE_TEST_RECORD="+record)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		// It says so for each batch: kill it after a few, in the middle of the rest.
		lines := bufio.NewScanner(out)
		for n := 0; n < 1+round%5 && lines.Scan() && lines.Text() != "done"; n++ {
		}
		_ = child.Process.Kill()
		_ = child.Wait()
	}
	b := newBench(t)
	lines, marks := recorded(t, record)
	maps.Copy(b.marks, marks)
	b.lines = lines
	b.startConfig(journalConfig(t, w.folder, "ssh.service"))
	var want []string
	for i := range rounds * each {
		want = append(want, fmt.Sprint(i+1))
	}
	b.wantPorts(want...)
	b.stop()
	b.wantPorts(want...)
}

// kept is one batch in the record of a process that is going to be killed.
type kept struct {
	Source, Mark string
	Lines        []string
}

// followForTest is the process that is killed: each batch is one write.
func followForTest(t *testing.T, folder, record string) {
	_, marks := recorded(t, record)
	f, err := os.OpenFile(record, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	b := newBench(t)
	s := New(journalConfig(t, folder, "ssh.service"), Deps{
		Log:  b.build().env.log,
		Mark: func(s string) string { return marks[s] },
		Emit: func(_ context.Context, batch gate.Batch) error {
			k := kept{Source: batch.Source, Mark: batch.Mark}
			for _, e := range batch.Events {
				k.Lines = append(k.Lines, e.Line)
			}
			line, err := json.Marshal(k)
			if err == nil {
				_, err = f.Write(append(line, '\n'))
			}
			fmt.Println("batch")
			return err
		},
	})
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // should nobody kill it
	defer cancel()
	go func() {
		<-s.CaughtUp()
		fmt.Println("done")
	}()
	_ = s.Run(ctx)
}

// recorded reads the record; a last line that was cut is taken off it.
func recorded(t *testing.T, record string) (lines []string, marks map[string]string) {
	t.Helper()
	marks = map[string]string{}
	text, err := os.ReadFile(record)
	if errors.Is(err, os.ErrNotExist) {
		return nil, marks
	}
	whole := text[:strings.LastIndexByte(string(text), '\n')+1]
	if err := os.WriteFile(record, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(whole)) {
		var k kept
		if err := json.Unmarshal([]byte(line), &k); err != nil {
			t.Fatalf("%v in %.200q", err, line)
		}
		lines, marks[k.Source] = append(lines, k.Lines...), k.Mark
	}
	return lines, marks
}

// A unit that writes nothing moves on with the others, so that a restart need not
// read again what these wrote.
func TestJournalQuietUnit(t *testing.T) {
	w := newJournalWriter(t)
	w.write(failed(1, sshUnit), failed(2, sshUnit))
	w.close()
	b := newBench(t)
	b.startConfig(journalConfig(t, w.folder, "ssh.service", "quiet.service"))
	b.wantPorts("1", "2")
	b.stop()
	if m := b.marks["journal:quiet.service"]; m == "" || m != b.marks["journal:ssh.service"] {
		t.Errorf("marks %q", b.marks)
	}
}
