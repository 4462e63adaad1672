package ledger

import (
	"cmp"
	"flag"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// TestCurrentAgainstModel checks the current view against a plain map, over
// random decisions in random groups, restatements and restarts.
func TestCurrentAgainstModel(t *testing.T) {
	type what struct {
		door    door
		ports   string
		bits    byte
		subject gate.Subject
	}
	whatOf := func(d gate.Decision) (what, bool) {
		door, on := doorOf(&d)
		if door == doorPorts { // apart by how it ends, whatever else its scope says
			timed := byte(0)
			if !d.Until.IsZero() {
				timed = byte(d.Verdict)
			}
			return what{door: door, bits: timed, subject: d.Subject}, on
		}
		return what{door, d.Scope.Ports.String(), scopeBits(d.Scope), d.Subject}, on
	}
	some := []string{"192.0.2.1", "192.0.2.0/24", "2001:db8::1", "port:22/tcp/in", "list:drop"}
	sets := []string{"22/tcp", "80,443"}
	setChecks(t, 60/slow/slow)
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "ledger")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		now := t0
		boot := "first"
		open := func() *Ledger {
			l, err := Open(dir, Options{Boot: boot, Now: func() time.Time { return now }})
			if err != nil {
				t.Fatal(err)
			}
			return l
		}
		l := open()
		defer func() { l.Close() }()
		model := map[what]Live{}
		seq := uint64(0)
		draw := func() gate.Decision {
			s, _ := gate.ParseSubject(rapid.SampledFrom(some).Draw(t, "subject"))
			d := gate.Decision{Time: now, Verdict: gate.Verdict(rapid.IntRange(1, 7).Draw(t, "verdict")), Subject: s, Rule: "x"}
			if rapid.Bool().Draw(t, "scoped") {
				d.Scope.Ports, _ = gate.ParsePorts(rapid.SampledFrom(sets).Draw(t, "ports"))
				d.Scope.New = rapid.Bool().Draw(t, "new")
				d.Scope.Direction = gate.Direction(rapid.IntRange(0, 2).Draw(t, "direction"))
			}
			if rapid.Bool().Draw(t, "ends") {
				d.Until = now.Add(time.Duration(rapid.IntRange(1, 100).Draw(t, "for")) * time.Second)
			}
			return d
		}
		t.Repeat(map[string]func(*rapid.T){
			"append": func(*rapid.T) {
				var ds []gate.Decision
				for range rapid.IntRange(1, 80).Draw(t, "n") {
					d := draw()
					ds = append(ds, d)
					seq++
					w, on := whatOf(d)
					if w.door == doorPorts {
						maps.DeleteFunc(model, func(o what, r Live) bool { return o.door == doorPorts && r.Life(d.Time.Add(-portsKept)) == 0 })
					}
					if on {
						model[w] = Live{gate.Record{Seq: seq, Decision: d}, true}
					} else {
						delete(model, w)
					}
				}
				l.Append(Txn{Decisions: ds})
				l.owner.Lock()
				l.work()
				l.owner.Unlock()
			},
			"restate": func(*rapid.T) {
				d := draw()
				w, _ := whatOf(d)
				if r, ok := model[w]; ok {
					r.Until, r.FromThisBoot = d.Until, true
					model[w] = r
				}
				l.Restate([]gate.Decision{d})
			},
			"restart": func(*rapid.T) {
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
				if rapid.Bool().Draw(t, "reboot") {
					boot += "x"
					for w, r := range model {
						r.FromThisBoot = false
						model[w] = r
					}
				}
				l = open()
			},
			"wait": func(*rapid.T) { now = now.Add(time.Duration(rapid.IntRange(0, 30).Draw(t, "s")) * time.Second) },
			"": func(*rapid.T) {
				l.owner.Lock()
				l.work()
				l.owner.Unlock()
				var want, lapsed []Live
				for _, r := range model {
					if r.Life(now) > 0 {
						want = append(want, r)
					} else {
						lapsed = append(lapsed, r)
					}
				}
				for _, c := range []struct {
					name string
					seq  func(func(Live, error) bool)
					want []Live
				}{{"current", l.Current(), want}, {"lapsed", l.Lapsed(), lapsed}} {
					slices.SortFunc(c.want, func(a, b Live) int { return cmp.Compare(a.Seq, b.Seq) })
					var got []Live
					for r, err := range c.seq {
						if err != nil {
							t.Fatal(err)
						}
						got = append(got, r)
					}
					if len(got)+len(c.want) > 0 && !reflect.DeepEqual(got, c.want) {
						t.Fatalf("%s:\n%+v, want\n%+v", c.name, got, c.want)
					}
				}
			},
		})
	})
}

// setChecks lets the test do so many runs, unless somebody asked for a number.
func setChecks(t *testing.T, n int) {
	f := flag.Lookup("rapid.checks")
	if f.Value.String() != f.DefValue {
		return
	}
	if err := f.Value.Set(strconv.Itoa(n)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.Value.Set(f.DefValue); err != nil {
			t.Error(err)
		}
	})
}

// TestCurrentStops pins that the caller may leave the loop.
func TestCurrentStops(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	commit(t, l, Txn{Decisions: bans(0, 100)})
	n := 0
	for range l.Current() {
		if n++; n == 3 {
			break
		}
	}
	if n != 3 {
		t.Errorf("%d rows", n)
	}
}
