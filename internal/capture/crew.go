package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// crew stands in for a test, which is what a lab expects: it keeps what must be
// taken down, and ends the work when something cannot be built.
type crew struct {
	mu   sync.Mutex
	undo []func()
	err  error
}

// perform runs fn with a crew and takes everything down behind it. The error is
// fn's, or why the crew ended it.
func (c *crew) perform(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		ended := errors.New("it broke off")
		defer func() { done <- ended }()
		ended = fn()
	}()
	err := <-done
	c.mu.Lock()
	undo := c.undo
	c.undo = nil
	if c.err != nil {
		err = c.err
	}
	c.mu.Unlock()
	for i := range undo {
		undo[len(undo)-1-i]()
	}
	return err
}

// Helper is part of netlab.TB.
func (c *crew) Helper() {}

// Logf is part of netlab.TB.
func (c *crew) Logf(string, ...any) {}

// Skipf is part of netlab.TB: nothing may be left out.
func (c *crew) Skipf(format string, args ...any) { c.Fatalf(format, args...) }

// Fatalf ends the calling goroutine with the reason.
func (c *crew) Fatalf(format string, args ...any) {
	c.mu.Lock()
	if c.err == nil {
		c.err = fmt.Errorf(format, args...)
	}
	c.mu.Unlock()
	runtime.Goexit()
}

// Cleanup registers what is done at the end, the last first.
func (c *crew) Cleanup(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.undo = append(c.undo, f)
}

// TempDir makes a folder.
func (c *crew) TempDir() string {
	dir, err := os.MkdirTemp("", "capture-")
	if err != nil {
		c.Fatalf("make a folder: %w", err)
	}
	c.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}
