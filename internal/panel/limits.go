package panel

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"
)

// limits holds back those who try codes. Of one asker two wrong codes within a
// minute are let through; the third is held back. With each round that fails the
// time doubles, up to an hour. Everybody together has ten wrong codes within ten
// minutes. It is safe for concurrent use and survives a restart.
type limits struct {
	mu     sync.Mutex
	keep   Keep
	askers map[string]*asker
	all    []time.Time // wrong codes of anybody
}

// asker is one user at one source.
type asker struct {
	Wrong []time.Time   // wrong codes of the last minute
	Until time.Time     // held back until then
	Wait  time.Duration // of the last hold
}

// Bounds of the limits.
const (
	wrongWithin = time.Minute
	wrongMost   = 2 // wrong codes of one asker within wrongWithin
	firstHold   = time.Minute
	lastHold    = time.Hour
	forgetAfter = 24 * time.Hour // a hold is forgotten, and starts at the first one again
	allWithin   = 10 * time.Minute
	allMost     = 10 // wrong codes of everybody within allWithin
	maxAskers   = 1000
)

// keptLimits is the name under which they are kept.
const keptLimits = "limits"

func newLimits(k Keep) *limits {
	l := &limits{keep: k, askers: map[string]*asker{}}
	if data, found, err := k.Get(keptLimits); err == nil && found && len(data) < 1<<20 {
		var askers map[string]*asker
		if json.Unmarshal(data, &askers) == nil && len(askers) <= maxAskers { // damaged: they start anew
			for id, a := range askers {
				if a != nil {
					l.askers[id] = a
				}
			}
		}
	}
	return l
}

// allow says whether an asker may try a code now; the error is for them.
func (l *limits) allow(id string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.askers[id]; a != nil && now.Before(a.Until) {
		return heldError(a.Until.Sub(now))
	}
	l.all = recent(l.all, now, allWithin)
	if len(l.all) >= allMost {
		return heldError(l.all[0].Add(allWithin).Sub(now))
	}
	return nil
}

// heldError is what one gets who is held back.
func heldError(left time.Duration) error {
	return &Error{
		What: fmt.Sprintf("too many wrong codes: held back for %s", left.Round(time.Second)),
		Hint: "wait, or use a keypad; nothing was sent to the panel",
	}
}

// wrong notes a wrong code, and reports whether the asker is held back from now on.
func (l *limits) wrong(id string, now time.Time) (held time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(recent(l.all, now, allWithin), now)
	a := l.askers[id]
	if a == nil {
		if len(l.askers) >= maxAskers {
			l.forget(now)
		}
		a = &asker{}
		l.askers[id] = a
	}
	if !a.Until.IsZero() && now.Sub(a.Until) > forgetAfter {
		a.Wait = 0
	}
	a.Wrong = append(recent(a.Wrong, now, wrongWithin), now)
	if len(a.Wrong) >= wrongMost || a.Wait > 0 {
		a.Wait = min(max(firstHold, 2*a.Wait), lastHold)
		a.Until, a.Wrong = now.Add(a.Wait), nil
		held = a.Wait
	}
	l.save()
	return held
}

// right notes a right code: earlier wrong ones are forgiven.
func (l *limits) right(id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.askers[id]; known {
		delete(l.askers, id)
		l.save()
	}
}

// forget makes room: who is not held back goes, else the one whose hold ends first.
func (l *limits) forget(now time.Time) {
	first := ""
	for id, a := range l.askers {
		if now.After(a.Until) && len(recent(a.Wrong, now, wrongWithin)) == 0 {
			delete(l.askers, id)
			continue
		}
		if first == "" || a.Until.Before(l.askers[first].Until) {
			first = id
		}
	}
	if len(l.askers) >= maxAskers {
		delete(l.askers, first)
	}
}

func (l *limits) save() { l.keep.Put(keptLimits, marshal(l.askers)) }

// recent returns the times that are not older than within.
func recent(ts []time.Time, now time.Time, within time.Duration) []time.Time {
	return slices.DeleteFunc(ts, func(t time.Time) bool { return now.Sub(t) >= within })
}
