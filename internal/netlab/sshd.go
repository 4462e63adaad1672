package netlab

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// sshStart is how long an OpenSSH server may take until it listens.
const sshStart = 10 * time.Second

// SSHOptions say what kind of OpenSSH server StartSSHD starts.
type SSHOptions struct {
	Users     []string // accounts that exist besides root; their password is Password
	Port      uint16   // 0 = 22
	Syslog    bool     // log through /dev/log as on a real machine (time, host, sshd[pid]), not bare lines on standard error
	LogFile   string   // where the log goes; "" = auth.log in the host's folder
	Penalties bool     // leave PerSourcePenalties as the version has them; else they are off
	Keys      []string // public keys, authorized_keys lines, that let every account in
	Config    []string // further lines of sshd_config; they win over the others
}

// SSHD is a running OpenSSH server.
type SSHD struct {
	*Lines                // its log
	Addr   netip.AddrPort // an address of the host and the port
	Log    string         // the log file
	Pid    int            // of the listener
	Real   bool           // real root: privilege separation, and root can log in

	cmd  *Cmd
	done chan struct{} // closed when the listener has ended
}

// OpenSSHVersion reads a version such as "OpenSSH_9.2p1"; false if there is none.
func OpenSSHVersion(text string) (major, minor int, ok bool) {
	m := regexp.MustCompile(`OpenSSH_(\d{1,4})\.(\d{1,4})`).FindStringSubmatch(text)
	if m == nil {
		return 0, 0, false
	}
	major, _ = strconv.Atoi(m[1])
	minor, _ = strconv.Atoi(m[2])
	return major, minor, true
}

// FindSSHD returns the path of the OpenSSH server, or an error that wraps
// exec.ErrNotFound.
func FindSSHD() (string, error) {
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/usr/bin/sshd", "/sbin/sshd"} {
		if st, err := os.Stat(p); err == nil && st.Mode()&0o111 != 0 {
			return p, nil
		}
	}
	p, err := exec.LookPath("sshd")
	if err != nil {
		return "", fmt.Errorf("find the OpenSSH server: %w", err)
	}
	return filepath.Abs(p)
}

// StartSSHD starts an OpenSSH server (sshd -D) on the host and returns when it
// listens. The host gets users, /run and /var/log of its own, so that logins
// with a known password work without touching the machine.
//
// With real root the server separates privileges as on any machine. In a user
// namespace it runs as an ordinary user inside one more namespace: it logs
// invalid users and wrong passwords just as well, and the accounts of
// SSHOptions.Users, which are all this one user, can log in; root cannot.
//
// The test is skipped if OpenSSH is not installed.
func StartSSHD(h *Host, o SSHOptions) *SSHD {
	h.lab.tb.Helper()
	path, err := FindSSHD()
	if err == nil {
		_, err = exec.LookPath("ssh-keygen")
	}
	if err != nil {
		h.lab.tb.Skipf("netlab: %v; install it with: sudo apt install openssh-server openssh-client", err)
	}
	d, err := startSSHD(h, path, o)
	if err != nil {
		h.lab.tb.Fatalf("netlab: start sshd on %s: %v", h.Name, err)
	}
	return d
}

