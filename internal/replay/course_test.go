package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"gatehouse/internal/detect"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/rules"
)

// at is a time of the tests, in seconds behind their beginning.
func at(seconds int) time.Time { return modelBegin.Add(time.Duration(seconds) * time.Second) }

// failures returns lines of failed logins at these times.
func failures(addr string, seconds ...int) string {
	var b strings.Builder
	for _, s := range seconds {
		b.WriteString(entry{time: at(s), what: "failed", addr: netip.MustParseAddr(addr)}.String() + "\n")
	}
	return b.String()
}

// TestOneLineFromTheFuture: a clock that is wrong for a moment does not make all
// that follows late.
func TestOneLineFromTheFuture(t *testing.T) {
	got, sum, _ := replayed(t, []string{failures("192.0.2.1", 0, 1, 2) + failures("192.0.2.2", 90*86400) + failures("192.0.2.3", 3, 4, 5)}, at(1e7), Options{})
	if sum.Bans != 2 || !strings.Contains(got.decisions[len(got.decisions)-1], "ban 192.0.2.3 "+at(605).Format(time.DateTime)) {
		t.Errorf("%+v\n%s", sum, strings.Join(got.decisions, "\n"))
	}
}

// TestDatesFromTheFuture: no line is later than now.
func TestDatesFromTheFuture(t *testing.T) {
	got, sum, _ := replayed(t, []string{failures("192.0.2.1", 1000, 1001, 1002)}, at(500), Options{})
	if sum.Bans != 1 || !sum.Last.Equal(at(500)) {
		t.Errorf("%+v %v", sum, got)
	}
}

func TestAllowed(t *testing.T) {
	course := testCourse(func(c *Config) {
		c.Allow = []policy.AllowEntry{{Prefix: netip.MustParsePrefix("192.0.2.0/24"), Text: "192.0.2.0/24"}}
	})
	run(t, course, failures("192.0.2.1", 0, 1, 2))
	if s := course.Summary(); s.Bans != 0 || s.Decisions != 1 || s.Banned != 0 {
		t.Errorf("%+v", s)
	}
}

// TestHistory: offences from before count, and the history is asked for as it was
// at the first line.
func TestHistory(t *testing.T) {
	var asked []time.Time
	var bans []gate.Decision
	course := testCourse(func(c *Config) {
		c.History = func(until time.Time) policy.Past {
			asked = append(asked, until)
			return func(s gate.Subject) (int, time.Time) {
				if s.String() == "192.0.2.1" {
					return 1, at(-3600)
				}
				return 0, time.Time{}
			}
		}
		c.Decided = func(d *Decision) error {
			if d.Verdict == gate.Ban {
				bans = append(bans, d.Decision)
			}
			return nil
		}
	})
	run(t, course, failures("192.0.2.1", 0, 1, 2)+failures("192.0.2.2", 3, 4, 5))
	if !slices.Equal(asked, []time.Time{at(0)}) || len(bans) != 2 || bans[0].Offence != 2 || bans[1].Offence != 1 {
		t.Errorf("asked %v, bans %+v", asked, bans)
	}
}

// TestPorts: a ban of some ports keeps nobody from others.
func TestPorts(t *testing.T) {
	for _, c := range []struct {
		ports string
		kept  int
	}{{"22/tcp", 2}, {"80/tcp", 0}, {"22,80/tcp", 2}} {
		course := testCourse(func(conf *Config) {
			p, err := gate.ParsePorts(c.ports)
			if err != nil {
				t.Fatal(err)
			}
			conf.Policy.Watches = []policy.Watch{{Name: "app", Ports: p}}
		})
		rule := appRule(t, "ports: 22/tcp\n")
		if _, err := Run(context.Background(), []Source{{
			Name: "log", Log: strings.NewReader(failures("192.0.2.1", 0, 1, 2, 3) + entry{time: at(4), what: "seen", addr: netip.MustParseAddr("192.0.2.1")}.String()),
			Written: at(1000), Watches: []Watch{{Name: "app", Rule: rule}},
		}}, Options{Now: at(1000)}, course); err != nil {
			t.Fatal(err)
		}
		if s := course.Summary(); s.Bans != 1 || s.KeptAway != c.kept {
			t.Errorf("%s: %+v, want %d kept away", c.ports, s, c.kept)
		}
	}
}

// TestIPv6: the addresses of a /64 are one offender.
func TestIPv6(t *testing.T) {
	course := testCourse(nil)
	run(t, course, failures("2001:db8::1", 0)+failures("2001:db8::2", 1)+failures("2001:db8::3", 2, 3)+
		entry{time: at(4), what: "seen", addr: netip.MustParseAddr("2001:db8::4")}.String()+"\n"+failures("2001:db8:1::1", 5))
	if s := course.Summary(); s.Bans != 1 || s.KeptAway != 2 || s.Offenders[0].Subject.String() != "2001:db8::/64" {
		t.Errorf("%+v", s)
	}
}

// TestTwoCourses: one reading serves two configurations.
func TestTwoCourses(t *testing.T) {
	strict, lax := testCourse(func(c *Config) { c.Detect.Watches[0].Threshold.Count = 2 }), testCourse(nil)
	run(t, both{strict, lax}, failures("192.0.2.1", 0, 1)+failures("192.0.2.2", 2, 3, 4))
	if a, b := strict.Summary(), lax.Summary(); a.Bans != 2 || b.Bans != 1 {
		t.Errorf("%+v\n%+v", a, b)
	}
}

// both is two listeners as one.
type both [2]*Course

func (b both) Line(l *Line) error { return errors.Join(b[0].Line(l), b[1].Line(l)) }

