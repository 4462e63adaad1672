package enrich

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Bounds of politeness.
const (
	askEvery   = time.Second      // between two questions to one server
	longestAsk = 10 * time.Second // most that a question waits for its turn
	longestOff = time.Hour        // most that a server can ask to be left alone
	maxServers = 256              // servers that are remembered
)

// pace spaces the questions to each server. Safe for concurrent use.
type pace struct {
	now   func() time.Time
	every time.Duration // between two questions to one server

	mu   sync.Mutex           // guards what follows
	next map[string]time.Time // server -> when it may be asked again
}

// wait returns when it is our turn to ask a server, or an error where that is too
// far away.
func (p *pace) wait(ctx context.Context, server string) error {
	p.mu.Lock()
	now := p.now()
	at := p.next[server]
	if at.Before(now) {
		at = now
	}
	delay := at.Sub(now)
	if delay > longestAsk {
		p.mu.Unlock()
		return fmt.Errorf("%s is not asked for the next %s: it was asked often enough", server, delay.Round(time.Second))
	}
	if len(p.next) >= maxServers {
		for s, t := range p.next {
			if !t.After(now) {
				delete(p.next, s)
			}
		}
		if len(p.next) >= maxServers {
			p.mu.Unlock()
			return fmt.Errorf("%s is not asked: too many servers were asked at once", server)
		}
	}
	p.next[server] = at.Add(p.every)
	p.mu.Unlock()
	if delay == 0 {
		return nil
	}
	t := time.NewTimer(delay)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// off leaves a server alone for a while, as it wishes.
func (p *pace) off(server string, d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.next) >= maxServers {
		return
	}
	p.next[server] = p.now().Add(min(max(d, time.Minute), longestOff))
}
