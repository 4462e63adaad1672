package host

import "time"

// times keeps one time for each of the last maxAnswers keys: the oldest key gives
// way to a new one. The zero value is ready to use. It is not for concurrent use.
type times[K comparable] struct {
	at   map[K]time.Time
	ring []K // the keys of at, in the order in which they came
	next int // whose place the next new key takes, once ring is full
}

// get returns the time of a key, zero if it is not kept.
func (t *times[K]) get(k K) time.Time { return t.at[k] }

func (t *times[K]) put(k K, at time.Time) {
	if t.at == nil {
		t.at = map[K]time.Time{}
	}
	if _, ok := t.at[k]; !ok {
		if len(t.ring) < maxAnswers {
			t.ring = append(t.ring, k)
		} else {
			delete(t.at, t.ring[t.next])
			t.ring[t.next] = k
			t.next = (t.next + 1) % maxAnswers
		}
	}
	t.at[k] = at
}

// pace says how often something may happen: once in each interval, after burst
// times at once. What has happened is kept as one time, that from which on as much
// is allowed as ever.
type pace struct {
	every time.Duration
	burst int
}

// next returns what to keep if it happens now, and whether it may.
func (p pace) next(kept, now time.Time) (time.Time, bool) {
	if kept.Before(now) {
		kept = now
	}
	return kept.Add(p.every), kept.Sub(now) <= time.Duration(p.burst-1)*p.every
}
