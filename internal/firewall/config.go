package firewall

import (
	"fmt"
	"log/slog"
	"time"
)

// Verdict says what happens to a packet of a banned address.
type Verdict uint8

// The verdicts.
const (
	Drop   Verdict = iota // nothing is answered
	Reject                // a TCP reset or an ICMP message, at a limited rate; never where the evidence can be forged
)

// String returns `drop` or `reject`.
func (v Verdict) String() string {
	if v == Reject {
		return "reject"
	}
	return "drop"
}

// MarshalText implements encoding.TextMarshaler.
func (v Verdict) MarshalText() ([]byte, error) { return []byte(v.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *Verdict) UnmarshalText(b []byte) error {
	switch string(b) {
	case "drop":
		*v = Drop
	case "reject":
		*v = Reject
	default:
		return fmt.Errorf("%.32q is not a verdict: write drop or reject", b)
	}
	return nil
}

// Config is what an operator decides.
type Config struct {
	Table    string  // name of the table in family inet; default DefaultTable
	Verdict  Verdict // for packets of a banned address
	OpenFile string  // while this file exists, nothing is enforced; "" = no such file
	Observe  bool    // touch nothing: keep the wanted set and say what would be done
}

// Defaults of Config.
const (
	DefaultTable    = "gatehouse"
	DefaultOpenFile = "/etc/gatehouse/OPEN"
)

// Deps is what the composition root provides. Each field may be nil.
type Deps struct {
	Log *slog.Logger
	// Now is the clock. Its times carry a monotonic reading, as those of
	// time.Now do: deadlines are kept on it.
	Now func() time.Time
	// Changed is told when the mode or its reason changes, from the goroutine
	// that caused it and without a lock held. It must return soon.
	Changed func(Health)
}

// Times and bounds of the follower.
const (
	// MaxUncommitted is how long a ban that the ledger does not know may last
	// without a living daemon.
	MaxUncommitted = 10 * time.Minute
	// renewBefore is how long before it lapses such a ban is renewed.
	renewBefore = MaxUncommitted / 2
	// longest is the longest life that the kernel is told; what is longer stays
	// for good. The kernel's own limit is 2^64 ns, about 584 years.
	longest = 100 * 365 * 24 * time.Hour
	// handsOffCount deletions by somebody else within handsOffWindow mean that
	// somebody wants the table gone: it is left alone for handsOffTime.
	handsOffCount  = 3
	handsOffWindow = time.Minute
	handsOffTime   = 10 * time.Minute
	// tamperPause is the least time between two heals of additions, which
	// weaken nothing in a hurry and may come in a stream.
	tamperPause = 10 * time.Second
	// keepTime is the pace of housekeeping: renewals, and what has lapsed.
	keepTime = time.Minute
	// retryFirst and retryLast bound the wait between two attempts to write
	// what the kernel refused.
	retryFirst = 100 * time.Millisecond
	retryLast  = 30 * time.Second
)
