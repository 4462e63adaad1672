package notify

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// TestMain lets the test program be the process of one push message, with every
// request led to the loopback server that the environment names.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == PushArg {
		if to := os.Getenv("GATEHOUSE_TEST_PUSH"); to != "" {
			http.DefaultTransport = led(to)
		}
		if err := PushMain(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// led leads each request to a server on this machine, whatever it was for.
func led(to string) http.RoundTripper {
	return roundTrip(func(r *http.Request) (*http.Response, error) {
		r = r.Clone(r.Context())
		r.Header.Set("X-Was-For", r.URL.Scheme+"://"+r.URL.Host)
		r.URL.Scheme, r.URL.Host = "http", to
		return (&http.Transport{DisableKeepAlives: true}).RoundTrip(r)
	})
}

// memory is a store that knows what was durable at a crash.
type memory struct {
	mu      sync.Mutex
	fresh   map[string][]byte // seen by everybody
	durable map[string][]byte // as of the last flush
	puts    int
	most    int // bytes of the largest value
}

func newMemory() *memory {
	return &memory{fresh: map[string][]byte{}, durable: map[string][]byte{}}
}

func (m *memory) All() (map[string][]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.fresh), nil
}

func (m *memory) Put(name string, v []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh[name] = append([]byte{}, v...)
	m.puts++
	m.most = max(m.most, len(v))
}

func (m *memory) Delete(name string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.fresh, name)
}

func (m *memory) flush(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.durable = maps.Clone(m.fresh)
	return nil
}

// crash forgets what was not durable.
func (m *memory) crash() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fresh = maps.Clone(m.durable)
}

// book is a ledger of records that can be followed.
type book struct {
	mu      sync.Mutex
	records []gate.Record
	news    chan struct{}
}

func newBook() *book { return &book{news: make(chan struct{})} }

func (b *book) add(ds ...gate.Decision) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range ds {
		b.records = append(b.records, gate.Record{Seq: uint64(len(b.records) + 1), Decision: d})
	}
	close(b.news)
	b.news = make(chan struct{})
}

func (b *book) newest() uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return uint64(len(b.records))
}

func (b *book) follow(ctx context.Context, after uint64, yield func(gate.Record) bool) error {
	for {
		b.mu.Lock()
		rs, news := b.records[min(int(after), len(b.records)):], b.news
		b.mu.Unlock()
		for _, r := range rs {
			if ctx.Err() != nil || !yield(r) {
				return nil
			}
			after = r.Seq
		}
		select {
		case <-news:
		case <-ctx.Done():
			return nil
		}
	}
}

// ban is the n-th offender's ban.
func ban(n int, at time.Time) gate.Decision {
	a := netip.AddrFrom4([4]byte{198, 51, byte(n >> 8), byte(n)})
	return gate.Decision{Time: at, Until: at.Add(time.Hour), Verdict: gate.Ban, Subject: gate.AddrSubject(a), Rule: "sshd",
		Why: "5 failed logins in 3m20s (sshd allows 4 in 10m); first offence, so 1h", Offence: 1}
}

// told is a happening of a part.
func told(topic string, at time.Time) gate.Decision {
	part, _, _ := strings.Cut(topic, ".")
	return gate.Decision{Time: at, Verdict: gate.Tell, Topic: topic, Rule: part, Why: "something happened to " + topic}
}

// desk runs a Notifier whose channels are webhooks to functions of the test.
type desk struct {
	t     *testing.T
	book  *book
	store *memory
	n     *Notifier
	told  chan string
	stop  func()

	mu       sync.Mutex
	messages []*Message // in the order of delivery
	ats      []time.Time
	fail     func(channel string) error // nil = every channel works
}

// Send is the sender of every channel of a desk.
func (d *desk) send(channel string, m *Message) (string, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		if err := d.fail(channel); err != nil {
			return "", err
		}
	}
	copied := *m
	copied.Note = strings.TrimSpace(channel + " " + m.Note)
	d.messages = append(d.messages, &copied)
	d.ats = append(d.ats, time.Now())
	return "ok", nil
}

type deskChannel struct {
	d    *desk
	name string
}

func (c deskChannel) Send(_ context.Context, m *Message) (string, error) { return c.d.send(c.name, m) }

func newDesk(t *testing.T) *desk {
	return &desk{t: t, book: newBook(), store: newMemory(), told: make(chan string, 100)}
}

// start makes a Notifier and runs it.
func (d *desk) start(c Config) {
	d.t.Helper()
	n, err := New(c, Deps{
		Outside: Outside{Getenv: func(string) string { return "" }},
		Log:     slog.New(slog.NewTextHandler(io.Discard, nil)), Host: "gate", Store: d.store,
		Newest: d.book.newest, Follow: d.book.follow, Flush: d.store.flush,
		Tell: func(kind, sentence string) { d.told <- kind + ": " + sentence },
	})
	if err != nil {
		d.t.Fatal(err)
	}
	for name, o := range n.channels {
		o.sender = deskChannel{d, name}
		if o.Name != "off" {
			o.failures, o.failing, o.next, o.last = 0, time.Time{}, time.Time{}, nil
		}
	}
	ctx, cancel := context.WithCancel(d.t.Context())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	d.n = n
	d.stop = func() {
		cancel()
		if err := <-done; err != nil {
			d.t.Error(err)
		}
	}
}

// took returns the messages so far, and forgets them.
func (d *desk) took() []*Message {
	d.mu.Lock()
	defer d.mu.Unlock()
	ms := d.messages
	d.messages, d.ats = nil, nil
	return ms
}

// counted is how many records messages tell, each delivery once.
func counted(ms []*Message) (n int) {
	seen := map[string]bool{}
	for _, m := range ms {
		if !seen[m.ID] {
			seen[m.ID] = true
			n += m.Count
		}
	}
	return n
}

// channelNamed is a channel that a desk answers.
func channelNamed(name string) Channel {
	return Channel{Name: name, Syslog: "local", Wait: DefaultWait, Every: DefaultEvery}
}
