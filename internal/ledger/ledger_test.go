package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)

// start opens the ledger in dir and runs it until the test ends or stop is called.
func start(t testing.TB, dir string, o Options) (l *Ledger, stop func()) {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return t0 }
	}
	if o.Log == nil && testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	l, err := Open(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return l, stop
}

// commit appends x and waits for its records.
func commit(t testing.TB, l *Ledger, x Txn) []gate.Record {
	t.Helper()
	rs, err := try(l, x)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

func try(l *Ledger, x Txn) (rs []gate.Record, err error) {
	done := make(chan struct{})
	x.Done = func(r []gate.Record, e error) { rs, err = r, e; close(done) }
	l.Append(x)
	<-done
	return rs, err
}

func flush(t testing.TB, l *Ledger) {
	t.Helper()
	if err := l.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func subject(t testing.TB, s string) gate.Subject {
	t.Helper()
	sub, err := gate.ParseSubject(s)
	if err != nil {
		t.Fatal(err)
	}
	return sub
}

// ban returns a ban of the nth address of 10/8 for an hour, found at that offset.
func ban(n int) gate.Decision {
	a := netip.AddrFrom4([4]byte{10, byte(n >> 16), byte(n >> 8), byte(n)})
	return gate.Decision{
		Time: t0, Until: t0.Add(time.Hour), Verdict: gate.Ban, Subject: gate.AddrSubject(a), Rule: "sshd", Offence: 1,
		Origin: gate.Origin{Source: "file:/var/log/auth.log", Epoch: 7, Offset: int64(n) * 100},
		Why:    "5 failed logins in 3m20s (sshd allows 4 in 10m), so 1h",
	}
}

func bans(from, to int) (ds []gate.Decision) {
	for n := from; n < to; n++ {
		ds = append(ds, ban(n))
	}
	return ds
}

// withProof returns d with a proof of n events.
func withProof(d gate.Decision, n int) gate.Decision {
	d.Proof = &gate.Proof{}
	for i := range n {
		o := d.Origin
		o.Offset -= int64(100 * (n - i))
		d.Proof.Add(gate.Event{
			Time: d.Time.Add(time.Duration(i-n) * time.Second), Origin: o, Rule: d.Rule, Pattern: "failed", Subject: d.Subject,
			Class: gate.ClassFailure, Evidence: gate.Proven, Detail: gate.Detail{User: "root", Session: uint64(4000 + i)},
			Line: fmt.Sprintf("Mar  1 11:59:%02d h sshd[%d]: Failed password for root from %s port %d ssh2", i, 4000+i, d.Subject, 50000+i),
		})
	}
	return d
}

func live(t testing.TB, l *Ledger) (out []Live) {
	t.Helper()
	for r, err := range l.Current() {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, r)
	}
	return out
}

func records(t testing.TB, l *Ledger, q Query) []gate.Record {
	t.Helper()
	rs, err := l.Records(q)
	if err != nil {
		t.Fatal(err)
	}
	return rs
}

// want fails the test unless the numbers of the records are those.
func wantSeqs(t testing.TB, what string, rs []gate.Record, seqs ...uint64) {
	t.Helper()
	var got []uint64
	for _, r := range rs {
		got = append(got, r.Seq)
	}
	if !slices.Equal(got, seqs) {
		t.Errorf("%s: got records %v, want %v", what, got, seqs)
	}
}

// TestRoundTrip pins that what goes in comes out, in this run and in the next.
func TestRoundTrip(t *testing.T) {
	dir := t.TempDir()
	l, stop := start(t, dir, Options{Boot: "a"})
	ports, _ := gate.ParsePorts("22/tcp", "53")
	ds := []gate.Decision{
		withProof(ban(1), 5),
		withProof(ban(2), 40),
		{Time: t0, Verdict: gate.Ban, Subject: subject(t, "2001:db8::/64"), Rule: "command", Why: "root asked for it", Scope: gate.Scope{Ports: ports, Direction: gate.In, New: true}},
		{Time: t0, Verdict: gate.Allow, Subject: subject(t, "192.0.2.0/24"), Rule: "command", Why: "root asked for it"},
		{Time: t0, Verdict: gate.Close, Subject: subject(t, "port:22/tcp/in"), Rule: "schedule", Why: "night"},
		{Time: t0, Verdict: gate.Tell, Subject: subject(t, "zone:1/7"), Rule: "panel", Why: "\x00\"\u00fc\U0001F600"},
	}
	got := commit(t, l, Txn{Decisions: slices.Clone(ds), Marks: map[string]string{"file:/x": "7"}, Windows: []byte("w")})
	var want []gate.Record
	for i, d := range ds {
		want = append(want, gate.Record{Seq: uint64(i + 1), Decision: d})
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the commit gave\n%v, want\n%v", got, want)
	}
	for range 2 {
		if got := records(t, l, Query{}); !reflect.DeepEqual(got, want) {
			t.Errorf("read back\n%v, want\n%v", got, want)
		}
		for i, r := range live(t, l) {
			w := want[i]
			w.Proof = nil
			if !reflect.DeepEqual(r.Record, w) || !r.FromThisBoot {
				t.Errorf("live\n%v, want\n%v", r, w)
			}
		}
		if n := len(live(t, l)); n != 5 {
			t.Errorf("%d live, want 5", n)
		}
		marks, windows, err := l.Checkpoint()
		if err != nil || marks["file:/x"] != "7" || string(windows) != "w" {
			t.Errorf("checkpoint %v %q %v", marks, windows, err)
		}
		if h := l.Health(); h.State != OK || h.Queued != 0 {
			t.Errorf("health %+v", h)
		}
		stop()
		l, stop = start(t, dir, Options{Boot: "a"})
	}
	stop()
	l, _ = start(t, dir, Options{Boot: "b"})
	for _, r := range live(t, l) {
		if r.FromThisBoot {
			t.Errorf("%v is said to be from this boot", r)
		}
	}
	if rs := commit(t, l, Txn{Decisions: bans(9, 10)}); rs[0].Seq != 7 || l.Newest() != 7 {
		t.Errorf("the next number is %d (%d), want 7", rs[0].Seq, l.Newest())
	}
}

// TestOnce pins that a decision derived twice is recorded once, alone and in
// bulk, in one Txn and in several, in this run and the next.
func TestOnce(t *testing.T) {
	dir := t.TempDir()
	l, stop := start(t, dir, Options{})
	if rs := commit(t, l, Txn{Decisions: []gate.Decision{ban(1), ban(1), ban(2)}}); len(rs) != 2 {
		t.Errorf("%d records, want 2", len(rs))
	}
	for _, c := range []struct {
		what     string
		from, to int
		seqs     []uint64 // the first and the last one
	}{
		{"known ones", 1, 3, nil},
		{"a bulk that begins with known ones", 1, 103, []uint64{3, 102}},
		{"a bulk of known ones", 1, 103, nil},
		{"a bulk that ends with known ones", -50, 50, []uint64{103, 153}},
		{"a bulk with known ones inside", -60, 200, []uint64{154, 260}},
	} {
		rs := commit(t, l, Txn{Decisions: bans(c.from, c.to)})
		if len(c.seqs) == 0 && len(rs) > 0 || len(c.seqs) > 0 && (len(rs) == 0 || rs[0].Seq != c.seqs[0] || rs[len(rs)-1].Seq != c.seqs[1]) {
			t.Errorf("%s: %d records, want %v", c.what, len(rs), c.seqs)
		}
		if known := l.Known(ban(1).Origin, "sshd"); known {
			t.Errorf("%s: known, but recorded in this run", c.what)
		}
	}
	stop()
	l, _ = start(t, dir, Options{})
	if rs := commit(t, l, Txn{Decisions: bans(-60, 200)}); len(rs) != 0 {
		t.Errorf("after a restart: %d records, want none", len(rs))
	}
	d := ban(1)
	for _, c := range []struct {
		what  string
		o     gate.Origin
		rule  string
		known bool
	}{
		{"the same", d.Origin, "sshd", true},
		{"another rule", d.Origin, "nginx", false},
		{"another offset", gate.Origin{Source: d.Origin.Source, Epoch: 7, Offset: 101}, "sshd", false},
		{"another file", gate.Origin{Source: "file:/x", Epoch: 7, Offset: 100}, "sshd", false},
		{"another incarnation", gate.Origin{Source: d.Origin.Source, Epoch: 8, Offset: 100}, "sshd", false},
		{"none", gate.Origin{}, "sshd", false},
	} {
		if l.Known(c.o, c.rule) != c.known {
			t.Errorf("%s: known is %v, want %v", c.what, !c.known, c.known)
		}
	}
	for what, change := range map[string]func(*gate.Decision){
		"rule":    func(d *gate.Decision) { d.Rule = "nginx" },
		"verdict": func(d *gate.Decision) { d.Verdict = gate.Release },
		"subject": func(d *gate.Decision) { d.Subject = gate.ListSubject("drop") },
		"source":  func(d *gate.Decision) { d.Origin.Source = "file:/x" },
		"epoch":   func(d *gate.Decision) { d.Origin.Epoch = 8 },
		"offset":  func(d *gate.Decision) { d.Origin.Offset++ },
		"origin":  func(d *gate.Decision) { d.Origin = gate.Origin{} },
	} {
		d := ban(1)
		change(&d)
		if rs := commit(t, l, Txn{Decisions: []gate.Decision{d}}); len(rs) != 1 {
			t.Errorf("another %s: not recorded", what)
		}
	}
	zero := gate.Decision{Time: t0, Verdict: gate.Tell, Subject: ban(1).Subject, Rule: "time"}
	if rs := commit(t, l, Txn{Decisions: []gate.Decision{zero, zero}}); len(rs) != 2 {
		t.Errorf("of two decisions without an origin %d were recorded", len(rs))
	}
	all := records(t, l, Query{Limit: 10000})
	for i, r := range all {
		if r.Seq != uint64(i+1) {
			t.Fatalf("record %d has number %d", i+1, r.Seq)
		}
	}
}

// TestOrder pins that Txns are answered in order, that what they see is
// committed, and that Flush waits for all of it.
func TestOrder(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	var got []uint64
	for n := range 500 {
		l.Append(Txn{Decisions: bans(n, n+1), Marks: map[string]string{"s": fmt.Sprint(n)}, Done: func(rs []gate.Record, err error) {
			if err != nil || len(rs) != 1 {
				t.Errorf("%d: %v %v", n, rs, err)
				return
			}
			if l.Newest() < rs[0].Seq {
				t.Errorf("%d is answered before it is committed", n)
			}
			got = append(got, rs[0].Seq)
		}})
	}
	flush(t, l)
	if len(got) != 500 || !slices.IsSorted(got) {
		t.Errorf("%d answers: %v", len(got), got)
	}
	marks, _, err := l.Checkpoint()
	if err != nil || marks["s"] != "499" {
		t.Errorf("mark %v, %v", marks, err)
	}
	l.Append(Txn{Marks: map[string]string{"s": "", "t": "1"}})
	flush(t, l)
	if marks, _, _ := l.Checkpoint(); !reflect.DeepEqual(marks, map[string]string{"t": "1"}) {
		t.Errorf("marks %v", marks)
	}
}

// TestRunStops pins that Run writes what was appended before its end, that Close
// writes what came after, and what a closed ledger answers.
func TestRunStops(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	l.Append(Txn{Decisions: bans(0, 1)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if l.Newest() != 1 {
		t.Error("Run left something behind")
	}
	l.Append(Txn{Decisions: bans(1, 2)})
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l.Newest() != 2 {
		t.Error("Close left something behind")
	}
	if _, err := try(l, Txn{Decisions: bans(2, 3)}); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed ledger says %v", err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("closed twice: %v", err)
	}
	for _, name := range []string{fileName, lockName} {
		fi, err := os.Stat(filepath.Join(dir, name))
		if err != nil || fi.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v %v", name, fi.Mode(), err)
		}
	}
}

// TestOpenErrors pins what a person reads when the ledger cannot be opened.
func TestOpenErrors(t *testing.T) {
	base := t.TempDir()
	used, _ := start(t, filepath.Join(base, "used"), Options{})
	touch := func(parts ...string) string {
		path := filepath.Join(append([]string{base}, parts...)...)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	touch("file")
	if err := os.MkdirAll(filepath.Join(base, "folder", fileName), 0o700); err != nil {
		t.Fatal(err)
	}
	newer, err := openWriter(touch("newer", fileName), loaded(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(newer.exec("PRAGMA user_version=99"), newer.close()); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ dir, message, hint string }{
		{"used", fmt.Sprintf("another gatehouse (pid %d) uses %s", os.Getpid(), used.dir), "gatehouse stop"},
		{"file", base + "/file is to be the state folder, but is not a folder", "move it away"},
		{"file/below", base + "/file/below is to be the state folder, but is not a folder", "move it away"},
		{"folder", base + "/folder/gatehouse.db is to be the database, but is a folder", "move it away"},
		{"newer", "was written by a newer gatehouse (schema 99, this one knows 1)", "install the newer gatehouse again"},
	} {
		l, err := Open(filepath.Join(base, c.dir), Options{})
		if err == nil {
			l.Close()
		}
		e, ok := errors.AsType[*Error](err)
		if !ok || !strings.Contains(e.Error(), c.message) || !strings.Contains(e.Hint, c.hint) {
			t.Errorf("%s: %v (hint: %s), want %s (hint: %s)", c.dir, err, hintOf(err), c.message, c.hint)
		}
	}
	if fi, err := os.Stat(filepath.Join(base, "newer", fileName)); err != nil || fi.Size() == 0 {
		t.Errorf("the newer database was touched: %v", err)
	}
}

func hintOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Hint
	}
	return ""
}

func loaded(t testing.TB) []string {
	t.Helper()
	sql, err := loadSteps(steps)
	if err != nil {
		t.Fatal(err)
	}
	return sql
}

// TestFolderIsMade pins that a missing folder is made for us alone, and that odd
// characters in its name do no harm.
func TestFolderIsMade(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b", "100%?x=#y[z]")
	l, stop := start(t, dir, Options{})
	commit(t, l, Txn{Decisions: bans(0, 1)})
	stop()
	fi, err := os.Stat(dir)
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("%v %v", fi.Mode(), err)
	}
	if _, err := os.Stat(filepath.Join(dir, fileName)); err != nil {
		t.Error(err)
	}
}
