package enrich

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bounds of the bootstrap lists (RFC 9224).
const (
	maxBootstrap   = 1 << 20          // bytes of one; IANA's have some 10 kB
	maxServices    = 4096             // networks in one
	bootstrapKeep  = 24 * time.Hour   // how long one is good
	bootstrapAgain = 10 * time.Minute // when one that was not to be had is tried again
)

// service says which RDAP server knows a network.
type service struct {
	network netip.Prefix
	url     string // ends with /
}

// bootstrap is which server knows which network. Safe for concurrent use.
type bootstrap struct {
	base string
	get  func(ctx context.Context, url string, most int) ([]byte, error)
	now  func() time.Time

	mu    sync.Mutex // guards what follows
	lists map[string]*bootList
}

type bootList struct {
	services []service
	err      error
	until    time.Time
}

// server returns the URL of the RDAP server for an address.
func (b *bootstrap) server(ctx context.Context, addr netip.Addr) (string, error) {
	file := "ipv4.json"
	if addr.Is6() {
		file = "ipv6.json"
	}
	l := b.list(ctx, file)
	if l.err != nil {
		return "", l.err
	}
	best := service{}
	for _, s := range l.services {
		if s.network.Contains(addr) && (best.url == "" || s.network.Bits() > best.network.Bits()) {
			best = s
		}
	}
	if best.url == "" {
		return "", fmt.Errorf("no RDAP server is known for %s", addr)
	}
	return best.url, nil
}

// list returns a list, fetched where there is none that is good.
func (b *bootstrap) list(ctx context.Context, file string) *bootList {
	b.mu.Lock()
	l := b.lists[file]
	b.mu.Unlock()
	if l != nil && b.now().Before(l.until) {
		return l
	}
	fresh := &bootList{}
	data, err := b.get(ctx, strings.TrimSuffix(b.base, "/")+"/"+file, maxBootstrap)
	if err == nil {
		fresh.services, err = parseBootstrap(data)
	}
	fresh.until = b.now().Add(bootstrapKeep)
	if err != nil {
		fresh.err, fresh.until = fmt.Errorf("the list of RDAP servers: %w", err), b.now().Add(bootstrapAgain)
		if l != nil && l.err == nil { // an old list is better than none
			fresh.services, fresh.err = l.services, nil
		}
		if ctx.Err() != nil {
			return fresh // it was we who gave up
		}
	}
	b.mu.Lock()
	b.lists[file] = fresh
	b.mu.Unlock()
	return fresh
}

// parseBootstrap reads a list of servers. Entries that make no sense are left out.
func parseBootstrap(data []byte) ([]service, error) {
	var doc struct {
		Services [][][]string `json:"services"`
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("not what RFC 9224 describes: %w", err)
	}
	var list []service
	for _, s := range doc.Services {
		if len(s) < 2 {
			continue
		}
		best := ""
		for _, u := range s[1] {
			if isServer(u) && (best == "" || strings.HasPrefix(u, "https:")) {
				best = strings.TrimSuffix(u, "/") + "/"
			}
		}
		for _, text := range s[0] {
			if p, err := netip.ParsePrefix(text); err == nil && best != "" && len(list) < maxServices {
				list = append(list, service{p.Masked(), best})
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("it names no server")
	}
	return list, nil
}

// isServer reports whether a text is the URL of a web server, without a user's
// name in it.
func isServer(text string) bool {
	u, err := url.Parse(text)
	return err == nil && len(text) < 1000 && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}
