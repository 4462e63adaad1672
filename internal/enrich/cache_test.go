package enrich

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"testing"
	"time"
)

func netURL(s string) (*url.URL, error) { return url.Parse(s) }

// TestCache: a neighbour is answered without a question, also after a restart,
// until the answer is old.
func TestCache(t *testing.T) {
	w := newWorld(t)
	asked := 0
	base := w.web(func(rw http.ResponseWriter, _ *http.Request) {
		asked++
		_, _ = io.WriteString(rw, ripe)
	})
	now := time.Now()
	store := &memory{m: map[string][]byte{}}
	change := func(_ *Config, d *Deps) { d.Store, d.Now = store, func() time.Time { return now } }
	e := w.enricher(base, change)
	look := func(what, addr string, want int) {
		t.Helper()
		if f := e.Look(t.Context(), netip.MustParseAddr(addr), false); f.Held.Title != "EXAMPLE-NET" {
			t.Errorf("%s: %+v", what, f)
		}
		if asked != want {
			t.Errorf("%s: asked %d times, want %d", what, asked, want)
		}
	}
	look("the first", "45.0.0.7", 1)
	look("the same", "45.0.0.7", 1)
	look("a neighbour", "45.0.0.200", 1)
	e = w.enricher(base, change)
	look("after a restart", "45.0.0.9", 1)
	if f := e.Known(netip.MustParseAddr("45.0.1.1")); f.Held.Source != "" {
		t.Errorf("the next network: %+v", f)
	}
	now = now.Add(DefaultKeep + time.Second)
	look("when it is old", "45.0.0.9", 2)
}

// TestCacheIsBounded: by number, and an answer for a wide network is kept for the
// surroundings of the address only.
func TestCacheIsBounded(t *testing.T) {
	store := &memory{m: map[string][]byte{"not a prefix": {1}, "45.0.0.0/24": []byte("{")}}
	c := newCache(store, time.Hour, slog.New(slog.DiscardHandler))
	if len(store.m) != 0 {
		t.Errorf("damaged entries stay: %v", store.m)
	}
	begun := time.Now()
	for i := range 3 * maxCached {
		a := netip.AddrFrom4([4]byte{byte(1 + i/256), byte(i), 16, 1})
		p, _ := a.Prefix(8)
		c.put(a, Registration{Network: p, Title: fmt.Sprint(i), Source: "x", At: begun.Add(time.Duration(i) * time.Millisecond)})
	}
	if len(c.m) != maxCached || len(store.m) != maxCached {
		t.Errorf("%d and %d entries, want %d", len(c.m), len(store.m), maxCached)
	}
	last := 3*maxCached - 1
	at := begun.Add(time.Minute)
	if r, ok := c.get(netip.AddrFrom4([4]byte{byte(1 + last/256), byte(last & 255), 31, 1}), at); !ok || r.Title != fmt.Sprint(last) {
		t.Errorf("the newest: %+v %v", r, ok)
	}
	if _, ok := c.get(netip.AddrFrom4([4]byte{byte(1 + last/256), byte(last & 255), 32, 1}), at); ok {
		t.Error("an answer counts for more than a /20")
	}
	if _, ok := c.get(netip.AddrFrom4([4]byte{1, 0, 16, 1}), at); ok {
		t.Error("the oldest is still there")
	}
}
