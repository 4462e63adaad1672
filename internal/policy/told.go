package policy

import (
	"time"

	"gatehouse/internal/gate"
)

// told bounds how often a subject that may not be banned is told of, and how
// many are remembered.
type told map[netKey]time.Time

// The bounds of told: nobody can fill the ledger by forging the addresses of an
// allowed network.
const (
	tellEvery = time.Hour
	maxTold   = 256 // subjects within tellEvery
)

// may reports whether to tell of a subject now, and notes that it was done.
func (t *told) may(k netKey, now time.Time) bool {
	if *t == nil {
		*t = make(told)
	}
	fresh := func(at time.Time) bool { age := now.Sub(at); return age >= 0 && age < tellEvery }
	if at, ok := (*t)[k]; ok && fresh(at) {
		return false
	}
	if len(*t) >= maxTold {
		for o, at := range *t {
			if !fresh(at) {
				delete(*t, o)
			}
		}
		if len(*t) >= maxTold {
			return false
		}
	}
	(*t)[k] = now
	return true
}

// happening returns the event of a finding that is only to be told; nil for any
// other.
func happening(f *gate.Finding) *gate.Event {
	if len(f.Proof.First) == 0 || f.Proof.First[0].Class != gate.ClassTell {
		return nil
	}
	return &f.Proof.First[0]
}

// pass records what happened as it was told.
func pass(f *gate.Finding, e *gate.Event, now time.Time) gate.Decision {
	d := gate.Decision{
		Time: now, Verdict: gate.Tell, Subject: f.Subject, Rule: f.Rule, Topic: f.Rule,
		Origin: f.Origin, Why: e.Line,
	}
	if e.Pattern != "" {
		d.Topic += "." + e.Pattern
	}
	return d
}

func (t *told) shift(delta time.Duration) {
	for k, at := range *t {
		(*t)[k] = at.Add(delta)
	}
}
