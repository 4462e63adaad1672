package enrich

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of whois (RFC 3912).
const (
	whoisTime    = 8 * time.Second // for one server
	maxWhois     = 128 << 10       // bytes of an answer; more is not read
	maxReferrals = 4
	whoisPort    = "43"
)

// whois asks the first server, and those to which each refers, a few and none
// twice. The last answer about the address holds.
func (e *Enricher) whois(ctx context.Context, addr netip.Addr) (Registration, error) {
	server, err := whoisServer(e.c.Whois, true)
	if err != nil {
		return Registration{}, err
	}
	var best Registration
	var problem error
	seen := map[string]bool{}
	for range maxReferrals + 1 {
		seen[server] = true
		text, err := e.askWhois(ctx, server, addr)
		if err != nil {
			problem = err
			break
		}
		r, next := parseWhois(text, addr)
		if r.Network.IsValid() {
			r.Source, _, _ = net.SplitHostPort(server)
			best, problem = r, nil
		}
		if next == "" {
			break
		}
		if server, err = whoisServer(next, e.inside); err != nil || seen[server] {
			if err == nil {
				err = fmt.Errorf("whois servers refer to each other in a circle")
			}
			problem = err
			break
		}
	}
	switch {
	case best.Source != "" && (best.Title != "" || best.Owner != "" || len(best.Abuse) > 0):
		return best, nil
	case problem != nil:
		return Registration{}, problem
	}
	return Registration{}, errors.New("whois: no server knows who holds it")
}

// whoisServer reads host or host:port. Outside of one's own networks only the
// port of whois is used.
func whoisServer(s string, anyPort bool) (string, error) {
	host, port := s, whoisPort
	if h, p, err := net.SplitHostPort(s); err == nil {
		host, port = h, p
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if host = hostName(host); host == "" {
			return "", fmt.Errorf("whois: %s is not a server", gate.Quote(s, 64))
		}
	}
	if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || port != whoisPort && !anyPort {
		return "", fmt.Errorf("whois: %s refers to a port that is not that of whois", gate.Quote(s, 64))
	}
	return net.JoinHostPort(host, port), nil
}

// askWhois asks one server.
func (e *Enricher) askWhois(ctx context.Context, server string, addr netip.Addr) (string, error) {
	host, _, _ := net.SplitHostPort(server)
	if err := e.pace.wait(ctx, server); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, whoisTime)
	defer cancel()
	c, err := e.d.Dial(ctx, "tcp", server)
	if err != nil {
		return "", fmt.Errorf("whois: %s: %s", host, clean(err.Error(), maxText))
	}
	defer c.Close()
	end, _ := ctx.Deadline() // there is one
	if err := c.SetDeadline(end); err != nil {
		return "", fmt.Errorf("whois: %s: %w", host, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) }) // a closed connection needs none
	defer stop()
	query := addr.String()
	if host == "whois.arin.net" { // it wants to be told to show networks in full
		query = "n + " + query
	}
	if _, err := io.WriteString(c, query+"\r\n"); err != nil {
		return "", fmt.Errorf("whois: %s: %s", host, clean(err.Error(), maxText))
	}
	data, err := io.ReadAll(io.LimitReader(c, maxWhois))
	switch {
	case err == nil, len(data) == maxWhois:
	case ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "", fmt.Errorf("whois: %s takes longer than %s", host, whoisTime)
	default:
		return "", fmt.Errorf("whois: %s: %s", host, clean(err.Error(), maxText))
	}
	return string(data), nil
}

func isTimeout(err error) bool {
	ne, ok := errors.AsType[net.Error](err)
	return ok && ne.Timeout()
}

// referral takes the server out of what one answers: `whois.example.net`,
// `whois://whois.example.net:43/`, `rwhois://…` (another protocol: none).
func referral(s string) string {
	s = strings.TrimSpace(s)
	if scheme, rest, ok := strings.Cut(s, "://"); ok {
		if !strings.EqualFold(scheme, "whois") {
			return ""
		}
		s, _, _ = strings.Cut(rest, "/")
	}
	if len(s) > 260 || strings.ContainsAny(s, " \t") {
		return ""
	}
	return s
}
