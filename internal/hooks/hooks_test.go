package hooks

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gate"
)

// book is a ledger of records in memory.
type book struct {
	mu      sync.Mutex
	records []gate.Record
	cursors map[string]uint64
	news    chan struct{}
	kept    map[string][]byte
}

func newBook() *book {
	return &book{cursors: map[string]uint64{}, news: make(chan struct{}), kept: map[string][]byte{}}
}

func (b *book) add(ds ...gate.Decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range ds {
		b.records = append(b.records, gate.Record{Seq: uint64(len(b.records) + 1), Decision: d})
	}
	close(b.news)
	b.news = make(chan struct{})
}

func (b *book) Follow(ctx context.Context, after uint64, yield func(gate.Record) bool) error {
	for {
		b.mu.Lock()
		rs, news := b.records[after:], b.news
		b.mu.Unlock()
		for _, r := range rs {
			if ctx.Err() != nil || !yield(r) {
				return nil
			}
			after = r.Seq
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

func (b *book) Cursor(name string) (uint64, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.cursors[name], nil
}

func (b *book) SetCursor(name string, seq uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cursors[name] = seq
}

func (b *book) Newest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.records))
}

func (b *book) Put(name string, v []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.kept[name] = v
}

func (b *book) All() (map[string][]byte, error) { return b.kept, nil }

func sub(t *testing.T, s string) gate.Subject {
	t.Helper()
	v, err := gate.ParseSubject(s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func ban(t *testing.T, who, rule string) gate.Decision {
	return gate.Decision{Time: time.Now(), Verdict: gate.Ban, Subject: sub(t, who), Rule: rule, Why: "because"}
}

// TestWants is a line a record: the hook's words, and whether it is run.
func TestWants(t *testing.T) {
	tell := func(topic string) gate.Decision {
		rule, _, _ := strings.Cut(topic, ".")
		return gate.Decision{Verdict: gate.Tell, Rule: rule, Topic: topic}
	}
	port := gate.Decision{Verdict: gate.Close, Subject: sub(t, "port:22/tcp/in"), Rule: "command"}
	lifted := ban(t, "192.0.2.1", "sshd")
	lifted.Verdict = gate.Release
	for _, c := range []struct {
		on   string
		d    gate.Decision
		want bool
	}{
		{"ban", ban(t, "192.0.2.1", "sshd"), true},
		{"ban", ban(t, "list:drop", "list"), false},
		{"list", ban(t, "list:drop", "list"), true},
		{"release", ban(t, "192.0.2.1", "sshd"), false},
		{"release", lifted, true},
		{"scan", ban(t, "192.0.2.1", "scan"), true},
		{"scan", ban(t, "192.0.2.1", "sshd"), false},
		{"scan", tell("scan.seen"), true},
		{"list.held", tell("list.held"), true},
		{"list.*", tell("list.held"), true},
		{"list", tell("list.held"), true},
		{"list.failed", tell("list.held"), false},
		{"panel", tell("panel.alarm"), true},
		{"panel", tell("panelist.alarm"), false},
		{"panel.alarm", tell("panel.alarm"), true},
		{"degraded", tell("status.degraded"), true},
		{"restored", tell("status.degraded"), false},
		{"port", port, true},
		{"close", port, true},
		{"open", port, false},
		{"hook", tell("hook.failed"), false}, // it would feed itself
	} {
		h := Hook{On: []string{c.on}}
		if got := h.Wants(&gate.Record{Seq: 1, Decision: c.d}); got != c.want {
			t.Errorf("on %s, %s %s by %s: %v", c.on, c.d.Kind(), c.d.Subject, c.d.Rule, got)
		}
	}
	h := Hook{On: []string{"ban"}, Rules: []string{"sshd"}, Match: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for who, want := range map[string]bool{"192.0.2.1": true, "192.0.2.0/25": true, "192.0.0.0/16": false, "198.51.100.1": false} {
		if got := h.Wants(&gate.Record{Decision: ban(t, who, "sshd")}); got != want {
			t.Errorf("%s: %v", who, got)
		}
	}
	if h.Wants(&gate.Record{Decision: ban(t, "192.0.2.1", "nginx")}) {
		t.Error("another rule's")
	}
}

// TestCommand is what a command gets: arguments, environment and standard input.
func TestCommand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, got := newBook(), make(chan Command, 1)
		b.add(ban(t, "203.0.113.1", "x")) // before the hook was there
		h := New([]Hook{{Name: "h", On: []string{"ban"}, Run: []string{"/x", "{subject}", "-r{rule}/{why}", "{seconds}", "{}", "{prefix}{family}"}, User: "u", Timeout: time.Minute}}, Deps{
			Now: time.Now, Ledger: b, Memory: b,
			Do:    func(_ context.Context, c Command) (Result, error) { got <- c; return Result{}, nil },
			Tell:  func(context.Context, string, gate.Subject, string) {},
			Fault: func(string, string, string) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		d := ban(t, "2001:db8::/64", "sshd")
		d.Until, d.Why = time.Now().Add(time.Hour), "user \x1b[2J{subject}\n$(reboot)"
		b.add(d)
		c := <-got
		want := []string{"/x", "2001:db8::/64", "-rsshd/user  [2J{subject} $(reboot)", "3600", "{}", "2001:db8::/64ipv6"}
		if !slices.Equal(c.Argv, want) || c.User != "u" || c.Limit != time.Minute {
			t.Errorf("%q\n%q", c.Argv, want)
		}
		for _, e := range []string{"GATEHOUSE_SUBJECT=2001:db8::/64", "GATEHOUSE_RULE=sshd", "GATEHOUSE_DELIVERY=2/h", "GATEHOUSE_SEQ=2", "GATEHOUSE_VERDICT=ban", "GATEHOUSE_WHY=user  [2J{subject} $(reboot)"} {
			if !slices.Contains(c.Env, e) {
				t.Errorf("%s is not in %q", e, c.Env)
			}
		}
		var r gate.Record
		if err := json.Unmarshal(c.Stdin, &r); err != nil || r.Seq != 2 || r.Subject != d.Subject || r.Why != d.Why {
			t.Errorf("%+v, %v", r, err)
		}
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || b.cursors["hook:h"] != 2 {
			t.Errorf("%v, cursor %d", err, b.cursors["hook:h"])
		}
		if runs, err := h.Latest("h"); err != nil || len(runs) != 1 || len(h.About(d.Subject)) != 1 {
			t.Errorf("%+v, %v", runs, err)
		}
	})
}

// TestFailing tries again as often as was asked for, records the failure once a
// minute with a count, and goes on.
func TestFailing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var mu sync.Mutex
		var said []string
		fault, tries, fail := "", 0, true
		h := New([]Hook{{Name: "h", On: []string{"ban"}, Run: []string{"/x"}, Retries: 2}}, Deps{
			Now: time.Now, Ledger: b, Memory: b,
			Do: func(context.Context, Command) (Result, error) {
				mu.Lock()
				defer mu.Unlock()
				tries++
				if fail {
					return Result{Exit: 1, Problem: "it ended with exit code 1", Output: "first\nno route\n"}, nil
				}
				return Result{}, nil
			},
			Tell: func(_ context.Context, kind string, _ gate.Subject, s string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, kind+": "+s)
			},
			Fault: func(_, why, _ string) { mu.Lock(); defer mu.Unlock(); fault = why },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		for i := range 30 { // 3 tries each, which take 3 s
			b.add(ban(t, fmt.Sprintf("192.0.2.%d", i), "sshd"))
		}
		time.Sleep(3*30*time.Second + time.Second)
		synctest.Wait()
		mu.Lock()
		if tries != 90 || len(said) != 2 || fault == "" {
			t.Errorf("%d tries, fault %q, said %q", tries, fault, said)
		}
		if len(said) == 2 && (said[0] != `failed: hook h failed for record 1: it ended with exit code 1, at the last of 3 tries; it wrote "no route"` ||
			!strings.HasSuffix(said[1], "; it failed 19 times more since that was last recorded")) {
			t.Errorf("said %q", said)
		}
		fail = false
		mu.Unlock()
		b.add(ban(t, "198.51.100.1", "sshd"))
		synctest.Wait()
		mu.Lock()
		if fault != "" {
			t.Errorf("it works, and yet %q", fault)
		}
		mu.Unlock()
		if st := h.Status()[0]; st.Runs != 31 || st.Failed != 30 || st.Problem != "" || st.Behind != 0 {
			t.Errorf("%+v", st)
		}
		cancel()
		<-done
	})
}

