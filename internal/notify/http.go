package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"
)

// Bounds of a conversation with a server.
const (
	sendTime  = 30 * time.Second // for one message
	maxAnswer = 64 << 10         // bytes of an answer that are read; more is cut off
	shownText = 300              // bytes of an answer that are shown
)

// newClient returns an HTTP client that follows no redirect, keeps no connection
// and trusts the certificates in the file ca besides the system's.
func newClient(ca string) (*http.Client, error) {
	trusted, err := tlsConfig(ca)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Timeout: sendTime,
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: trusted, ForceAttemptHTTP2: true,
			DisableKeepAlives: true, TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: sendTime,
			MaxResponseHeaderBytes: maxAnswer,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// tlsConfig trusts what the system trusts, and the certificates of a file.
func tlsConfig(ca string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if ca == "" {
		return c, nil
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if c.RootCAs, err = x509.SystemCertPool(); err != nil {
		c.RootCAs = x509.NewCertPool()
	}
	if !c.RootCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("ca: %s holds no certificate in PEM", ca)
	}
	return c, nil
}

// exchange sends a request and judges its answer: 2xx is taken, 4xx is refused for
// good but for those that say "later", and all else may go better next time.
func exchange(ctx context.Context, c *http.Client, r *http.Request) (answer string, err error) {
	resp, err := c.Do(r.WithContext(ctx))
	if err != nil {
		// The URL in the library's error may hold a secret.
		if ue, ok := errors.AsType[*url.Error](err); ok {
			err = ue.Err
		}
		return "", &Failure{Why: "send to " + Clean(r.URL.Host, maxName) + ": " + Clean(err.Error(), shownText)}
	}
	defer resp.Body.Close()
	body, readErr := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	answer = Clean(resp.Proto+" "+resp.Status+" "+string(body[:min(len(body), 2*shownText)]), shownText)
	code := resp.StatusCode
	switch {
	case code/100 == 2 && readErr != nil && len(body) == 0:
		return "", &Failure{Why: Clean(r.URL.Host, maxName) + " broke off its answer: " + Clean(readErr.Error(), shownText)}
	case code/100 == 2:
		return answer, nil
	}
	f := &Failure{Why: Clean(r.URL.Host, maxName) + " answers " + answer, After: retryAfter(resp.Header.Get("Retry-After"), time.Now())}
	f.Permanent = code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusConflict && code != http.StatusTooEarly && code != http.StatusTooManyRequests
	if code/100 == 3 {
		f.Why += "; redirects are not followed: write the new address"
	}
	return "", f
}

// retryAfter reads the header of that name: seconds or a date (RFC 9110, section
// 10.2.3); 0 where there is none or it is unreadable.
func retryAfter(h string, now time.Time) time.Duration {
	if n, err := strconv.Atoi(h); err == nil {
		return time.Duration(max(0, min(n, int(longestAsk/time.Second)))) * time.Second
	}
	if t, err := http.ParseTime(h); err == nil {
		return max(0, min(t.Sub(now), longestAsk))
	}
	return 0
}
