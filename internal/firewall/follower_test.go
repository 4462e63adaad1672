package firewall

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// followerCase says what the kernel holds after a story. It runs against the
// model and against the real kernel.
type followerCase struct {
	name  string
	loads []Want
	never []string
	allow []string
	do    func(f *Firewall)
	want  string // sets, separated by "; "
	tidy  bool   // building anew leaves out what is not needed any more
}

// followerCases is made anew for each case: its times are from now on.
func followerCases() []followerCase {
	return []followerCase{
		// Loading.
		{name: "nothing"},
		{name: "one", loads: []Want{want("192.0.2.1", time.Hour)}, want: "v4-32: 192.0.2.1=1h"},
		{name: "for good", loads: []Want{want("192.0.2.1", gate.Forever)}, want: "v4-32: 192.0.2.1=forever"},
		{name: "longer than the kernel counts", loads: []Want{want("192.0.2.1", 280*365*gate.Day)}, want: "v4-32: 192.0.2.1=forever"},
		{name: "over", loads: []Want{want("192.0.2.1", -time.Hour)}},
		{name: "each length its set", loads: []Want{want("192.0.2.0/24", time.Hour), want("10.0.0.0/13", time.Hour), want("2001:db8::/64", time.Hour), want("2001:db8::1", time.Hour)},
			want: "v4-13: 10.0.0.0=1h; v4-24: 192.0.2.0=1h; v6-128: 2001:db8::1=1h; v6-64: 2001:db8::=1h"},
		{name: "everything", loads: []Want{want("0.0.0.0/0", time.Hour), want("::/0", time.Hour)}, want: "v4-0: 0.0.0.0=1h; v6-0: ::=1h"},
		{name: "twice, the longer", loads: []Want{want("192.0.2.1", time.Hour), want("192.0.2.1", 2*time.Hour)}, want: "v4-32: 192.0.2.1=2h"},
		{name: "ports", loads: []Want{want("192.0.2.1", time.Hour, scopeText("22,80/tcp 53/udp", false))},
			want: "ports-1-tcp: 22-22 80-80; ports-1-udp: 53-53; v4-32-s1: 192.0.2.1=1h"},
		{name: "all ports but one", loads: []Want{want("192.0.2.1", time.Hour, scopeText("1-21,23-65535/tcp", false))},
			want: "ports-1-tcp: 1-21 23-65535; v4-32-s1: 192.0.2.1=1h"},
		{name: "new only", loads: []Want{want("192.0.2.1", time.Hour, scopeText("", true))}, want: "v4-32-n1: 192.0.2.1=1h"},
		{name: "new only, ports", loads: []Want{want("192.0.2.1", time.Hour, scopeText("22/tcp", true))}, want: "ports-1-tcp: 22-22; v4-32-n1: 192.0.2.1=1h"},
		{name: "not an address", loads: []Want{{Subject: gate.ListSubject("drop"), Until: until(time.Hour)}}},

		// Who is exempt.
		{name: "exempt", never: []string{"127.0.0.0/8", "::1/128"}, allow: []string{"198.51.100.0/24", "198.51.101.0/24", "198.51.100.7/32", "10.0.0.0/8"},
			want: "allow4: 10.0.0.0-10.255.255.255 198.51.100.0-198.51.101.255; never4: 127.0.0.0-127.255.255.255; never6: ::1-::1"},
		{name: "exempt to the last address", allow: []string{"255.255.255.255/32", "ffff::/16"},
			want: "allow4: 255.255.255.255-255.255.255.255; allow6: ffff::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{name: "all exempt", allow: []string{"0.0.0.0/0", "::/0"}, want: "allow4: 0.0.0.0-255.255.255.255; allow6: ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
		{name: "exempt changes", allow: []string{"10.0.0.0/8", "192.0.2.0/24"}, loads: []Want{want("192.0.2.1", time.Hour)},
			do:   func(f *Firewall) { f.SetExempt(prefixes("127.0.0.0/8"), prefixes("10.0.0.0/9")) },
			want: "allow4: 10.0.0.0-10.127.255.255; never4: 127.0.0.0-127.255.255.255; v4-32: 192.0.2.1=1h"},

		// Placing and committing.
		{name: "placed", do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", time.Hour)}) }, want: "v4-32-fresh: 192.0.2.1=10m"},
		{name: "placed, short", do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", time.Minute)}) }, want: "v4-32-fresh: 192.0.2.1=1m"},
		{name: "placed, shortest", do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", 2*time.Second)}) }, want: "v4-32-fresh: 192.0.2.1=10s"},
		{name: "placed for good", do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", gate.Forever)}) }, want: "v4-32-fresh: 192.0.2.1=10m"},
		{name: "committed", do: func(f *Firewall) { place(f, ban("192.0.2.1", time.Hour), ban("2001:db8::/48", gate.Forever)) },
			want: "v4-32: 192.0.2.1=1h; v6-48: 2001:db8::=forever"},
		{name: "committed, never placed", do: func(f *Firewall) { f.Commit(records(ban("192.0.2.1", time.Hour))) }},
		{name: "committed after its release", do: func(f *Firewall) {
			d := ban("192.0.2.1", time.Hour)
			f.Place([]gate.Decision{d})
			f.Place([]gate.Decision{release("192.0.2.1")})
			f.Commit(records(d, release("192.0.2.1")))
		}},
		{name: "a later ban waits for its own record", do: func(f *Firewall) {
			a, b := ban("192.0.2.1", time.Hour), ban("192.0.2.1", 5*time.Hour)
			f.Place([]gate.Decision{a})
			f.Place([]gate.Decision{b})
			f.Commit(records(a))
		}, want: "v4-32: 192.0.2.1=1h; v4-32-fresh: 192.0.2.1=10m", tidy: true},
		{name: "ban, release, ban, and the first record", do: func(f *Firewall) {
			a, b := ban("192.0.2.1", time.Hour), ban("192.0.2.1", 5*time.Hour)
			f.Place([]gate.Decision{a, release("192.0.2.1"), b})
			f.Commit(records(b))
		}, want: "v4-32: 192.0.2.1=5h"},
		{name: "release and ban at once", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) {
			f.Place([]gate.Decision{release("192.0.2.1"), ban("192.0.2.1", 5*time.Hour)})
		}, want: "v4-32-fresh: 192.0.2.1=10m"},
		{name: "ban and release at once", do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", time.Hour), release("192.0.2.1")}) }},
		{name: "extended", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) { place(f, ban("192.0.2.1", 5*time.Hour)) }, want: "v4-32: 192.0.2.1=5h"},
		{name: "extended for good", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) { place(f, ban("192.0.2.1", gate.Forever)) }, want: "v4-32: 192.0.2.1=forever"},
		{name: "extended, not committed", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", 5*time.Hour)}) },
			want: "v4-32: 192.0.2.1=1h"},
		{name: "extended near its end, not committed", loads: []Want{want("192.0.2.1", time.Minute)}, do: func(f *Firewall) { f.Place([]gate.Decision{ban("192.0.2.1", 5*time.Hour)}) },
			want: "v4-32: 192.0.2.1=1m; v4-32-fresh: 192.0.2.1=10m"},
		{name: "decided again", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) {
			f.Place([]gate.Decision{ban("192.0.2.1", time.Hour)})
			if n := f.Status().Sets[0].Uncommitted; n != 0 {
				f.fail("count", fmt.Errorf("%d uncommitted", n))
			}
		}, want: "v4-32: 192.0.2.1=1h"},
		{name: "shortened", loads: []Want{want("192.0.2.1", 5*time.Hour)}, do: func(f *Firewall) { place(f, ban("192.0.2.1", time.Hour)) }, want: "v4-32: 192.0.2.1=1h"},
		{name: "extended twice before the commit", do: func(f *Firewall) {
			a, b := ban("192.0.2.1", time.Minute), ban("192.0.2.1", 5*time.Hour)
			f.Place([]gate.Decision{a})
			f.Place([]gate.Decision{b})
			f.Commit(records(a, b))
		}, want: "v4-32: 192.0.2.1=5h"},

		// Releasing.
		{name: "released", loads: []Want{want("192.0.2.1", time.Hour), want("192.0.2.2", time.Hour)}, do: func(f *Firewall) { place(f, release("192.0.2.1")) }, want: "v4-32: 192.0.2.2=1h"},
		{name: "released, not banned", loads: []Want{want("192.0.2.2", time.Hour)}, do: func(f *Firewall) { place(f, release("192.0.2.1")) }, want: "v4-32: 192.0.2.2=1h"},
		{name: "released in all scopes", loads: []Want{want("192.0.2.1", time.Hour), want("192.0.2.1", time.Hour, scopeText("22/tcp", false))},
			do: func(f *Firewall) { place(f, release("192.0.2.1")) }, want: "ports-1-tcp: 22-22", tidy: true},
		{name: "released in one scope", loads: []Want{want("192.0.2.1", time.Hour), want("192.0.2.1", time.Hour, scopeText("22/tcp", false))},
			do: func(f *Firewall) { place(f, release("192.0.2.1", scopeText("22/tcp", false))) }, want: "ports-1-tcp: 22-22; v4-32: 192.0.2.1=1h", tidy: true},
		{name: "an aggregate: one ban, many releases", loads: []Want{want("192.0.2.1", time.Hour), want("192.0.2.2", time.Hour)},
			do: func(f *Firewall) {
				place(f, ban("192.0.2.0/24", time.Hour), release("192.0.2.1"), release("192.0.2.2"))
			}, want: "v4-24: 192.0.2.0=1h"},
		{name: "other verdicts", do: func(f *Firewall) {
			d := ban("192.0.2.1", time.Hour)
			for _, v := range []gate.Verdict{gate.Allow, gate.Disallow, gate.Close, gate.Tell} {
				d.Verdict = v
				place(f, d)
			}
		}},
		{name: "towards the subject", do: func(f *Firewall) {
			d := ban("192.0.2.1", time.Hour)
			d.Scope.Direction = gate.Out
			place(f, d)
		}},
		{name: "a new scope with its ports", do: func(f *Firewall) { place(f, ban("192.0.2.1", time.Hour, scopeText("22/tcp", false))) },
			want: "ports-1-tcp: 22-22; v4-32-s1: 192.0.2.1=1h"},
		{name: "empty sets go", loads: []Want{want("192.0.2.1", time.Hour, scopeText("22/tcp", false)), want("192.0.2.2", time.Hour)}, do: func(f *Firewall) {
			place(f, release("192.0.2.1"))
			f.keep()
		}, want: "v4-32: 192.0.2.2=1h"},
		{name: "many at once", do: func(f *Firewall) {
			ds := make([]gate.Decision, 2500)
			for i := range ds {
				ds[i] = ban("10.0."+itoa(i/250)+"."+itoa(i%250), time.Hour)
			}
			place(f, ds...)
			for i := range ds[:2499] {
				ds[i] = release(ds[i].Subject.String())
			}
			place(f, ds[:2499]...)
		}, want: "v4-32: 10.0.9.249=1h"},
		{name: "removed", loads: []Want{want("192.0.2.1", time.Hour)}, do: func(f *Firewall) {
			f.Remove()
			f.Remove()
			place(f, ban("192.0.2.2", time.Hour))
		}},
	}
}

func itoa(i int) string { return string(appendInt(nil, i)) }

func appendInt(b []byte, i int) []byte {
	if i >= 10 {
		b = appendInt(b, i/10)
	}
	return append(b, byte('0'+i%10))
}

func TestFollower(t *testing.T) {
	kernels := []struct {
		name   string
		counts bool // it says how many elements a set has
		make   func(t *testing.T) kernel
	}{
		{"model", true, func(*testing.T) kernel { return newFakeKernel() }},
		{"model of an old kernel", false, func(*testing.T) kernel { return &fakeKernel{} }},
		{"kernel", counts(), realKernel},
	}
	for _, k := range kernels {
		t.Run(k.name, func(t *testing.T) {
			for i := range followerCases() {
				tc := followerCases()[i]
				t.Run(tc.name, func(t *testing.T) {
					kern := k.make(t)
					f := newFirewall(Config{Table: DefaultTable}, Deps{}, kern, nil)
					if err := f.Load(slices.Values(tc.loads), prefixes(tc.never...), prefixes(tc.allow...)); err != nil {
						t.Fatal(err)
					}
					if tc.do != nil {
						tc.do(f)
					}
					if h := f.Health(); h.Mode != Enforcing && h.Mode != Removed {
						t.Errorf("health %v: %s", h.Mode, h.Why)
					}
					if got := strings.Join(sets(t, kern), "; "); got != tc.want {
						t.Errorf("the kernel has\n%s\nwant\n%s", strings.ReplaceAll(got, "; ", "\n"), strings.ReplaceAll(tc.want, "; ", "\n"))
					}
					if f.gen != nil && k.counts && !f.intact(true) {
						t.Error("what the kernel has does not look like what was written")
					}
					before := sets(t, kern)
					if f.gen != nil {
						if err := f.rebuild(); err != nil {
							t.Fatal(err)
						}
						if after := sets(t, kern); !tc.tidy && !slices.Equal(before, after) {
							t.Errorf("built anew, it has\n%s", strings.Join(after, "\n"))
						}
					}
				})
			}
		})
	}
}

// counts reports whether this machine's kernel says how many elements a set has.
func counts() bool {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return false
	}
	var major, minor int
	fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor)
	return major > 6 || major == 6 && minor >= 16
}

// realKernel is nf_tables in a network namespace of its own.
func realKernel(t *testing.T) kernel {
	t.Helper()
	h := netlab.New(t).Host("host")
	var s *socket
	err := h.Do(func() (err error) {
		s, err = dialKernel(DefaultTable)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
