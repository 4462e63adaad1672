package netlab

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Host is one machine of a lab. It may be used by several goroutines at once.
type Host struct {
	Name string

	lab      *Lab
	dir      string // its own folder, visible inside too
	net, mnt int    // descriptors of the namespaces
	ino      uint64 // of the network namespace

	links int // interfaces so far, under lab.mu
}

// NetNS returns a descriptor of the host's network namespace. It belongs to the
// host and is closed with the lab.
func (h *Host) NetNS() int { return h.net }

// Dir returns a folder of the host's own, which goes away with the lab.
func (h *Host) Dir() string { return h.dir }

// Do runs fn on a thread inside the host's namespaces and returns its error.
// Sockets that fn opens belong to the host for ever, wherever they are used;
// files that it opens are those that the host sees. Goroutines that fn starts
// run outside. fn must not end its goroutine (no t.Fatal): return an error.
func (h *Host) Do(fn func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := errors.New("the function ended its goroutine")
		defer func() { done <- err }()
		if err = h.enter(); err == nil {
			err = errors.New("the function ended its goroutine")
			err = fn()
		}
	}()
	return <-done
}

// enter moves the calling thread, which must be locked, into the host.
func (h *Host) enter() error {
	if err := unix.Unshare(unix.CLONE_FS); err != nil {
		return fmt.Errorf("enter host %s: unshare: %w", h.Name, err)
	}
	if err := unix.Setns(h.net, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("enter the network of host %s: %w", h.Name, err)
	}
	if err := unix.Setns(h.mnt, unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("enter the mounts of host %s: %w", h.Name, err)
	}
	return nil
}

// Listen is net.Listen on the host.
func (h *Host) Listen(network, address string) (ln net.Listener, err error) {
	err = h.Do(func() (err error) {
		ln, err = net.Listen(network, address)
		return err
	})
	return ln, err
}

// ListenPacket is net.ListenPacket on the host.
func (h *Host) ListenPacket(network, address string) (pc net.PacketConn, err error) {
	err = h.Do(func() (err error) {
		pc, err = net.ListenPacket(network, address)
		return err
	})
	return pc, err
}

// Dial connects from the host to a literal address.
func (h *Host) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	return h.DialFrom(ctx, netip.Addr{}, network, address)
}

// DialFrom is Dial from this address of the host; the zero Addr leaves the
// choice to the kernel.
func (h *Host) DialFrom(ctx context.Context, from netip.Addr, network, address string) (c net.Conn, err error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	if from.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		if strings.HasPrefix(network, "udp") {
			d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(from, 0))
		}
	}
	err = h.Do(func() (err error) {
		c, err = d.DialContext(ctx, network, address)
		return err
	})
	return c, err
}

// Cmd is an exec.Cmd that starts on a host.
type Cmd struct {
	*exec.Cmd
	host *Host
}

// Command returns a command that will run on the host, in the folder of the
// calling process. It ends with the lab at the latest.
func (h *Host) Command(name string, args ...string) *Cmd {
	return h.CommandContext(context.Background(), name, args...)
}

// CommandContext is Command; the process is killed when ctx ends.
func (h *Host) CommandContext(ctx context.Context, name string, args ...string) *Cmd {
	c := &Cmd{exec.CommandContext(ctx, name, args...), h}
	c.Dir, _ = os.Getwd()
	return c
}

// Start starts the command on the host.
func (c *Cmd) Start() error { return c.host.Do(c.Cmd.Start) }

// Run starts the command on the host and waits for it.
func (c *Cmd) Run() error {
	if err := c.Start(); err != nil {
		return err
	}
	return c.Wait()
}

// Output runs the command and returns its standard output; an *exec.ExitError
// holds its standard error unless that was redirected.
func (c *Cmd) Output() ([]byte, error) {
	var out, errs bytes.Buffer
	c.Stdout = &out
	kept := c.Stderr == nil
	if kept {
		c.Stderr = &errs
	}
	err := c.Run()
	if ee, ok := errors.AsType[*exec.ExitError](err); ok && kept {
		ee.Stderr = errs.Bytes()
	}
	return out.Bytes(), err
}

// CombinedOutput runs the command and returns what it wrote, errors included.
func (c *Cmd) CombinedOutput() ([]byte, error) {
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	return out.Bytes(), err
}
