package logs

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/rules"
)

// autoConfig watches sshd in a file or in the journal that a script plays.
func (b *bench) autoConfig(auto bool) Config {
	b.Helper()
	b.must(os.MkdirAll(b.path("j/x"), 0o755))
	b.must(os.MkdirAll(b.path("units"), 0o755))
	return Config{
		Watches:  []Watch{{Name: "sshd", Rule: builtin(b.T, "sshd"), Files: []string{b.path("auth.log"), b.path("secure*")}, Journal: []string{"ssh.service"}, Either: true, Auto: auto}},
		Lookback: time.Hour, Zone: time.UTC,
		Journal: Journal{Folder: b.path("j"), Units: []string{b.path("units")}, Program: b.script("journalctl",
			`cat `+b.path("entries")+` 2>/dev/null; case "$*" in *--follow*) exec sleep 1000;; esac`)},
	}
}

// entry is an entry of ssh.service at this time, with this number.
func entryAt(at time.Time, n int) string {
	c := strings.Replace(atCursor(n), "t="+cursorTime(n), "t="+hexMicro(at), 1)
	return exported(append([]string{c}, strings.Split(failed(n, sshUnit), ";")...)...)
}

func cursorTime(n int) string {
	_, t, _ := strings.Cut(atCursor(n), "t=")
	t, _, _ = strings.Cut(t, ";")
	return t
}

// status returns the sources and their notes.
func (b *bench) sources() string {
	var all []string
	for _, st := range b.sensor.Status() {
		all = append(all, strings.TrimPrefix(st.Path, b.dir+"/")+" ("+st.Note+")")
	}
	return strings.ReplaceAll(strings.Join(all, ", "), b.dir+"/", "")
}

func TestChoice(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		name  string
		auto  bool
		setup func(*bench)
		want  string
	}{
		{"nothing here, found by auto", true, func(b *bench) {}, ""},
		{"nothing here, asked for by name", false, func(b *bench) {}, "auth.log (), secure* ()"},
		{"a file", true, func(b *bench) { b.write("auth.log", "x\n") }, "auth.log ()"},
		{"a file that a pattern matches", true, func(b *bench) { b.write("secure.log", "x\n") }, "secure.log ()"},
		{"a unit", true, func(b *bench) { b.write("units/ssh.service", "x") }, "journal:ssh.service (none of its files is here)"},
		{"a unit, asked for by name", false, func(b *bench) { b.write("units/ssh.service", "x") }, "journal:ssh.service (none of its files is here)"},
		{"a unit, and no journal", true, func(b *bench) {
			b.write("units/ssh.service", "x")
			b.must(os.RemoveAll(b.path("j/x")))
		}, ""},
		{"both", true, func(b *bench) {
			b.write("auth.log", "x\n")
			b.write("units/ssh.service", "x")
		}, "auth.log (read here, so not in the journal: ssh.service)"},
		{"both, and the file is old, and so is the journal", true, func(b *bench) {
			b.write("auth.log", "x\n")
			b.must(os.Chtimes(b.path("auth.log"), now, now.Add(-2*time.Hour)))
			b.write("units/ssh.service", "x")
			b.write("entries", entryAt(now.Add(-2*time.Hour-time.Second), 1))
		}, "auth.log (read here, so not in the journal: ssh.service)"},
		{"both, and the file is stale", true, func(b *bench) {
			b.write("auth.log", "x\n")
			b.must(os.Chtimes(b.path("auth.log"), now, now.Add(-2*time.Hour)))
			b.write("units/ssh.service", "x")
			b.write("entries", entryAt(now.Add(-time.Minute), 1))
		}, "journal:ssh.service (auth.log is not written to any more)"},
	} {
		b := newBench(t)
		c := b.autoConfig(tc.auto)
		tc.setup(b)
		b.startConfig(c)
		if got := b.sources(); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
		if absent := b.sensor.Absent(); (len(absent) == 1) != (tc.want == "") {
			t.Errorf("%s: absent %v", tc.name, absent)
		}
		b.stop()
	}
}

