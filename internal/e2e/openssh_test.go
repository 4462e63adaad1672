package e2e

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/netlab"
)

// A real OpenSSH server, a real client that guesses, and a friend: the attacker
// is cut off, an open connection of his included; the friend logs in throughout;
// the ban ends by itself, and the second one is longer.
func TestOpenSSHAttackerIsCutOff(t *testing.T) {
	for _, penalties := range []bool{false, true} {
		name := "penalties off"
		if penalties {
			name = "as the version has it"
		}
		t.Run(name, func(t *testing.T) {
			y := newYard(t, "", "attacker", "friend")
			attacker, friend := y.others["attacker"], y.others["friend"]
			sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Syslog: true, Penalties: penalties})
			y.daemon.Configure(watchLog(sshd.Log, "threshold: 3 in 10m, ban: [3s, 1h]"))
			echo(t, y.gate, gate4+":7")
			y.daemon.Start()
			next := y.daemon.Follow()

			open, err := attacker.Dial(context.Background(), "tcp", gate4+":7")
			if err != nil || !beats(open, 5*time.Second) {
				t.Fatalf("the attacker's open connection: %v", err)
			}
			defer open.Close()
			attack := func() {
				for range 6 {
					attacker.TrySSH(netlab.Login{To: sshd.Addr, User: "admin", Password: "guess", Timeout: 2 * time.Second})
				}
			}
			go attack()
			first, err := next(isBan("192.0.2.10"))
			if err != nil {
				t.Fatalf("%v\n%s", err, y.daemon.Log())
			}
			if !strings.Contains(first.Why, "sshd") || first.Until.IsZero() {
				t.Errorf("the record: %+v", first)
			}
			if beats(open, time.Second) {
				t.Error("the open connection of a banned address still carries data")
			}
			var st status
			y.daemon.JSON(&st, "status")
			if st.Drops.Packets == 0 {
				t.Error("our own counter shows no drop")
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
			story := y.daemon.Must("why", "192.0.2.10")
			for _, want := range []string{"192.0.2.10", "second offence", "gatehouse unban 192.0.2.10"} {
				if !strings.Contains(story, want) {
					t.Errorf("why lacks %q:\n%s", want, story)
				}
			}
			t.Logf("\n%s", story)
		})
	}
}

// One wrong password is one failure, and an agent that offers keys before the
// right password is none.
func TestHonestMistakesAreNotAttacks(t *testing.T) {
	y := newYard(t, "", "friend")
	friend := y.others["friend"]
	sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Syslog: true, Config: []string{"LogLevel VERBOSE", "MaxAuthTries 10"}})
	y.daemon.Configure(watchLog(sshd.Log, "threshold: 3 in 10m, ban: [1h]"))
	y.daemon.Start()
	var keys []string
	for _, name := range []string{"k1", "k2", "k3", "k4", "k5"} {
		file, _ := friend.NewKey(name)
		keys = append(keys, file)
	}
	for range 3 {
		if a := friend.TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password, Keys: keys}); !a.In {
			t.Fatalf("the friend does not get in: %s", a.Said)
		}
	}
	for range 2 {
		if a := friend.TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: "mistyped"}); a.In {
			t.Fatal("a wrong password got in")
		}
	}
	if a := friend.TrySSH(netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password}); !a.In {
		t.Fatalf("two wrong passwords of three, and the friend is shut out: %s", a.Said)
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	if len(bans) != 0 {
		t.Errorf("banned: %+v\n%s", bans, y.daemon.Must("why", "192.0.2.10"))
	}
}

// Whoever is logged in over SSH is never banned, whatever the log says, and not
// by command either.
func TestLoggedInPeerIsNeverBanned(t *testing.T) {
	y := newYard(t, "", "operator")
	operator := y.others["operator"]
	sshd := netlab.StartSSHD(y.gate, netlab.SSHOptions{Users: []string{"ann"}, Syslog: true})
	y.daemon.Configure(watchLog(sshd.Log, "threshold: 3 in 10m, ban: [1h]"))
	y.daemon.Start()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	s, err := operator.OpenSSH(ctx, netlab.Login{To: sshd.Addr, User: "ann", Password: netlab.Password})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	next := y.daemon.Follow()
	for range 4 {
		operator.TrySSH(netlab.Login{To: sshd.Addr, User: "root", Password: "wrong"})
	}
	if e, err := next(func(e rigEntry) bool { return e.Subject == "192.0.2.10" }); err != nil || e.Verdict != "tell" {
		t.Errorf("want a record that tells of it, got %+v, %v", e, err)
	}
	if r := y.daemon.CLI("ban", "192.0.2.10"); r.Code != 1 || !strings.Contains(r.Err, "SSH session") {
		t.Errorf("ban of the operator: exit %d, %s", r.Code, r.Err)
	}
	if err := s.Beat(5 * time.Second); err != nil {
		t.Errorf("the operator's session: %v", err)
	}
}
