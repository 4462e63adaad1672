package demo

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// What the daemon of the show is told: how many failed logins within how long,
// and how long the first ban lasts.
var threshold = gate.Threshold{Count: 4, Within: time.Minute}

const firstBan = "10m"

// The gate: its addresses (RFC 5737, RFC 3849) and the ports that are open there.
const (
	gate4    = "203.0.113.10"
	gate6    = "2001:db8:1::10"
	sshPort  = 22
	webPort  = 80
	friend4  = "192.0.2.10"
	friendID = "ada"
)

// attacker is one who tries to get in.
type attacker struct {
	name    string
	manner  string // what is special
	home    string // the network that it comes from, as the gate sees it
	net     string // address of its interface with the length of the network
	router  string // the other end, with the length
	guesses []guess
	pause   time.Duration // between two tries
	prompts int           // passwords a connection
	hops    bool          // a new address of its network for each try
	host    *netlab.Host

	mu       sync.Mutex
	tries    int           // addresses used, where it hops
	failures int           // wrong passwords, by the log
	first    time.Time     // line of the log about it
	last     time.Time     // line before the ban
	ban      *gate.Record  // nil = not banned
	banned   chan struct{} // closed with ban
}

// guess is a name and a password.
type guess struct{ user, password string }

// newCast returns the attackers in the order in which they come on stage.
func newCast() []*attacker {
	cast := []*attacker{
		{
			name: "sprinter", manner: "as fast as it can", home: "198.51.100.23",
			net: "198.51.100.23/26", router: "198.51.100.1/26", prompts: 1,
			guesses: []guess{{"root", "123456"}, {"root", "password"}, {"root", "toor"}, {"root", "qwerty"}, {"root", "letmein"}},
		},
		{
			name: "plodder", manner: "patient, one try after another", home: "198.51.100.87",
			net: "198.51.100.87/26", router: "198.51.100.65/26", prompts: 1, pause: 900 * time.Millisecond,
			guesses: []guess{{"admin", "admin"}, {"oracle", "oracle"}, {"pi", "raspberry"}, {"test", "test"}, {"ubuntu", "ubuntu"}},
		},
		{
			name: "clinger", manner: "three passwords on one connection", home: "198.51.100.151",
			net: "198.51.100.151/26", router: "198.51.100.129/26", prompts: 3, pause: 100 * time.Millisecond,
			guesses: []guess{{"postgres", "postgres"}, {"git", "git"}, {"deploy", "deploy"}},
		},
		{
			name: "hopper", manner: "a fresh IPv6 address for each try", home: "2001:db8:bad::/64",
			net: "2001:db8:bad::66/64", router: "2001:db8:bad::1/64", prompts: 1, pause: 250 * time.Millisecond, hops: true,
			guesses: []guess{{"root", "root"}, {"ubnt", "ubnt"}, {"user", "1234"}, {"ftp", "ftp"}, {"guest", "guest"}},
		},
	}
	for _, a := range cast {
		a.banned = make(chan struct{})
	}
	return cast
}

// where returns the attacker's network: who it is for the log and the daemon.
func (a *attacker) where() netip.Prefix {
	if p, err := netip.ParsePrefix(a.home); err == nil {
		return p
	}
	addr := netip.MustParseAddr(a.home)
	return netip.PrefixFrom(addr, addr.BitLen())
}

// from returns the address for the next try; one that hops gets a new one.
func (a *attacker) from() netip.Addr {
	if !a.hops {
		return netip.MustParseAddr(a.home)
	}
	a.mu.Lock()
	a.tries++
	text := fmt.Sprintf("2001:db8:bad::%x", 0x1000+a.tries*0x111)
	a.mu.Unlock()
	a.host.AddAddr(text + "/64")
	return netip.MustParseAddr(text)
}

// target returns the gate's address and this port, of the attacker's family.
func (a *attacker) target(port uint16) netip.AddrPort {
	if a.where().Addr().Is6() {
		return netip.AddrPortFrom(netip.MustParseAddr(gate6), port)
	}
	return netip.AddrPortFrom(netip.MustParseAddr(gate4), port)
}

// noted takes a line of the log about the attacker in, failure says whether a
// password was wrong, and returns how many were so far.
func (a *attacker) noted(at time.Time, failure bool) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if failure {
		a.failures++
	}
	if a.first.IsZero() {
		a.first = at
	}
	if a.ban == nil || !at.After(a.ban.Time) {
		a.last = at
	}
	return a.failures
}

// setBan takes the decision in; false if there was one already.
func (a *attacker) setBan(r gate.Record) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ban != nil {
		return false
	}
	a.ban = &r
	close(a.banned)
	return true
}

// isBanned reports whether the daemon has banned the attacker.
func (a *attacker) isBanned() bool {
	select {
	case <-a.banned:
		return true
	default:
		return false
	}
}

// delays returns the time to the ban from the first line of the log about the
// attacker, and from the last before it.
func (a *attacker) delays() (first, last time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ban == nil {
		return 0, 0
	}
	return a.ban.Time.Sub(a.first), a.ban.Time.Sub(a.last)
}

// loginLine reads a line of the server's log about somebody who is not let in: an
// unknown user, or a wrong password (failure).
func loginLine(line string) (user string, from netip.Addr, failure, ok bool) {
	_, rest, ok := strings.Cut(line, "Invalid user ")
	if !ok {
		if _, rest, ok = strings.Cut(line, "Failed password for "); !ok {
			return "", netip.Addr{}, false, false
		}
		failure = true
	}
	i := strings.LastIndex(rest, " from ")
	if i < 0 {
		return "", netip.Addr{}, false, false
	}
	user = rest[:i]
	if failure {
		user = strings.TrimPrefix(user, "invalid user ")
	}
	text, _, _ := strings.Cut(rest[i+len(" from "):], " port ")
	from, err := netip.ParseAddr(text)
	return user, from, failure, err == nil
}
