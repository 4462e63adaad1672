package firewall

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// stage is a firewall on a model kernel, running in a bubble of time.
type stage struct {
	*Firewall
	t      *testing.T
	k      *fakeKernel
	others fakeMonitor
	log    bytes.Buffer
}

// play runs a story with a firewall that has one ban for good loaded.
func play(t *testing.T, k *fakeKernel, c Config, story func(*stage)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := &stage{t: t, k: k, others: make(fakeMonitor)}
		c.Table = DefaultTable
		s.Firewall = newFirewall(c, Deps{
			Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		}, k, s.others)
		s.Load(slices.Values([]Want{want("192.0.2.1", gate.Forever)}), nil, nil)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		synctest.Wait()
		story(s)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

// flush takes the table away and tells.
func (s *stage) flush() {
	s.others <- s.k.flush()
	synctest.Wait()
}

// expect compares the sets of the kernel, and the mode.
func (s *stage) expect(mode Mode, want string) {
	s.t.Helper()
	if got := strings.Join(sets(s.t, s.k), "; "); got != want {
		s.t.Errorf("the kernel has %q, want %q", got, want)
	}
	if h := s.Health(); h.Mode != mode {
		s.t.Errorf("mode %v (%s), want %v", h.Mode, h.Why, mode)
	}
}

const loaded = "v4-32: 192.0.2.1=forever"

func TestForeignChanges(t *testing.T) {
	cases := []struct {
		name  string
		story func(*stage)
	}{
		{"a flush is undone at once", func(s *stage) {
			s.flush()
			s.expect(Enforcing, loaded)
			if st := s.Status(); st.Heals != 1 || !st.LastHeal.Equal(time.Now()) {
				s.t.Errorf("heals %d, the last at %v", st.Heals, st.LastHeal)
			}
		}},
		{"a flush that a rebuild has already undone counts, and changes nothing", func(s *stage) {
			e := s.k.flush()
			s.Place([]gate.Decision{ban("192.0.2.2", time.Minute)}) // finds the table gone
			synctest.Wait()
			s.expect(Enforcing, loaded+"; v4-32-fresh: 192.0.2.2=1m")
			before := s.k.commits
			s.others <- e
			synctest.Wait()
			if s.k.commits != before {
				s.t.Error("the table was built again")
			}
		}},
		{"two flushes in a minute are undone, the third is not, for ten minutes", func(s *stage) {
			s.flush()
			s.flush()
			s.expect(Enforcing, loaded)
			s.flush()
			s.expect(HandsOff, "")
			if s.Enforced(subject("192.0.2.1")) {
				s.t.Error("a ban counts as enforced")
			}
			if !strings.Contains(s.log.String(), "NOTHING IS ENFORCED") {
				s.t.Error("no word in the log")
			}
			if got := s.Status().HandsOff; !got.Equal(time.Now().Add(10 * time.Minute)) {
				s.t.Errorf("until %v", got)
			}
			place(s.Firewall, ban("192.0.2.2", time.Hour))
			s.flush()
			time.Sleep(10*time.Minute - time.Second)
			synctest.Wait()
			s.expect(HandsOff, "")
			time.Sleep(time.Second)
			synctest.Wait()
			s.expect(Enforcing, "v4-32: 192.0.2.1=forever 192.0.2.2=50m")
			s.flush()
			s.expect(Enforcing, "v4-32: 192.0.2.1=forever 192.0.2.2=50m")
		}},
		{"three flushes in more than a minute are all undone", func(s *stage) {
			for range 5 {
				s.flush()
				s.expect(Enforcing, loaded)
				time.Sleep(31 * time.Second)
			}
		}},
		{"an addition is undone, a stream of them at a pace", func(s *stage) {
			before := s.k.commits
			add := func() {
				s.k.revision++
				s.others <- foreign{revision: s.k.revision}
				synctest.Wait()
			}
			add()
			per := s.k.commits - before
			if per == 0 {
				s.t.Fatal("not undone")
			}
			for range 100 {
				add()
				time.Sleep(100 * time.Millisecond)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if got := (s.k.commits - before) / per; got != 2 {
				s.t.Errorf("undone %d times in 10 s, want 2", got)
			}
			s.expect(Enforcing, loaded)
		}},
		{"a deletion that nobody heard counts, and once only", func(s *stage) {
			e := s.k.flush()
			s.others <- foreign{first: true} // it happened before we listened
			synctest.Wait()
			s.expect(Enforcing, loaded)
			s.others <- e // and is told all the same
			synctest.Wait()
			s.expect(Enforcing, loaded)
			s.flush()
			s.expect(Enforcing, loaded)
			s.flush()
			s.expect(HandsOff, "")
		}},
		{"lost messages, and the table is right", func(s *stage) {
			before := s.k.commits
			s.others <- foreign{lost: true}
			synctest.Wait()
			if s.k.commits != before {
				s.t.Error("the table was built again")
			}
		}},
		{"lost messages, and the table is gone", func(s *stage) {
			s.k.flush()
			s.others <- foreign{lost: true}
			synctest.Wait()
			s.expect(Enforcing, loaded)
		}},
		{"lost messages, and an element is gone", func(s *stage) {
			for _, set := range s.k.table.sets {
				clear(set.elems)
			}
			s.others <- foreign{lost: true}
			synctest.Wait()
			s.expect(Enforcing, loaded)
		}},
		{"lost messages, and a rule is gone", func(s *stage) {
			c := s.k.table.chains[chainBan]
			c.rules = c.rules[:len(c.rules)-1]
			s.k.table.chains[chainBan] = c
			s.others <- foreign{lost: true}
			synctest.Wait()
			if st := s.Status(); st.Heals != 1 {
				s.t.Errorf("healed %d times", st.Heals)
			}
		}},
		{"after Remove, nothing is healed", func(s *stage) {
			s.Remove()
			s.flush()
			s.expect(Removed, "")
		}},
		{"Load brings the table back after Remove", func(s *stage) {
			s.Remove()
			s.Load(slices.Values([]Want{want("192.0.2.3", time.Hour)}), nil, nil)
			s.expect(Enforcing, "v4-32: 192.0.2.3=1h")
		}},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) { play(t, newFakeKernel(), Config{}, tc.story) })
	}
}

