package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/netlab"
)

// bareYard is a yard whose OpenSSH server writes to standard error, into a file
// that the daemon follows: lines without headers, and with whatever line ends the
// peers send.
func bareYard(t *testing.T, watch, rest string, others ...string) (*yard, *netlab.SSHD) {
	t.Helper()
	y := newYard(t, "", others...)
	sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Config: []string{"LogLevel VERBOSE"}})
	y.daemon.Configure(watchLog(sshd.Log, watch) + rest)
	y.daemon.Start()
	// Only what is written while the daemon looks on can be confirmed.
	for begun := time.Now(); ; {
		var st status
		if y.daemon.JSON(&st, "status"); st.Sources[0].State == "caught up" {
			return y, sshd
		}
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the log is not caught up with: %+v", st.Sources)
		}
	}
}

// Who guesses passwords is banned in full on the word of a bare log, too.
func TestBareLogAttackerIsCutOff(t *testing.T) {
	y, sshd := bareYard(t, "threshold: 3 in 10m, ban: [3s, 1h]", "", "attacker", "friend")
	attacker, friend := y.others["attacker"], y.others["friend"]
	echo(t, y.gate, gate4+":7")
	next := y.daemon.Follow()
	open, err := attacker.Dial(context.Background(), "tcp", gate4+":7")
	if err != nil || !beats(open, 5*time.Second) {
		t.Fatalf("the attacker's open connection: %v", err)
	}
	defer open.Close()
	attack := func() {
		for range 6 {
			attacker.TrySSH(netlab.Login{To: sshd.Addr, User: "root", Password: "guess", Timeout: 2 * time.Second})
		}
	}
	go attack()
	first, err := next(isBan("192.0.2.10"))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, y.daemon.Log(), strings.Join(sshd.All(), "\n"))
	}
	if first.Offence != 1 || first.Until.IsZero() {
		t.Errorf("the record: %+v", first)
	}
	if beats(open, time.Second) {
		t.Error("the open connection of a banned address still carries data")
	}
	if a := friend.TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password}); !a.In {
		t.Errorf("the friend is shut out: %s", a.Said)
	}
	if _, err := next(isRelease("192.0.2.10")); err != nil {
		t.Fatal(err)
	}
	if !reaches(attacker, netip.MustParseAddr("192.0.2.10"), gate4+":7") {
		t.Error("the ban is over, but nothing gets through")
	}
	go attack()
	second, err := next(isBan("192.0.2.10"))
	if err != nil {
		t.Fatal(err)
	}
	if d := second.Until.Sub(second.Time); second.Offence != 2 || d < 55*time.Minute {
		t.Errorf("second offence: number %d, for %v; want 2, 1h", second.Offence, d)
	}
	t.Logf("\n%s", y.daemon.Must("why", "192.0.2.10"))
}

// One wrong name with a wrong password, and an agent that offers keys before the
// right password, are no more than in a log with headers.
func TestBareLogHonestMistakes(t *testing.T) {
	y, sshd := bareYard(t, "threshold: 3 in 10m, ban: [1h]", "", "friend", "attacker")
	friend := y.others["friend"]
	var keys []string
	for _, name := range []string{"k1", "k2", "k3", "k4", "k5"} {
		file, _ := friend.NewKey(name)
		keys = append(keys, file)
	}
	friend.TrySSH(netlab.Login{To: sshd.Addr, User: "anne", Password: netlab.Password})
	for range 3 {
		if a := friend.TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password, Keys: keys}); !a.In {
			t.Fatalf("the friend does not get in: %s", a.Said)
		}
	}
	y.settled(t, sshd)
	for _, w := range y.why(t, "192.0.2.10").Windows {
		if w.Count > 1 {
			t.Errorf("%d counted for one mistake\n%s", w.Count, y.daemon.Must("why", "192.0.2.10"))
		}
	}
}

