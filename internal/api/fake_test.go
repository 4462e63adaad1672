package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// fake is a backend that remembers what it was asked.
type fake struct {
	mu      sync.Mutex // guards what follows
	asked   []Wish
	bans    []Ban
	records []gate.Record
	err     error // what Ask, Bans, Log, Reload and Stop return
	answers int   // if not 0: how many answers Ask gives
	stopped []bool
	hook    func() // if set: called by Status
}

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.FixedZone("CET", 3600))

func (f *fake) backend() Backend {
	return Backend{
		Status: func() Status {
			if f.hook != nil {
				f.hook()
			}
			return Status{Version: "1.2.3", State: Guarding, Since: noon, Sources: []Source{}, Never: []gate.Subject{sub("127.0.0.0/8")}, Allow: []string{}, Degraded: []Weakness{}}
		},
		Adopt: func(_ context.Context, ds []gate.Decision) (Adopted, error) {
			return Adopted{Banned: len(ds), Refused: []Answer{}}, nil
		},
		Ask: func(ctx context.Context, asks []Wish) ([]gate.Answer, error) {
			f.mu.Lock()
			defer f.mu.Unlock()
			if f.err != nil {
				return nil, f.err
			}
			f.asked = append(f.asked, asks...)
			out := make([]gate.Answer, len(asks))
			for i, a := range asks {
				out[i] = gate.Answer{Subject: a.Subject, Changed: true}
				if a.For > 0 && a.For != gate.Forever {
					out[i].Until = noon.Add(a.For)
				}
				if a.Subject == sub("127.0.0.1") {
					out[i] = gate.Answer{Subject: a.Subject, Refused: "it is loopback", Hint: "leave it"}
				}
			}
			if f.answers > 0 {
				out = out[:f.answers]
			}
			return out, nil
		},
		Bans: func(ctx context.Context, q BansQuery, yield func(Ban) error) error {
			for _, b := range f.bans {
				if q.Rule == "" || b.Rule == q.Rule {
					if err := yield(b); err != nil {
						return err
					}
				}
			}
			return f.err
		},
		WhatIf: func(_ context.Context, s gate.Subject) ([]Prospect, error) {
			return []Prospect{{If: "you banned it", Decisions: []gate.Decision{{Verdict: gate.Ban, Subject: s}}}, {If: "you allowed it", Refused: "it is allowed already"}}, nil
		},
		Why: func(_ context.Context, s gate.Subject) (Why, error) {
			return Why{Subject: s, Verdict: IsBanned, Sentence: s.String() + " is banned", Bans: f.bans, Windows: []Window{}, History: f.records}, nil
		},
		Log: func(ctx context.Context, q LogQuery, yield func(gate.Record) error) error {
			for _, r := range f.records {
				if r.Seq > q.After && (!q.Subject.IsValid() || q.Subject == r.Subject) {
					if err := yield(r); err != nil {
						return err
					}
				}
			}
			if f.err != nil {
				return f.err
			}
			if q.Follow {
				<-ctx.Done()
				return ctx.Err()
			}
			return nil
		},
		AllowList: func() []Allowed { return nil },
		Notify: Notify{
			Queue: func() []Waiting { return nil },
			Test: func(_ context.Context, channel string) (Tested, error) {
				return Tested{Channel: channel, Answer: "250 OK"}, f.err
			},
		},
		List:     func(context.Context, string, string) error { return f.err },
		HookRuns: func(string) ([]HookRun, error) { return nil, f.err },
		Reload:   func(context.Context) error { return f.err },
		Stop: func(flush bool) error {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.stopped = append(f.stopped, flush)
			return f.err
		},
	}
}

func sub(text string) gate.Subject {
	s, err := gate.ParseSubject(text)
	if err != nil {
		panic(err)
	}
	return s
}

// serve starts a server with this backend, and returns it with a client.
func serve(t *testing.T, f *fake) (*Server, *Client) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "gh.sock")
	s := New(Config{Socket: socket, Version: "test"}, f.backend(), slog.New(slog.NewTextHandler(io.Discard, nil)))
	run(t, s)
	c := NewClient(socket)
	t.Cleanup(c.Close)
	return s, c
}

// run listens, and serves until the test ends or the returned function is
// called, which waits for the end.
func run(t *testing.T, s *Server) (stop func()) {
	t.Helper()
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// manySubjects returns n different addresses.
func manySubjects(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("10.%d.%d.%d", i>>16&255, i>>8&255, i&255)
	}
	return out
}

func TestMain(m *testing.M) {
	if socket := os.Getenv("API_TEST_CALL"); socket != "" {
		os.Exit(callAs(socket))
	}
	if socket := os.Getenv("API_TEST_SERVE"); socket != "" {
		os.Exit(serveOnce(socket))
	}
	os.Exit(m.Run())
}

// serveOnce is a daemon in a process of its own, which has something to do
// after its socket is gone.
func serveOnce(socket string) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	b := (&fake{}).backend()
	b.Status = func() Status { return Status{PID: os.Getpid()} }
	b.Stop = func(bool) error { cancel(); return nil }
	s := New(Config{Socket: socket}, b, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		return 1
	}
	fmt.Print("l")
	if err := s.Run(ctx); err != nil {
		return 1
	}
	time.Sleep(100 * time.Millisecond) // the work of a shutdown
	return 0
}

// callAs is what another user's process does: it looks, then bans, and prints
// what became of it.
func callAs(socket string) int {
	c := NewClient(socket)
	_, err := c.Status(context.Background())
	fmt.Println("look:", outcome(err))
	_, err = c.Ban(context.Background(), Banning{Subjects: []string{"192.0.2.1"}}, nil)
	fmt.Println("ban:", outcome(err))
	return 0
}

func outcome(err error) string {
	if err == nil {
		return "ok"
	}
	e := asError(err)
	kind := ""
	if errors.Is(err, ErrNoAccess) {
		kind = " no access:"
	}
	return fmt.Sprintf("%d%s %s | %s", e.Status, kind, e.Message, e.Hint)
}

func (f *fake) subjects() (out []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, w := range f.asked {
		out = append(out, w.Subject.String())
	}
	slices.Sort(out)
	return out
}
