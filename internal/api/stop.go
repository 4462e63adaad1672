package api

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// stopTime is how long Stop waits for the daemon to end: longer than a service
// manager would.
const stopTime = 2 * time.Minute

// Stop begins the daemon's shutdown and waits until it has ended, so that
// another one can start; with flush the bans leave the kernel, too.
func (c *Client) Stop(ctx context.Context, flush bool) error {
	ctx, cancel := context.WithTimeout(ctx, stopTime)
	defer cancel()
	st, err := c.Status(ctx)
	if err != nil {
		return err
	}
	ended := func(context.Context) error { return nil }
	if st.PID != 0 {
		ended = c.process(ctx)
	}
	if err := c.call(ctx, "POST", "/v1/stop?flush="+strconv.FormatBool(flush), nil, &done{}); err != nil {
		return err
	}
	c.Close() // an idle connection would keep the server for a while
	err = errors.Join(c.gone(ctx), ended(ctx))
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{Message: "the daemon was told to stop and has not ended yet", Hint: "see its log: journalctl -u gatehouse"}
	}
	return err
}

// pollTime is how often it is looked whether something has ended of which the
// kernel tells nothing.
const pollTime = 20 * time.Millisecond

// gone waits until nobody answers on the socket.
func (c *Client) gone(ctx context.Context) error {
	tick := time.NewTicker(pollTime)
	defer tick.Stop()
	for {
		conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			return nil
		}
		_ = conn.Close()
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}

// process returns a function that waits for the end of the process that answers
// on the socket. Where that cannot be told (another PID namespace, a kernel
// before 5.3), it does not wait.
func (c *Client) process(ctx context.Context) func(context.Context) error {
	nothing := func(context.Context) error { return nil }
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", c.socket)
	if err != nil {
		return nothing
	}
	defer conn.Close()
	peer, err := identify(conn)
	if err != nil || peer.PID <= 0 {
		return nothing
	}
	fd, err := unix.PidfdOpen(int(peer.PID), 0)
	if err != nil {
		return nothing
	}
	return func(ctx context.Context) error {
		defer unix.Close(fd)
		for ctx.Err() == nil {
			// A pidfd is readable when its process has ended: pidfd_open(2).
			n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(pollTime/time.Millisecond))
			if n > 0 || err != nil && err != unix.EINTR {
				return nil
			}
		}
		return ctx.Err()
	}
}