func (b both) Known() func(netip.Addr) bool {
	return func(a netip.Addr) bool { return b[0].tally.knows(a) || b[1].tally.knows(a) }
}

func (b both) Passing(p *Passing) {
	b[0].Passing(p)
	b[1].Passing(p)
}

func TestBrokenLogs(t *testing.T) {
	broken := errors.New("broken")
	rule := appRule(t, "")
	long := strings.Repeat("x", 3*maxBlock)
	sources := []Source{
		{Name: "broken", Log: io.MultiReader(strings.NewReader(failures("192.0.2.1", 0, 1, 2)), iotest.ErrReader(broken))},
		{Name: "long", Log: strings.NewReader(failures("192.0.2.2", 0, 1) + long + "\n" + failures("192.0.2.2", 2))},
		{Name: "binary", Log: strings.NewReader("\x00\xff\n\x00\n" + failures("192.0.2.3", 0, 1, 2) + "\xfe")},
		{Name: "empty", Log: strings.NewReader("")},
	}
	for i := range sources {
		sources[i].Written, sources[i].Watches = at(1000), []Watch{{Name: "app", Rule: rule}}
	}
	course := testCourse(nil)
	accounts, err := Run(context.Background(), sources, Options{Now: at(1000)}, course)
	if err != nil || course.Summary().Bans != 3 {
		t.Fatalf("%v, %+v", err, course.Summary())
	}
	for i, want := range []Account{{Lines: 3, Err: broken}, {Lines: 4, Skipped: 1}, {Lines: 6}, {}} {
		if got := accounts[i]; got.Name != sources[i].Name || got.Lines != want.Lines || got.Skipped != want.Skipped || got.Err != want.Err {
			t.Errorf("%+v, want %+v", got, want)
		}
	}
}

// TestRunEnds: when it is cancelled, or what it tells is not wanted any more. A
// goroutine that stayed behind would be told as a deadlock.
func TestRunEnds(t *testing.T) {
	rule := appRule(t, "")
	enough := errors.New("enough")
	for _, want := range []error{enough, context.Canceled} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var sources []Source
			for i := range 3 {
				sources = append(sources, Source{Name: fmt.Sprint(i), Log: &endless{line: []byte(failures("192.0.2.1", i))}, Written: at(9), Watches: []Watch{{Name: "app", Rule: rule}}})
			}
			course := testCourse(func(conf *Config) {
				conf.Decided = func(*Decision) error {
					if want == enough {
						return enough
					}
					cancel()
					return nil
				}
			})
			if _, err := Run(ctx, sources, Options{Now: at(9)}, course); err != want {
				t.Errorf("%v, want %v", err, want)
			}
		})
	}
}

// endless is a log without an end.
type endless struct {
	line []byte
	at   int
}

func (e *endless) Read(b []byte) (n int, err error) {
	for n < len(b) {
		m := copy(b[n:], e.line[e.at:])
		n, e.at = n+m, (e.at+m)%len(e.line)
	}
	return n, nil
}

// TestShed: memory for offenders is bounded; those who are banned stay, and so do
// those whose bans kept most away.
func TestShed(t *testing.T) {
	y := newTally()
	y.limit = 100
	addr := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	for i := range 1000 {
		d := gate.Decision{Time: at(i), Until: at(i + 10), Verdict: gate.Ban, Subject: gate.AddrSubject(addr(i)), Rule: "app", Origin: gate.Origin{Source: "log", Offset: int64(i)}, Offence: 1}
		y.ban(&d)
		if now := at(i).UnixNano(); i%100 == 0 {
			y.count(addr(i), gate.Ports{}, now, now, 5, nil)
		}
	}
	if len(y.all) > 100 || y.banned != 1000 {
		t.Errorf("%d of %d", len(y.all), y.banned)
	}
	for i := 990; i < 1000; i++ {
		if !y.knows(addr(i)) {
			t.Errorf("%v is banned and forgotten", addr(i))
		}
	}
	offenders, effects := y.worst()
	if len(offenders) == 0 || offenders[0].KeptAway != 5 || len(effects) != 10 {
		t.Errorf("%d offenders, %d effects", len(offenders), len(effects))
	}
}

// TestEffects: the heap keeps those that are best.
func TestEffects(t *testing.T) {
	var heap []Effect
	for i := range 5 * maxEffects {
		heap = push(heap, Effect{KeptAway: i * 7919 % (5 * maxEffects)}) // a permutation
	}
	slices.SortFunc(heap, compareEffects)
	for i, e := range heap {
		if e.KeptAway != 5*maxEffects-1-i {
			t.Fatalf("%d. is %d", i, e.KeptAway)
		}
	}
	if len(heap) != maxEffects {
		t.Errorf("%d effects", len(heap))
	}
}

func appRule(t *testing.T, more string) *rules.Rule {
	t.Helper()
	r, err := rules.Parse("app.yaml", []byte(modelRule+more))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func testCourse(change func(*Config)) *Course {
	c := Config{
		Detect: detect.Config{Watches: []detect.Watch{{Name: "app", Threshold: gate.Threshold{Count: modelCount, Within: modelWithin}}}},
		Policy: policy.Config{Ladder: modelLadder, Forget: modelForget},
	}
	if change != nil {
		change(&c)
	}
	return NewCourse(c)
}

func run(t *testing.T, to Listener, log string) {
	t.Helper()
	if _, err := Run(context.Background(), []Source{{Name: "log", Log: strings.NewReader(log), Written: at(100_000), Watches: []Watch{{Name: "app", Rule: appRule(t, "")}}}},
		Options{Now: at(100_000)}, to); err != nil {
		t.Fatal(err)
	}
}
