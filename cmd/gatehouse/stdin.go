package main

import (
	"context"
	"io"
)

// interruptible reads from a reader that may block for ever, such as a terminal
// or a quiet pipe, until its context ends. It is not for concurrent use, and
// not to be used after an error.
type interruptible struct {
	done <-chan struct{} // of the context
	why  func() error    // what the context ended with
	r    io.Reader
	got  chan read // capacity 1: a read that nobody waits for any more must not block
}

type read struct {
	n   int
	err error
}

// stdin returns standard input, to be read until the context ends.
func (e *env) stdin(ctx context.Context) io.Reader {
	return &interruptible{ctx.Done(), ctx.Err, e.in, make(chan read, 1)}
}

// Read implements io.Reader. Where the context ends first, b may still be
// written to later: the caller gives up on it with the error.
func (i *interruptible) Read(b []byte) (int, error) {
	go func() {
		n, err := i.r.Read(b)
		i.got <- read{n, err}
	}()
	select {
	case r := <-i.got:
		return r.n, r.err
	case <-i.done:
		return 0, i.why()
	}
}
