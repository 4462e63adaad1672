package netlab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sshWait is how long a login may take if Login.Timeout does not say.
const sshWait = 10 * time.Second

// Login is one attempt to log in with the real ssh client.
type Login struct {
	To       netip.AddrPort
	From     netip.Addr // of the host's own; zero = the kernel's choice
	User     string
	Password string   // tried once; "" = no password is offered
	Keys     []string // private key files, offered in order
	Timeout  time.Duration
	Options  []string // further ssh options, "Name=value"; they win over the others
}

// Attempt is what became of a Login.
type Attempt struct {
	In   bool          // it got in
	Took time.Duration // until the answer
	Said string        // what ssh said, for messages
}

// NewKey makes a key pair in the host's folder and returns the private key's
// file and the public key's line.
func (h *Host) NewKey(name string) (file, public string) {
	h.lab.tb.Helper()
	file = filepath.Join(h.dir, name)
	if err := makeKey(file); err != nil {
		h.lab.tb.Fatalf("netlab: %v", err)
	}
	b, err := os.ReadFile(file + ".pub")
	if err != nil {
		h.lab.tb.Fatalf("netlab: %v", err)
	}
	return file, strings.TrimSpace(string(b))
}

// ssh returns the client's command, ready to start.
func (h *Host) ssh(ctx context.Context, l Login, remote ...string) (*Cmd, error) {
	if l.Timeout == 0 {
		l.Timeout = sshWait
	}
	askpass := filepath.Join(h.dir, askpassName)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	if err := os.Symlink(self, askpass); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	args := []string{"-F", "/dev/null", "-T", "-x", "-p", strconv.Itoa(int(l.To.Port())), "-l", l.User}
	if l.From.IsValid() {
		args = append(args, "-b", l.From.String())
	}
	var methods []string
	if len(l.Keys) > 0 {
		methods = append(methods, "publickey")
	}
	if l.Password != "" {
		methods = append(methods, "password")
	}
	if len(methods) == 0 {
		methods = append(methods, "none")
	}
	for _, o := range append(append([]string{}, l.Options...),
		"PreferredAuthentications="+strings.Join(methods, ","),
		"NumberOfPasswordPrompts=1",
		"ConnectTimeout="+strconv.Itoa(int((l.Timeout+time.Second-1)/time.Second)),
		"StrictHostKeyChecking=no",
		"UserKnownHostsFile=/dev/null",
		"GlobalKnownHostsFile=/dev/null",
		"IdentitiesOnly=yes",
		"IdentityAgent=none",
		"LogLevel=ERROR",
	) {
		args = append(args, "-o", o)
	}
	for _, k := range l.Keys {
		args = append(args, "-i", k)
	}
	c := h.CommandContext(ctx, "ssh", append(append(args, l.To.Addr().String()), remote...)...)
	c.Env = append(os.Environ(), "SSH_ASKPASS="+askpass, "SSH_ASKPASS_REQUIRE=force", "DISPLAY=:0", envPassword+"="+l.Password)
	// Without a terminal even an old ssh takes SSH_ASKPASS.
	c.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return c, nil
}

// HangSSH starts a login from the host that never gets further than the question
// for a password: a connection that still authenticates. It ends with ctx or the lab.
func (h *Host) HangSSH(ctx context.Context, l Login) error {
	hang := filepath.Join(h.dir, hangName)
	self, err := os.Executable()
	if err != nil {
		return err
	}
	if err := os.Symlink(self, hang); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	l.Password = Password // only so that the method is tried
	c, err := h.ssh(ctx, l, "true")
	if err != nil {
		return err
	}
	c.Env = append(c.Env, "SSH_ASKPASS="+hang)
	if err := c.Start(); err != nil {
		return err
	}
	h.lab.tb.Cleanup(func() {
		c.Process.Kill() // it may have ended
		c.Wait()
	})
	return nil
}

