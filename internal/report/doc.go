// Package report tells others of abuse, and the operator of what happened.
//
//	ledger ──Record──▶ fit? ──▶ job (durable) ──▶ target: X-ARF mail, AbuseIPDB, blocklist.de, a URL
//	ledger ──records of a week──▶ digest ──▶ mail with charts
//
// It is a log follower. A ban that rests on proven evidence becomes a report to
// each target of the configuration; without targets it does nothing. The
// composition root makes a [Reporter] and runs it.
//
// It refuses to report what anybody can have forged, what comes from our own
// networks, from allowed or from private addresses; to let names of our machines,
// accounts and addresses leave in evidence; and to decide anything.
//
// Invariants:
//
//   - An offender is reported once a day at most, and no more offenders than the
//     limit within its time; both are remembered durably before anything is sent.
//   - A report carries an identifier that stays the same when it is sent again.
//   - Each report that was sent or given up becomes a record, one a target.
//   - What from a log stands in a report passed [Hidden]: redacted, one line, bounded.
//   - Secrets are read when something is sent and appear in no preview, record,
//     error or stored value.
package report
