package netlab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// Crew stands in for a test where a program builds a lab: it keeps what must be
// taken down, and ends the work when something cannot be built. The zero value
// is ready; it may be used by several goroutines at once.
type Crew struct {
	// Dir is where its folders are made; "" = the system's folder for temporary
	// files.
	Dir string

	mu   sync.Mutex
	undo []func()
	err  error
}

var _ TB = (*Crew)(nil)

// Perform runs fn on a goroutine of its own and takes everything down behind it,
// the last first. The error is why the crew ended the work, or else fn's. It may
// be called again.
func (c *Crew) Perform(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		ended := errors.New("it broke off")
		defer func() { done <- ended }()
		ended = fn()
	}()
	err := <-done
	c.mu.Lock()
	undo, failed := c.undo, c.err
	c.undo, c.err = nil, nil
	c.mu.Unlock()
	if failed != nil {
		err = failed
	}
	for i := range undo {
		undo[len(undo)-1-i]()
	}
	return err
}

// Fail notes why the work failed, without ending it.
func (c *Crew) Fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = errors.Join(c.err, err)
}

// Must ends the work on an error.
func (c *Crew) Must(err error) {
	if err != nil {
		c.Fatalf("%w", err)
	}
}

// Helper is part of TB.
func (c *Crew) Helper() {}

// Logf is part of TB: a program says what it has to say by itself.
func (c *Crew) Logf(string, ...any) {}

// Skipf is part of TB: nothing may be left out.
func (c *Crew) Skipf(format string, args ...any) { c.Fatalf(format, args...) }

// Fatalf ends the calling goroutine with the reason.
func (c *Crew) Fatalf(format string, args ...any) {
	c.Fail(fmt.Errorf(format, args...))
	runtime.Goexit()
}

// Cleanup registers what is done behind the work, the last first.
func (c *Crew) Cleanup(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, f)
}

// TempDir makes a folder that goes with the work.
func (c *Crew) TempDir() string {
	dir, err := os.MkdirTemp(c.Dir, "gatehouse-")
	if err != nil {
		c.Fatalf("make a folder: %w", err)
	}
	c.Cleanup(func() { _ = os.RemoveAll(dir) }) // what stays is in the folder of temporary files
	return dir
}
