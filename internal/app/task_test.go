package app

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestCrewRestartsWithBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		c := newCrew(slog.New(slog.DiscardHandler), newFaults())
		begun := time.Now()
		var starts []time.Duration
		c.start(ctx, task{"flaky", func(ctx context.Context) error {
			starts = append(starts, time.Since(begun))
			switch len(starts) {
			case 1:
				return errors.New("no luck")
			case 2:
				panic("worse")
			case 3:
				return nil // ended without being asked
			}
			<-ctx.Done()
			return nil
		}})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		want := []time.Duration{0, firstDelay, 3 * firstDelay, 7 * firstDelay}
		if !slices.Equal(starts, want) {
			t.Errorf("started at %v, want %v", starts, want)
		}
		if w := c.faults.wrong(); len(w) != 1 || w[0].Part != "flaky" || !strings.Contains(w[0].Why, "ended by itself") {
			t.Errorf("wrong = %+v", w)
		}
		time.Sleep(calmAfter)
		synctest.Wait()
		if w := c.faults.wrong(); len(w) != 0 {
			t.Errorf("after a calm minute wrong = %+v", w)
		}
		cancel()
		c.wait()
	})
}

func TestNamesKeepLastGoodAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		answers := []string{"192.0.2.1", "", "::ffff:192.0.2.2"}
		asked := 0
		n := newNames(slog.New(slog.DiscardHandler), func(_ context.Context, name string) ([]netip.Addr, error) {
			a := answers[min(asked, 2)]
			asked++
			if a == "" {
				return nil, errors.New("server failure")
			}
			return []netip.Addr{netip.MustParseAddr(a)}, nil
		})
		n.set([]string{"admin.example.org"}, nil)
		done := make(chan error)
		go func() { done <- n.Run(ctx) }()
		want := func(addr string, broken bool) {
			t.Helper()
			synctest.Wait()
			got := n.addresses()["admin.example.org"]
			if len(got) != 1 || got[0].String() != addr || (len(n.problems()) > 0) != broken {
				t.Errorf("addresses %v, problems %v; want %s, broken %v", got, n.problems(), addr, broken)
			}
		}
		// The kick and the first timer may both fire at once: two look-ups at most.
		synctest.Wait()
		if asked == 1 {
			want("192.0.2.1", false)
			time.Sleep(resolveEvery)
		}
		want("192.0.2.1", true)
		time.Sleep(resolveRetry)
		want("192.0.2.2", false)
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestManagerHearsUs(t *testing.T) {
	m := managerFrom(func(k string) string {
		return map[string]string{"NOTIFY_SOCKET": "@gatehouse-test", "WATCHDOG_USEC": "3000000"}[k]
	})
	if !m.present() || m.watchdog != 3*time.Second {
		t.Errorf("%+v", m)
	}
	if m := managerFrom(func(string) string { return "" }); m.present() || m.watchdog != 0 {
		t.Errorf("without a manager: %+v", m)
	}
}

func TestUnwritable(t *testing.T) {
	for _, c := range []struct {
		line string
		size uintptr
		ok   bool
	}{
		{"00400000-00c00000 r-xp 00000000 fe:00 123 /usr/local/bin/gatehouse\n", 0x800000, true},
		{"00c00000-01300000 r--p 00800000 fe:00 123 /usr/local/bin/gatehouse\n", 0x700000, true},
		{"01300000-01400000 rw-p 00f00000 fe:00 123 /usr/local/bin/gatehouse\n", 0, false},
		{"7f0000000000-7f0000001000 r-xp 00000000 fe:00 9 /lib/libc.so\n", 0, false},
		{"7ffc0000-7ffd0000 rw-p 00000000 00:00 0 [stack]\n", 0, false},
		{"", 0, false},
		{"zz-yy r-xp 0 0 0 /usr/local/bin/gatehouse\n", 0, false},
	} {
		if _, size, ok := unwritable(c.line, "/usr/local/bin/gatehouse"); ok != c.ok || size != c.size {
			t.Errorf("unwritable(%q) = %#x, %v; want %#x, %v", c.line, size, ok, c.size, c.ok)
		}
	}
}
