package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/netlab"
)

// The friend's heart.
const (
	beatEvery = 100 * time.Millisecond
	beatWait  = 3 * time.Second // a beat without an answer after this is lost
)

// friend is the one who must not notice anything: logged in all the time.
type friend struct {
	host *netlab.Host
	how  string // over what it stays connected

	mu      sync.Mutex
	beats   int           // that were answered
	longest time.Duration // until one was
	err     error         // the first that was not
}

// connect logs the friend in, and returns what proves that it still is. Where the
// server cannot let anybody in without real root, it is a plain connection.
func (f *friend) connect(ctx context.Context, c *netlab.Crew) (beat func() error, err error) {
	session, sshErr := f.host.OpenSSH(ctx, netlab.Login{
		To: netip.AddrPortFrom(netip.MustParseAddr(gate4), sshPort), User: friendID, Password: netlab.Password,
	})
	if sshErr == nil {
		c.Cleanup(session.Close)
		f.how = "SSH session"
		return func() error { return session.Beat(beatWait) }, nil
	}
	conn, err := f.host.Dial(ctx, "tcp", netip.AddrPortFrom(netip.MustParseAddr(gate4), webPort).String())
	if err != nil {
		return nil, fmt.Errorf("the friend cannot connect: %w (and not by SSH: %w)", err, sshErr)
	}
	c.Cleanup(func() { conn.Close() })
	f.how = "connection"
	return func() error {
		if err := conn.SetDeadline(time.Now().Add(beatWait)); err != nil {
			return err
		}
		b := []byte("b")
		if _, err := conn.Write(b); err != nil {
			return err
		}
		_, err := io.ReadFull(conn, b)
		return err
	}, nil
}

// live beats until ctx ends or a beat is lost.
func (f *friend) live(ctx context.Context, beat func() error) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		begin := time.Now()
		err := beat()
		took := time.Since(begin)
		f.mu.Lock()
		if err == nil {
			f.beats++
			f.longest = max(f.longest, took)
		} else if ctx.Err() == nil {
			f.err = err
		}
		f.mu.Unlock()
		if err != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// health returns how many beats were answered, the longest wait, and the error of
// the first that was lost.
func (f *friend) health() (beats int, longest time.Duration, lost error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.beats, f.longest, f.err
}
