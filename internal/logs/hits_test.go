package logs

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// builtin returns a rule that comes with the program.
func builtin(t testing.TB, name string) *rules.Rule {
	t.Helper()
	for _, r := range rules.Builtin() {
		if r.Name == name {
			return r
		}
	}
	t.Fatalf("there is no rule %s", name)
	return nil
}

// parsed returns a rule of the tests' own.
func parsed(t *testing.T, evidence, match, sample string) *rules.Rule {
	t.Helper()
	r, err := rules.Parse("own.yaml", fmt.Appendf(nil, `rule: own
title: a service of the tests
service: own
evidence: %s
programs: [own]
patterns:
  - name: failed
    class: failure
    match: '%s'
    reads: 'nothing'
samples:
  - line: '%s'
    expect: {pattern: failed, addr: 192.0.2.7}
    origin: source
`, evidence, match, sample))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// asked is a kernel that knows some peers, and what it was asked.
type asked struct {
	known []string
	peers []string
}

func (a *asked) spoke(p netip.AddrPort) bool {
	a.peers = append(a.peers, p.String())
	return slices.Contains(a.known, p.String())
}

// A line that anybody could have written counts if the kernel confirms it.
func TestBareLines(t *testing.T) {
	sshd := builtin(t, "sshd")
	portless := parsed(t, "proven", "^no entry for <addr>$", "no entry for 192.0.2.7")
	forgeable := parsed(t, "forgeable", "^no entry for <addr> port <port>$", "no entry for 192.0.2.7 port 4711")
	const header = "Nov 21 08:00:00 h sshd[12]: "
	for _, tc := range []struct {
		name   string
		rule   *rules.Rule
		line   string
		known  string // whom the kernel knows
		asks   string // about whom it is asked
		want   string // class and evidence
		doubts int
	}{
		{"confirmed", sshd, "Failed password for root from 192.0.2.7 port 4711 ssh2", "192.0.2.7:4711", "192.0.2.7:4711", "failure proven", 0},
		{"confirmed, IPv6", sshd, "Failed password for root from 2001:db8::7 port 4711 ssh2", "[2001:db8::7]:4711", "[2001:db8::7]:4711", "failure proven", 0},
		{"confirmed, line ends of the other kind", sshd, "Failed password for root from 192.0.2.7 port 4711 ssh2\r", "192.0.2.7:4711", "192.0.2.7:4711", "failure proven", 0},
		{"another port", sshd, "Failed password for root from 192.0.2.7 port 22 ssh2", "192.0.2.7:4711", "192.0.2.7:22", "info forgeable", 1},
		{"a hint", sshd, "Invalid user x from 192.0.2.7 port 4711", "192.0.2.7:4711", "192.0.2.7:4711", "hint proven", 0},
		{"no port where ports are told", sshd, "ROOT LOGIN REFUSED FROM 192.0.2.7", "192.0.2.7:0", "", "info forgeable", 1},
		{"no port where none is told", portless, "no entry for 192.0.2.7", "192.0.2.7:0", "192.0.2.7:0", "failure proven", 0},
		{"no port where none is told, unknown", portless, "no entry for 192.0.2.7", "", "192.0.2.7:0", "info forgeable", 1},
		{"what never counts", sshd, "Connection closed by 192.0.2.7 port 4711", "", "", "info forgeable", 0},
		{"success", sshd, "Accepted password for ann from 192.0.2.7 port 4711 ssh2", "", "", "success forgeable", 0},
		{"a header", sshd, header + "Failed password for root from 192.0.2.7 port 4711 ssh2", "", "", "failure proven", 0},
		{"forgeable by itself", forgeable, "no entry for 192.0.2.7 port 4711", "", "", "failure forgeable", 0},
		{"repeated, in a header's place", sshd, "message repeated 9 times: [ Failed password for root from 192.0.2.7 port 4711 ssh2]", "192.0.2.7:4711", "192.0.2.7:4711", "failure proven", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kernel := &asked{known: strings.Fields(tc.known)}
			r := readers{zone: time.UTC, spoke: kernel.spoke}
			h := r.open([]Watch{{Name: "w", Rule: tc.rule}}).(*hits)
			now := time.Date(2026, 11, 21, 8, 0, 1, 0, time.UTC)
			events, _, _ := h.read([]byte(tc.line+"\n"), spot{now: now, live: true})
			if len(events) != 1 {
				t.Fatalf("%d events: %+v", len(events), events)
			}
			if got := events[0].Class.String() + " " + events[0].Evidence.String(); got != tc.want {
				t.Errorf("%s, want %s", got, tc.want)
			}
			if got := strings.Join(kernel.peers, " "); got != tc.asks {
				t.Errorf("the kernel was asked about %q, want %q", got, tc.asks)
			}
			if got := h.doubted(); got != tc.doubts {
				t.Errorf("%d lines are in doubt, want %d", got, tc.doubts)
			}
			if h.doubted() != 0 {
				t.Error("a doubt is told of twice")
			}
		})
	}
}

