// Package demo is the show of `gatehouse demo`: a sealed network of namespaces
// with a real OpenSSH server as the victim, guarded by the real daemon; attackers
// who try to get in, a friend who stays connected; bans as they land, packets
// counted before and after, and the story of one attacker. It takes about 20
// seconds and needs no root.
//
// It refuses to pretend: each mark of the check list stands for something that was
// observed from outside the daemon or told by its own command line, and [Run]
// returns nil only if all of it happened. It touches nothing of the machine but a
// temporary folder, which it takes away again.
//
// The parts, each a process of the same program:
//
//	gatehouse demo            Run: makes the folder and the stage, compares the machine before and after
//	  gatehouse __demo-stage  Main: the show itself, root of its namespaces
//	    gatehouse run         the daemon, on the gate
//	    gatehouse log, status, why, as a person would ask them
//	    sshd, ssh             the real ones
//
// Callers: cmd/gatehouse alone. Its main function calls [Main] before anything
// else, and its demo command calls [Run].
//
// Invariant: whatever ends the show, an error, Ctrl-C or SIGKILL, the kernel ends
// all processes of the stage with it, and the namespaces with them.
package demo
