//go:build race

package rules

// raced says that the race detector is on: what has no goroutine is tried on a few
// rules only then.
const raced = true