// TrySSH logs in from the host, runs `true` there and logs out. It is skipped,
// as StartSSHD is, where OpenSSH is missing.
func (h *Host) TrySSH(l Login) Attempt {
	ctx, cancel := context.WithTimeout(context.Background(), max(l.Timeout, sshWait)+time.Second)
	defer cancel()
	return h.TrySSHContext(ctx, l)
}

// TrySSHContext is TrySSH that gives up when ctx ends.
func (h *Host) TrySSHContext(ctx context.Context, l Login) Attempt {
	begin := time.Now()
	c, err := h.ssh(ctx, l, "true")
	if err != nil {
		return Attempt{Said: err.Error()}
	}
	out, err := c.CombinedOutput()
	a := Attempt{In: err == nil, Took: time.Since(begin), Said: string(bytes.TrimSpace(out))}
	if err != nil && a.Said == "" {
		a.Said = err.Error()
	}
	return a
}

// SSHSession is a login that lasts, with a shell on the other side. It is not for
// concurrent use.
type SSHSession struct {
	Login
	cmd *Cmd
	in  io.WriteCloser
	out *bufio.Reader
	raw *os.File
	err bytes.Buffer
}

// OpenSSH logs in from the host and stays. The error says what ssh said.
func (h *Host) OpenSSH(ctx context.Context, l Login) (*SSHSession, error) {
	c, err := h.ssh(ctx, l, "sh")
	if err != nil {
		return nil, err
	}
	s := &SSHSession{Login: l, cmd: c}
	c.Stderr = &s.err
	if s.in, err = c.StdinPipe(); err != nil {
		return nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	c.Stdout, s.raw, s.out = w, r, bufio.NewReader(r)
	err = c.Start()
	w.Close()
	if err == nil {
		err = s.Beat(max(l.Timeout, sshWait))
	}
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("log in as %s at %s: %w: %s", l.User, l.To, err, strings.TrimSpace(s.err.String()))
	}
	return s, nil
}

// Beat proves that the session lives: its shell must answer within this time.
func (s *SSHSession) Beat(wait time.Duration) error {
	got, err := s.Say("echo beat", wait)
	if err == nil && got != "beat" {
		err = fmt.Errorf("the session answered %q", got)
	}
	return err
}

// Say runs a command in the session's shell and returns the line that it answers.
func (s *SSHSession) Say(command string, wait time.Duration) (string, error) {
	if err := s.raw.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(s.in, command+"\n"); err != nil {
		return "", err
	}
	got, err := s.out.ReadString('\n')
	return strings.TrimSpace(got), err
}

// Pid returns the process number of the session's shell.
func (s *SSHSession) Pid() (int, error) {
	got, err := s.Say("echo $$", sshWait)
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(got)
}

// Close logs out.
func (s *SSHSession) Close() {
	s.in.Close()
	if s.cmd.Process != nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
	s.raw.Close()
}

// ownAddrs lists the addresses of the calling thread's network namespace that
// others reach it by, IPv4 first.
func ownAddrs() ([]netip.Addr, error) {
	var out []netip.Addr
	for _, family := range []int{unix.AF_INET, unix.AF_INET6} {
		list, err := netlink.AddrList(nil, family)
		if err != nil {
			return nil, fmt.Errorf("list addresses: %w", err)
		}
		for _, a := range list {
			if ip, ok := netip.AddrFromSlice(a.IP); ok && !ip.Unmap().IsLoopback() && !ip.IsLinkLocalUnicast() {
				out = append(out, ip.Unmap())
			}
		}
	}
	return out, nil
}

// HasSSH reports whether client, server and key generator are installed, or
// returns an error that wraps exec.ErrNotFound and names what is missing.
func HasSSH() error {
	if _, err := FindSSHD(); err != nil {
		return err
	}
	for _, p := range []string{"ssh", "ssh-keygen"} {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("find the OpenSSH client: %w", err)
		}
	}
	return nil
}