// refuseOnce makes the next transaction that has an operation with this verb
// fail.
func (k *fakeKernel) refuseOnce(v verb, errno unix.Errno) {
	k.refuse = func(ops []op) error {
		i := slices.IndexFunc(ops, func(o op) bool { return o.verb == v })
		if i < 0 {
			return nil
		}
		k.refuse = nil
		return &refusal{op: i, verb: v, name: ops[i].name, errno: errno}
	}
}

func TestRefusals(t *testing.T) {
	one := func(s *stage) { place(s.Firewall, ban("192.0.2.2", time.Hour)) }
	both := "v4-32: 192.0.2.1=forever 192.0.2.2=1h"
	cases := []struct {
		name  string
		story func(*stage)
		want  string
	}{
		{"a full set: the next generation is larger", func(s *stage) {
			s.k.refuseOnce(addElements, unix.ENFILE)
			one(s)
		}, both},
		{"an element that is there", func(s *stage) {
			s.k.refuseOnce(addElements, unix.EEXIST)
			one(s)
		}, both},
		{"no memory, three times", func(s *stage) {
			n := 0
			s.k.refuse = func([]op) error {
				if n++; n > 3 {
					return nil
				}
				return &refusal{op: -1, errno: unix.ENOMEM}
			}
			one(s)
			synctest.Wait()
			s.expect(Degraded, loaded)
			if h := s.Health(); !strings.Contains(h.Why, "cannot allocate memory") {
				s.t.Errorf("why: %s", h.Why)
			}
			if s.Enforced(subject("192.0.2.1")) {
				s.t.Error("a ban counts as enforced while nothing is sure")
			}
			time.Sleep(time.Second)
		}, both},
		{"the answer is lost, and the transaction happened", func(s *stage) {
			s.k.after = func([]op) error { s.k.after = nil; return errUncertain }
			one(s)
		}, both},
		{"the answer is lost, and the transaction did not happen", func(s *stage) {
			s.k.refuse = func([]op) error { s.k.refuse = nil; return errUncertain }
			one(s)
		}, both},
		{"the answer to a swap is lost", func(s *stage) {
			s.k.after = func(ops []op) error {
				if slices.ContainsFunc(ops, func(o op) bool { return o.verb == addRule }) {
					s.k.after = nil
					return errUncertain
				}
				return nil
			}
			s.flush()
			time.Sleep(time.Second)
		}, loaded},
		{"what is to be deleted has just lapsed", func(s *stage) {
			d := ban("192.0.2.2", time.Hour)
			s.Place([]gate.Decision{d})
			s.k.mu.Lock()
			for name, set := range s.k.table.sets {
				if strings.HasPrefix(name, "v4-32-fresh.") {
					clear(set.elems)
				}
			}
			s.k.mu.Unlock()
			s.Commit(records(d))
		}, both},
		{"what an aggregate takes in has just lapsed", func(s *stage) {
			place(s.Firewall, ban("10.0.0.1", time.Hour), ban("10.0.0.2", time.Hour))
			s.k.mu.Lock()
			for name, set := range s.k.table.sets {
				if strings.HasPrefix(name, "v4-32.") {
					delete(set.elems, fakeKey{key: key{10, 0, 0, 1}})
				}
			}
			s.k.mu.Unlock()
			place(s.Firewall, ban("10.0.0.0/24", time.Hour), release("10.0.0.1"), release("10.0.0.2"))
			synctest.Wait()
			if strings.Contains(s.log.String(), "anew") {
				s.t.Error("the whole table was built anew for it")
			}
			place(s.Firewall, release("10.0.0.0/24"))
		}, loaded},
		{"some of many that are to be deleted have lapsed", func(s *stage) {
			var ds, rs []gate.Decision
			for i := range 1500 {
				a := "10.0." + itoa(i/250) + "." + itoa(i%250)
				ds, rs = append(ds, ban(a, time.Hour)), append(rs, release(a))
			}
			place(s.Firewall, ds...)
			s.k.mu.Lock()
			for _, set := range s.k.table.sets {
				for k := range set.elems {
					if k.key[3]%7 == 0 && k.key[0] == 10 {
						delete(set.elems, k)
					}
				}
			}
			s.k.mu.Unlock()
			place(s.Firewall, rs...)
		}, loaded},
		{"what lapsed long ago is not even asked for", func(s *stage) {
			one(s)
			time.Sleep(2 * time.Hour)
			before := s.k.commits
			place(s.Firewall, release("192.0.2.2"))
			if s.k.commits != before {
				s.t.Error("the kernel was written")
			}
		}, loaded},
		{"a large load that stored less than it was given", func(s *stage) {
			s.k.after = func(ops []op) error {
				for _, o := range ops {
					if o.verb == addElements && len(o.elems) == maxElements {
						clear(s.k.table.sets[o.name].elems)
						s.k.after = nil
					}
				}
				return nil
			}
			var ds []gate.Decision
			for i := range 1500 {
				ds = append(ds, ban("10.0."+itoa(i/250)+"."+itoa(i%250), time.Hour))
			}
			s.Place(ds)
			synctest.Wait()
			if !strings.Contains(s.log.String(), "the kernel has 500 of 1500") {
				s.t.Errorf("the log says %s", &s.log)
			}
			s.expect(Enforcing, strings.Join(sets(s.t, s.k), "; "))
			for i := range ds {
				ds[i].Verdict = gate.Release
			}
			s.Place(ds)
		}, loaded},
	}
	for _, counts := range []bool{true, false} {
		for _, tc := range cases {
			t.Run(tc.name, func(t *testing.T) {
				k := newFakeKernel()
				k.counts = counts
				play(t, k, Config{}, func(s *stage) {
					tc.story(s)
					synctest.Wait()
					s.expect(Enforcing, tc.want)
					s.flush()
					s.expect(Enforcing, tc.want)
				})
			})
		}
	}
}