// TestAtLeastOnce delivers again what was under way when the daemon stopped, with the
// same identifier, and what came meanwhile, whatever order runs end in.
func TestAtLeastOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var mu sync.Mutex
		hang, seen := true, map[string]int{}
		deps := Deps{
			Now: time.Now, Ledger: b, Memory: b,
			Do: func(ctx context.Context, c Command) (Result, error) {
				i := slices.IndexFunc(c.Env, func(e string) bool { return strings.HasPrefix(e, "GATEHOUSE_DELIVERY=") })
				mu.Lock()
				stay := hang && strings.HasSuffix(c.Env[i], "=3/h")
				mu.Unlock()
				if stay {
					<-ctx.Done()
					return Result{}, ctx.Err()
				}
				mu.Lock()
				seen[c.Env[i]]++
				mu.Unlock()
				return Result{}, nil
			},
			Tell:  func(context.Context, string, gate.Subject, string) {},
			Fault: func(string, string, string) {},
		}
		hooks := []Hook{{Name: "h", On: []string{"ban"}, Run: []string{"/x"}, Parallel: 3}}
		b.cursors["hook:h"] = 0
		b.add(ban(t, "203.0.113.1", "x"))
		once := func(during func()) {
			h := New(hooks, deps)
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- h.Run(ctx) }()
			synctest.Wait()
			during()
			synctest.Wait()
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		once(func() {
			for i := range 9 {
				b.add(ban(t, fmt.Sprintf("192.0.2.%d", i), "x"))
			}
		})
		if b.cursors["hook:h"] != 2 {
			t.Errorf("the cursor is %d, though 3 was not delivered", b.cursors["hook:h"])
		}
		mu.Lock()
		hang = false
		mu.Unlock()
		once(func() {})
		for seq := uint64(2); seq <= 10; seq++ {
			if n := seen[fmt.Sprintf("GATEHOUSE_DELIVERY=%d/h", seq)]; n == 0 {
				t.Errorf("record %d was not delivered", seq)
			}
		}
		if b.cursors["hook:h"] != 10 || seen["GATEHOUSE_DELIVERY=3/h"] != 1 {
			t.Errorf("cursor %d, %v", b.cursors["hook:h"], seen)
		}
	})
}

