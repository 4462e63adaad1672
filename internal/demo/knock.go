package demo

import (
	"context"
	"sync"
	"time"
)

// knock lets each attacker connect to the gate's other service, at once, and
// returns how many connections came about.
func (s *show) knock(ctx context.Context, wait time.Duration) (answered int) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for _, a := range s.cast {
		for range knocks {
			all.Go(func() {
				if a.reaches(ctx, wait) {
					mu.Lock()
					answered++
					mu.Unlock()
				}
			})
		}
	}
	all.Wait()
	return answered
}

// reaches reports whether the attacker gets a connection to the gate's other
// service within this time.
func (a *attacker) reaches(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	c, err := a.host.DialFrom(ctx, a.from(), "tcp", a.target(webPort).String())
	if err != nil {
		return false
	}
	c.Close()
	return true
}