func TestOldTables(t *testing.T) {
	t.Run("what cannot be taken away in one go goes first", func(t *testing.T) {
		k := newFakeKernel()
		k.commit([]op{{verb: addTable}, {verb: addChain, name: "theirs"}})
		k.refuse = func(ops []op) error {
			for i, o := range ops {
				if o.verb == deleteChain {
					return &refusal{op: i, verb: o.verb, name: o.name, errno: unix.EBUSY}
				}
			}
			return nil
		}
		play(t, k, Config{}, func(s *stage) { s.expect(Enforcing, loaded) })
	})
	t.Run("nothing is left of an attempt that failed", func(t *testing.T) {
		k := newFakeKernel()
		k.refuseOnce(addRule, unix.ENOMEM)
		play(t, k, Config{}, func(s *stage) {
			s.expect(Enforcing, loaded)
			if n := len(k.table.sets); n != len(exemptSets)+2 {
				t.Errorf("%d sets", n)
			}
		})
	})
}

func TestReject(t *testing.T) {
	rules := func(k *fakeKernel, match func(expr.Any) bool) int { return k.table.refers(match) }
	isReject := func(x expr.Any) bool { _, ok := x.(*expr.Reject); return ok }
	goesThere := func(x expr.Any) bool {
		v, ok := x.(*expr.Verdict)
		return ok && v.Kind == expr.VerdictGoto
	}
	t.Run("answers only where the evidence is proven", func(t *testing.T) {
		k := newFakeKernel()
		play(t, k, Config{Verdict: Reject}, func(s *stage) {
			before := rules(k, goesThere)
			place(s.Firewall, ban("192.0.2.2", time.Hour, scopeText("", true)), ban("192.0.2.2", time.Hour, scopeText("22/tcp", true)))
			if rules(k, isReject) != 2 || before != 2 || rules(k, goesThere) != 2 {
				t.Errorf("%d rejects, %d jumps to them, then %d", rules(k, isReject), before, rules(k, goesThere))
			}
			place(s.Firewall, ban("192.0.2.2", time.Hour, scopeText("22/tcp", false)))
			if got := rules(k, goesThere); got != 3 {
				t.Errorf("%d jumps with ports", got)
			}
		})
	})
	t.Run("asked for later, and taken back", func(t *testing.T) {
		k := newFakeKernel()
		play(t, k, Config{}, func(s *stage) {
			for _, v := range []Verdict{Reject, Drop} {
				s.SetVerdict(v)
				s.expect(Enforcing, loaded)
				if got, want := rules(k, isReject), map[Verdict]int{Reject: 2}[v]; got != want {
					t.Errorf("%v: %d rejects, want %d", v, got, want)
				}
			}
		})
	})
	t.Run("drops where the kernel cannot", func(t *testing.T) {
		k := newFakeKernel()
		k.refuse = func(ops []op) error {
			for i, o := range ops {
				if o.verb == addRule && slices.ContainsFunc(o.rule, isReject) {
					return &refusal{op: i, verb: addRule, name: o.name, errno: unix.EOPNOTSUPP}
				}
			}
			return nil
		}
		play(t, k, Config{Verdict: Reject}, func(s *stage) {
			s.expect(Enforcing, loaded)
			if rules(k, isReject) != 0 || !strings.Contains(s.log.String(), "dropping in silence") {
				t.Error("it rejects, or does not say that it does not")
			}
		})
	})
}

