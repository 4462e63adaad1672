package replay

import (
	"time"

	"gatehouse/internal/gate"
)

// Account is what was read of one source.
type Account struct {
	Name    string    `json:"log"`
	Lines   int       `json:"lines"`              // the unfinished last one included
	Skipped int       `json:"skipped"`            // of these, too long to be looked at
	Hits    int       `json:"matched"`            // of these, taken by a rule
	Bare    int       `json:"unproven,omitempty"` // hits that anybody can have written, for want of a header
	Odd     int       `json:"odd,omitempty"`      // lines that are not of the format that a rule expects: JSON that is not
	First   time.Time `json:"first,omitzero"`     // of the lines that a rule took: the first of the log
	Last    time.Time `json:"last,omitzero"`      // the last of the log
	Err     error     `json:"-"`                  // why it was not read to its end
}

// add counts a block.
func (a *Account) add(b *block) {
	a.Lines += b.stats.Lines
	a.Skipped += b.stats.Skipped
	a.Bare += b.bare
	a.Odd += b.stats.Misfits
}

// Summary is what came of a Course.
type Summary struct {
	First     time.Time  `json:"first,omitzero"`   // time of the earliest line that a rule took
	Last      time.Time  `json:"last,omitzero"`    // of the latest
	Decisions int        `json:"decisions"`        // taken, releases of bans whose time was over left out
	Bans      int        `json:"bans"`             // of these, bans
	Released  int        `json:"released"`         // bans whose time was over before the logs were
	Banned    int        `json:"banned"`           // addresses and prefixes that were banned at least once
	KeptAway  int        `json:"kept_away"`        // lines of banned ones while their bans would have been in force
	Logins    int        `json:"logins_kept_away"` // of these, logins that succeeded
	Offenders []Offender `json:"offenders"`        // the worst, by what their bans would have kept away
	Effects   []Effect   `json:"effects"`          // the bans that would have kept most away
}

// Offender is what became of one address or prefix.
type Offender struct {
	Subject  gate.Subject `json:"subject"`
	Rule     string       `json:"rule"`      // the watch of the last ban
	Bans     int          `json:"bans"`      // how many
	First    time.Time    `json:"first"`     // when the first was decided
	Last     time.Time    `json:"last"`      // when the last was decided
	Until    *time.Time   `json:"until"`     // when that ends; nil = never
	KeptAway int          `json:"kept_away"` // lines, by all of them
}

// Effect is what one ban would have kept away.
type Effect struct {
	Subject  gate.Subject `json:"subject"`
	Rule     string       `json:"rule"`
	Time     time.Time    `json:"time"`      // when it was decided
	Until    *time.Time   `json:"until"`     // when it ended or ends; nil = never
	KeptAway int          `json:"kept_away"` // lines
}
