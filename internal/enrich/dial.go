package enrich

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"syscall"
	"time"

	"gatehouse/internal/gate"
)

// publicOnly returns a function that connects to public addresses only, so that
// no answer from outside makes us talk to what is behind our own walls. Where the
// operator's own bootstrap lists lie behind them, so may the servers that they
// name.
func publicOnly(bootstrap string) func(ctx context.Context, network, address string) (net.Conn, error) {
	inside := isInside(bootstrap)
	d := &net.Dialer{Timeout: 5 * time.Second, ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err == nil && !inside && !gate.IsPublic(at.Addr()) {
			err = fmt.Errorf("%s is not a public address", at.Addr())
		}
		return err
	}}
	return d.DialContext
}

// isInside reports whether a URL names a server by an address that is not public,
// or as localhost.
func isInside(bootstrap string) bool {
	u, err := url.Parse(bootstrap)
	if err != nil {
		return false
	}
	a, err := netip.ParseAddr(u.Hostname())
	return err == nil && !gate.IsPublic(a) || u.Hostname() == "localhost"
}