// What was written in the past, or where nobody can be asked, does not count.
func TestBareLinesNobodyCanConfirm(t *testing.T) {
	kernel := &asked{known: []string{"192.0.2.7:4711"}}
	for _, tc := range []struct {
		name  string
		spoke func(netip.AddrPort) bool
		live  bool
	}{
		{"the past", kernel.spoke, false},
		{"nobody to ask", nil, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := readers{zone: time.UTC, spoke: tc.spoke}
			h := r.open([]Watch{{Name: "a", Rule: builtin(t, "sshd")}}).(*hits)
			now := time.Now()
			block := strings.Repeat("Failed password for root from 192.0.2.7 port 4711 ssh2\n", 3)
			events, _, _ := h.read([]byte(block), spot{now: now, written: now, live: tc.live})
			for _, e := range events {
				if e.Class != gate.ClassInfo || e.Evidence != gate.Forgeable {
					t.Errorf("%s %s", e.Class, e.Evidence)
				}
			}
			if n := h.doubted(); n != 3 || len(events) != 3 {
				t.Errorf("%d events, %d in doubt, want 3 and 3", len(events), n)
			}
		})
	}
	if len(kernel.peers) != 0 {
		t.Errorf("the kernel was asked about the past: %v", kernel.peers)
	}
}

// The lines of one connection join by its port where no header tells the process.
func TestBareLinesOfOneConnection(t *testing.T) {
	r := readers{zone: time.UTC, spoke: func(netip.AddrPort) bool { return true }}
	h := r.open([]Watch{{Name: "w", Rule: builtin(t, "sshd")}}).(*hits)
	events, _, _ := h.read([]byte(`Invalid user x from 192.0.2.7 port 4711
Failed password for invalid user x from 192.0.2.7 port 4711 ssh2
Failed password for root from 192.0.2.7 port 4712 ssh2
Failed password for root from 192.0.2.8 port 4711 ssh2
ROOT LOGIN REFUSED FROM 192.0.2.7
drop connection #0 from [192.0.2.7]:4711 on [192.0.2.1]:22 penalty: failed authentication
`), spot{now: time.Now(), live: true})
	if len(events) != 6 {
		t.Fatalf("%d events", len(events))
	}
	var s []uint64
	for _, e := range events {
		s = append(s, e.Detail.Session)
	}
	if s[0] == 0 || s[0] != s[1] || s[1] == s[2] || s[1] == s[3] || s[2] == s[3] || s[4] != 0 || s[5] != 0 {
		t.Errorf("sessions: %x", s)
	}
}

// The status says that some lines do not count, and why.
func TestStatusTellsOfUnprovenLines(t *testing.T) {
	b := newBench(t)
	b.write("a.log", "")
	b.sensor = b.build(Watch{Name: "w", Rule: builtin(t, "sshd"), Files: []string{b.path("a.log")}})
	b.sensor.env.reader = b.sensor.readers.open
	b.sensor.readers.spoke = func(p netip.AddrPort) bool { return p.Port() == 4711 }
	b.run()
	b.write("a.log", "Failed password for root from 192.0.2.7 port 4711 ssh2\nFailed password for root from 192.0.2.7 port 22 ssh2\nFailed password for root from 192.0.2.8 port 22 ssh2\n")
	b.until("three events", func() bool { return len(b.lines) == 3 })
	const want = "2 lines without a header could not be confirmed by the kernel and do not count"
	for why, late := "", time.Now().Add(5*time.Second); why != want; why = b.state("a.log", CaughtUp) {
		if time.Now().After(late) {
			t.Fatalf("the status says %q, want %q", why, want)
		}
	}
	if st := b.sensor.Status(); st[0].Unproven != 2 || st[0].Hits != 3 {
		t.Errorf("the status: %+v", st)
	}
	b.stop()
}
