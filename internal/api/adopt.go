package api

import (
	"context"
	"fmt"

	"gatehouse/internal/gate"
)

// Adoption is bans that another program decided: each with when it was decided,
// until when it lasts, which offence it was, and an origin that is its own, so that
// taking it over twice changes nothing.
type Adoption struct {
	Decisions []gate.Decision `json:"decisions" minItems:"1" maxItems:"5000" doc:"bans; those whose end has passed are history"`
}

// Adopted is what became of an Adoption.
type Adopted struct {
	Banned    int      `json:"banned"`    // in force now
	Recorded  int      `json:"recorded"`  // of the past, recorded as offences
	Unchanged int      `json:"unchanged"` // known already
	Refused   []Answer `json:"refused"`   // whom nobody may ban
}

// add adds what another part of the same adoption gave.
func (a *Adopted) add(b Adopted) {
	a.Banned += b.Banned
	a.Recorded += b.Recorded
	a.Unchanged += b.Unchanged
	a.Refused = append(a.Refused, b.Refused...)
}

func (s *Server) adopt(ctx context.Context, in *struct{ Body Adoption }) (Adopted, error) {
	for i := range in.Body.Decisions {
		if err := CheckAdopted(&in.Body.Decisions[i]); err != nil {
			return Adopted{}, badInput(err)
		}
	}
	return s.backend.Adopt(ctx, in.Body.Decisions)
}

// maxWhy bounds the sentence of an adopted ban, in bytes.
const maxWhy = 1024

// CheckAdopted returns what keeps a decision from being adopted, if anything.
func CheckAdopted(d *gate.Decision) error {
	switch {
	case d.Verdict != gate.Ban:
		return fmt.Errorf("only bans are taken over, no %s", d.Verdict)
	case !d.Subject.IsNet() || d.Subject.Prefix().Bits() == 0:
		return fmt.Errorf("%s: only an address or a prefix can be banned", gate.Quote(d.Subject.String(), 64))
	case !gate.IsName(d.Rule):
		return fmt.Errorf("%s is not the name of a rule", gate.Quote(d.Rule, 64))
	case d.Origin.Source == "" || len(d.Origin.Source) > maxReason:
		return fmt.Errorf("the ban of %s has no origin", d.Subject)
	case d.Time.IsZero() || !d.Until.IsZero() && d.Until.Before(d.Time):
		return fmt.Errorf("the ban of %s ends before it begins", d.Subject)
	case d.Why == "" || len(d.Why) > maxWhy:
		return fmt.Errorf("the ban of %s has no reason of at most %d bytes", d.Subject, maxWhy)
	case d.Offence < 0 || d.Proof != nil:
		return fmt.Errorf("the ban of %s has evidence, or no number", d.Subject)
	}
	return nil
}

// Adopt has the daemon take bans over; progress, if not nil, is told how many are
// done. With an error what was done before comes back, too.
func (c *Client) Adopt(ctx context.Context, ds []gate.Decision, progress func(int)) (Adopted, error) {
	sum := Adopted{Refused: []Answer{}}
	for at := 0; at < len(ds); at += MaxSubjects {
		part := ds[at:min(at+MaxSubjects, len(ds))]
		var got Adopted
		if err := c.call(ctx, "POST", "/v1/bans/adopt", Adoption{part}, &got); err != nil {
			return sum, err
		}
		sum.add(got)
		if progress != nil {
			progress(at + len(part))
		}
	}
	return sum, nil
}
