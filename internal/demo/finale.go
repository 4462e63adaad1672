package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// storyLines bounds how much of a story is shown.
const storyLines = 16

// story shows what the command line says about one attacker: the one that hops,
// so that the address asked about is not the one that was banned first.
func (s *show) story(ctx context.Context) error {
	a := s.cast[len(s.cast)-1]
	for _, c := range s.cast {
		if c.hops {
			a = c
		}
	}
	who := a.from().String()
	text, err := s.guard.why(ctx, who)
	if err != nil {
		return err
	}
	s.heading("$ gatehouse why " + who)
	lines := strings.Split(strings.TrimRight(text, "\n"), "\n")
	for i, l := range lines {
		if i == storyLines && len(lines) > storyLines+1 {
			s.line(s.paint(faint, fmt.Sprintf("  … and %d lines more", len(lines)-i)))
			break
		}
		if s.live {
			l = cut(l, s.width-2)
		}
		s.line("  " + l)
	}
	if !strings.Contains(text, a.home) {
		return fmt.Errorf("the story of %s does not say that %s is banned", who, a.home)
	}
	return nil
}

// checkList says for each thing that should happen whether it did; the error
// names those that did not.
func (s *show) checkList() error {
	s.heading("What happened")
	var missed []error
	mark := func(ok bool, text string) {
		s.mark(ok, text)
		if !ok {
			missed = append(missed, errors.New("failed: "+text))
		}
	}
	s.mu.Lock()
	innocent, broken := s.innocent, s.broken
	s.mu.Unlock()
	if broken != nil {
		missed = append(missed, broken)
	}
	banned, slowest, latest := 0, time.Duration(0), time.Duration(0)
	for _, a := range s.cast {
		if a.isBanned() {
			banned++
			first, last := a.delays()
			slowest, latest = max(slowest, first), max(latest, last)
		}
	}
	text := fmt.Sprintf("%d of %d attackers banned", banned, len(s.cast))
	if banned > 0 {
		text += fmt.Sprintf(", each within %s of its first try and %s of the line that did it", short(slowest), short(latest))
	}
	mark(banned == len(s.cast), text)
	if len(innocent) == 0 {
		mark(true, "nobody else was banned")
	} else {
		mark(false, fmt.Sprintf("nobody else was banned: but %v", innocent))
	}
	r := s.result
	mark(r.answeredBefore == r.knocked && r.answeredAfter == 0,
		fmt.Sprintf("knocks answered before: %d of %d, after: %d", r.answeredBefore, r.knocked, r.answeredAfter))
	mark(r.dropsBefore == 0 && r.dropsAfter >= uint64(r.knocked), fmt.Sprintf("packets dropped by the kernel before: %d, after: %d", r.dropsBefore, r.dropsAfter))
	beats, longest, lost := s.friend.health()
	text = fmt.Sprintf("the friend's %s lived on: %d heartbeats, none lost, the slowest %s", s.friend.how, beats, short(longest))
	if lost != nil {
		text = fmt.Sprintf("the friend's %s lived on: lost after %d heartbeats: %v", s.friend.how, beats, lost)
	}
	mark(lost == nil && beats > 0, text)
	mark(s.house.played, fmt.Sprintf("the house: armed, broken into, the phone told within %s, disarmed", short(s.house.told)))
	return errors.Join(missed...)
}
