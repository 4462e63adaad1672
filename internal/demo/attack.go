package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// attack lets the attackers loose, one after the other, and returns when all are
// banned and have noticed, or have given up.
func (s *show) attack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, banLimit)
	defer cancel()
	var all sync.WaitGroup
	for i, a := range s.cast {
		all.Go(func() {
			s.rest(ctx, time.Duration(i)*stagger)
			s.event(a.name, red, "comes from "+a.home+": "+a.manner)
			s.rage(ctx, a)
		})
	}
	all.Wait()
}

// rage tries one guess after the other until the attacker is banned.
func (s *show) rage(ctx context.Context, a *attacker) {
	// A ban leaves the client hanging; it gets the time to notice.
	try, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		select {
		case <-a.banned:
			pause(try, silence)
			stop()
		case <-try.Done():
		}
	}()
	for i := 0; !a.isBanned() && ctx.Err() == nil; i++ {
		g := a.guesses[i%len(a.guesses)]
		got := a.host.TrySSHContext(try, netlab.Login{
			To: a.target(sshPort), From: a.from(), User: g.user, Password: g.password, Timeout: tryLimit,
			Options: []string{fmt.Sprintf("NumberOfPasswordPrompts=%d", a.prompts)},
		})
		if got.In {
			s.crew.Fail(fmt.Errorf("%s got in as %s", a.name, g.user))
			return
		}
		if !a.isBanned() {
			pause(try, a.pause)
		}
	}
	if a.isBanned() && !a.reaches(ctx, silence) {
		what := "knocks again: silence"
		if a.hops {
			what = "knocks from one more address: silence"
		}
		s.event(a.name, red, what)
	}
}

// watchLog tells of each failed login that the server's log shows.
func (s *show) watchLog(ctx context.Context) {
	err := s.sshd.Follow(ctx, func(l netlab.Line) bool {
		user, from, failure, ok := loginLine(l.Text)
		if !ok {
			return true
		}
		for _, a := range s.cast {
			if a.where().Contains(from) {
				n := a.noted(l.At, failure)
				if !failure {
					return true
				}
				what := "tries " + user
				if a.hops {
					what += " from " + from.String()
				}
				s.event(a.name, yellow, fmt.Sprintf("%s, refused %s", what, strings.Repeat("•", n)))
			}
		}
		return true
	})
	if ctx.Err() == nil {
		s.breaks(fmt.Errorf("follow the server's log: %w", err))
	}
}

// watchDecisions tells of each ban.
func (s *show) watchDecisions(ctx context.Context) {
	err := s.guard.follow(ctx, func(r gate.Record) {
		if r.Rule == "panel" {
			s.house.saw(r)
		}
		if r.Verdict != gate.Ban {
			return
		}
		a := s.whose(r.Subject)
		if a == nil {
			s.mu.Lock()
			s.innocent = append(s.innocent, r.Subject)
			s.mu.Unlock()
			s.event("gatehouse", red, "BANS "+r.Subject.String()+", who did nothing")
			return
		}
		if !a.setBan(r) {
			return
		}
		first, last := a.delays()
		s.event("gatehouse", blue, s.paint(bold, "BANS "+r.Subject.String())+fmt.Sprintf(" for %s: %s after its first try, %s after the line that did it",
			gate.FormatDuration(r.Life(r.Time).Round(time.Second)), short(first), short(last)))
		s.more("“" + r.Why + "”")
	})
	if err != nil {
		s.breaks(err)
	}
}

// breaks keeps the error of a follower: what it should have seen is missing.
func (s *show) breaks(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = err
	}
}

// whose returns the attacker that a subject is, nil if none: its address, or no
// more than its network.
func (s *show) whose(sub gate.Subject) *attacker {
	for _, a := range s.cast {
		if sub.IsNet() && a.where().Contains(sub.Addr()) && sub.Prefix().Bits() >= a.where().Bits() {
			return a
		}
	}
	return nil
}

// keepStatus keeps the line at the bottom of a terminal up to date.
func (s *show) keepStatus(ctx context.Context) {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	var drops uint64
	for i := 0; ; i++ {
		if i%4 == 0 {
			if st, err := s.guard.status(ctx); err == nil {
				drops = st.Drops.Packets
			}
		}
		beats, _, lost := s.friend.health()
		banned := 0
		for _, a := range s.cast {
			if a.isBanned() {
				banned++
			}
		}
		heart := fmt.Sprintf("♥ %d beats", beats)
		if lost != nil {
			heart = "✗ friend lost"
		}
		s.setStatus(fmt.Sprintf("         %s   banned %d of %d   %s dropped", heart, banned, len(s.cast), packets(drops)))
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}
