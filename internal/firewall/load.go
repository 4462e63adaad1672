package firewall

import (
	"iter"
	"net/netip"
	"time"

	"gatehouse/internal/gate"
)

// Load replaces the wanted set and puts it in force: a new generation is filled
// beside the old table, verified, and swapped in by one small transaction, so
// that nobody who is banned before and after gets a packet through. A table of
// the same name that this package did not make is replaced as well. What the
// old table held uncommitted and the caller does not want is adopted: see
// Adopted. wants is read once. After an error the wanted set stands, and Run
// tries again.
func (f *Firewall) Load(wants iter.Seq[Want], never, allow []netip.Prefix) error {
	f.mu.Lock()
	defer f.unlock()
	f.want, f.exempt = newWanted(), newExempt(never, allow)
	f.loaded, f.removed, f.handsOff, f.adopted = true, false, time.Time{}, nil
	total := f.take(wants)
	if f.kernel == nil {
		f.log.Info("observe: would load bans", "bans", total, "table", f.config.Table)
		return nil
	}
	seen, err := f.kernel.inspect()
	if err == nil {
		f.lists.adopt(seen)
		err = f.adopt(seen)
	}
	if err != nil {
		f.fail("read table inet "+f.config.Table, err)
		return f.fault
	}
	if f.open = f.openFileExists(); f.open {
		f.log.Warn("nothing is enforced: the emergency file exists", "file", f.config.OpenFile)
		return f.deleteTable()
	}
	if err := f.rebuild(); err != nil {
		f.fail("load table inet "+f.config.Table, err)
		return f.fault
	}
	return nil
}

func (f *Firewall) take(wants iter.Seq[Want]) (total int) {
	now := f.clock()
	for w := range wants {
		if ends := f.deadline(w.Until); ends > now {
			if c, k, ok := f.want.place(w.Subject, w.Scope); ok {
				c.lasting[k] = max(c.lasting[k], ends)
				total++
			}
		}
	}
	return total
}

// Adopted returns the bans that the last Load found in the kernel uncommitted
// and that were not among its wants: a daemon that died placed them and did not
// live to write them down. They stay in force for the rest of their time, at
// most MaxUncommitted, unless they are placed or released.
func (f *Firewall) Adopted() []Want {
	f.mu.Lock()
	defer f.unlock()
	return f.adopted
}

// adopt takes what the fresh sets of the table that is there still hold.
func (f *Firewall) adopt(seen *contents) error {
	for full, set := range seen.sets {
		name, number, ok := splitNumber(full)
		k, fresh := parseFresh(name)
		if !ok || !fresh || set.setSpec != addressSet(k.v6, true) || set.count == 0 {
			continue
		}
		sc, ok, err := f.foundScope(seen, k, number)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		elems, err := f.kernel.elements(full)
		if err != nil {
			return err
		}
		f.adoptElements(k, sc, elems)
	}
	return nil
}

// foundScope reads the scope of a class back from the port sets of its
// generation.
func (f *Firewall) foundScope(seen *contents, k classKey, number uint32) (gate.Scope, bool, error) {
	sc := gate.Scope{New: k.newOnly}
	if k.scope == 0 {
		return sc, true, nil
	}
	var ranges []gate.PortRange
	for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
		name := numbered((&scope{number: k.scope}).portSet(p), number)
		if seen.sets[name].setSpec != portSet {
			continue
		}
		elems, err := f.kernel.elements(name)
		if err != nil {
			return sc, false, err
		}
		for _, s := range elementSpans(elems, portSet.keyLen) {
			ranges = append(ranges, gate.PortRange{Proto: p, Lo: s.lo.port(), Hi: s.hi.port()})
		}
	}
	sc.Ports = gate.PortsOf(ranges...)
	return sc, k.newOnly || !sc.Ports.IsEmpty(), nil
}

func (f *Firewall) adoptElements(ck classKey, sc gate.Scope, elems []element) {
	now, wall := f.clock(), f.now()
	for _, x := range elems {
		if x.life == 0 || x.life > MaxUncommitted {
			continue // not from a fresh set of ours
		}
		subject := gate.PrefixSubject(netip.PrefixFrom(x.key.addr(ck.v6), ck.bits))
		c, k, ok := f.want.place(subject, sc)
		if !ok || c.lasting[k] >= now+x.life {
			continue
		}
		until := wall.Add(x.life)
		c.fresh[k] = placed{until: until.Unix(), ends: now + x.life, alien: true}
		f.adopted = append(f.adopted, Want{Subject: subject, Until: until.Round(0), Scope: sc})
	}
}
