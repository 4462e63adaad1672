package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func texts(ds []gate.Decision) string {
	var s []string
	for _, d := range ds {
		s = append(s, text(d))
	}
	return strings.Join(s, "\n")
}

func TestExpiry(t *testing.T) {
	p := New(config(), nil)
	p.Decide([]gate.Finding{finding("sshd", "192.0.2.7", t0), finding("ssh22", "192.0.2.8", t0), wishes(gate.Ban, "192.0.2.9", nil)}, t0, host())
	for _, c := range []struct {
		at   time.Duration
		next time.Duration // of the next end, before the call
		want string
	}{
		{10*time.Minute - 1, 10 * time.Minute, ""},
		{10 * time.Minute, 10 * time.Minute, "release 192.0.2.7 all -: the 10m ban is over"},
		{30 * time.Minute, time.Hour, ""},
		{2 * time.Hour, time.Hour, "release 192.0.2.8 22/tcp -: the 1h ban on 22/tcp is over"},
	} {
		if next := p.Next(); !next.Equal(t0.Add(c.next)) {
			t.Errorf("at %v: next is %v", c.at, next)
		}
		ds := p.Advance(t0.Add(c.at), host())
		if got := texts(ds); got != c.want {
			t.Errorf("at %v:\n got %s\nwant %s", c.at, got, c.want)
		}
		for _, d := range ds {
			if d.Origin != (gate.Origin{}) || !strings.HasPrefix(d.Rule, "ss") {
				t.Errorf("origin %v, rule %q", d.Origin, d.Rule)
			}
		}
	}
	if !p.Next().IsZero() || p.Len() != 1 {
		t.Errorf("next %v, %d bans", p.Next(), p.Len())
	}
}

// The end of the ban of everything names what stays; a ban that a wider one
// outlasts ends in silence.
func TestExpiryOfOneScope(t *testing.T) {
	p := New(config(), nil)
	p.Decide([]gate.Finding{finding("ssh22", "192.0.2.7", t0), finding("sshd", "192.0.2.7", t0)}, t0, host())
	want := "release 192.0.2.7 all -: the 10m ban is over\n" +
		"ban 192.0.2.7 22/tcp 50m: it stays banned on 22/tcp until 2026-11-21T09:00:00Z: 5 failed logins in 3m20s (ssh22 allows 4 in 10m); first offence, so 1h on 22/tcp"
	if got := texts(p.Advance(t0.Add(10*time.Minute), host())); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.7", nil)}, t0.Add(20*time.Minute), host())
	if got := texts(p.Advance(t0.Add(time.Hour), host())); got != "" || p.Len() != 1 {
		t.Errorf("%d bans, got %s", p.Len(), got)
	}
}

