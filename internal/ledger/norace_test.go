//go:build !race

package ledger

// slow is by how much less the longest tests do.
const slow = 1
