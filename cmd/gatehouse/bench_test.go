package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// What `ban -` costs for 100,000 addresses on both sides of the socket, without
// what the daemon does with them.
func BenchmarkBan100k(b *testing.B) {
	socket := filepath.Join(b.TempDir(), "s")
	ctx, cancel := context.WithCancel(context.Background())
	backend := api.Backend{Ask: func(_ context.Context, asks []api.Wish) ([]gate.Answer, error) {
		out := make([]gate.Answer, len(asks))
		for i, a := range asks {
			out[i] = gate.Answer{Subject: a.Subject, Changed: true}
		}
		return out, nil
	}}
	s := api.New(api.Config{Socket: socket}, backend, slog.New(slog.DiscardHandler))
	if err := s.Listen(); err != nil {
		b.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	defer func() { cancel(); <-ended }()
	var list strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&list, "10.%d.%d.%d\n", i>>16&255, i>>8&255, i&255)
	}
	for b.Loop() {
		var out, errs bytes.Buffer
		e := &env{in: strings.NewReader(list.String()), out: &out, err: &errs, now: time.Now}
		if code := execute(ctx, e, []string{"--socket", socket, "ban", "-"}); code != exitDone || out.String() != "banned 100,000\n" {
			b.Fatalf("exit %d: %s%s", code, out.String(), errs.String())
		}
	}
}

// What `match` costs for a line of log, of which one in ten fails.
func BenchmarkMatch(b *testing.B) {
	var log strings.Builder
	const n = 100_000
	for i := range n {
		if i%10 == 0 {
			fmt.Fprintf(&log, "Nov 21 08:00:00 h sshd[%d]: Failed password for root from 192.0.2.%d port 4 ssh2\n", i, i&255)
		} else {
			fmt.Fprintf(&log, "Nov 21 08:00:00 h CRON[%d]: pam_unix(cron:session): session opened for user root(uid=0) by (uid=0)\n", i)
		}
	}
	text := log.String()
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		var out, errs bytes.Buffer
		e := &env{in: strings.NewReader(text), out: &out, err: &errs, now: time.Now}
		if code := execute(context.Background(), e, []string{"--json", "match", "sshd", "-"}); code != exitDone {
			b.Fatal(errs.String())
		}
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