func TestRestore(t *testing.T) {
	rec := func(seq uint64, subject, life string) gate.Record {
		d, _ := gate.ParseDuration(life)
		r := gate.Record{Seq: seq, Decision: gate.Decision{Time: t0, Verdict: gate.Ban, Subject: sub(subject), Rule: "sshd", Offence: 1, Why: "w"}}
		if d != gate.Forever {
			r.Until = t0.Add(d)
		}
		return r
	}
	p := New(config(), nil)
	p.Restore(rec(1, "192.0.2.1", "10m"), true)
	p.Restore(rec(2, "192.0.2.2", "1d"), true)
	p.Restore(rec(3, "192.0.2.3", "1d"), false)
	p.Restore(rec(4, "192.0.2.4", "forever"), false)
	allow := gate.Record{Seq: 5, Decision: gate.Decision{Verdict: gate.Allow, Subject: sub("192.0.2.5"), Rule: "command"}}
	p.Restore(allow, true)
	allow.Subject = sub("192.0.2.6")
	allow.Proof = &gate.Proof{Count: 1, First: []gate.Event{{Ask: &gate.Ask{Name: "admin.example.org"}}}}
	p.Restore(allow, true)
	if a := p.Allow(); len(a) != 2 || a[0].Text != "192.0.2.5" || a[1].Text != "admin.example.org" || a[1].Origin != FromCommand {
		t.Errorf("allow list %+v", a)
	}
	if got, want := texts(p.Advance(t0.Add(time.Hour), host())), "release 192.0.2.1 all -: the 10m ban ended at 2026-11-21T08:10:00Z, while gatehouse was not running"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	// The second offence follows the first also when that is known from the record alone.
	if d, _ := decide(t, p, finding("sshd", "192.0.2.1", t0.Add(time.Hour)), t0.Add(time.Hour), host()); d.Offence != 2 {
		t.Errorf("got %s", text(d))
	}
	s := p.Shift(48 * time.Hour)
	if len(s.Moved) != 2 || len(s.Kept) != 1 || s.Kept[0].Subject != sub("192.0.2.3") {
		t.Fatalf("shifted %+v", s)
	}
	for _, d := range s.Moved {
		if d.Subject == sub("192.0.2.2") && !d.Until.Equal(t0.Add(72*time.Hour)) {
			t.Errorf("moved to %v", d.Until)
		}
	}
	if got, want := texts(p.Advance(t0.Add(49*time.Hour), host())), "release 192.0.2.3 all -: the 1d ban is over"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// The bans of somebody who is guarded or allowed now are released.
func TestRejudge(t *testing.T) {
	p := New(config(), nil)
	p.Decide([]gate.Finding{
		finding("sshd", "192.0.2.7", t0), finding("sshd", "2001:db8:9::/64", t0), wishes(gate.Ban, "192.0.2.0/24", nil), wishes(gate.Ban, "192.0.3.7", nil),
	}, t0, host())
	if ds := p.Rejudge(t0, host()); len(ds) != 0 {
		t.Errorf("nothing changed, but %s", texts(ds))
	}
	h := host()
	h.Sessions = append(h.Sessions, gate.Session{Peer: netip.MustParseAddr("192.0.2.7"), User: "eve"})
	h.Own = append(h.Own, netip.MustParseAddr("2001:db8:9::1"))
	want := "release 192.0.2.7 all -: no ban of it may stand: the SSH session of \"eve\" comes from it\n" +
		"release 2001:db8:9::/64 all -: no ban of it may stand: 2001:db8:9::1 lies in it and is an address of this machine"
	if got := texts(p.Rejudge(t0, h)); got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	list := []AllowEntry{{Prefix: netip.MustParsePrefix("192.0.3.0/24"), Text: "192.0.3.0/24"}}
	if got, want := texts(p.SetAllow(list, t0, h)), "release 192.0.3.7 all -: it is allowed now by 192.0.3.0/24"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
	if ds := p.SetAllow(list, t0, h); len(ds) != 0 || p.Len() != 1 {
		t.Errorf("again: %s", texts(ds))
	}
}

// What asks allowed outlives each new list from outside.
func TestSetAllowLeavesAsksAlone(t *testing.T) {
	p := New(config(), nil)
	p.Decide([]gate.Finding{wishes(gate.Allow, "192.0.2.7", nil)}, t0, host())
	p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("192.0.2.8/32"), Text: "a.example.org", Origin: FromCommand}}, t0, host())
	p.SetAllow(nil, t0, host())
	if a := p.Allow(); len(a) != 1 || a[0].Text != "192.0.2.7" || len(p.Allowed()) != 1 {
		t.Errorf("allow list %+v", a)
	}
}

