package panel

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"go.bug.st/serial"
)

// The rates at which adapters speak, the usual one first.
var rates = []int{115200, 19200}

// place is where an adapter may be.
type place struct {
	device string // a path, or tcp:// or tls:// with host and port
	baud   int    // of a path
}

// String returns the place for people.
func (p place) String() string { return p.device }

// network reports whether the place is on the network.
func (p place) network() bool { return strings.Contains(p.device, "://") }

// places returns where the adapter may be, the likeliest first.
func places(c Config) []place {
	devices := []string{c.Device}
	if c.Device == "auto" || c.Device == "" {
		devices = candidates("/dev")
	}
	var out []place
	for _, d := range devices {
		switch {
		case strings.Contains(d, "://"), c.Baud != 0:
			out = append(out, place{d, c.Baud})
		default:
			for _, r := range rates {
				out = append(out, place{d, r})
			}
		}
	}
	return out
}

// candidates returns serial devices that may be an adapter: those that name
// themselves so first, then other USB ones. A device has one entry.
func candidates(dev string) []string {
	var out []string
	real := map[string]bool{}
	add := func(paths []string, wanted func(string) bool) {
		for _, p := range paths {
			target, err := filepath.EvalSymlinks(p)
			if err == nil && !real[target] && wanted(strings.ToLower(filepath.Base(p))) {
				real[target] = true
				out = append(out, p)
			}
		}
	}
	byID, _ := filepath.Glob(filepath.Join(dev, "serial/by-id/*")) // the pattern is right
	named := func(s string) bool { return strings.Contains(s, "alarmdecoder") || strings.Contains(s, "ad2") }
	add(byID, named)
	add(byID, func(s string) bool { return strings.Contains(s, "ftdi") || strings.Contains(s, "ft232") })
	for _, pattern := range []string{"ttyUSB*", "ttyACM*", "ttyAMA0", "serial0"} {
		found, _ := filepath.Glob(filepath.Join(dev, pattern)) // as above
		slices.Sort(found)
		add(found, func(string) bool { return true })
	}
	return out
}

// Error is an error with what to do about it.
type Error struct {
	What string // what went wrong
	Hint string // what to do
	err  error
}

// Error implements error; the hint is not part of it.
func (e *Error) Error() string { return e.What }

// Unwrap returns what it was made from, if anything.
func (e *Error) Unwrap() error { return e.err }

// dialTimeout is how long a connection may take to come about.
const dialTimeout = 10 * time.Second

// open connects to an adapter.
func open(ctx context.Context, c Config, p place) (io.ReadWriteCloser, error) {
	if p.network() {
		return dial(ctx, c, p.device)
	}
	return openSerial(p)
}

// openSerial opens a serial device. Its errors say what to do.
func openSerial(p place) (io.ReadWriteCloser, error) {
	fail := func(why, hint string, err error) error {
		return &Error{What: "open " + p.device + ": " + why, Hint: hint, err: err}
	}
	info, err := os.Stat(p.device)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fail("there is no such device", "plug the adapter in, or name another one with device: in panel:", err)
	case err != nil:
		return nil, fail(reason(err), "check the path", err)
	case info.IsDir():
		return nil, fail("it is a folder", "name a device, such as /dev/ttyUSB0, or auto", syscall.EISDIR)
	case info.Mode()&os.ModeCharDevice == 0:
		return nil, fail("it is no serial device", "name a device, such as /dev/ttyUSB0, or auto", syscall.ENOTTY)
	}
	port, err := serial.Open(p.device, &serial.Mode{BaudRate: p.baud, DataBits: 8, Parity: serial.NoParity, StopBits: serial.OneStopBit})
	if err == nil {
		return port, nil
	}
	hint := "check that it is a serial device"
	if pe, ok := errors.AsType[*serial.PortError](err); ok {
		switch pe.Code() {
		case serial.PortBusy:
			return nil, fail("another program uses it", "stop it (ser2sock, alarmdecoder-webapp, Home Assistant): Gatehouse serves them with server: in panel:", err)
		case serial.PermissionDenied:
			return nil, fail("permission denied", "run as root, or let the daemon into the group dialout", err)
		case serial.InvalidSerialPort:
			return nil, fail("it is no serial device", "name a device, such as /dev/ttyUSB0, or auto", err)
		}
	}
	return nil, fail(reason(err), hint, err)
}

// reason returns what the kernel said, without the names of calls and files.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return err.Error()
}

// dial connects to a server that speaks as ser2sock does.
func dial(ctx context.Context, c Config, device string) (io.ReadWriteCloser, error) {
	u, err := url.Parse(device)
	if err != nil {
		return nil, &Error{What: "the address of the panel cannot be read", Hint: "write tcp://192.0.2.5:10000", err: err}
	}
	d := net.Dialer{Timeout: dialTimeout, KeepAliveConfig: keepAlive}
	fail := func(why, hint string, err error) error {
		return &Error{What: "connect to " + u.Host + ": " + why, Hint: hint, err: err}
	}
	conn, err := d.DialContext(ctx, "tcp", u.Host)
	if err != nil {
		return nil, fail(reason(err), "check that ser2sock or the adapter listens there", err)
	}
	if u.Scheme == "tcp" {
		return conn, nil
	}
	tc, err := clientTLS(c, u.Hostname())
	if err != nil {
		_ = conn.Close() // the first error is the one to tell
		return nil, err
	}
	t := tls.Client(conn, tc)
	shake, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := t.HandshakeContext(shake); err != nil {
		_ = conn.Close() // as above
		return nil, fail("TLS: "+reason(err), "check ca, cert and key in panel:; TLS before 1.2 is not spoken: the original ser2sock only knows 1.0, use tcp:// over a trusted way there", err)
	}
	return t, nil
}

// keepAlive finds out within half a minute that the other side is gone.
var keepAlive = net.KeepAliveConfig{Enable: true, Idle: 10 * time.Second, Interval: 5 * time.Second, Count: 4}

// clientTLS is how we speak TLS to a server.
func clientTLS(c Config, host string) (*tls.Config, error) {
	t := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: host}
	if c.CA != "" {
		pool, err := certificates(c.CA)
		if err != nil {
			return nil, err
		}
		t.RootCAs = pool
	}
	if c.Cert != "" {
		pair, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, &Error{What: "read the certificate for the panel: " + reason(err), Hint: "check cert and key in panel:", err: err}
		}
		t.Certificates = []tls.Certificate{pair}
	}
	return t, nil
}

// certificates reads certificates in PEM.
func certificates(path string) (*x509.CertPool, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, &Error{What: fmt.Sprintf("read %s: %s", path, reason(err)), Hint: "it holds certificates in PEM", err: err}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, &Error{What: path + " holds no certificate", Hint: "it holds certificates in PEM"}
	}
	return pool, nil
}