// settled has the host called attacker banned: all lines before are read by then.
func (y *yard) settled(t *testing.T, sshd *netlab.SSHD) {
	t.Helper()
	next := y.daemon.Follow()
	go func() {
		for range 6 {
			y.others["attacker"].TrySSH(netlab.Login{To: sshd.Addr, User: "root", Password: "guess", Timeout: 2 * time.Second})
		}
	}()
	if _, err := next(isBan("192.0.2.11")); err != nil {
		t.Fatalf("%v\n%s", err, y.daemon.Log())
	}
}

// story is the part of `why --json` that tests look at.
type story struct {
	Verdict string
	Bans    []ban
	Windows []struct {
		Rule  string
		Count int
	}
	History []struct{ Verdict string }
}

func (y *yard) why(t *testing.T, subject string) (s story) {
	t.Helper()
	y.daemon.JSON(&s, "why", subject)
	return s
}

// Who reaches the port of a server with a bare log can write lines of his own into
// it. Nobody is ever banned, held or counted for these, whether he has never been
// here, is connected to another service, or to this one.
func TestBareLogForgery(t *testing.T) {
	y, sshd := bareYard(t, "threshold: 2 in 1d, ban: [1h]", "allow: [192.0.2.10]\n", "forger", "attacker", "visitor", "guest")
	forger := y.others["forger"]
	echo(t, y.gate, ":7")
	victims := []string{"198.51.100.77", "2001:db8:77::1", "192.0.2.12", "2001:db8::12", "192.0.2.13"}
	for _, to := range []string{gate4 + ":7", "[" + gate6 + "]:7"} {
		c, err := y.others["visitor"].Dial(t.Context(), "tcp", to)
		if err != nil || !beats(c, 5*time.Second) {
			t.Fatal(err)
		}
		defer c.Close()
	}
	if a := y.others["guest"].TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password}); !a.In {
		t.Fatal(a.Said)
	}

	var forged []string
	for _, v := range victims {
		lines := []string{
			"Failed password for root from " + v + " port 22 ssh2",
			"Failed password for invalid user x from " + v + " port 40001 ssh2",
			"Invalid user x from " + v + " port 22",
			"ROOT LOGIN REFUSED FROM " + v,
			"PAM: Authentication failure for root from " + v,
		}
		forged = append(forged, lines...)
		for _, end := range []string{"\n", "\r\n"} {
			for _, l := range lines {
				if !strings.Contains(l, ":") { // there sshd cuts names
					if err := rawLogin(forger, sshd.Addr, "x"+end+l+end, "guess"); err != nil {
						t.Fatal(err)
					}
				}
				if err := rawGoodbye(forger, sshd.Addr, "bye"+end+l+end); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	y.settled(t, sshd)

	log, total := sshd.All(), 0
	for _, f := range forged {
		n := 0
		for _, l := range log {
			if l == f {
				n++
			}
		}
		total += n
		want := 2 // by good-byes
		if !strings.Contains(f, ":") {
			want += 4 // by names, each of which is in two lines at least
		}
		if n < want {
			t.Errorf("the log has %q %d times, want %d: this is no forgery", f, n, want)
		}
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	if i := slices.IndexFunc(bans, func(b ban) bool { return b.Subject != "192.0.2.11" }); i >= 0 {
		t.Errorf("%s was banned: %s", bans[i].Subject, bans[i].Reason)
	}
	for _, v := range victims {
		s := y.why(t, v)
		if len(s.Bans) > 0 || len(s.Windows) > 0 || len(s.History) > 0 {
			t.Errorf("%s: %+v\n%s", v, s, y.daemon.Must("why", v))
		}
	}
	var st status
	y.daemon.JSON(&st, "status")
	var told int
	if _, err := fmt.Sscanf(st.Sources[0].Why, "%d lines without a header could not be confirmed by the kernel", &told); err != nil || told < total {
		t.Errorf("%d forged lines; the status tells: %+v", total, st.Sources)
	}
}
