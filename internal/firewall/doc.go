// Package firewall keeps one table of the kernel, `table inet gatehouse`, equal
// to a wanted set of bans, port rules, lists and traps. It is a state follower:
// it is told what should be so ([Firewall.Load], [Firewall.Place],
// [Firewall.Commit], [Firewall.SetExempt], [Firewall.SetPorts],
// [Firewall.SetList], [Firewall.SetTraps]) and sees to it that it is, also after
// somebody else flushed the rules, after a restart and after a crash.
//
// It refuses to decide anything (that is policy), to keep anything on disk (that
// is the ledger), to touch any table but its own, to run a program, and to list
// a large set while a packet or a person waits. Its caller is the composition
// root: one goroutine calls Load, Place, Commit and SetExempt, another runs
// [Firewall.Run]; every method may be called from any goroutine.
//
// Layers, from the wanted set down:
//
//	Firewall    what is wanted, and when to write it    firewall.go wanted.go place.go load.go run.go keep.go open.go
//	edits       what changes in which set               edit.go write.go
//	generation  sets, chains and rules                  generation.go rules.go expressions.go rebuild.go
//	parts       what is there beside bans                part.go; gate*.go ports, list*.go lists, trap*.go scans
//	kernel      transactions, listings, what others do  kernel.go; the real one: socket.go wire.go decode.go inspect.go monitor.go
//
// # The table
//
//	chain ban    prerouting, priority -300: before connection tracking and NAT, so one place covers the
//	             host, forwarded traffic and published ports; live connections are cut
//	    loopback; neighbour discovery, packet-too-big, fragmentation-needed  -> accept
//	    never, allow                                                        -> accept
//	    one rule for each set of bans, fresh sets first; then lists         -> counter, drop
//	chain doubt  prerouting, priority -150: behind connection tracking, before destination NAT
//	    loopback                                                            -> accept
//	    never, allow                                                        -> port rules
//	    bans of single ports, original direction only                       -> counter, drop
//	    established, related, and what tracking picks up in mid-stream       -> port rules
//	    who is held for a scan; bans of new connections only (evidence that anyone can forge)
//	                                                                        -> counter, drop
//	    everything else                                                     -> port rules
//	chain outgoing     output, -150: lists of who is not to be talked to; rules about outbound ports
//	chain answers-out  postrouting, 150: answers from closed inbound ports
//	chain arrivals     input, -150, behind destination NAT: traps and thresholds for port scans; what no
//	                   socket waits for is a probe, see traps and the sets in trap_sets.go
//	chain answers-in   input, 150: answers from closed outbound ports
//
// The last four are there only while something has rules in them. Port rules
// answer in one or two look-ups, however many ports they name: see gates and
// layOut. Large lists live in hash sets by prefix length, which the kernel
// changes in a moment: an interval set costs it its whole size at each change,
// with everybody else waiting: see shape.
//
// Bans live in hash sets with timeouts, one for each scope and prefix length in
// use, looked up by the masked source address: v4-32, v6-64, v4-32-s1 and so
// on. Each has a twin whose name ends in -fresh, for bans that the ledger has
// not committed yet. Names end in the number of their generation: v4-32.7.
//
// # Invariants
//
//   - A packet sees the rules of one generation, whole. The sets that a rule
//     looks at are full and verified before the rule is in force.
//   - A ban goes from the fresh set to the lasting one without a gap: the rule
//     of the fresh set comes first and both changes are one transaction.
//   - What the ledger does not know lapses in the kernel after at most
//     [MaxUncommitted], even if the daemon is dead; while it lives, such bans
//     are renewed as long as they are wanted.
//   - Deadlines are kept on the monotonic clock: a step of the wall clock frees
//     and prolongs nothing.
//   - While the emergency file exists, the table does not.
//   - A list is in force until its new content is complete, also from one
//     daemon to the next. A ban never waits for more than one step of its load.
//   - What somebody closes or opens for a time ends by the kernel's clock.
package firewall