func TestMaxBans(t *testing.T) {
	c := config()
	c.MaxBans = 2
	p := New(c, nil)
	p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.1", nil), finding("sshd", "192.0.2.2", t0)}, t0, host())
	ds, _ := p.Decide([]gate.Finding{finding("web", "192.0.2.3", t0)}, t0, host())
	if got := texts(ds); !strings.HasPrefix(got, "release 192.0.2.2 all -: it made room for another ban: 2 are live\nban 192.0.2.3") {
		t.Errorf("got %s", got)
	}
	p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.4", nil)}, t0, host())
	_, a := decide(t, p, wishes(gate.Ban, "192.0.2.5", nil), t0, host())
	if a.Refused != "there is no room for another ban: 2 are live" {
		t.Errorf("answer %+v", a)
	}
	d, _ := decide(t, p, finding("sshd", "192.0.2.6", t0), t0, host())
	if got := text(d); got != "tell 192.0.2.6 all -: "+fived+"; it is not banned, because there is no room for another ban" {
		t.Errorf("got %s", got)
	}
}

// Nobody fills the ledger by forging the addresses of an allowed network.
func TestTellIsBounded(t *testing.T) {
	p := New(config(), nil)
	p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("10.0.0.0/8")}}, t0, host())
	told := 0
	for i := range 5000 {
		f := finding("sshd", "10.0.0.1", t0)
		f.Subject = gate.AddrSubject(netip.AddrFrom4([4]byte{10, 1, byte(i >> 8), byte(i)}))
		ds, _ := p.Decide([]gate.Finding{f}, t0.Add(time.Duration(i)*time.Millisecond), host())
		told += len(ds)
	}
	if told != maxTold || len(p.told) > maxTold {
		t.Errorf("told %d times", told)
	}
}

func TestExplain(t *testing.T) {
	p := New(config(), func(s gate.Subject) (int, time.Time) {
		if s == sub("192.0.2.50") {
			return 1, t0.Add(-3 * gate.Day)
		}
		return 0, time.Time{}
	})
	p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("10.0.0.0/8"), Text: "10.0.0.0/8"}}, t0, host())
	p.Decide([]gate.Finding{wishes(gate.Ban, "192.0.2.0/28", nil), finding("ssh22", "192.0.2.7", t0), finding("sshd", "2001:db8:9::/64", t0), finding("sshd", "2001:db8:9::/64", t0)}, t0, host())
	window := []Window{{Rule: "sshd", Threshold: gate.Threshold{Count: 5, Within: 10 * time.Minute}, Count: 3}}
	for _, c := range []struct {
		subject string
		windows []Window
		want    string
	}{
		{"192.0.2.7", nil, "192.0.2.7 lies in 192.0.2.0/28, which is banned forever by command: root asked for a ban forever\nsince then 1 finding joined that ban"},
		{"2001:db8:9::5", nil, "2001:db8:9::5 lies in 2001:db8:9::/64, which is banned until 2026-11-21T08:10:00Z by sshd: " + fived + "; first offence, so 10m\n" +
			"since then 1 finding joined that ban\n1 offence within 90d, the last one 0s ago"},
		{"192.0.2.50", window, "192.0.2.50 is not banned\n1 offence within 90d, the last one 3d ago\nsshd: 3 of 5 in 10m; the next ban would be for the second offence, for 1h"},
		{"192.0.2.51", nil, "192.0.2.51 is not banned"},
		{"192.0.0.0/16", nil, "1 ban within 192.0.0.0/16"},
		{"10.1.2.3", window, "10.1.2.3 is allowed by 10.0.0.0/8, says the configuration\nsshd: 3 of 5 in 10m"},
		{"198.51.100.1", nil, "198.51.100.1 is never banned: it is a gateway of this machine"},
		{"198.51.100.0/24", nil, "198.51.100.0/24 is never banned: 198.51.100.1 lies in it and is a gateway of this machine"},
	} {
		x := p.Explain(sub(c.subject), c.windows, t0, host())
		if got := strings.Join(x.Text, "\n"); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.subject, got, c.want)
		}
	}
	if x := p.Explain(sub("list:drop"), nil, t0, host()); x.Text != nil || x.Bans != nil {
		t.Errorf("%+v", x)
	}
	if g, a := p.Exempt(sub("10.1.2.3"), host()); g != "" || a != "it is allowed by 10.0.0.0/8" {
		t.Errorf("%q, %q", g, a)
	}
}
