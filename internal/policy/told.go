package policy

import "time"

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

func (t *told) shift(delta time.Duration) {
	for k, at := range *t {
		(*t)[k] = at.Add(delta)
	}
}