func startSSHD(h *Host, path string, o SSHOptions) (*SSHD, error) {
	if o.Port == 0 {
		o.Port = 22
	}
	if o.LogFile == "" {
		o.LogFile = filepath.Join(h.dir, "auth.log")
	}
	h.accounts(o.Users)
	h.Tmpfs("/run", "/var/log")
	h.Sysctl("net.ipv4.ip_unprivileged_port_start", "0")
	// The keys lie in /run, where users other than root can read them.
	h.File("/run/netlab/authorized_keys", strings.Join(o.Keys, "\n")+"\n", 0o644)
	h.File("/run/sshd/.keep", "", 0o600)

	key := filepath.Join(h.dir, "host_key")
	if _, err := os.Stat(key); err != nil {
		if err := makeKey(key); err != nil {
			return nil, err
		}
	}
	version, _ := exec.Command(path, "-V").CombinedOutput() // old versions: unknown option, but they say it
	conf := filepath.Join(h.dir, "sshd_config")
	if err := writeFile(conf, o.config(key, string(version)), 0o600); err != nil {
		return nil, fmt.Errorf("write its configuration: %w", err)
	}
	lines, err := newLines(o.LogFile)
	if err != nil {
		return nil, fmt.Errorf("open its log: %w", err)
	}
	d := &SSHD{Lines: lines, Log: o.LogFile, Real: rooted(), done: make(chan struct{})}
	d.Addr, err = h.address(o.Port)
	if err != nil {
		return nil, err
	}
	args := []string{"-D", "-f", conf}
	if !o.Syslog {
		args = []string{"-D", "-e", "-f", conf}
	}
	d.cmd = h.Command(path, args...)
	d.cmd.Dir = "/"
	d.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "TZ=" + os.Getenv("TZ")}
	if !d.Real {
		d.cmd.SysProcAttr = &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: nestedID, HostID: 0, Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: nestedID, HostID: 0, Size: 1}},
		}
	}
	if err := d.start(h, o); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), sshStart)
	defer cancel()
	if _, err := d.Wait(ctx, func(line string) bool { return strings.Contains(line, "Server listening on ") }); err != nil {
		d.Stop()
		return nil, fmt.Errorf("%w:\n%s", err, strings.Join(d.All(), "\n"))
	}
	return d, nil
}

// start starts the process and what carries its log.
func (d *SSHD) start(h *Host, o SSHOptions) error {
	stopLog := func() {}
	var read *os.File
	var errs bytes.Buffer
	if o.Syslog {
		var err error
		if stopLog, err = h.syslog(d.Lines); err != nil {
			return err
		}
		d.cmd.Stderr = &errs
		d.cmd.WaitDelay = time.Second // its sessions hold standard error open
	} else {
		// A pipe of our own, not Cmd's: sessions that outlive the listener
		// hold it open.
		r, w, err := os.Pipe()
		if err != nil {
			return err
		}
		defer w.Close()
		d.cmd.Stderr, read = w, r
	}
	if err := d.cmd.Start(); err != nil {
		stopLog()
		return err
	}
	d.Pid = d.cmd.Process.Pid
	if read != nil {
		go func() {
			defer read.Close()
			in := bufio.NewReader(read)
			for {
				line, err := in.ReadString('\n')
				if line != "" {
					d.add(strings.TrimRight(line, "\r\n"))
				}
				if err != nil {
					d.end()
					return
				}
			}
		}()
	}
	go func() {
		defer close(d.done)
		d.cmd.Wait()
		if o.Syslog {
			// What it could not log: a broken configuration.
			for line := range strings.Lines(errs.String()) {
				d.add(strings.TrimSpace(line))
			}
			stopLog()
			d.end()
		}
	}()
	h.lab.tb.Cleanup(func() { d.Stop() })
	return nil
}

// config returns the sshd_config. In it, the first value of a key wins.
func (o SSHOptions) config(key, version string) string {
	c := append([]string{}, o.Config...)
	c = append(c,
		"Port "+strconv.Itoa(int(o.Port)),
		"HostKey "+key,
		"PidFile none",
		"UseDNS no",
		"StrictModes no",
		"PermitRootLogin yes",
		"PasswordAuthentication yes",
		"KbdInteractiveAuthentication no",
		"AuthorizedKeysFile /run/netlab/authorized_keys",
		"MaxStartups 200:30:400",
		"PrintMotd no",
		"PrintLastLog no",
	)
	if major, minor, ok := OpenSSHVersion(version); ok && !o.Penalties && (major > 9 || major == 9 && minor >= 8) {
		c = append(c, "PerSourcePenalties no") // new in 9.8
	}
	return strings.Join(c, "\n") + "\n"
}

// Stop ends the listener; sessions go on.
func (d *SSHD) Stop() {
	d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	<-d.done
}

// makeKey makes an ed25519 key pair without a passphrase: file and file.pub.
func makeKey(file string) error {
	out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "netlab", "-f", file).CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a key: %w: %s", err, bytes.TrimSpace(out))
	}
	return nil
}

// address returns an address of the host that others reach it by, IPv4 first.
func (h *Host) address(port uint16) (netip.AddrPort, error) {
	var found []netip.Addr
	err := h.Do(func() (err error) {
		found, err = ownAddrs()
		return err
	})
	if err == nil && len(found) == 0 {
		err = errors.New("the host has no address: link it first")
	}
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(found[0], port), nil
}
