package app

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/firewall"
	"gatehouse/internal/gate"
)

// setList puts a list into the kernel.
func (d *daemon) setList(ctx context.Context, name string, dir gate.Direction, ps []netip.Prefix) error {
	return d.firewall.SetList(ctx, firewall.List{Name: name, Direction: dir, Prefixes: ps})
}

func (d *daemon) dropList(name string) error { return d.firewall.DropList(name) }

// listAsked does what a person wants done with a list: take what is held back of it,
// where by names them, else look at it now.
func (d *daemon) listAsked(ctx context.Context, name, by string) error {
	s := d.lists.current()
	err := s.Refresh
	if by != "" {
		err = func(ctx context.Context, name string) error { return s.Accept(ctx, name, by) }
	}
	if err := err(ctx, name); err != nil {
		hint := "see: gatehouse lists"
		return &api.Error{Message: "list " + gate.Quote(name, 64) + ": " + err.Error(), Hint: hint}
	}
	return nil
}

// report is how each list is.
func (k *listDesk) report() []api.List {
	out := []api.List{}
	s := k.current()
	if s == nil {
		return out
	}
	kernel := map[string]firewall.ListStatus{}
	for _, l := range k.d.firewall.Lists() {
		kernel[l.Name] = l
	}
	for _, st := range s.Status() {
		l := api.List{
			Name: st.Name, Source: st.Source, Verdict: st.Verdict, Direction: st.Direction, State: st.State.String(),
			Entries: st.Entries, Held: st.Held, Problem: st.Problem,
			Checked: api.TimeOf(st.Checked), Changed: api.TimeOf(st.Changed), Next: api.TimeOf(st.Next),
		}
		k.mu.Lock()
		if in := k.inForce[st.Name]; in != nil {
			l.Prefixes, l.Spared = in.raw.Len(), in.cut.Networks
			if in.set != nil {
				l.Prefixes = in.set.Len()
			}
			l.InForce = in.want.Verdict == gate.Allow || kernel[st.Name].InForce
		}
		k.mu.Unlock()
		l.Packets = kernel[st.Name].Stopped.Packets
		out = append(out, l)
	}
	return out
}

// covering returns the entries of lists that cover a subject.
func (k *listDesk) covering(s gate.Subject) []api.Listing {
	out := []api.Listing{}
	if !s.IsNet() {
		return out
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for name, l := range k.inForce {
		p, ok := l.raw.Covering(s.Prefix())
		if !ok {
			continue
		}
		_, in := l.set.Covering(s.Prefix())
		out = append(out, api.Listing{
			List: name, Entry: gate.PrefixSubject(p), Verdict: l.want.Verdict, Direction: l.want.Direction,
			Since: l.want.Since.UTC(), InForce: in || l.want.Verdict == gate.Allow, Reason: l.want.Why,
		})
	}
	sortListings(out)
	return out
}

// listBans yields what one list bans, as bans.
func (k *listDesk) listBans(ctx context.Context, name string, yield func(api.Ban) error) error {
	k.mu.Lock()
	l := k.inForce[name]
	var want api.Ban
	var set = k.content(l)
	if l != nil {
		want = api.Ban{Since: l.want.Since.UTC(), Rule: l.want.Rule, Origin: l.want.Subject.String(), Reason: l.want.Why}
	}
	k.mu.Unlock()
	if l == nil || l.want.Verdict != gate.Ban {
		return nil
	}
	status := k.d.firewall.Status()
	want.Enforced = status.Mode == firewall.Enforcing
	for p := range set {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		want.Subject = gate.PrefixSubject(p)
		if err := yield(want); err != nil {
			return err
		}
	}
	return nil
}

// content yields the networks of a list that are in force.
func (k *listDesk) content(l *listed) func(func(netip.Prefix) bool) {
	if l == nil || l.set == nil {
		return func(func(netip.Prefix) bool) {}
	}
	return l.set.All()
}

// onLists adds what lists say to the story of a subject.
func (d *daemon) onLists(w *api.Why) {
	w.Lists = d.lists.covering(w.Subject)
	for _, l := range w.Lists {
		if l.Verdict != gate.Ban || !l.InForce || w.Verdict == api.IsNever || w.Verdict == api.IsAllowed || w.Verdict == api.IsBanned {
			continue
		}
		who := w.Subject.String()
		if l.Entry != w.Subject {
			who += " lies in " + l.Entry.String() + ", which"
		}
		w.Verdict, w.Sentence = api.IsBanned, who+" is banned by the list "+l.List+" since "+l.Since.Format(time.DateTime)+" UTC: "+l.Reason
	}
}

func sortListings(ls []api.Listing) {
	slices.SortFunc(ls, func(a, b api.Listing) int { return cmp.Compare(a.List, b.List) })
}
