package lists

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Bounds of one request besides those of a list.
const (
	dialTime   = 10 * time.Second
	headerTime = 30 * time.Second
	maxHops    = 5
	maxWait    = 24 * time.Hour // that a server can ask for
)

// reply is what a source gave.
type reply struct {
	file     *os.File // its content, to be closed and removed; nil = the same as before
	etag     string
	modified string
}

// close removes the content.
func (r *reply) close() {
	if r.file != nil {
		_ = r.file.Close()
		_ = os.Remove(r.file.Name()) // a temporary file: what stays costs room only
	}
}

// later is the error of a server that wants to be left alone for a while.
type later struct {
	error
	after time.Duration
}

// newClient returns the client for all requests.
func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: (&net.Dialer{Timeout: dialTime}).DialContext,
			TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: headerTime, MaxResponseHeaderBytes: 64 << 10,
			DisableCompression: true, ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 1, IdleConnTimeout: 10 * time.Second,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch first := via[0].URL; {
			case len(via) >= maxHops:
				return fmt.Errorf("it is redirected more than %d times", maxHops)
			case first.Scheme == "https" && r.URL.Scheme != "https":
				return errors.New("it is redirected from https to " + r.URL.Scheme)
			}
			return nil
		},
	}
}

// fetch asks a URL for its content, or whether it is still what etag and modified
// say, and puts it into a file in folder. At most max bytes are taken from the wire,
// and as many unpacked. Its error says in a clause what is wrong, without the URL.
func fetch(ctx context.Context, c *http.Client, agent, where, etag, modified, folder string, max int64) (reply, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, where, nil)
	if err != nil {
		return reply{}, errors.New("the URL cannot be used")
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Accept-Encoding", "gzip")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	if modified != "" {
		req.Header.Set("If-Modified-Since", modified)
	}
	resp, err := c.Do(req)
	if err != nil {
		return reply{}, transportError(err)
	}
	defer resp.Body.Close()
	out := reply{etag: bounded(resp.Header.Get("ETag")), modified: bounded(resp.Header.Get("Last-Modified"))}
	switch {
	case resp.StatusCode == http.StatusNotModified && (etag != "" || modified != ""):
		return out, nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return reply{}, &later{fmt.Errorf("the server answered %s", status(resp)), retryAfter(resp)}
	case resp.StatusCode != http.StatusOK:
		return reply{}, fmt.Errorf("the server answered %s", status(resp))
	case resp.ContentLength > max:
		return reply{}, fmt.Errorf("it is larger than %s", megabytes(max))
	}
	var body io.Reader = &limited{r: resp.Body, left: max, what: "it is larger than"}
	switch e := strings.ToLower(resp.Header.Get("Content-Encoding")); e {
	case "", "identity":
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(body)
		if err != nil {
			return reply{}, fmt.Errorf("it cannot be unpacked: %w", err)
		}
		body = &limited{r: z, left: max, what: "it unpacks to more than"}
	default:
		return reply{}, fmt.Errorf("it is packed with %s, which nobody asked for", quote(e))
	}
	if out.file, err = spool(body, folder); err != nil {
		return reply{}, transportError(err)
	}
	return out, nil
}

// spool writes what comes into a temporary file and goes back to its beginning.
func spool(src io.Reader, folder string) (*os.File, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, err
	}
	f, err := os.CreateTemp(folder, ".fetch-*")
	if err != nil {
		return nil, err
	}
	if _, err = io.Copy(f, src); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		(&reply{file: f}).close()
		return nil, err
	}
	return f, nil
}

// bounded returns a header that is worth keeping.
func bounded(s string) string {
	if len(s) > 256 {
		return ""
	}
	return s
}

// status is the status of an answer, without what the server writes into it.
func status(r *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(r.StatusCode) + " " + http.StatusText(r.StatusCode))
}

// retryAfter is how long a server wants to be left alone (RFC 9110, section 10.2.3);
// 0 = it does not say.
func retryAfter(r *http.Response) time.Duration {
	v := r.Header.Get("Retry-After")
	if n, err := strconv.Atoi(v); err == nil && n > 0 {
		return min(time.Duration(min(n, 1<<20))*time.Second, maxWait)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(0, time.Until(t)), maxWait)
	}
	return 0
}

// transportError makes an error of the network short, and free of the URL, which may
// hold a password.
func transportError(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if errors.Is(err, context.DeadlineExceeded) || os.IsTimeout(err) {
		return errors.New("it took too long")
	}
	return err
}
