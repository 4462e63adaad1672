package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// ListBan is a block list that is in force, or, with the verdict Allow, a list of who
// is never banned.
type ListBan struct {
	Subject   gate.Subject
	Verdict   gate.Verdict // Ban or Allow
	Digest    uint64       // of its content
	Direction gate.Direction
	Rule      string    // who brought it: "list"
	Since     time.Time // when it became this content
	Why       string    // the reason of the decision
}

// lists is what is in force of lists, and what was held back of each, which is told
// once. The zero value is ready to use.
type lists struct {
	live map[gate.Subject]ListBan
	held map[gate.Subject]uint64 // digests
}

// The bounds of how much a list may change at once without a person looking at it,
// where it brings none of its own, and the change that is always too small to matter.
const (
	listShrink = 50  // percent
	listGrow   = 100 // percent
	listSlack  = 20  // networks
	listCovers = 1 << 16
	listMost   = 1 << 30 // IPv4 addresses: a quarter of all there are
)

// Lists returns the lists that are in force, by name.
func (p *Policy) Lists() []ListBan {
	return slices.SortedFunc(maps.Values(p.lists.live), func(a, b ListBan) int {
		return strings.Compare(a.Subject.Name(), b.Subject.Name())
	})
}

// askList grants, refuses or takes back the wish of a sensor to put the content of a
// list in force. The same content again changes nothing.
func (p *Policy) askList(ds []gate.Decision, w *wish) []gate.Decision {
	if w.Verdict == gate.Release || w.Verdict == gate.Disallow {
		return p.dropList(ds, w)
	}
	n := w.List
	if n == nil || w.Verdict != gate.Ban && w.Verdict != gate.Allow {
		w.refuse("a list is banned by its configuration, not by name", "name its file or URL under `lists` in the configuration")
		return ds
	}
	s := w.f.Subject
	old, is := p.lists.live[s]
	if is && old.Digest == n.Digest && old.Verdict == w.Verdict && old.Direction == n.Direction {
		delete(p.lists.held, s)
		w.answer.Note = "it is in force already"
		return ds
	}
	if why := tooDifferent(n); why != "" && !n.Accepted && (!is || old.Digest != n.Digest) {
		return p.holdList(ds, w, why)
	}
	if is && (old.Verdict != w.Verdict || old.Direction != n.Direction) {
		ds = append(ds, p.endList(old, w.now, w.f.Origin, "its configuration has changed"))
	}
	d := w.decision(w.Verdict, s, whyList(w, n))
	d.Scope = gate.Scope{Direction: n.Direction}
	d.Origin.Epoch = n.Digest
	p.takeList(ListBan{s, w.Verdict, n.Digest, n.Direction, d.Rule, w.now, d.Why})
	delete(p.lists.held, s)
	return append(ds, d)
}

// takeList puts a list in force.
func (p *Policy) takeList(l ListBan) {
	if p.lists.live == nil {
		p.lists.live = map[gate.Subject]ListBan{}
	}
	p.lists.live[l.Subject] = l
}

// tooDifferent says why a person has to look at a list first, "" if nobody has to.
func tooDifferent(n *gate.ListNews) string {
	shrink, grow := cmp.Or(n.Shrink, listShrink), cmp.Or(n.Grow, listGrow)
	from := fmt.Sprintf("%s networks now, %s before", thousands(n.Prefixes), thousands(n.Was))
	switch change := n.Prefixes - n.Was; {
	case n.Addresses > listMost:
		return "it covers more than a quarter of all IPv4 addresses"
	case n.Was == 0:
		return ""
	case n.Prefixes == 0 && shrink < 100:
		return fmt.Sprintf("it is empty now, and had %s before", counted(n.Was, "network"))
	case -change > listSlack && -change*100 > n.Was*shrink:
		return fmt.Sprintf("it has shrunk by more than %d %%: %s", shrink, from)
	case change > listSlack && change*100 > n.Was*grow:
		return fmt.Sprintf("it has grown by more than %d %%: %s", grow, from)
	case n.Addresses > n.WasCovers+listCovers && (n.Addresses-n.WasCovers)*100 > n.WasCovers*uint64(grow):
		return fmt.Sprintf("it covers more than %d %% more addresses than before: %s now, %s before", grow, thousands(int(n.Addresses)), thousands(int(n.WasCovers)))
	}
	return ""
}

// thousands writes a number with a comma between thousands.
func thousands(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// holdList refuses, and tells of it once for each content.
func (p *Policy) holdList(ds []gate.Decision, w *wish, why string) []gate.Decision {
	s, n := w.f.Subject, w.List
	stays := "what was in force before stays"
	if n.Was == 0 {
		stays = "nothing of it is in force"
	}
	w.refuse(why, "look at it, then take it with: gatehouse lists accept "+s.Name())
	if p.lists.held[s] == n.Digest {
		return ds
	}
	if p.lists.held == nil {
		p.lists.held = map[gate.Subject]uint64{}
	}
	p.lists.held[s] = n.Digest
	d := w.decision(gate.Tell, s, fmt.Sprintf("list %s from %s is held back: %s; %s", s.Name(), plain(n.Source), why, stays))
	w.answer.Changed = false
	d.Topic = "list.held"
	return append(ds, d)
}

// whyList is the reason of a list that comes into force.
func whyList(w *wish, n *gate.ListNews) string {
	name := w.f.Subject.Name()
	why := fmt.Sprintf("list %s from %s names %s", name, plain(n.Source), counted(n.Prefixes, "network"))
	if n.Was > 0 {
		why += fmt.Sprintf(", %s before", thousands(n.Was))
	}
	if w.Verdict == gate.Allow {
		why += ", which are never banned"
	}
	if n.Accepted {
		why += "; " + w.who() + " took it"
	}
	return why
}

// dropList takes a list out of force.
func (p *Policy) dropList(ds []gate.Decision, w *wish) []gate.Decision {
	old, is := p.lists.live[w.f.Subject]
	if !is {
		w.answer.Note = "it is not in force"
		return ds
	}
	if w.By != "" {
		w.refuse("a list is in force by its configuration", "take it out of `lists` in the configuration and reload")
		return ds
	}
	w.answer.Changed = true
	return append(ds, p.endList(old, w.now, w.f.Origin, cmp.Or(w.Reason, "it is no longer wanted")))
}

// endList ends what is in force of a list.
func (p *Policy) endList(l ListBan, now time.Time, o gate.Origin, why string) gate.Decision {
	delete(p.lists.live, l.Subject)
	v := gate.Release
	if l.Verdict == gate.Allow {
		v = gate.Disallow
	}
	return gate.Decision{
		Time: now, Verdict: v, Subject: l.Subject, Scope: gate.Scope{Direction: l.Direction}, Rule: l.Rule,
		Origin: o, Why: "list " + l.Subject.Name() + " is no longer in force: " + why,
	}
}

// restoreList puts a record of a list back.
func (p *Policy) restoreList(r gate.Record) {
	switch r.Verdict {
	case gate.Ban, gate.Allow:
		p.takeList(ListBan{r.Subject, r.Verdict, r.Origin.Epoch, r.Scope.Direction, r.Rule, r.Time, r.Why})
	case gate.Release, gate.Disallow:
		delete(p.lists.live, r.Subject)
	}
}
