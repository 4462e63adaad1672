// Package runner runs the operator's commands in a process of their own: a child
// that is started before the daemon gives up rights and is asked over a socket.
//
// So a command has the rights that are configured for it and not those of the
// daemon, and nothing that it does reaches the daemon: it may hang, fork, flood, kill
// its parent. The child is started again when it dies; what was running then is lost
// and told so.
//
// The package runs argument vectors and never a shell. It refuses to run a file that
// others than root and the daemon's user could have written. It decides nothing and
// keeps nothing. It is called by the composition root, which passes [Runner.Do] to
// those who have commands to run; [Main] is the child.
//
// Invariants:
//
//   - A command ends within its time, with all that it started: its process group
//     and session are killed, and what escaped from them when it comes back to the child.
//   - What it writes is read to the end and kept up to a bound, so that it never waits
//     for a reader and never fills memory.
//   - When the daemon ends, however it ends, its commands are killed.
package runner
