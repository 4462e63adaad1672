package host

import (
	"testing"
	"time"
)

func TestTimesForgetTheOldest(t *testing.T) {
	var m times[int]
	t0 := time.Unix(1000, 0)
	for k := range maxAnswers + 10 {
		m.put(k, t0)
		m.put(k, t0.Add(time.Duration(k))) // no second place
	}
	if len(m.at) != maxAnswers || len(m.ring) != maxAnswers {
		t.Fatalf("%d keys, %d places", len(m.at), len(m.ring))
	}
	for k := range maxAnswers + 10 {
		want := t0.Add(time.Duration(k))
		if k < 10 {
			want = time.Time{}
		}
		if got := m.get(k); !got.Equal(want) {
			t.Fatalf("%d: %v, want %v", k, got, want)
		}
	}
}

func TestPace(t *testing.T) {
	p := pace{every: time.Second, burst: 3}
	t0 := time.Unix(1000, 0)
	var kept time.Time
	for _, tc := range []struct {
		at   time.Duration
		want bool
	}{
		{0, true}, {0, true}, {0, true}, {0, false},
		{900 * time.Millisecond, false}, {time.Second, true}, {time.Second, false},
		{time.Hour, true}, {time.Hour, true}, {time.Hour, true}, {time.Hour, false},
	} {
		next, ok := p.next(kept, t0.Add(tc.at))
		if ok != tc.want {
			t.Errorf("at %v: %v", tc.at, ok)
		}
		if ok {
			kept = next
		}
	}
}