// TestLate passes over what waited for too long behind a slow hook, and says so.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var mu sync.Mutex
		n, said := 0, []string{}
		h := New([]Hook{{Name: "h", On: []string{"ban"}, Run: []string{"/x"}, Late: time.Minute}}, Deps{
			Now: time.Now, Ledger: b, Memory: b,
			Do: func(context.Context, Command) (Result, error) {
				time.Sleep(25 * time.Second)
				mu.Lock()
				n++
				mu.Unlock()
				return Result{}, nil
			},
			Tell: func(_ context.Context, kind string, _ gate.Subject, s string) {
				mu.Lock()
				defer mu.Unlock()
				said = append(said, kind+": "+s)
			},
			Fault: func(string, string, string) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		for i := range 200 {
			b.add(ban(t, fmt.Sprintf("192.0.2.%d", i), "x"))
		}
		time.Sleep(time.Hour)
		mu.Lock()
		if n < 3 || n > 5 || len(said) == 0 || h.Status()[0].Passed != uint64(200-n) {
			t.Errorf("%d ran, %d passed, said %q", n, h.Status()[0].Passed, said)
		}
		mu.Unlock()
		cancel()
		<-done
	})
}

// TestOneHangsOthersRun: hooks do not wait for one another.
func TestOneHangsOthersRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBook()
		var mu sync.Mutex
		n := 0
		h := New([]Hook{{Name: "a", On: []string{"ban"}, Run: []string{"/hang"}}, {Name: "b", On: []string{"ban"}, Run: []string{"/run"}}}, Deps{
			Now: time.Now, Ledger: b, Memory: b,
			Do: func(ctx context.Context, c Command) (Result, error) {
				if c.Argv[0] == "/hang" {
					<-ctx.Done()
					return Result{}, ctx.Err()
				}
				mu.Lock()
				defer mu.Unlock()
				n++
				return Result{}, errors.New("lost")
			},
			Tell:  func(context.Context, string, gate.Subject, string) {},
			Fault: func(string, string, string) {},
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Run(ctx) }()
		synctest.Wait()
		b.add(ban(t, "192.0.2.1", "x"), ban(t, "192.0.2.2", "x"))
		time.Sleep(time.Minute)
		mu.Lock()
		if n != 2*(1+lostRetries) {
			t.Errorf("%d runs", n)
		}
		mu.Unlock()
		cancel()
		<-done
	})
}

// TestHistory forgets the oldest runs, and finds the others after a restart.
func TestHistory(t *testing.T) {
	b := newBook()
	h := &history{memory: b}
	for i := range 3 * maxRuns / 2 {
		h.add(Run{Hook: "h", Seq: uint64(i), Time: time.Unix(int64(i), 0), Subject: sub(t, "192.0.2.1")})
	}
	again := &history{memory: b}
	if err := again.recall(); err != nil {
		t.Fatal(err)
	}
	for _, h := range []*history{h, again} {
		rs := h.of(func(*Run) bool { return true })
		if len(rs) != maxRuns || rs[0].Seq != maxRuns/2 || rs[maxRuns-1].Seq != 3*maxRuns/2-1 {
			t.Errorf("%d runs from %d to %d", len(rs), rs[0].Seq, rs[len(rs)-1].Seq)
		}
	}
}

// FuzzArgumentsStayArguments: what is put in makes no arguments and is put in once.
func FuzzArgumentsStayArguments(f *testing.F) {
	f.Add("{subject}", "a {rule} b")
	f.Add("x{why}y", "\x00\n{subject}")
	f.Fuzz(func(t *testing.T, arg, why string) {
		r := gate.Record{Seq: 1, Decision: gate.Decision{Verdict: gate.Ban, Rule: "r", Why: why}}
		vs := values(&Hook{Name: "h"}, &r, time.Time{})
		got := arguments([]string{"/x", arg}, vs)
		if len(got) != 2 || !strings.Contains(arg, "{") && got[1] != arg {
			t.Fatalf("%q", got)
		}
		for _, e := range environment(vs) {
			if strings.ContainsAny(e, "\x00\n\x1b") {
				t.Fatalf("%q", e)
			}
		}
	})
}
