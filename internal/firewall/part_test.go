package firewall

import (
	"context"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// parts lists what the model kernel has of ports and lists, without numbers.
func (s *stage) parts() string {
	if s.k.table == nil {
		return "no table"
	}
	var out []string
	for full := range s.k.table.chains {
		if name, _, ok := splitNumber(full); ok && (strings.HasPrefix(name, "gate") || strings.HasPrefix(name, "list")) {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func TestPartsLiveThrough(t *testing.T) {
	const both = "gate-0 gates-in gates-in-back list-in-l"
	for _, tc := range []struct {
		name  string
		story func(*stage)
		want  string
	}{
		{"nothing", func(*stage) {}, both},
		{"a flush", (*stage).flush, both},
		{"lost messages, and all is right", func(s *stage) {
			before := s.k.commits
			s.others <- foreign{lost: true}
			synctest.Wait()
			if s.k.commits != before {
				s.t.Error("the table was built again")
			}
		}, both},
		{"lost messages, and a rule of a part is gone", func(s *stage) {
			for name, c := range s.k.table.chains {
				if strings.HasPrefix(name, "gate-0.") {
					c.rules = nil
					s.k.table.chains[name] = c
				}
			}
			s.others <- foreign{lost: true}
			synctest.Wait()
			if st := s.Status(); st.Heals != 1 {
				s.t.Errorf("healed %d times", st.Heals)
			}
		}, both},
		{"lost messages, and the elements of a list are gone", func(s *stage) {
			for name, set := range s.k.table.sets {
				if strings.HasPrefix(name, "list4-l") {
					clear(set.elems)
				}
			}
			s.others <- foreign{lost: true}
			synctest.Wait()
			if l := s.lists.byName["l"]; !s.k.has(l, crowd(1)[0].Addr()) {
				s.t.Error("they are not loaded again")
			}
		}, both},
		{"three flushes, and the pause", func(s *stage) {
			s.flush()
			s.flush()
			s.flush()
			if got := s.parts(); got != "no table" {
				s.t.Errorf("in the pause: %s", got)
			}
			if err := s.SetPorts(portRules("close in 22")); err != nil {
				s.t.Error(err)
			}
			time.Sleep(handsOffTime)
		}, both},
		{"another verdict", func(s *stage) { s.SetVerdict(Reject) }, both},
		{"other exempt ones", func(s *stage) { s.SetExempt(prefixes("127.0.0.0/8"), nil) }, both},
		{"Remove", func(s *stage) { s.Remove() }, "no table"},
		{"Remove and Load", func(s *stage) { s.Remove(); s.Load(slices.Values([]Want{}), nil, nil) }, both},
		{"a kernel that refuses the change of ports for good", func(s *stage) {
			s.k.refuseOnce(addRule, unix.EOPNOTSUPP)
			if err := s.SetPorts(portRules("close out 25")); err == nil || !strings.Contains(err.Error(), "no usable nf_tables") {
				s.t.Errorf("error %v", err)
			}
		}, both},
		{"a kernel that refuses the change of ports once", func(s *stage) {
			s.k.refuseOnce(addRule, unix.ENOMEM)
			if err := s.SetPorts(portRules("close out 25")); err == nil {
				s.t.Error("no error")
			}
		}, "gate-0 gates-out gates-out-back list-in-l"},
		{"no rules, no lists", func(s *stage) { s.SetPorts(nil); s.DropList("l") }, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			play(t, newFakeKernel(), Config{}, func(s *stage) {
				if err := s.SetPorts(portRules("close in 22")); err != nil {
					t.Fatal(err)
				}
				if err := s.SetList(context.Background(), List{Name: "l", Direction: gate.In, Prefixes: crowd(1200)}); err != nil {
					t.Fatal(err)
				}
				tc.story(s)
				synctest.Wait()
				time.Sleep(time.Second)
				synctest.Wait()
				if got := s.parts(); got != tc.want {
					t.Errorf("the kernel has %q, want %q", got, tc.want)
				}
				if n, open := len(s.lists.turn), s.Health(); n != 0 || open.Mode != Enforcing && open.Mode != Removed {
					t.Errorf("%v: %s; %d load", open.Mode, open.Why, n)
				}
			})
		})
	}
}

// What is set before the first Load is in force with it, and observe mode
// touches nothing.
func TestPartsBeforeLoad(t *testing.T) {
	for _, observe := range []bool{false, true} {
		k := newFakeKernel()
		var use kernel = k
		if observe {
			use = nil
		}
		f := newFirewall(Config{Observe: observe}, Deps{}, use, nil)
		if err := f.SetPorts(portRules("close in 22")); err != nil {
			t.Fatal(err)
		}
		if err := f.SetList(t.Context(), listOf("l", gate.In, "192.0.2.0/24")); err != nil {
			t.Fatal(err)
		}
		if k.commits != 0 {
			t.Fatal("the kernel was written before Load")
		}
		if err := f.Load(slices.Values([]Want{}), nil, nil); err != nil {
			t.Fatal(err)
		}
		s := stage{Firewall: f, k: k, t: t}
		if want := map[bool]string{false: "gate-0 gates-in gates-in-back", true: "no table"}[observe]; s.parts() != want {
			t.Errorf("observe %v: %s, want %s", observe, s.parts(), want)
		}
		if l := f.Lists(); len(l) != 1 || l[0].Loading == observe || l[0].InForce {
			t.Errorf("observe %v: %+v", observe, l)
		}
	}
}
