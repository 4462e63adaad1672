package ledger

import "errors"

// ErrClosed is what work gets that comes after Close.
var ErrClosed = errors.New("the ledger is closed")

// ErrDegraded is wrapped by the error that Done and Flush get while the ledger
// cannot write: what was appended is in force and kept in memory, and is written
// when it can be.
var ErrDegraded = errors.New("the ledger cannot be written now; what is decided is kept in memory")

// Error is a failure that a person can do something about.
type Error struct {
	Message string // what happened, and to which file
	Hint    string // what to do about it
	Err     error  // why; nil if Message says it all
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return e.Message
	}
	return e.Message + ": " + e.Err.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }
