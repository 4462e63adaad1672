// Package ledger remembers: every decision, numbered and for good; which of them
// are in force; how far each source was read; and small state of other parts.
//
//	spine ──Txn──▶ queue ──▶ Run, the only writer ──▶ gatehouse.db ──▶ Current, Records, Follow, Past
//
// It is one SQLite database in WAL mode with one writer. What is appended is
// committed at once when the ledger is idle and in groups when it is not, in the
// order in which it came, with one fsync a group. It takes no decision, knows no
// rule and never touches the kernel. The composition root opens it, runs Run, and
// hands its methods to the other parts; all of them are safe for concurrent use.
//
// Invariants:
//
//   - A record never changes and its number is never used again; numbers start at
//     1 and have no gap. Retention takes the oldest away, never one in force. Only
//     damage to the file can leave a gap, and Health then says so.
//   - A decision is identified by its origin, rule, subject and verdict: appended
//     twice, it is recorded once. Decisions of the zero origin have no identity.
//   - Marks and windows commit in the same transaction as the decisions that were
//     appended before them, so a checkpoint never runs ahead of its decisions.
//   - Append never blocks and never fails the line: what cannot be written (a full
//     disk, a disk that fails) waits in memory and is written in order later.
//   - A damaged file is never written to again: it is set aside, and what can be
//     read of it moves into a new one.
package ledger
