package detect

import (
	"math"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/gate"
)

// Watch is what is counted under one name.
type Watch struct {
	Name      string         // what gate.Event.Rule says
	Threshold gate.Threshold // the zero value never fires
	Distinct  bool           // count different ports and addresses of ours, not events: see probes.go
}

// Config says what is counted and how much memory that may take. A zero number
// means its default.
type Config struct {
	Watches    []Watch
	Scores     []Score        // what is counted across watches
	IPv6Prefix int            // bits of an IPv6 address that are counted together; default 64
	Single     []netip.Prefix // IPv6 networks whose addresses are counted one by one: those that are directly attached

	MaxSubjects   int // windows, one for each watch and subject; default 1,000,000, at most 16 million (about 100 bytes each)
	MaxEvents     int // events in all windows together; default 8,000,000 (8 bytes each)
	MaxSessions   int // sessions that are joined; default 65,536 (about 80 bytes each)
	EvidenceBytes int // events kept as evidence; default 16 MiB; negative = none
}

// The defaults of Config.
const (
	defaultIPv6Prefix    = 64
	defaultMaxSubjects   = 1_000_000
	defaultMaxEvents     = 8_000_000
	defaultMaxSessions   = 1 << 16
	defaultEvidenceBytes = 16 << 20
)

func (c Config) withDefaults() Config {
	or := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	or(&c.IPv6Prefix, defaultIPv6Prefix)
	or(&c.MaxSubjects, defaultMaxSubjects)
	or(&c.MaxEvents, defaultMaxEvents)
	or(&c.MaxSessions, defaultMaxSessions)
	or(&c.EvidenceBytes, defaultEvidenceBytes)
	c.IPv6Prefix = min(max(c.IPv6Prefix, 1), 128)
	c.MaxSubjects = min(max(c.MaxSubjects, 1), maxItems)
	c.MaxEvents = max(c.MaxEvents, smallBlock)
	c.Scores = slices.Clone(c.Scores)
	c.MaxSessions = min(max(c.MaxSessions, 1), maxItems)
	return c
}

// slot is a watch with the units of its windows. Its number is part of each
// window's key.
type slot struct {
	name      string
	threshold gate.Threshold
	unit      int64 // milliseconds a tick
	within    int64 // length of the window in ticks
	used      bool  // false: the number is free
	distinct  bool  // it counts different ports: its subjects are in probes, it has no windows
}

// longest32 is the longest window whose times are kept in milliseconds; those of
// longer ones are kept in seconds, so that 32 bits never wrap within a window.
const longest32 = 24 * gate.Day

func newSlot(w Watch) slot {
	s := slot{name: w.Name, threshold: w.Threshold, unit: 1, used: true, distinct: w.Distinct}
	if w.Threshold.Within > longest32 {
		s.unit = 1000
	}
	s.within = min(int64(w.Threshold.Within/(time.Duration(s.unit)*time.Millisecond)), math.MaxUint32)
	return s
}

func (s *slot) fires() bool { return s.threshold.Count > 0 && s.threshold.Within > 0 }

// tick returns the time of ms milliseconds in the slot's unit.
func (s *slot) tick(ms int64) int64 {
	if s.unit == 1 {
		return ms
	}
	t := ms / s.unit
	if ms < 0 && ms%s.unit != 0 {
		t--
	}
	return t
}

// grace is how long beyond its length an untouched window is kept, in seconds:
// a source that catches up may pause.
const grace = 600

// lifetime returns after how many seconds without an event a window may go;
// false for one that never goes.
func (s *slot) lifetime() (int64, bool) {
	if s.threshold.Within == gate.Forever {
		return 0, false
	}
	return int64(s.threshold.Within/time.Second) + 1 + grace, true
}
