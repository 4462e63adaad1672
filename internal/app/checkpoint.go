package app

import (
	"maps"
	"time"
)

// A checkpoint is taken this long after the first batch that it does not hold
// yet; longer where it is costly, so that it takes neither more than about a
// twentieth of the time nor more than a few MB a second of the disk.
const (
	checkpointEvery = 2 * time.Second
	checkpointShare = 20
	checkpointRate  = 2 << 20 // bytes a second
)

// checkpoint knows how far each source was read and what of that is not saved
// yet. The zero value is ready; it belongs to the spine's goroutine.
type checkpoint struct {
	marks map[string]string // source -> mark behind the last batch
	dirty map[string]string // of these, what the next checkpoint will hold
	at    time.Time         // when it is due; zero = nothing to save
	pause time.Duration     // how far apart they are to be, by what the last one cost
}

// restore takes in what was saved last.
func (c *checkpoint) restore(marks map[string]string) {
	c.marks, c.dirty = map[string]string{}, map[string]string{}
	maps.Copy(c.marks, marks)
}

// mark returns how far a source was read; "" if never.
func (c *checkpoint) mark(source string) string { return c.marks[source] }

// note remembers that a source was read up to mark.
func (c *checkpoint) note(source, mark string, now time.Time) {
	c.marks[source], c.dirty[source] = mark, mark
	if c.at.IsZero() {
		c.at = now.Add(max(checkpointEvery, c.pause))
	}
}

// next returns when it is due; zero = nothing to save.
func (c *checkpoint) next() time.Time { return c.at }

// take returns the marks to save, nil if there are none, and starts afresh.
func (c *checkpoint) take() map[string]string {
	if c.at.IsZero() {
		return nil
	}
	marks := c.dirty
	c.dirty = map[string]string{}
	c.at = time.Time{}
	return marks
}

// took notes how long the snapshot of the windows took, and its size in bytes.
func (c *checkpoint) took(d time.Duration, size int) {
	c.pause = max(checkpointShare*d, time.Duration(size)*time.Second/checkpointRate)
}

// shift follows a jump of the wall clock.
func (c *checkpoint) shift(delta time.Duration) {
	if !c.at.IsZero() {
		c.at = c.at.Add(delta)
	}
}
