package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// jumpTolerance is the smallest step of the wall clock that counts as a jump.
// What is below it, a time daemon's slewing for one, only bends a ban by as much.
const jumpTolerance = time.Second

// bootNow returns the time since boot, suspend included (CLOCK_BOOTTIME).
func bootNow() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts); err != nil {
		return time.Duration(time.Now().UnixNano()) // not on Linux 2.6.39 and later
	}
	return time.Duration(ts.Nano())
}

// clock watches the wall clock for jumps. The zero value is not usable: see
// newClock. Run it in one goroutine; Jumps may be read in another.
type clock struct {
	offset time.Duration      // wall clock minus boot clock, when last looked at
	jumps  chan time.Duration // owned and closed by nobody; holds 1: jumps are added up while the reader is busy
}

func newClock() *clock {
	return &clock{offset: wallOffset(), jumps: make(chan time.Duration, 1)}
}

func wallOffset() time.Duration { return time.Duration(time.Now().UnixNano()) - bootNow() }

// Jumps delivers how far the wall clock was set, forward (positive) or back.
func (c *clock) Jumps() <-chan time.Duration { return c.jumps }

// Run waits for the kernel to say that the wall clock was set
// (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET) until ctx ends.
func (c *clock) Run(ctx context.Context) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return fmt.Errorf("watch the wall clock: %w", err)
	}
	f := os.NewFile(uintptr(fd), "timerfd")
	defer f.Close()
	stop := context.AfterFunc(ctx, func() { f.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		never := unix.ItimerSpec{Value: unix.Timespec{Sec: 1 << 40}}
		if err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &never, nil); err != nil && !errors.Is(err, unix.ECANCELED) {
			return fmt.Errorf("watch the wall clock: %w", err)
		}
		c.look()
		var b [8]byte
		_, err := f.Read(b[:])
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !errors.Is(err, unix.ECANCELED):
			return fmt.Errorf("watch the wall clock: %w", err)
		}
	}
}

// look compares the two clocks and hands on what they have drifted apart since.
func (c *clock) look() {
	now := wallOffset()
	delta := now - c.offset
	if delta.Abs() < jumpTolerance {
		return
	}
	c.offset = now
	select {
	case earlier := <-c.jumps:
		delta += earlier
	default:
	}
	c.jumps <- delta // never blocks: it was just emptied, and only look fills it
}

// alarm is a timer on the boot clock: unlike a time.Timer it does not stand
// still while the machine is suspended. One goroutine sets it, Run serves it.
type alarm struct {
	fd   int
	file *os.File
	c    chan struct{} // holds 1: a wake-up that was not taken yet stands for later ones
}

func newAlarm() (*alarm, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_BOOTTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("make a timer: %w", err)
	}
	return &alarm{fd: fd, file: os.NewFile(uintptr(fd), "timerfd"), c: make(chan struct{}, 1)}, nil
}

// C is ready once the time that was set has come.
func (a *alarm) C() <-chan struct{} { return a.c }

// Set makes the alarm go off once after d, at least a nanosecond; a negative d
// turns it off.
func (a *alarm) Set(d time.Duration) {
	var spec unix.ItimerSpec
	if d >= 0 {
		spec.Value = unix.NsecToTimespec(max(1, d.Nanoseconds()))
	}
	unix.TimerfdSettime(a.fd, 0, &spec, nil) // fails only for a bad descriptor or value
}

// Run serves the alarm until ctx ends, and closes it.
func (a *alarm) Run(ctx context.Context) error {
	defer a.file.Close()
	stop := context.AfterFunc(ctx, func() { a.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		var b [8]byte
		if _, err := a.file.Read(b[:]); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("wait for the timer: %w", err)
		}
		select {
		case a.c <- struct{}{}:
		default:
		}
	}
}

// monotonic returns the kernel's monotonic time (CLOCK_MONOTONIC), which a
// service manager wants to hear.
func monotonic() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}
