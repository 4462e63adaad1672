package enrich

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// memory is a Store.
type memory struct {
	mu sync.Mutex
	m  map[string][]byte
}

func (s *memory) All() (map[string][]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.m), nil
}

func (s *memory) Put(name string, v []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.m[name] = v
}

func (s *memory) Delete(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.m, name)
}

// nobody is a Resolver that knows nothing.
type nobody struct{}

func (nobody) LookupAddr(context.Context, string) ([]string, error) {
	return nil, fmt.Errorf("no such host")
}
func (nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, fmt.Errorf("no such host")
}

// world is the servers of one test, all on loopback. A name leads where the test
// says, and nowhere else.
type world struct {
	t     *testing.T
	mu    sync.Mutex
	hosts map[string]string // host:port -> address on loopback
	asked map[string]int    // questions by host:port
}

func newWorld(t *testing.T) *world {
	return &world{t: t, hosts: map[string]string{}, asked: map[string]int{}}
}

func (w *world) dial(ctx context.Context, network, address string) (net.Conn, error) {
	w.mu.Lock()
	to, known := w.hosts[address]
	w.asked[address]++
	w.mu.Unlock()
	if !known {
		host, _, _ := net.SplitHostPort(address)
		if a, err := netip.ParseAddr(host); err != nil || !a.IsLoopback() {
			return nil, fmt.Errorf("no such host: %s", host)
		}
		to = address
	}
	return (&net.Dialer{}).DialContext(ctx, network, to)
}

// web serves a function, and returns its URL.
func (w *world) web(f http.HandlerFunc) string {
	s := httptest.NewServer(f)
	w.t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

// whois serves whois for a name: f gets the question and the connection.
func (w *world) whois(name string, f func(question string, c net.Conn)) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		w.t.Fatal(err)
	}
	w.mu.Lock()
	w.hosts[name+":43"] = l.Addr().String()
	w.mu.Unlock()
	var wg sync.WaitGroup
	w.t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				b := make([]byte, 512)
				n, err := c.Read(b)
				if err == nil {
					f(strings.TrimSpace(string(b[:n])), c)
				}
			})
		}
	})
}

// says answers every question with a text.
func says(text string) func(string, net.Conn) {
	return func(_ string, c net.Conn) { _, _ = io.WriteString(c, text) }
}

// enricher returns an Enricher that lives in this world: its RDAP servers are at
// rdap, "" = there is no list of them.
func (w *world) enricher(rdap string, change func(*Config, *Deps)) *Enricher {
	boot := w.web(func(rw http.ResponseWriter, r *http.Request) {
		if rdap == "" {
			http.NotFound(rw, r)
			return
		}
		network := `"0.0.0.0/0"`
		if strings.Contains(r.URL.Path, "ipv6") {
			network = `"::/0"`
		}
		fmt.Fprintf(rw, `{"version":"1.0","services":[[[%s],["%s/"]]]}`, network, rdap)
	})
	c := Config{Bootstrap: boot, Whois: "whois.first.test"}
	d := Deps{Log: slog.New(slog.DiscardHandler), Store: &memory{m: map[string][]byte{}}, Resolver: nobody{}, Dial: w.dial}
	if change != nil {
		change(&c, &d)
	}
	e := New(c, d)
	e.pace.every = 0
	e.inside = false // names lead to loopback here, but the rules are those of outside
	return e
}

// nameServer serves DNS over UDP on loopback, and returns a Resolver that asks it.
func nameServer(t *testing.T, answer func(q dnsmessage.Question) []dnsmessage.Resource) *net.Resolver {
	p, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { p.Close(); wg.Wait() })
	wg.Go(func() {
		b := make([]byte, 1500)
		for {
			n, from, err := p.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
			if m.Answers = answer(m.Questions[0]); m.Answers == nil {
				m.RCode = dnsmessage.RCodeNameError
			}
			out, err := m.Pack()
			if err != nil {
				continue
			}
			_, _ = p.WriteTo(out, from)
		}
	})
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", p.LocalAddr().String())
	}}
}

// soon is a context that ends before any server's time is over.
func soon(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

var addr4 = netip.MustParseAddr("45.0.0.7")
