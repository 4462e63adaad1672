package netlab

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// Line is a line of a log, and when it was written.
type Line struct {
	At   time.Time
	Text string // without its newline
}

// Lines is a log file that grows, together with the lines so far. It may be used
// by several goroutines at once.
type Lines struct {
	mu    sync.Mutex
	file  *os.File
	lines []Line
	more  chan struct{} // closed and replaced at each line
	ended bool
}

// newLines creates or opens the log file.
func newLines(file string) (*Lines, error) {
	f, err := os.OpenFile(file, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	return &Lines{file: f, more: make(chan struct{})}, nil
}

// add writes one line, without its newline, by a single write.
func (l *Lines) add(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := time.Now()                // before anybody can read it
	l.file.WriteString(line + "\n") // a full disk shows in the test that waits for the line
	l.lines = append(l.lines, Line{at, line})
	close(l.more)
	l.more = make(chan struct{})
}

// end says that no line will follow.
func (l *Lines) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.ended {
		l.ended = true
		l.file.Close()
		close(l.more)
		l.more = make(chan struct{})
	}
}

// All returns the lines so far.
func (l *Lines) All() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]string, len(l.lines))
	for i, line := range l.lines {
		out[i] = line.Text
	}
	return out
}

// Wait returns the first line, past or future, that match accepts.
func (l *Lines) Wait(ctx context.Context, match func(line string) bool) (string, error) {
	var found string
	err := l.Follow(ctx, func(line Line) bool {
		found = line.Text
		return !match(line.Text)
	})
	return found, err
}

// Follow calls yield for each line, past and future, until it returns false. The
// error is that ctx or the log ended first.
func (l *Lines) Follow(ctx context.Context, yield func(Line) bool) error {
	for seen := 0; ; {
		l.mu.Lock()
		fresh, more, ended := l.lines[seen:], l.more, l.ended
		l.mu.Unlock()
		for _, line := range fresh {
			if !yield(line) {
				return nil
			}
		}
		seen += len(fresh)
		if len(fresh) > 0 {
			continue // more may have come meanwhile
		}
		if ended {
			return fmt.Errorf("the log ended after %d lines", seen)
		}
		select {
		case <-more:
		case <-ctx.Done():
			return fmt.Errorf("wait for a line of the log, %d so far: %w", seen, ctx.Err())
		}
	}
}