func TestUncommitted(t *testing.T) {
	t.Run("renewed while the daemon lives", func(t *testing.T) {
		play(t, newFakeKernel(), Config{}, func(s *stage) {
			s.Place([]gate.Decision{ban("192.0.2.2", time.Hour)})
			for range 59 {
				time.Sleep(time.Minute)
				synctest.Wait()
				if got := sets(t, s.k); len(got) != 2 {
					t.Fatalf("lapsed: %v", got)
				}
			}
			time.Sleep(3 * time.Minute)
			synctest.Wait()
			s.expect(Enforcing, loaded)
		})
	})
	t.Run("lapses without it", func(t *testing.T) {
		k := newFakeKernel()
		synctest.Test(t, func(t *testing.T) {
			f := newFirewall(Config{}, Deps{}, k, nil)
			f.Load(slices.Values([]Want{}), nil, nil)
			f.Place([]gate.Decision{ban("192.0.2.2", time.Hour)})
			time.Sleep(MaxUncommitted)
			if got := sets(t, k); len(got) != 0 {
				t.Errorf("the kernel has %v", got)
			}
		})
	})
	t.Run("adopted by the next daemon, for the rest of its time", func(t *testing.T) {
		k := newFakeKernel()
		synctest.Test(t, func(t *testing.T) {
			first := newFirewall(Config{}, Deps{}, k, nil)
			first.Load(slices.Values([]Want{}), nil, nil)
			first.Place([]gate.Decision{
				ban("192.0.2.2", time.Hour), ban("2001:db8::/64", time.Hour, scopeText("22,80-90/tcp 53/udp", false)),
				ban("192.0.2.3", time.Hour, scopeText("", true)), ban("192.0.2.4", time.Hour), ban("192.0.2.5", time.Hour, scopeText("1-65535", true)),
			})
			time.Sleep(time.Minute)
			next := newFirewall(Config{}, Deps{}, k, nil)
			if err := next.Load(slices.Values([]Want{want("192.0.2.4", time.Hour), want("192.0.2.9", time.Hour, scopeText("99/udp", false))}), nil, nil); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, w := range next.Adopted() {
				got = append(got, w.Subject.String()+" "+w.Scope.Ports.String()+" "+map[bool]string{true: "new "}[w.Scope.New]+time.Until(w.Until).String())
			}
			slices.Sort(got)
			if want := []string{"192.0.2.2  9m0s", "192.0.2.3  new 9m0s", "192.0.2.5 1-65535 new 9m0s", "2001:db8::/64 22,80-90/tcp 53/udp 9m0s"}; !slices.Equal(got, want) {
				t.Errorf("adopted %q, want %q", got, want)
			}
			next.keep()
			time.Sleep(8 * time.Minute)
			next.keep()
			if !next.Enforced(subject("192.0.2.2")) {
				t.Error("gone too early")
			}
			next.Place([]gate.Decision{ban("192.0.2.3", time.Hour, scopeText("", true))}) // decided again
			time.Sleep(2 * time.Minute)
			next.keep()
			if next.Enforced(subject("192.0.2.2")) || !next.Enforced(subject("192.0.2.3")) || !next.Enforced(subject("192.0.2.4")) {
				t.Error("only what was decided again may stay")
			}
		})
	})
}