// What appears is read, and what changes over counts nothing twice: the journal
// while there is no file, the file from then on, across a restart too.
func TestChoiceChangesOver(t *testing.T) {
	b := newBench(t)
	c := b.autoConfig(true)
	b.startConfig(c)
	now := time.Now()
	b.write("entries", entryAt(now.Add(-20*time.Second), 1)+entryAt(now.Add(-10*time.Second), 2))
	b.write("new", "x")
	b.rename("new", "units/ssh.service") // as a package manager does
	b.wantPorts("1", "2")
	b.write("auth.log", datedAt(now.Add(-20*time.Second), 1)+"\n"+datedAt(now.Add(-10*time.Second), 2)+"\n"+datedAt(now.Add(-5*time.Second), 3)+"\n")
	b.wantPorts("1", "2", "3")
	b.until2("the journal to be left alone", func() bool {
		return b.sources() == "auth.log (read here, so not in the journal: ssh.service)"
	})
	b.stop()
	b.write("auth.log", datedAt(now.Add(-4*time.Second), 4)+"\n")
	b.startConfig(c)
	b.wantPorts("1", "2", "3", "4")
	b.stop()
	b.must(os.Remove(b.path("auth.log")))
	b.must(os.Remove(b.path("entries")))
	later := time.Now()
	b.write("entries", entryAt(now.Add(-20*time.Second), 1)+entryAt(now.Add(-10*time.Second), 2)+entryAt(now.Add(-5*time.Second), 3)+entryAt(now.Add(-4*time.Second), 4)+entryAt(later.Add(time.Second), 5))
	b.startConfig(c)
	b.wantPorts("1", "2", "3", "4", "5")
	b.stop()
}

// Many rules that are not here are not told of one by one.
func TestChoiceIsQuiet(t *testing.T) {
	b := newBench(t)
	c := Config{Journal: Journal{Folder: b.path("j"), Units: []string{b.path("units")}}}
	for _, name := range []string{"a", "b", "c"} {
		r := &rules.Rule{Name: name}
		c.Watches = append(c.Watches, Watch{Name: name, Rule: r, Files: []string{b.path(name + ".log"), b.path(name + "/*.log")}, Journal: []string{name + ".service"}, Either: true, Auto: true})
	}
	b.write("b.log", "x\n")
	b.startConfig(c)
	if got := b.sources(); got != "b.log ()" {
		t.Error(got)
	}
	if got := strings.Join(b.sensor.Absent(), " "); got != "a c" {
		t.Error(got)
	}
	b.stop()
}

// Logs of containers are unwrapped, found by a pattern, in both forms.
func TestContainers(t *testing.T) {
	b := newBench(t)
	r := parsed(t, "forgeable", "^no entry for <addr> port <port>$", "no entry for 192.0.2.7 port 4711")
	b.must(os.MkdirAll(b.path("containers/abc"), 0o755))
	b.must(os.MkdirAll(b.path("containers/def"), 0o755))
	at := time.Now().UTC().Format(time.RFC3339Nano)
	docker := func(text string) string { return `{"log":"` + text + `","stream":"stdout","time":"` + at + `"}` + "\n" }
	b.write("containers/abc/abc-json.log", docker(`no entry for 192.0.2.7 port 1\n`)+docker(`no entry for `)+docker(`192.0.2.7 port 2\n`))
	b.startConfig(Config{Watches: []Watch{{Name: "own", Rule: r, Files: []string{b.path("containers/*/*-json.log")}}}, Lookback: time.Hour, Zone: time.UTC})
	b.until("two events", func() bool { return len(b.lines) >= 2 })
	b.write("containers/def/def-json.log", at+" stdout P no entry for 192.0.2.\n"+at+" stdout F 7 port 3\n"+at+" stderr F other\n")
	b.until("three events", func() bool { return len(b.lines) >= 3 })
	b.write("containers/abc/abc-json.log", docker(`no entry for 192.0.2.7 port 4\n`)+"not JSON\n")
	b.until("four events", func() bool { return len(b.lines) >= 4 })
	b.stop()
	for _, e := range events(b) {
		if e.Subject.String() != "192.0.2.7" || e.Origin.Epoch == 0 {
			t.Errorf("%+v", e)
		}
	}
}

// Several watches may want one file in several formats: events come in the order of
// the lines.
func TestSeveralFormats(t *testing.T) {
	b := newBench(t)
	r := parsed(t, "forgeable", "^no entry for <addr> port <port>$", "no entry for 192.0.2.7 port 4711")
	b.write("log", "2026-11-21 08:00:00 no entry for 192.0.2.7 port 1\nno entry for 192.0.2.7 port 2\nNov 21 08:00:00 h own: no entry for 192.0.2.7 port 3\n")
	files := []string{b.path("log")}
	b.startConfig(Config{Watches: []Watch{{Name: "plain", Rule: r, Files: files, Format: rules.FormatPlain}, {Name: "as-is", Rule: r, Files: files}}, Lookback: 1e6 * time.Hour, Zone: time.UTC})
	b.until("the last line", func() bool { return len(b.lines) > 0 && strings.Contains(b.lines[len(b.lines)-1], "port 3") })
	b.stop()
	var got []string
	for _, e := range events(b) {
		_, port, _ := strings.Cut(e.Line, "port ")
		got = append(got, e.Rule+" "+port)
	}
	if s := strings.Join(got, ", "); s != "plain 1, as-is 1, plain 2, as-is 2, plain 3, as-is 3" {
		t.Error(s)
	}
}

func hexMicro(at time.Time) string { return strconv.FormatInt(at.UnixMicro(), 16) }
