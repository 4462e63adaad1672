package report

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Preview is what would be reported of an address, or what was.
type Preview struct {
	Addr    netip.Addr
	Record  uint64    // the ban that it is about; 0 = none fits
	At      time.Time // when that was decided
	Refused string    // why it is not reported, a sentence; "" = it is
	Parcels []Outgoing
	Answers []string // what each target answered; "" where it failed, see Problem
}

// lookBack is how many records of an address are looked at for a ban that can be
// reported.
const lookBack = 50

// latest finds the newest ban of an address that is fit to be reported.
func (rp *Reporter) latest(ctx context.Context, addr netip.Addr) (r *gate.Record, at netip.Addr, why string, err error) {
	rs, err := rp.d.About(gate.AddrSubject(addr), lookBack)
	if err != nil {
		return nil, addr, "", err
	}
	why = "it was never banned here"
	for i := range rs {
		if rs[i].Verdict != gate.Ban {
			continue
		}
		at, no := rp.c.Fit(&rs[i])
		if no == "" && at != addr {
			no = "its network was banned for " + at.String()
		}
		if no == "" {
			why, err := rp.spared(ctx, addr)
			return &rs[i], addr, why, err
		}
		if why == "it was never banned here" {
			why = no // of the newest ban
		}
	}
	return nil, addr, why, nil
}

// Show returns what would be sent about an address. It sends nothing and reads no
// secret; the registries may be asked for its abuse contact.
func (rp *Reporter) Show(ctx context.Context, addr netip.Addr) (Preview, error) {
	r, addr, why, err := rp.latest(ctx, addr)
	p := Preview{Addr: addr, Refused: why}
	if err != nil || r == nil {
		return p, err
	}
	p.Record, p.At = r.Seq, r.Time
	for i := range rp.c.Targets {
		t := &rp.c.Targets[i]
		whom := rp.whom(ctx, t, addr)
		w, err := t.wrap(rp.report(r, addr, whom), whom, false)
		if err != nil {
			w.shown.Problem = clean(err.Error(), 300)
		}
		p.Parcels = append(p.Parcels, w.shown)
	}
	return p, nil
}

// errNoTargets is what Send gets where nothing is to be reported to anybody.
var errNoTargets = errors.New("nobody is named to whom abuse is reported")

// Send reports an address now, within the same bounds as always, and returns what
// each target answered. What fails is tried again later.
func (rp *Reporter) Send(ctx context.Context, addr netip.Addr) (Preview, error) {
	if len(rp.c.Targets) == 0 {
		return Preview{Addr: addr}, errNoTargets
	}
	r, addr, why, err := rp.latest(ctx, addr)
	p := Preview{Addr: addr, Refused: why}
	if err != nil || r == nil || why != "" {
		return p, err
	}
	p.Record, p.At = r.Seq, r.Time
	rp.mu.Lock()
	jobs, why := rp.admit(r.Seq, addr, rp.d.Now())
	for _, j := range jobs {
		j.busy = true // ours; after a restart, a worker's
	}
	mine := make([]job, len(jobs))
	for i, j := range jobs {
		mine[i] = *j
	}
	rp.save()
	rp.mu.Unlock()
	p.Refused = why
	for i := range mine {
		out, answer, err := rp.attempt(ctx, &mine[i])
		if out.Target == "" {
			out.Target = mine[i].Target
		}
		if err != nil {
			out.Problem = clean(err.Error(), 300)
		}
		p.Parcels, p.Answers = append(p.Parcels, out), append(p.Answers, answer)
	}
	return p, nil
}
