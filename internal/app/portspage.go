package app

import (
	"bytes"
	"context"
	"os"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/policy"
	"gatehouse/internal/ports"
)

// pageWriter keeps the status page true. It is woken when something about ports
// has changed.
type pageWriter struct {
	c     config.PortPage
	d     *daemon
	wake  chan struct{}     // holds 1: one wake-up stands for later ones
	wrote map[string][]byte // path -> what is there, its time aside
}

func newPageWriter(d *daemon, c config.PortPage) *pageWriter {
	return &pageWriter{c: c, d: d, wake: make(chan struct{}, 1), wrote: map[string][]byte{}}
}

// changed wakes the writer; it may be called from any goroutine.
func (w *pageWriter) changed() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// pageRetry is how long after a failure it is tried again.
const pageRetry = time.Minute

// Run writes the page whenever it has to be another one.
func (w *pageWriter) Run(ctx context.Context) error {
	for {
		next, err := w.write(ctx)
		if ctx.Err() != nil {
			return nil
		}
		why, hint := "", ""
		if err != nil {
			why, hint = "it cannot be written: "+err.Error(), "let the daemon write the folder (the unit needs ReadWritePaths= for it), or name another under ports: page"
			next = pageRetry
		}
		w.d.faults.report("the status page", why, hint)
		t := time.NewTimer(next)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-w.wake:
			t.Stop()
		case <-t.C:
		}
	}
}

// pageFresh is how often the page says anew that it is true.
const pageFresh = 5 * time.Minute

// write writes what has changed, and returns when to look again.
func (w *pageWriter) write(ctx context.Context) (next time.Duration, err error) {
	now := time.Now()
	var states []policy.PortState
	if err := w.d.spine.do(ctx, func() { states = w.d.spine.policy.Services(now) }); err != nil {
		return pageRetry, err
	}
	page := ports.Page{Title: w.c.Title, Updated: now}
	if page.Title == "" {
		name, err := os.Hostname()
		if err != nil {
			name = "this machine"
		}
		page.Title = "Services of " + name
	}
	next = pageFresh
	for _, st := range states {
		v := ports.PageService{Name: st.Service.Name, State: ports.StateClosed}
		switch {
		case st.Open:
			v.State = ports.StateOpen
		case st.Some:
			v.State = ports.StateLimited
		}
		if !st.Until.IsZero() {
			until := st.Until.Local()
			v.Until = &until
			next = min(next, max(time.Second, until.Sub(now)+100*time.Millisecond))
		}
		page.Services = append(page.Services, v)
	}
	for _, f := range []struct {
		path   string
		render func() ([]byte, error)
	}{{w.c.HTML, page.HTML}, {w.c.JSON, page.JSON}} {
		if f.path == "" {
			continue
		}
		content, err := f.render()
		if err != nil {
			return next, err
		}
		if bytes.Equal(content, w.wrote[f.path]) {
			continue
		}
		if err := ports.WriteFile(f.path, content); err != nil {
			return next, err
		}
		w.wrote[f.path] = content
	}
	return next, nil
}
