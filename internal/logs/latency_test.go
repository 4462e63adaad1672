package logs

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// BenchmarkLatency is the time from writing a line to its event.
func BenchmarkLatency(b *testing.B) {
	path := filepath.Join(b.TempDir(), "auth.log")
	f, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	got := make(chan time.Time) // unbuffered: the writer takes each before it writes the next line
	s := New(Config{Watches: []Watch{{Name: "w", Rule: rules.Builtin()[0], Files: []string{path}}}}, Deps{
		Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
		Emit: func(_ context.Context, batch gate.Batch) error {
			if len(batch.Events) > 0 || batch.Live {
				got <- time.Now()
			}
			return nil
		},
	})
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx) }()
	<-s.CaughtUp()
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		at := time.Now()
		fmt.Fprintf(f, "2026-11-21T08:00:00+00:00 h sshd[%d]: Failed password for root from 192.0.2.7 port 4 ssh2\n", i)
		all = append(all, (<-got).Sub(at))
	}
	cancel()
	<-done
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*95/100].Microseconds()), "p95-us")
}
