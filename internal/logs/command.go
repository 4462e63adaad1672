package logs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/rules"
)

// commandPrefix is before the command in the name of a source.
const commandPrefix = "command:"

// commandMark is before the time in the mark of a command.
const commandMark = "1 "

// command is the stream of what a program writes to its standard output. When it
// ends it is started again. What it repeats then does not count again, as long as
// its lines tell their time: the mark is the time of the last line that counted.
type command struct {
	env   *env
	argv  []string
	feed  *feed
	epoch uint64
	count int64
	asked bool
	last  time.Time // of the newest line that counted, by its own date
}

func newCommand(e *env, r *readers, argv []string, ws []Watch) *command {
	c := &command{env: e, argv: argv}
	c.feed = newFeed(e, commandName(argv), watchNames(ws))
	c.feed.lines, c.feed.dated = r.feed(ws, rules.SourceOptions{}), true
	c.feed.note("what it writes while Gatehouse does not run is lost, unless it repeats that with its dates")
	return c
}

// commandName is the name of the source: the command as one would type it.
func commandName(argv []string) string {
	words := make([]string, len(argv))
	for i, a := range argv {
		words[i] = a
		if a == "" || strings.ContainsFunc(a, func(r rune) bool { return r <= ' ' || r == '"' || r == '\'' || r == '\\' || r > '~' }) {
			words[i] = strconv.Quote(a)
		}
	}
	return commandPrefix + strings.Join(words, " ")
}

// statuses implements stream.
func (c *command) statuses() []SourceStatus { return []SourceStatus{c.feed.tell()} }

// run implements stream.
func (c *command) run(ctx context.Context, settled func()) error {
	settled() // what it tells of the past, it tells when it likes
	if !c.asked {
		c.asked = true
		if n, ok := strings.CutPrefix(c.env.mark(c.feed.name), commandMark); ok {
			if ns, err := strconv.ParseInt(n, 16, 64); err == nil {
				c.last = time.Unix(0, ns)
			}
		}
	}
	var again pause
	for ctx.Err() == nil {
		begun, said := time.Now(), &tail{}
		c.epoch, c.count = uint64(c.env.now().UnixNano()), 0
		c.feed.since = c.env.now().Add(-c.env.back)
		if c.last.After(c.feed.since) {
			c.feed.since = c.last.Add(1)
		}
		c.feed.fares(CaughtUp, "")
		err := runChild(ctx, c.argv, childEnv(), said, func(out io.Reader) error { return c.lines(ctx, out) })
		var no refused
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &no):
			return no.error
		}
		why := fmt.Sprintf("%v; it is started again", err)
		if s := said.last(); s != "" {
			why += ": " + s
		}
		c.feed.fares(Unreadable, why)
		again.wait(ctx, time.Since(begun), nil)
	}
	return nil
}

// lines reads the output to its end. What stands behind the last line end is a
// line too.
func (c *command) lines(ctx context.Context, out io.Reader) error {
	r := bufio.NewReaderSize(out, 64<<10)
	var part []byte // of a line that is not whole yet
	long := false
	for {
		b, err := r.ReadSlice('\n')
		if long = long || len(part)+len(b) > rules.MaxLine+1; !long {
			part = append(part, b...)
		}
		if err == nil || err != bufio.ErrBufferFull && len(part) > 0 {
			c.add(part, long)
			part, long = part[:0], false
		}
		if err != nil && err != bufio.ErrBufferFull || r.Buffered() == 0 || len(c.feed.bundle.text) >= fullBundle {
			if err := c.hand(ctx); err != nil {
				return refused{err}
			}
		}
		switch {
		case err == io.EOF:
			return nil
		case err != nil && err != bufio.ErrBufferFull:
			return err
		}
	}
}

func (c *command) add(line []byte, long bool) {
	if long {
		c.feed.count(func(st *SourceStatus) { st.Skipped++ })
		return
	}
	if line = chomp(line); len(line) > 0 {
		c.feed.bundle.add(about{epoch: c.epoch, offset: c.count}, line)
		c.count++
	}
}

// hand hands over what was gathered, with a mark if any of it told its time.
func (c *command) hand(ctx context.Context) error {
	if c.feed.bundle.empty() {
		return nil
	}
	b := c.feed.batch(true)
	newest := c.last
	for _, e := range b.Events {
		if e.Time.After(newest) {
			newest = e.Time
		}
	}
	if newest.After(c.last) {
		b.Mark = commandMark + strconv.FormatInt(newest.UnixNano(), 16)
	}
	if err := c.feed.send(ctx, b); err != nil {
		return err
	}
	c.last = newest
	return nil
}
