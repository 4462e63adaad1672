//go:build race

package ledger

// slow is by how much less the longest tests do: SQLite takes some twenty times
// as long under the race detector.
const slow = 5
