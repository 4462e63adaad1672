package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/netlab"
)

// environ is the environment of all that runs on a machine.
var environ = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "TZ=UTC"}

// machine is a host of the lab with a root of its own: the layers of a service
// below, and above them memory that takes what is written and goes with it.
type machine struct {
	*netlab.Host
}

// newMachine makes a machine and lets it see nothing else than its root.
func newMachine(lab *netlab.Lab, name string, lower []string) (machine, error) {
	m := machine{lab.Host(name)}
	if err := m.Do(func() error { return enterRoot(m.Dir(), lower) }); err != nil {
		return m, fmt.Errorf("make the root of %s: %w", name, err)
	}
	return m, nil
}

// mountPoint is one mount below a new root.
type mountPoint struct {
	target, kind string
	flags        uintptr
	data         string
}

// enterRoot makes the overlay in dir and the root of the calling thread's mount
// namespace.
func enterRoot(dir string, lower []string) error {
	if err := unix.Mount("capture", dir, "tmpfs", unix.MS_NODEV, "mode=0755"); err != nil {
		return fmt.Errorf("mount memory: %w", err)
	}
	root := filepath.Join(dir, "root")
	for _, d := range []string{"root", "upper", "work"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s/upper,workdir=%s/work", strings.Join(lower, ":"), dir, dir)
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		return fmt.Errorf("mount the layers: %w", err)
	}
	const plain = unix.MS_NOSUID | unix.MS_NODEV
	for _, p := range []mountPoint{
		{"proc", "proc", plain | unix.MS_NOEXEC, ""},
		{"run", "tmpfs", plain, "mode=0755"},
		{"tmp", "tmpfs", plain, "mode=1777"},
		{"dev", "tmpfs", unix.MS_NOSUID, "mode=0755"},
	} {
		if err := unix.Mount("capture", filepath.Join(root, p.target), p.kind, p.flags, p.data); err != nil {
			return fmt.Errorf("mount /%s: %w", p.target, err)
		}
	}
	if err := devices(filepath.Join(root, "dev")); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(root, "run/lock"), 0o1777); err != nil {
		return err
	}
	if err := unix.Chdir(root); err != nil {
		return err
	}
	if err := unix.PivotRoot(".", "."); err != nil {
		return fmt.Errorf("change the root: %w", err)
	}
	if err := unix.Unmount(".", unix.MNT_DETACH); err != nil {
		return fmt.Errorf("let the machine's root go: %w", err)
	}
	return unix.Chdir("/")
}

// devices fills dev with what programs expect, pseudo terminals included; the
// tunnel device too, where the machine has one.
func devices(dev string) error {
	for _, d := range []string{"null", "zero", "full", "random", "urandom", "tty", "net/tun"} {
		from, to := filepath.Join("/dev", d), filepath.Join(dev, d)
		if _, err := os.Stat(from); os.IsNotExist(err) {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, nil, 0o666); err != nil {
			return err
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind %s: %w", from, err)
		}
	}
	for _, d := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dev, d), 0o755); err != nil {
			return err
		}
	}
	if err := unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return fmt.Errorf("mount pseudo terminals: %w", err)
	}
	if err := unix.Mount("capture", filepath.Join(dev, "shm"), "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("mount shared memory: %w", err)
	}
	for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2"} {
		if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	return nil
}

// command returns a command that runs on the machine; the program is looked for
// there.
func (m machine) command(ctx context.Context, env []string, args ...string) *netlab.Cmd {
	c := m.CommandContext(ctx, "/usr/bin/env", args...)
	c.Dir, c.Env = "/", append(append([]string{}, environ...), env...)
	c.WaitDelay = time.Second // what it left behind may hold its output open
	return c
}

// run runs a command with this input and returns what it wrote.
func (m machine) run(ctx context.Context, env []string, stdin string, args ...string) (string, error) {
	c := m.command(ctx, env, args...)
	var out bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = strings.NewReader(stdin), &out, &out
	err := c.Run()
	if errors.Is(err, exec.ErrWaitDelay) { // it succeeded, and left a daemon behind
		err = nil
	}
	return out.String(), err
}

// write writes a file, executable if it begins as a script does. Folders are made.
func (m machine) write(path, content string) error {
	mode := os.FileMode(0o644)
	if strings.HasPrefix(content, "#!") {
		mode = 0o755
	}
	return m.Do(func() error {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		os.Remove(path) // it may be a link to somewhere else
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			return err
		}
		return os.Chmod(path, mode)
	})
}

// addUser makes an account.
func (m machine) addUser(ctx context.Context, u User) error {
	shell := u.Shell
	if shell == "" {
		shell = "/bin/sh"
	}
	if out, err := m.run(ctx, nil, "", "useradd", "-m", "-s", shell, "-G", strings.Join(u.Groups, ","), u.Name); err != nil {
		return fmt.Errorf("make user %s: %w: %s", u.Name, err, out)
	}
	if out, err := m.run(ctx, nil, u.Name+":"+u.Password+"\n", "chpasswd"); err != nil {
		return fmt.Errorf("give %s a password: %w: %s", u.Name, err, out)
	}
	return nil
}

// listens reports whether a socket of the machine listens on the port ("tcp" or
// "udp"), on an address that others reach.
func (m machine) listens(network string, port int) bool {
	found := false
	m.Do(func() error {
		for _, f := range []string{network, network + "6"} {
			b, err := os.ReadFile("/proc/thread-self/net/" + f)
			if err == nil && hasListener(string(b), network, port) {
				found = true
			}
		}
		return nil
	})
	return found
}

// hasListener reads /proc/net/tcp or udp (proc(5)): sl, local address:port in
// hexadecimal, remote, state, ...
func hasListener(table, network string, port int) bool {
	state := "0A" // TCP_LISTEN
	if network == "udp" {
		state = "07" // an unconnected socket
	}
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) > 3 && f[3] == state && strings.HasSuffix(f[1], fmt.Sprintf(":%04X", port)) && !strings.HasPrefix(f[1], "0100007F:") {
			return true
		}
	}
	return false
}

// addr is netip.MustParseAddr, for the addresses of the network.
func addr(s string) netip.Addr { return netip.MustParseAddr(s) }
