package enrich

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"
)

// Bounds of one conversation with a web server.
const (
	webTime      = 10 * time.Second
	maxRDAP      = 512 << 10 // bytes of an answer; usual ones have 5 to 40 kB
	maxRedirects = 4
)

// web asks web servers, politely and within bounds.
type web struct {
	client *http.Client
	pace   *pace
}

func newWeb(dial func(ctx context.Context, network, address string) (net.Conn, error), p *pace) *web {
	return &web{pace: p, client: &http.Client{
		Timeout: webTime,
		Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSHandshakeTimeout: webTime,
			ResponseHeaderTimeout: webTime, MaxResponseHeaderBytes: 64 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// errNotFound is what a registry says that knows nothing of an address.
var errNotFound = errors.New("it knows nothing of that address")

// get fetches a document, along a few redirects, each of which must lead to a new
// place and never from https to http.
func (w *web) get(ctx context.Context, where string, most int) ([]byte, error) {
	seen := map[string]bool{}
	for range maxRedirects + 1 {
		if seen[where] {
			return nil, fmt.Errorf("its redirects lead in a circle")
		}
		seen[where] = true
		data, next, err := w.once(ctx, where, most)
		if err != nil || next == "" {
			return data, err
		}
		where = next
	}
	return nil, fmt.Errorf("it redirects more than %d times", maxRedirects)
}

// once sends one request; next is where the answer redirects to.
func (w *web) once(ctx context.Context, where string, most int) (data []byte, next string, err error) {
	u, err := url.Parse(where)
	if err != nil || u.Hostname() == "" {
		return nil, "", fmt.Errorf("not the address of a web server")
	}
	host := u.Host
	if err := w.pace.wait(ctx, host); err != nil {
		return nil, "", err
	}
	ctx, cancel := context.WithTimeout(ctx, webTime)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", clean(host, maxText), err)
	}
	req.Header.Set("Accept", "application/rdap+json, application/json")
	req.Header.Set("User-Agent", "gatehouse")
	resp, err := w.client.Do(req)
	if err != nil {
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return nil, "", fmt.Errorf("%s: %s", clean(host, maxText), clean(err.Error(), maxText))
	}
	defer resp.Body.Close()
	switch code := resp.StatusCode; {
	case code == http.StatusOK:
	case code/100 == 3:
		next, err = redirect(u, resp.Header.Get("Location"))
		return nil, next, err
	case code == http.StatusNotFound:
		return nil, "", fmt.Errorf("%s: %w", clean(host, maxText), errNotFound)
	case code == http.StatusTooManyRequests, code == http.StatusServiceUnavailable:
		w.pace.off(host, retryAfter(resp.Header.Get("Retry-After"), time.Now()))
		fallthrough
	default:
		return nil, "", fmt.Errorf("%s answers %s", clean(host, maxText), clean(resp.Status, 60))
	}
	data, err = io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err != nil {
		return nil, "", fmt.Errorf("%s broke off its answer: %s", clean(host, maxText), clean(err.Error(), maxText))
	}
	if len(data) > most {
		return nil, "", fmt.Errorf("%s answers more than %d kB", clean(host, maxText), most>>10)
	}
	return data, "", nil
}

// redirect judges where a server sends us.
func redirect(from *url.URL, location string) (string, error) {
	to, err := from.Parse(location)
	switch {
	case err != nil || location == "" || len(location) > 1000 || to.Hostname() == "" || to.User != nil:
		return "", fmt.Errorf("%s redirects to nowhere", clean(from.Host, maxText))
	case to.Scheme != "https" && (to.Scheme != "http" || from.Scheme == "https"):
		return "", fmt.Errorf("%s redirects to %s, which is not https", clean(from.Host, maxText), clean(to.Host, maxText))
	}
	return to.String(), nil
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, section
// 10.2.3); 0 where there is none or it is unreadable.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h); err == nil {
		return time.Duration(max(0, min(n, int(longestOff/time.Second)))) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, min(t.Sub(now), longestOff))
	}
	return 0
}

// rdap asks the RDAP server that is responsible for an address (RFC 9082).
func (e *Enricher) rdap(ctx context.Context, addr netip.Addr) (Registration, error) {
	base, err := e.boot.server(ctx, addr)
	if err != nil {
		return Registration{}, err
	}
	data, err := e.web.get(ctx, base+"ip/"+addr.String(), maxRDAP)
	if err != nil {
		return Registration{}, err
	}
	r, err := parseRDAP(data, addr)
	if u, perr := url.Parse(base); perr == nil {
		r.Source = clean(u.Hostname(), maxText)
	}
	if err != nil {
		return r, fmt.Errorf("%s: %w", r.Source, err)
	}
	return r, nil
}
