package app

import (
	"maps"
	"time"
)

// A checkpoint is taken this long after the first batch that it does not hold
// yet; longer where taking it is costly, so that it never takes more than about
// a twentieth of the time.
const (
	checkpointEvery = 2 * time.Second
	checkpointShare = 20
)

// checkpoint knows how far each source was read and what of that is not saved
// yet. The zero value is ready; it belongs to the spine's goroutine.
type checkpoint struct {
	marks map[string]string // source -> mark behind the last batch
	dirty map[string]string // of these, what the next checkpoint will hold
	at    time.Time         // when it is due; zero = nothing to save
	cost  time.Duration     // what the last one took
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
		c.at = now.Add(max(checkpointEvery, checkpointShare*c.cost))
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

// took notes how long the snapshot of the windows took.
func (c *checkpoint) took(d time.Duration) { c.cost = d }

// shift follows a jump of the wall clock.
func (c *checkpoint) shift(delta time.Duration) {
	if !c.at.IsZero() {
		c.at = c.at.Add(delta)
	}
}
