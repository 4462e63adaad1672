package notify

import (
	"errors"
	"time"
)

// Failure is why a channel did not take a message.
type Failure struct {
	Why       string        // what happened, in the server's words where it gave some
	Permanent bool          // the same message will not be taken later either
	After     time.Duration // how long the server asks to wait; 0 = it does not say
}

// Error implements error.
func (f *Failure) Error() string { return f.Why }

// isPermanent reports whether trying again is in vain.
func isPermanent(err error) bool {
	f, ok := errors.AsType[*Failure](err)
	return ok && f.Permanent
}

// Delays of a channel that fails: the first, and the longest.
const (
	firstRetry = 10 * time.Second
	lastRetry  = 30 * time.Minute
	longestAsk = 6 * time.Hour // most that a server can make us wait
)

// refusedAgain is when a letter is tried again that was refused for good: what is
// configured may be corrected meanwhile.
const refusedAgain = time.Hour

// retryIn returns how long a channel waits after a number of failures in a row:
// twice as long each time, and at least what the server asks for.
func retryIn(failures int, err error) time.Duration {
	d := firstRetry
	for range min(failures-1, 20) {
		d = min(2*d, lastRetry)
	}
	if f, ok := errors.AsType[*Failure](err); ok {
		d = max(d, min(f.After, longestAsk))
	}
	return d
}
