// Package notify tells people what was decided: once, and well.
//
//	ledger ──Record──▶ route ──▶ wave (grouping) ──▶ letter (durable queue) ──▶ channel ──▶ people
//
// It is a log follower. Each record is routed to channels by its kind, network,
// rule and severity and by the time of day. What is routed to one channel and is
// of one kind gathers in a wave; when its time has come it becomes a letter, one
// message with counts, which is delivered, tried again with back-off, given to
// the fallback channel, and given up after a day, which is then told.
//
// It refuses to decide anything, to run a shell, to resolve or call anything but
// what its channels name, and to delay anybody: the line never waits for it.
// The composition root makes a [Notifier] and runs it.
//
// Invariants:
//
//   - Every record counts in exactly one wave of each channel that it is routed
//     to: the waves and the number of the last record that they hold are stored
//     as one value.
//   - A letter is durable before it is first sent, and is forgotten only after a
//     channel has taken it or a day has passed: delivered at least once, with an
//     identifier (`seq/channel`) by which a receiver drops doubles.
//   - Text from outside reaches a message only through [Clean]: one line, no
//     control characters, no direction marks, bounded. It is data for templates,
//     never a template, a format, a header or an argument.
//   - Secrets are read when a channel is built and appear in no status, log,
//     error or stored value.
//   - Memory is bounded: waves by kinds and samples, letters by number and size,
//     answers of servers by size and time.
package notify
