package panel

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"gatehouse/internal/ad2"
)

// Times of the connection.
const (
	firstWait  = time.Second      // before the connection is tried again
	lastWait   = 15 * time.Second // a house must not be unwatched for longer because of us
	proveTime  = 25 * time.Second // a place that has said nothing sensible by then is left for the next one
	writeTime  = 3 * time.Second  // for keys to leave
	blockBytes = 4096
)

// input is what the connection tells the loop: a block of bytes, or that the
// connection came or went.
type input struct {
	block  []byte
	change bool
	up     bool
	name   string // of the place
	why    string
	hint   string
	quiet  bool // it went because nothing sensible came: another place is tried
}

// link keeps a connection to the adapter.
type link struct {
	c     Config
	to    chan<- input // unbuffered: the loop always takes soon
	open  func(context.Context, Config, place) (io.ReadWriteCloser, error)
	heard chan struct{} // capacity 1: the loop has seen a message of an adapter

	mu   sync.Mutex
	conn io.ReadWriteCloser // nil = there is none
}

// errDown is what keys get while there is no connection.
var errDown = errors.New("there is no connection to the alarm panel")

// write sends bytes whole. It never sends them twice: on an error nobody knows
// how many arrived, and the caller says so.
func (l *link) write(b []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn == nil {
		return errDown
	}
	conn := l.conn
	late := time.AfterFunc(writeTime, func() { _ = conn.Close() }) // a device that takes nothing is no connection
	defer late.Stop()
	if d, ok := conn.(interface{ SetWriteDeadline(time.Time) error }); ok {
		_ = d.SetWriteDeadline(time.Now().Add(writeTime)) // where it fails, the timer above closes
	}
	n, err := conn.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		_ = conn.Close() // the reader notices and connects anew
		return fmt.Errorf("send keys: %s", reason(err))
	}
	return nil
}

// run connects, reads, and connects again until ctx ends.
func (l *link) run(ctx context.Context) {
	wait, at := firstWait, 0
	for ctx.Err() == nil {
		options := places(l.c)
		if len(options) == 0 {
			l.down(ctx, "no adapter was found", "plug one in, or name the device: device: /dev/serial/by-id/…", false)
			l.pause(ctx, firstWait)
			continue
		}
		p := options[at%len(options)]
		conn, err := l.open(ctx, l.c, p)
		if err != nil {
			at++
			hint := ""
			if e, ok := errors.AsType[*Error](err); ok {
				hint = e.Hint
			}
			l.down(ctx, err.Error(), hint, false)
			if !p.network() { // a device that is plugged in is to be found at once
				wait = firstWait
			}
			l.pause(ctx, wait+time.Duration(rand.Int64N(int64(wait)/4)))
			wait = min(2*wait, lastWait)
			continue
		}
		proven, err := l.read(ctx, p, conn)
		if proven {
			wait = firstWait
		} else {
			at++
		}
		if ctx.Err() != nil {
			return
		}
		why := "the connection to " + p.String() + " ended"
		if err != nil && !errors.Is(err, io.EOF) {
			why = p.String() + ": " + reason(err)
		}
		l.down(ctx, why, "it is tried again and again; check cable and power", !proven && errors.Is(err, errMute))
		if proven || p.network() {
			l.pause(ctx, firstWait/4)
		}
	}
}

// errMute is why a place is left that says nothing sensible.
var errMute = errors.New("nothing that an adapter would say came from there")

// read hands on what comes until the connection ends. It reports whether an
// adapter was heard.
func (l *link) read(ctx context.Context, p place, conn io.ReadWriteCloser) (proven bool, err error) {
	l.mu.Lock()
	l.conn = conn
	l.mu.Unlock()
	select {
	case <-l.heard:
	default:
	}
	defer func() {
		l.mu.Lock()
		l.conn = nil
		l.mu.Unlock()
		_ = conn.Close() // it is of no use any more
	}()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read below
	defer stop()
	several := len(places(l.c)) > 1
	mute := make(chan struct{})
	var prove *time.Timer
	if several {
		prove = time.AfterFunc(proveTime, func() { close(mute); _ = conn.Close() })
		defer prove.Stop()
	}
	if !l.tell(ctx, input{change: true, up: true, name: p.String()}) {
		return false, ctx.Err()
	}
	if err := l.write([]byte("C\rV\r")); err != nil {
		return false, err
	}
	buf := make([]byte, blockBytes)
	for {
		n, err := conn.Read(buf)
		if n > 0 {
			if !l.tell(ctx, input{block: append([]byte(nil), buf[:n]...)}) {
				return proven, ctx.Err()
			}
		}
		select {
		case <-l.heard:
			proven = true
			if prove != nil {
				prove.Stop()
			}
		case <-mute:
			return proven, errMute
		default:
		}
		if err == nil && n == 0 {
			err = io.EOF // a device that hung up
		}
		if err != nil {
			return proven, err
		}
	}
}

func (l *link) down(ctx context.Context, why, hint string, quiet bool) {
	l.tell(ctx, input{change: true, why: why, hint: hint, quiet: quiet})
}

func (l *link) tell(ctx context.Context, in input) bool {
	select {
	case l.to <- in:
		return true
	case <-ctx.Done():
		return false
	}
}

func (l *link) pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// Listen reads an adapter without a daemon: it calls yield for each line until
// ctx or the connection ends. It presses no key and asks nothing.
func Listen(ctx context.Context, c Config, yield func(line []byte) error) error {
	options := places(c)
	if len(options) == 0 {
		return &Error{What: "no adapter was found", Hint: "name the device: /dev/ttyUSB0, or tcp://HOST:PORT"}
	}
	conn, err := open(ctx, c, options[0])
	if err != nil {
		return err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends the read below
	defer stop()
	var lines ad2.Lines
	var failed error
	buf := make([]byte, blockBytes)
	for {
		n, err := conn.Read(buf)
		lines.Feed(buf[:n], func(line []byte) {
			if failed == nil {
				failed = yield(line)
			}
		})
		switch {
		case failed != nil:
			return failed
		case ctx.Err() != nil:
			return nil
		case err != nil || n == 0:
			return &Error{What: "the connection to " + options[0].String() + " ended", Hint: "check cable and power", err: err}
		}
	}
}
