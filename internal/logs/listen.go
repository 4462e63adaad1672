package logs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse/internal/gate"
)

// Listen says where messages of syslog are listened for, and whose.
type Listen struct {
	// Address is `udp://ADDR:PORT`, `tcp://ADDR:PORT`, `tls://ADDR:PORT` or
	// `unix:///PATH`, which takes datagrams.
	Address string
	// Allow are who may send over the network. On a loopback address it may be
	// empty: this machine.
	Allow []netip.Prefix
	// Cert and Key are files in PEM, for TLS. ClientCA is a file of certificates, of
	// which one must have signed that of each sender; "" = senders need none.
	Cert, Key, ClientCA string
}

// door is the address of a Listen, taken apart.
type door struct {
	network string         // udp, tcp, tls or unix
	addr    netip.AddrPort // zero for unix
	path    string         // for unix
}

// door returns where to listen.
func (l Listen) door() (d door, err error) {
	u, err := url.Parse(l.Address)
	if err != nil || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return door{}, fmt.Errorf("%s is not an address to listen at: write udp://127.0.0.1:5514, tcp://…, tls://… or unix:///path", gate.Quote(l.Address, 128))
	}
	switch d.network = u.Scheme; d.network {
	case "unix":
		if u.Host != "" || !filepath.IsAbs(u.Path) {
			return door{}, fmt.Errorf("%s has no absolute path: write unix:///run/gatehouse/log", gate.Quote(l.Address, 128))
		}
		d.path = filepath.Clean(u.Path)
		return d, nil
	case "udp", "tcp", "tls":
	default:
		return door{}, fmt.Errorf("%s is not an address to listen at: write udp://127.0.0.1:5514, tcp://…, tls://… or unix:///path", gate.Quote(l.Address, 128))
	}
	if d.addr, err = netip.ParseAddrPort(u.Host); err != nil || d.addr.Port() == 0 && !strings.HasSuffix(u.Host, ":0") || u.Path != "" {
		return door{}, fmt.Errorf("%s names no address and port: write the address to listen at, such as %s://127.0.0.1:5514", gate.Quote(l.Address, 128), d.network)
	}
	return d, nil
}

// check returns what is wrong with the settings.
func (l Listen) check() error {
	d, err := l.door()
	switch {
	case err != nil:
		return err
	case d.network != "unix" && len(l.Allow) == 0 && !d.addr.Addr().IsLoopback():
		return fmt.Errorf("%s: nobody is allowed to send there: say who in allow_from", l.Address)
	case d.network == "tls" && (l.Cert == "" || l.Key == ""):
		return fmt.Errorf("%s: TLS needs a certificate and its key", l.Address)
	case d.network != "tls" && (l.Cert != "" || l.Key != "" || l.ClientCA != ""):
		return fmt.Errorf("%s: a certificate is for tls:// only", l.Address)
	case d.network == "unix" && len(l.Allow) > 0:
		return fmt.Errorf("%s: who may send to a path is for its folder to say, not for allow_from", l.Address)
	}
	return nil
}

// equal reports whether both are the same settings.
func (l Listen) equal(o Listen) bool {
	return l.Address == o.Address && slices.Equal(l.Allow, o.Allow) && l.Cert == o.Cert && l.Key == o.Key && l.ClientCA == o.ClientCA
}

// checkListens returns an error if two watches listen at one address in two ways.
func checkListens(ws []Watch) error {
	for i, w := range ws {
		for _, o := range ws[:i] {
			if w.Syslog != nil && o.Syslog != nil && w.Syslog.Address == o.Syslog.Address && !w.Syslog.equal(*o.Syslog) {
				return fmt.Errorf("watch %s: %s is listened at by %s with other settings: write the same in both", w.Name, w.Syslog.Address, o.Name)
			}
		}
	}
	return nil
}

// allows reports whether who has this address may send.
func (l Listen) allows(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	if len(l.Allow) == 0 {
		return a.IsLoopback()
	}
	return slices.ContainsFunc(l.Allow, func(p netip.Prefix) bool { return p.Contains(a) })
}

// tls returns the settings of TLS, read from their files.
func (l Listen) tls() (*tls.Config, error) {
	cert, err := tls.LoadX509KeyPair(l.Cert, l.Key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s and key %s: %w", l.Cert, l.Key, err)
	}
	c := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	if l.ClientCA != "" {
		pem, err := os.ReadFile(l.ClientCA)
		if err != nil {
			return nil, fmt.Errorf("certificates of senders: %w", err)
		}
		c.ClientCAs, c.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !c.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("certificates of senders: %s has none in PEM", l.ClientCA)
		}
	}
	return c, nil
}

// clearPath removes a socket that nobody listens at any more.
func clearPath(path string) error {
	fi, err := os.Lstat(path)
	if err != nil {
		return nil //nolint:nilerr // nothing is in the way, or listening will say what is
	}
	if fi.Mode()&os.ModeSocket == 0 {
		return fmt.Errorf("%s is there already, and is no socket", path)
	}
	if c, err := net.Dial("unixgram", path); err == nil {
		_ = c.Close()
		return errors.New("somebody else listens at " + path)
	}
	return os.Remove(path)
}