func TestClockSteps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// A wall clock that steps, under a monotonic clock that does not: all
		// that time.Now gives is kept, only what Until says comes from it.
		f := newFirewall(Config{}, Deps{}, newFakeKernel(), nil)
		f.Load(slices.Values([]Want{want("192.0.2.1", time.Hour)}), nil, nil)
		f.Place([]gate.Decision{{Verdict: gate.Ban, Subject: subject("192.0.2.2"), Until: time.Now().Round(0).Add(time.Hour)}})
		time.Sleep(59 * time.Minute)
		f.keep()
		if !f.Enforced(subject("192.0.2.1")) {
			t.Error("freed")
		}
		time.Sleep(2 * time.Minute)
		if f.Enforced(subject("192.0.2.1")) {
			t.Error("still banned")
		}
	})
}

func TestRunEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := make(fakeMonitor)
		f := newFirewall(Config{}, Deps{}, newFakeKernel(), m)
		f.Load(slices.Values([]Want{}), nil, nil)
		close(m)
		if err := f.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "the socket broke") {
			t.Errorf("a broken monitor: %v", err)
		}
	})
}

func TestObserve(t *testing.T) {
	var log bytes.Buffer
	f, err := New(Config{Observe: true, OpenFile: "/nonexistent/OPEN"}, Deps{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Load(slices.Values([]Want{want("192.0.2.1", time.Hour)}), nil, nil); err != nil {
		t.Fatal(err)
	}
	place(f, ban("192.0.2.2", time.Hour), release("192.0.2.1"))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := f.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Remove(), f.Close()); err != nil {
		t.Fatal(err)
	}
	if st := f.Status(); st.Mode != Observing || len(st.Sets) != 1 || f.Enforced(subject("192.0.2.2")) {
		t.Errorf("status %+v", st)
	}
	for _, want := range []string{"would ban", "would release", "192.0.2.2"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, &log)
		}
	}
}

func TestEnforced(t *testing.T) {
	f := newFirewall(Config{}, Deps{}, newFakeKernel(), nil)
	if f.Enforced(subject("192.0.2.1")) {
		t.Error("before anything was loaded")
	}
	f.Load(slices.Values([]Want{want("192.0.2.1", time.Hour), want("198.51.100.0/24", time.Hour), want("2001:db8::/64", time.Hour), want("203.0.113.1", time.Hour, scopeText("22/tcp", false))}),
		prefixes("198.51.100.7/32"), prefixes("198.51.100.128/25", "2001:db8::/32"))
	for s, want := range map[string]bool{
		"192.0.2.1": true, "192.0.2.2": false, "192.0.2.0/24": false,
		"198.51.100.0/24": true, "198.51.100.1": true, "198.51.100.0/25": true, "198.51.100.7": false, "198.51.100.200": false,
		"2001:db8::/64": false, "203.0.113.1": true, "list:drop": false,
	} {
		if got := f.Enforced(subject(s)); got != want {
			t.Errorf("%s: %v, want %v", s, got, want)
		}
	}
	place(f, release("192.0.2.1"))
	if f.Enforced(subject("192.0.2.1")) {
		t.Error("after its release")
	}
}
