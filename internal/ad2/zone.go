package ad2

import (
	"strconv"
	"strings"
	"time"
)

// Bounds of what a panel can have.
const (
	maxPartition = 8   // partitions of a panel, as a gate.Subject has them
	maxZone      = 999 // highest number of a zone, as a gate.Subject has it
)

// zone is one zone of a partition. What the display says of it (FAULT 03) is
// weighed with patience; what an expander, a wireless sensor or a relay says
// itself (a direct source) counts at once.
type zone struct {
	Number   int
	Name     string // configured, else as the display spells it
	Open     bool
	Since    time.Time // of Open
	Check    bool      // the panel reports trouble of it
	Battery  bool      // its battery is low
	Bypassed bool
	Tamper   bool
	Missing  bool      // the panel misses its sign of life
	Direct   time.Time // when a direct source last spoke; zero = none ever did
	Shown    bool      // the display has shown it as open since it opened
	AlarmAt  time.Time // when an alarm of it was last told

	missed  int           // rounds of the display in which it was left out
	idle    time.Duration // how long the display has gone round without it
	late    int           // displays of FAULT while a direct source says closed
	CheckAt time.Time     // when CHECK was last shown
	BatAt   time.Time     // when LOBAT was last shown
}

// fresh is how long after a direct source has spoken the display may lag behind.
const fresh = 10 * time.Second

// direct reports whether the zone has a source of its own that spoke lately.
func (z *zone) fresh(now time.Time) bool {
	return !z.Direct.IsZero() && now.Sub(z.Direct) < fresh
}

// displayNumber reads the number behind the first word of a display: FAULT 03
// FRONT DOOR gives 3 and FRONT DOOR.
func displayNumber(upper string) (n int, name string, ok bool) {
	_, rest, _ := strings.Cut(upper, " ")
	digits, name, _ := strings.Cut(rest, " ")
	n, err := strconv.Atoi(digits)
	if err != nil || n < 0 || len(digits) > 3 {
		return 0, "", false
	}
	return n, name, true
}

// zoneOf returns the zone that a display of the kind `WORD nnn` is about: the
// number on the display, else that of the message where it can be one.
func zoneOf(k *Keypad, upper string) (n int, name string, ok bool) {
	n, name, ok = displayNumber(upper)
	if !ok && k.System <= 0 && isDecimal(k.Code) {
		n, ok = k.Number, true
	}
	return n, name, ok && n >= 1 && n <= maxZone
}

func isDecimal(s string) bool {
	_, ok := decimal(s)
	return ok
}

// titled returns a name from the display, which has capitals only, in a form
// that people read: FRONT DOOR becomes Front door.
func titled(s string) string {
	if s == "" {
		return ""
	}
	return s[:1] + strings.ToLower(s[1:])
}
