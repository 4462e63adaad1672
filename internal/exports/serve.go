package exports

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"gatehouse/internal/lists/formats"
)

// Site is bans that other machines fetch.
type Site struct {
	Address string // address:port to listen at
	Path    string
	Secure  bool   // over TLS, with Cert and Key
	Cert    string // PEM, path
	Key     string // PEM, path
	Token   string // path of the file with the secret
	Format  formats.Writer
	Filter  formats.Filter
}

// Bounds of what serving costs.
const (
	maxFetches  = 4 // at once; one more is told to come again
	maxSockets  = 64
	fetchTime   = 2 * time.Minute // for writing an answer to a slow reader
	leastToken  = 16              // characters
	mostToken   = 4 << 10         // bytes of a token file
	comeAgain   = "5"             // seconds
	shutdownMax = 2 * time.Second
)

// readToken reads the secret of a site.
func readToken(path string) (string, error) {
	fi, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("token %s: %w", path, bare(err))
	}
	if fi.Mode().Perm()&0o007 != 0 {
		return "", fmt.Errorf("token %s: everybody may read it: chmod o-rwx %s", path, path)
	}
	if !fi.Mode().IsRegular() || fi.Size() > mostToken {
		return "", fmt.Errorf("token %s: it is no small file", path)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("token %s: %w", path, bare(err))
	}
	token := strings.TrimSpace(string(b))
	if len(token) < leastToken {
		return "", fmt.Errorf("token %s: it has less than %d characters: make one with: openssl rand -hex 32", path, leastToken)
	}
	return token, nil
}

// serve serves all sites of one address until ctx ends.
func (x *Exports) serve(ctx context.Context, sites []Site) error {
	mux := http.NewServeMux()
	first := sites[0]
	for _, s := range sites {
		token, err := readToken(s.Token)
		if err != nil {
			return err
		}
		if s.Address == first.Address && (s.Secure != first.Secure || s.Cert != first.Cert || s.Key != first.Key) {
			return fmt.Errorf("the sites at %s have different certificates", s.Address)
		}
		mux.Handle(s.Path, x.site(s, sha256.Sum256([]byte(token))))
	}
	l, err := net.Listen("tcp", first.Address)
	if err != nil {
		return fmt.Errorf("serve bans: %w", err)
	}
	l = &capped{Listener: l, slots: make(chan struct{}, maxSockets)}
	if first.Secure {
		pair, err := tls.LoadX509KeyPair(first.Cert, first.Key)
		if err != nil {
			_ = l.Close() // the first error is the one to tell
			return fmt.Errorf("serve bans at %s: %w", first.Address, err)
		}
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12})
	}
	s := &http.Server{
		Handler: mux, ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: fetchTime,
		IdleTimeout: 30 * time.Second, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(x.deps.Log.Handler(), slog.LevelDebug),
	}
	served := make(chan error, 1) // one send, by Serve's goroutine
	go func() { served <- s.Serve(l) }()
	select {
	case err := <-served:
		return fmt.Errorf("serve bans at %s: %w", first.Address, err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownMax)
	defer cancel()
	if err := s.Shutdown(grace); err != nil {
		_ = s.Close() // who does not finish is cut off
	}
	<-served
	return nil
}

// capped bounds how many connections there are at once.
type capped struct {
	net.Listener
	slots chan struct{}
}

// Accept implements net.Listener.
func (c *capped) Accept() (net.Conn, error) {
	for {
		conn, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		select {
		case c.slots <- struct{}{}:
			return &counted{Conn: conn, free: func() { <-c.slots }}, nil
		default:
			_ = conn.Close() // one too many
		}
	}
}

// counted is a connection that takes a slot until it is closed.
type counted struct {
	net.Conn
	free func()
	once onceFlag
}

// Close implements net.Conn.
func (c *counted) Close() error {
	if c.once.first() {
		c.free()
	}
	return c.Conn.Close()
}

// site answers fetches of one site.
func (x *Exports) site(s Site, want [sha256.Size]byte) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, bearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		got := sha256.Sum256([]byte(token))
		switch {
		case !bearer || subtle.ConstantTimeCompare(got[:], want[:]) != 1:
			w.Header().Set("WWW-Authenticate", `Bearer realm="gatehouse"`)
			http.Error(w, "the token is missing or wrong", http.StatusUnauthorized)
			return
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "only GET", http.StatusMethodNotAllowed)
			return
		case r.URL.Path != s.Path:
			http.NotFound(w, r)
			return
		}
		select {
		case x.fetches <- struct{}{}:
			defer func() { <-x.fetches }()
		default:
			w.Header().Set("Retry-After", comeAgain)
			http.Error(w, "too many fetches at once", http.StatusServiceUnavailable)
			return
		}
		x.answer(w, r, s)
	})
}

// answer writes the bans, or that they are the same as before.
func (x *Exports) answer(w http.ResponseWriter, r *http.Request, s Site) {
	now := x.deps.Now()
	all, err := x.deps.Bans(r.Context())
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			x.deps.Log.Error("serve bans", "err", err)
		}
		http.Error(w, "the bans cannot be read now", http.StatusServiceUnavailable)
		return
	}
	bans := s.Filter.Apply(all, now)
	// Weak: what is written of the remaining time is another one each second.
	tag := `W/"` + tagOf(bans) + `"`
	w.Header().Set("ETag", tag)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	if sameTag(r.Header.Get("If-None-Match"), tag) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	w.Header().Set("Content-Type", s.Format.Type)
	if r.Method == http.MethodHead {
		return
	}
	_ = s.Format.Write(w, bans, now) // the reader left: nothing to tell, nobody to tell it
}

// sameTag reports whether one of the tags that a reader has is this one (RFC 9110,
// section 13.1.2: compared weakly).
func sameTag(has, tag string) bool {
	for t := range strings.SplitSeq(has, ",") {
		if t = strings.TrimSpace(t); t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}
