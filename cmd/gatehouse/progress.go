package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress shows on a terminal how far long work is. It is silent where there
// is no terminal, and for work that ends at once. Safe for concurrent use.
type progress struct {
	mu    sync.Mutex // guards what follows
	w     io.Writer  // nil = silent
	what  string
	total int64
	begun time.Time
	shown time.Time
	drawn bool
	now   func() time.Time
}

// When progress begins to show, and how often it is drawn.
const (
	progressAfter = 300 * time.Millisecond
	progressEvery = 100 * time.Millisecond
)

// progress returns a bar on standard error; total is in the units of set, 0 =
// unknown.
func (e *env) progress(what string, total int64) *progress {
	p := &progress{what: what, total: total, begun: e.now(), now: e.now}
	if e.errTerm {
		p.w = e.err
	}
	return p
}

// set says how much is done.
func (p *progress) set(done int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if p.w == nil || p.total <= 0 || now.Sub(p.begun) < progressAfter || now.Sub(p.shown) < progressEvery {
		return
	}
	p.shown, p.drawn = now, true
	const cells = 24
	part := min(1, float64(done)/float64(p.total))
	full := int(part * cells)
	fmt.Fprintf(p.w, "\r%s [%s%s] %3.0f%%", p.what, strings.Repeat("#", full), strings.Repeat(".", cells-full), part*100)
}

// end takes the bar away.
func (p *progress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.w != nil && p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K") // ECMA-48 8.3.41: erase to the end of the line
	}
	p.w = nil
}
