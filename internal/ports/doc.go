// Package ports brings in what is wanted of ports from elsewhere than a command:
// schedules, a small remote file, a knock. It also tells people what holds: the
// status page, and what other programs' tables say of the same port.
//
//	Schedules.Active(now) ──▶ policy        what should be true now, worked out anew each time
//	Remote: file ──verify──▶ lines ──▶ Ask  edges: a line is done once
//	Knocks: packet ──open──▶ Ask
//
// It refuses to decide: precedence, the guard against locking out and the history
// are policy's. It closes nothing by itself, listens on no port, runs no program,
// and never writes outside the paths of the status page. All that comes from
// outside is bounded in size and time, and is refused as a whole when any part of
// it is wrong.
//
// Callers: app makes the parts, runs them and hands them its functions; the
// command line uses the parsers.
//
// Invariants: a schedule's time that does not exist fires once, one that occurs
// twice fires once. A remote line that was done is silent until it changes. A
// code, a counter and a knock are good once.
package ports
