package panel

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// client is one program that is connected.
type client struct {
	s     *server
	conn  net.Conn
	from  netip.Addr
	queue chan []byte // lines for it; full = it is cut off
	gone  chan struct{}
	once  sync.Once

	mu       sync.Mutex // guards what follows: the sequence that is being pressed
	sequence sequence
	timer    *time.Timer
	recorded time.Time
	unnoted  int
}

// sequence is what was pressed between two pauses, without what it was.
type sequence struct {
	digits, others, special int
	before                  string // how the panel was before it
}

// Bounds of a client.
const (
	clientRead  = 512
	clientWrite = 20 * time.Second // for one write to a client that reads slowly
	keysPerRead = 64               // a person or program presses no more at once
	noteEvery   = 20 * time.Second // at most, keys of one client are recorded
	answerTime  = 4 * time.Second  // for the panel to change after a code
)

func newClient(s *server, conn net.Conn, from netip.Addr) *client {
	return &client{s: s, conn: conn, from: from, queue: make(chan []byte, queueLines), gone: make(chan struct{})}
}

// cut ends the connection.
func (c *client) cut(why string) {
	c.once.Do(func() {
		close(c.gone)
		_ = c.conn.Close() // ends its reads and writes
		if why != "" {
			c.s.p.d.Log.Info("a client of the alarm panel is cut off", "subject", c.from, "err", why)
		}
	})
}

// run writes lines to the client and reads its keys until either side ends.
func (c *client) run(ctx context.Context) {
	var writing sync.WaitGroup
	writing.Go(c.write)
	why := c.read(ctx)
	c.mu.Lock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.mu.Unlock()
	c.settle(ctx)
	c.s.p.floor.give(c)
	c.cut(why)
	writing.Wait()
}

// write sends the queue to the client.
func (c *client) write() {
	for {
		select {
		case line := <-c.queue:
			for more := true; more; { // what has gathered goes in one piece
				select {
				case next := <-c.queue:
					line = append(line[:len(line):len(line)], next...)
					more = len(line) < 16<<10
				default:
					more = false
				}
			}
			_ = c.conn.SetWriteDeadline(time.Now().Add(clientWrite)) // where it fails, the write does
			if _, err := c.conn.Write(line); err != nil {
				c.cut("")
				return
			}
		case <-c.gone:
			return
		}
	}
}

// read takes what the client sends until it ends, and returns why it is cut off.
func (c *client) read(ctx context.Context) string {
	f := filter{keys: c.s.c.Keys, functions: c.s.c.Functions, configure: c.s.c.Configure}
	buf := make([]byte, clientRead)
	for {
		n, err := c.conn.Read(buf)
		r := f.take(buf[:n])
		switch {
		case r.foreign:
			c.s.p.note("client", fmt.Sprintf("%s sent something that no keypad sends, and was cut off; nothing of it reached the panel", c.from), 0)
			return "it sent something that no keypad sends"
		case r.refused > 0:
			c.note(fmt.Sprintf("%s has no right to press the keys that it pressed; they did not reach the panel", c.from))
		}
		if len(r.ask) > 0 {
			c.answer(ctx, r.ask)
		}
		if len(r.send) > keysPerRead+maxCommand {
			return "it pressed too many keys at once"
		}
		if len(r.send) > 0 {
			if why := c.press(ctx, r); why != "" {
				return why
			}
		}
		if err != nil {
			return ""
		}
	}
}

// answer answers V and C with what the adapter last said; it asks the adapter
// where that is not known.
func (c *client) answer(ctx context.Context, asks []byte) {
	for _, a := range asks {
		line := ""
		if err := c.s.p.do(ctx, func() {
			line = c.s.p.version
			if a == 'C' {
				line = c.s.p.settings
			}
		}); err != nil {
			return
		}
		if line == "" {
			_ = c.s.p.link.write([]byte{a, '\r'}) // no adapter: no answer, as with the original
			continue
		}
		select {
		case c.queue <- []byte(line + "\r\n"):
		case <-c.gone:
		}
	}
}

// press sends keys to the adapter while nobody else presses any.
func (c *client) press(ctx context.Context, r filtered) string {
	p := c.s.p
	c.mu.Lock()
	digits := c.sequence.digits + r.digits
	c.mu.Unlock()
	if digits >= 4 { // it may be a code
		if err := p.limits.allow(c.id(), time.Now()); err != nil {
			c.note(fmt.Sprintf("%s tried too many wrong codes; its keys are held back", c.from))
			return ""
		}
	}
	if err := p.floor.take(ctx, c, pauseEnds); err != nil {
		return ""
	}
	c.mu.Lock()
	first := c.sequence == (sequence{})
	c.mu.Unlock()
	before := ""
	if first {
		before = c.fingerprint(ctx)
	}
	err := p.link.write(r.send)
	c.mu.Lock()
	defer c.mu.Unlock()
	if first {
		c.sequence.before = before
	}
	c.sequence.digits += r.digits
	c.sequence.others += r.others
	c.sequence.special += r.special
	if c.timer == nil {
		c.timer = time.AfterFunc(pauseEnds, func() { c.settle(ctx) })
	} else {
		c.timer.Reset(pauseEnds)
	}
	if err != nil {
		c.s.p.d.Log.Warn("keys of a client did not reach the alarm panel", "subject", c.from, "err", err)
	}
	return ""
}

// id is who the limits hold back.
func (c *client) id() string { return "client " + c.from.String() }

// fingerprint is how the partitions are, as far as a code changes them.
func (c *client) fingerprint(ctx context.Context) string {
	print := ""
	_ = c.s.p.do(ctx, func() { print = c.s.p.print() }) // a panel that is being stopped changes no more
	return print
}

// settle ends a sequence: it is recorded, and where it may have been a code that
// changed nothing it counts as a wrong one.
func (c *client) settle(ctx context.Context) {
	c.mu.Lock()
	s := c.sequence
	c.sequence = sequence{}
	c.mu.Unlock()
	if s == (sequence{}) {
		return
	}
	c.note(fmt.Sprintf("%s pressed %s", c.from, s))
	if s.digits < 4 || ctx.Err() != nil {
		return
	}
	p := c.s.p
	changed, err := p.await(ctx, p.waits.answer, func() bool { return p.print() != s.before })
	switch {
	case err != nil:
	case changed:
		p.limits.right(c.id())
	default:
		if held := p.limits.wrong(c.id(), time.Now()); held > 0 {
			p.note("held", fmt.Sprintf("%s pressed codes that changed nothing; its keys are held back for %s", c.from, held), 0)
		}
	}
}

// String says what was pressed without saying which digits.
func (s sequence) String() string {
	var parts []string
	add := func(n int, one, many string) {
		switch {
		case n == 1:
			parts = append(parts, "1 "+one)
		case n > 1:
			parts = append(parts, fmt.Sprintf("%d %s", n, many))
		}
	}
	add(s.digits, "digit", "digits")
	add(s.others, "other key", "other keys")
	add((s.special+2)/3, "function key", "function keys")
	return strings.Join(parts, ", ")
}

// note records what a client did, not too often.
func (c *client) note(sentence string) {
	c.mu.Lock()
	now := time.Now()
	if now.Sub(c.recorded) < noteEvery {
		c.unnoted++
		c.mu.Unlock()
		return
	}
	if c.unnoted > 0 {
		sentence += fmt.Sprintf("; %d more such things since the last record", c.unnoted)
	}
	c.recorded, c.unnoted = now, 0
	c.mu.Unlock()
	c.s.p.note("keys", sentence, 0)
}
