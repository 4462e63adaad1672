package api

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Adoption is bans that another program decided: each with when it was decided,
// until when it lasts, which offence it was, and an origin that is its own, so that
// taking it over twice changes nothing.
type Adoption struct {
	Bans []AdoptedBan `json:"bans" minItems:"1" maxItems:"5000" doc:"bans; those whose end has passed are history"`
}

// AdoptedBan is one ban of an Adoption.
type AdoptedBan struct {
	Subject string     `json:"subject" doc:"an address or a prefix"`
	Since   time.Time  `json:"since" doc:"when it was decided"`
	Until   *time.Time `json:"until,omitempty" doc:"when it ends; null = never"`
	Rule    string     `json:"rule" doc:"the watch that it counts for"`
	Ports   string     `json:"ports,omitempty" doc:"only these ports; empty = all"`
	Offence int        `json:"offence" minimum:"0" doc:"which one of the subject it was, from 1; 0 = none"`
	Why     string     `json:"why" minLength:"1" maxLength:"1024" doc:"a sentence"`
	Source  string     `json:"source" minLength:"1" maxLength:"512" doc:"where it comes from; with epoch and offset it identifies the ban"`
	Epoch   string     `json:"epoch,omitempty" doc:"a number"`
	Offset  int64      `json:"offset,omitempty"`
}

// adoptedBan writes a decision as a document.
func adoptedBan(d *gate.Decision) AdoptedBan {
	b := AdoptedBan{
		Subject: d.Subject.String(), Since: d.Time, Rule: d.Rule, Ports: d.Scope.Ports.String(), Offence: d.Offence, Why: d.Why,
		Source: d.Origin.Source, Epoch: strconv.FormatUint(d.Origin.Epoch, 10), Offset: d.Origin.Offset,
	}
	if !d.Until.IsZero() {
		b.Until = &d.Until
	}
	return b
}

// decision reads a document.
func (b *AdoptedBan) decision() (d gate.Decision, err error) {
	d = gate.Decision{
		Time: b.Since, Verdict: gate.Ban, Rule: b.Rule, Offence: b.Offence, Why: b.Why,
		Origin: gate.Origin{Source: b.Source, Offset: b.Offset},
	}
	if b.Until != nil {
		d.Until = *b.Until
	}
	if b.Epoch != "" {
		if d.Origin.Epoch, err = strconv.ParseUint(b.Epoch, 10, 64); err != nil {
			return d, fmt.Errorf("%s is not a number", gate.Quote(b.Epoch, 64))
		}
	}
	if d.Scope.Ports, err = gate.ParsePorts(strings.Fields(b.Ports)...); err != nil {
		return d, err
	}
	if d.Subject, err = ParseNet(b.Subject); err != nil {
		return d, err
	}
	return d, checkAdopted(&d)
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
	ds := make([]gate.Decision, len(in.Body.Bans))
	for i := range ds {
		var err error
		if ds[i], err = in.Body.Bans[i].decision(); err != nil {
			return Adopted{}, badInput(err)
		}
	}
	return s.backend.Adopt(ctx, ds)
}

// checkAdopted returns what keeps a decision from being adopted, if anything.
func checkAdopted(d *gate.Decision) error {
	switch {
	case d.Subject.Prefix().Bits() == 0:
		return fmt.Errorf("%s: only an address or a prefix can be banned", gate.Quote(d.Subject.String(), 64))
	case !gate.IsName(d.Rule):
		return fmt.Errorf("%s is not the name of a rule", gate.Quote(d.Rule, 64))
	case d.Time.IsZero() || !d.Until.IsZero() && d.Until.Before(d.Time):
		return fmt.Errorf("the ban of %s ends before it begins", d.Subject)
	}
	return nil
}

// Adopt has the daemon take bans over; progress, if not nil, is told how many are
// done. With an error what was done before comes back, too.
func (c *Client) Adopt(ctx context.Context, ds []gate.Decision, progress func(int)) (Adopted, error) {
	sum := Adopted{Refused: []Answer{}}
	for at := 0; at < len(ds); at += MaxSubjects {
		var part []AdoptedBan
		for i := range ds[at:min(at+MaxSubjects, len(ds))] {
			part = append(part, adoptedBan(&ds[at+i]))
		}
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
