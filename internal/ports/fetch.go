package ports

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Bounds of fetching.
const (
	fetchTime    = 20 * time.Second // for one file in all
	connectTime  = 8 * time.Second  // for a connection, and as much for TLS
	answerTime   = 10 * time.Second // until the answer begins
	maxRedirects = 3
	maxHeader    = 32 << 10 // bytes
	maxETag      = 256      // bytes of what a server calls a version
)

// fetched is a file as it came.
type fetched struct {
	same      bool // as it was when it was called etag
	content   []byte
	signature []byte // "" where none is wanted
	etag      string
}

// fetcher reads a remote file and its signature.
type fetcher struct {
	path     string // of this machine; "" = by url
	url      string
	suffix   string // of the signature's name; "" = none is wanted
	client   *http.Client
	patience time.Duration // for one file in all, however slowly it comes
}

// newFetcher makes a fetcher. ca is a file of certificates, "" for those of the
// machine.
func newFetcher(c RemoteConfig) (*fetcher, error) {
	f := &fetcher{path: c.Path, url: c.URL, suffix: signatureSuffix(c.Verify), patience: fetchTime}
	if f.path != "" {
		return f, nil
	}
	var roots *x509.CertPool
	if c.CA != "" {
		pem, err := readSmall(c.CA, 1<<20)
		if err != nil {
			return nil, fmt.Errorf("read the certificates %s: %w", c.CA, err)
		}
		if roots = x509.NewCertPool(); !roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s has no certificate in PEM", c.CA)
		}
	}
	f.client = &http.Client{
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            (&net.Dialer{Timeout: connectTime}).DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    connectTime,
			ResponseHeaderTimeout:  answerTime,
			MaxResponseHeaderBytes: maxHeader,
			DisableCompression:     true, // a small answer must not become a large one
			DisableKeepAlives:      true, // one file every few minutes
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case r.URL.Scheme != "https":
				return errRedirect
			case len(via) > maxRedirects:
				return errRedirects
			}
			return nil
		},
	}
	return f, nil
}

var (
	errRedirect  = errors.New("the server sends us elsewhere than to HTTPS")
	errRedirects = fmt.Errorf("the server sends us elsewhere more than %d times", maxRedirects)
)

// fetch reads the file, unless it is still what was called etag.
func (f *fetcher) fetch(ctx context.Context, etag string) (out fetched, err error) {
	if f.path != "" {
		if out.content, err = readSmall(f.path, maxRemote); err == nil && f.suffix != "" {
			out.signature, err = readSmall(f.path+f.suffix, maxSignature)
		}
		return out, err
	}
	out.content, out.etag, err = f.get(ctx, f.url, etag, maxRemote)
	if errors.Is(err, errSame) {
		return fetched{same: true, etag: etag}, nil
	}
	if err != nil || f.suffix == "" {
		return out, err
	}
	u, err := url.Parse(f.url)
	if err != nil {
		return out, err
	}
	u.Path, u.RawPath = u.Path+f.suffix, ""
	if out.signature, _, err = f.get(ctx, u.String(), "", maxSignature); err != nil {
		return out, fmt.Errorf("the signature: %w", err)
	}
	return out, nil
}

// errSame is that the server has the same version still.
var errSame = errors.New("not modified")

// get reads one address.
func (f *fetcher) get(ctx context.Context, address, etag string, most int) (body []byte, version string, err error) {
	ctx, cancel := context.WithTimeout(ctx, f.patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("User-Agent", "gatehouse")
	req.Header.Set("Accept", "text/plain, application/octet-stream;q=0.5, */*;q=0.1")
	if etag != "" {
		req.Header.Set("If-None-Match", etag)
	}
	resp, err := f.client.Do(req)
	if err != nil {
		return nil, "", plainly(err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusNotModified && etag != "":
		return nil, "", errSame
	case resp.StatusCode != http.StatusOK:
		return nil, "", fmt.Errorf("the server answers %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	case resp.ContentLength > int64(most):
		return nil, "", errLarge
	}
	if kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err == nil && (kind == "text/html" || kind == "application/xhtml+xml") {
		return nil, "", errHTML
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, int64(most)+1))
	if err == nil {
		err = ctx.Err() // a server that ends its answer because we gave up has not answered
	}
	if err != nil {
		return nil, "", plainly(err)
	}
	if len(body) > most {
		return nil, "", errLarge
	}
	if version = resp.Header.Get("ETag"); len(version) > maxETag {
		version = ""
	}
	return body, version, nil
}

// plainly says what kept a file from coming, in words of our own: what a server
// says is not repeated.
func plainly(err error) error {
	switch {
	case errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, errRedirect):
		return errRedirect
	case errors.Is(err, errRedirects):
		return errRedirects
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok && e.Reason == x509.Expired {
		return errors.New("the server's certificate has expired, or is not valid yet")
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return errors.New("nobody that is trusted vouches for the server's certificate")
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return errors.New("the server's certificate is for another name")
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return errors.New("the server's name does not resolve")
	}
	if e, ok := errors.AsType[net.Error](err); ok && e.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("the server does not answer in time")
	}
	if e, ok := errors.AsType[*net.OpError](err); ok && e.Op == "dial" {
		return errors.New("the server cannot be reached")
	}
	return errors.New("the server's answer breaks off or is no answer")
}
