// Command capture starts real services from Debian's packages, attacks them, and
// keeps what they log. Authors of rules take their samples from there (origin:
// captured), and tests of rules read all of it.
//
//	make capture                           every service
//	make capture SERVICE="nginx dropbear"  these
//
// Each service runs on a host of a network of its own, in a root of its own,
// which is thrown away afterwards; nothing is installed or started on the
// machine, and no packet leaves the network. It takes root.
//
// # What comes out
//
// internal/rules/testdata/captured/SERVICE.log, and SERVICE.ACCESS.log and the
// like where a service writes several logs of different form:
//
//	# program, version, package, sources, date, addresses
//
//	## wrong password
//	Nov 21 10:10:00 gate dropbear[97]: Bad password attempt for 'root' from 192.0.2.66:39238
//
// Comments begin with "# " or "## " and lie above the lines of each attack. A
// file is written again only if the set of its line shapes changed: lines with
// numbers and dates masked. What a run gave is always in build/capture/out; it
// does not become testdata if there was a problem.
//
// Addresses never change: the service is 192.0.2.10 and 2001:db8::10
// (gate.example.org), the attacker 192.0.2.66 and 2001:db8::66 (without a name),
// somebody honest 192.0.2.77 and 2001:db8::77 (mail.example.net). 198.51.100.77
// and 2001:db8:bad::77 are bystanders that nobody has: they stand only in what
// attackers say. A rule that finds a bystander in a captured file is wrong.
//
// # How to add a service
//
// Write service_NAME.go with one method of catalogue, and nothing else: the table
// of services is made of its exported methods.
//
//	// Mosquitto is a broker of MQTT.
//	func (catalogue) Mosquitto() Service {
//		return Service{
//			Name:     "mosquitto",                        // of the file and on the command line
//			Packages: []string{"mosquitto", "mosquitto-clients"}, // the first one's version is noted
//			Files:    map[string]string{"/etc/mosquitto/conf.d/gate.conf": "listener 1883\npassword_file /etc/mosquitto/pw\n"},
//			Prepare:  `mosquitto_passwd -b -c /etc/mosquitto/pw alice 'open sesame'`, // sh -eu, before the start
//			Command:  []string{"mosquitto", "-c", "/etc/mosquitto/mosquitto.conf"},   // in the foreground
//			Ready:    Ready{TCP: 1883},
//			Logs:     []Log{{From: "/var/log/mosquitto/mosquitto.log"}}, // nil = /dev/log
//			Attacks: []Attack{
//				{"wrong password", func(r *Run) {
//					for _, c := range []*Client{r.V4, r.V6} {
//						c.Command("mosquitto_pub", "-h", c.Server, "-u", "alice", "-P", "wrong", "-t", "x", "-m", "y")
//					}
//					r.Expect("not authorised")
//				}},
//				{"correct password", func(r *Run) { … r.Other … }},
//				{"hostile names", func(r *Run) { for _, name := range hostileNames() { … } }},
//			},
//		}
//	}
//
// The parts, in the order in which one needs them:
//
//   - Packages of the service and of the clients that attack it: all machines of
//     the network have the same packages. Recommended packages are not installed:
//     name them. Debconf answers questions. Maintainer scripts run without a
//     network and start nothing.
//   - Files, Users, Prepare make it ready; alice is the usual account, with the
//     password "open sesame"; htpasswd and selfSigned (service_web.go) are shell
//     for Prepare.
//   - Command stays in the foreground (sh -c 'a & b & wait' for two daemons; leave
//     it out for sudo and su: attacks then use Run.Inside). It gets SIGTERM at the
//     end, then its process group. There is no systemd, no D-Bus, no cron.
//   - Ready: a port that listens (seen in /proc, so that nothing is logged), a
//     line, a file.
//   - Logs: "syslog" (/dev/log, as rsyslog would write it), "output" (standard
//     output and error), files and globs. Leave the service's own defaults as
//     Debian has them, unless by default it logs nothing; then say so in the
//     comment of the method.
//   - Attacks run one after the other; one ends when no line came for a quarter of
//     a second. Clients: r.V4 and r.V6 are the attacker, r.Other and r.OtherV6
//     somebody honest. Say (greeting, then line by line), SayTLS, Send (raw, one
//     answer), HTTP, Knock, Reset, Packet (UDP), SSH, Open for all else, Command
//     and Input for programs. Run.Expect waits for a line, so that lines that come
//     late do not end up under the next attack. Run.Reverse gives the attacker a
//     name in the DNS, "198.51.100.77" for example.
//
// What to attack: wrong password of a known user, unknown user, no password, a
// method that is off, too many attempts, what the service refuses (relaying,
// zone transfers, forbidden folders), a port scan (Knock, Reset, another
// protocol), a correct login as the counter-example; each over IPv4 and IPv6.
// Then, for each field that a client controls and that the service may log,
// everything of hostileWords (no spaces), hostileNames (no line ends) or
// hostileTexts (anything).
//
// To look around in a prepared root, before the start of the service:
//
//	echo "cat /etc/exim4/exim4.conf.template" | scripts/capture -shell exim4
//
// To see what went on: build/capture/out/NAME.log for the lines,
// build/capture/log/install-NAME for the packages. Run it twice: the second run
// must say "unchanged"; where it does not, it prints the shapes that differ, and
// Volatile (tokens that are different each time: queue identifiers, keys),
// Sometimes (lines that come or not by chance, yet are worth to keep) or Drop
// (those that are not) settle it.
//
// # How it is made
//
// build/capture holds a base (debootstrap, once) and for each service a layer
// with its packages (an overlay over the base, once). A run mounts both under
// memory that takes all writes. Layers that were not used for longest go when
// all of them exceed the budget; removing build/capture is always allowed, while
// nothing runs. Several runs may go on at the same time.
//
// The process that was started installs, reads results and writes files; for
// each service it starts itself again in a stage of package netlab, where
// [capture] builds the network and prints its [result] as JSON.
package main
