// Package netlab makes small networks out of namespaces, for tests and for the
// demo: hosts with addresses of their own, wires and switches between them, and
// a real OpenSSH server to attack. Nothing of it touches the machine: all
// interfaces, mounts and processes live in namespaces that end with it.
//
// It works as root and, where the kernel allows user namespaces, as an ordinary
// user. A test package asks for it once:
//
//	func TestMain(m *testing.M) { netlab.Main(m) }
//
// Main runs the test binary again inside fresh namespaces, with the same
// arguments, and ends with its exit code. Where the kernel refuses, the tests
// run outside and [New] skips those that need a network, naming the reason and
// the setting (see [Unavailable]).
//
//	func TestBan(t *testing.T) {
//		lab := netlab.New(t)
//		gate, bad := lab.Host("gate"), lab.Host("bad")
//		lab.Link(gate.At("192.0.2.1/24", "2001:db8::1/64"), bad.At("192.0.2.66/24", "2001:db8::66/64"))
//		err := gate.Do(func() error { … })              // sockets opened here belong to gate
//		out, err := gate.Command("nft", "list", "ruleset").Output()
//		ln, err := gate.Listen("tcp", "192.0.2.1:80")
//		c, err := bad.Dial(ctx, "tcp", "192.0.2.1:80")
//		bad.AddAddr("192.0.2.67/24")                    // one attacker, many addresses
//		d := netlab.StartSSHD(gate, netlab.SSHOptions{Users: []string{"friend"}})
//		a := bad.TrySSH(netlab.Login{To: d.Addr, User: "root", Password: "wrong"})
//	}
//
// Layers: a process of the first layer (the one that was started) only starts
// the second and passes signals on; the second is process 1 of a process
// namespace and reaps; the third runs the tests. When any of them dies, the
// kernel ends all that lies behind it, so nothing is ever left over.
//
// Invariants: a thread that entered a host's namespaces is never used for
// anything else; the main thread never enters one, so /proc/self speaks of the
// stage; IPv6 addresses are usable at once (no duplicate address detection).
//
// The methods of Lab and Host that build something end the test with Fatalf if
// they fail; those that a test observes return an error. Everything goes away
// with the test's Cleanup.
//
// Callers: tests of the edges, and package demo, which stands in for a test with
// a [TB] of its own.
package netlab
