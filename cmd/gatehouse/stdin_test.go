package main

import (
	"bytes"
	"context"
	"io"
	"strings"
	"testing"
	"time"
)

// Whoever presses Ctrl-C does not have to press Ctrl-D as well.
func TestInterruptWhileReading(t *testing.T) {
	for _, args := range [][]string{{"ban", "-"}, {"import", "list", "-"}, {"match", "sshd", "-"}} {
		r, w := io.Pipe()
		defer w.Close()
		ctx, cancel := context.WithCancel(t.Context())
		var out, errs bytes.Buffer
		code := make(chan int, 1)
		go func() { code <- execute(ctx, &env{in: r, out: &out, err: &errs, now: time.Now}, args) }()
		if _, err := io.WriteString(w, "192.0.2.1\n"); err != nil { // it reads, and waits for more
			t.Fatal(err)
		}
		cancel()
		if got := <-code; got != exitFailed || !strings.Contains(errs.String(), "interrupted") {
			t.Errorf("%v: exit %d, %q", args, got, errs.String())
		}
	}
}
