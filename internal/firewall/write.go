package firewall

import "time"

// apply writes edits, or notes why it could not.
func (f *Firewall) apply(doing string, e *edits) {
	if !f.writable() {
		return
	}
	for _, x := range e.list {
		e.total += len(x.todo)
	}
	if e.total == 0 {
		return
	}
	if err := f.write(e); err != nil {
		f.fail(doing, err)
	}
}

// write puts edits into the kernel: few in one transaction or two, many in
// chunks, with all additions before all deletions.
func (f *Firewall) write(e *edits) error {
	setup := f.setup(e)
	if e.total > maxElements {
		return f.writeMany(e, setup)
	}
	var add, drop []op
	for _, x := range e.list {
		a, d := f.operations(x)
		add, drop = append(add, a...), append(drop, d...)
	}
	// Rules come behind the sets that they refer to.
	first, second := concat(setup.sets, add, setup.rules), drop
	if e.moves() {
		first, second = append(first, drop...), nil
	}
	if err := f.kernel.commit(first); missing(err) {
		return f.writeOneByOne(e, setup)
	} else if err != nil {
		return err
	}
	if err := f.kernel.commit(second); !missing(err) {
		return err
	}
	return f.dropAll(e)
}

// moves reports whether additions and deletions may be one transaction. A
// packet that walks through the rules meanwhile looks at one set before it and
// at the next one behind it, so what is deleted must come earlier in the rules
// than what is added: from fresh to lasting it does. Otherwise the additions
// must be in force first.
func (e *edits) moves() bool {
	for _, x := range e.list {
		for _, c := range x.todo {
			if x.fresh != (c.kind == changeDrop) {
				return false
			}
		}
	}
	return true
}

// setup is what must be there before elements can be.
type setup struct{ sets, rules []op }

// setup makes the classes that are used for the first time.
func (f *Firewall) setup(e *edits) (s setup) {
	made := f.gen.chains()
	for _, x := range e.list {
		if !f.gen.has(x.class) {
			s.sets = append(s.sets, f.gen.newClass(x.class, f.want.scopes[x.class.scope])...)
		}
	}
	if s.sets != nil {
		s.rules = f.gen.rules(made)
	}
	return s
}

// operations returns those that add and those that delete. Where the kernel
// ignores the new life of an element that is there, renewing is both, at once.
func (f *Firewall) operations(x *edit) (add, drop []op) {
	name, spec := f.gen.set(x.class, x.fresh), x.class.spec()
	renew := x.elements(changeRenew)
	if f.renews != yes {
		add = appendElements(add, deleteElements, name, spec, renew)
	}
	add = appendElements(add, addElements, name, spec, renew)
	add = appendElements(add, addElements, name, spec, x.elements(changeAdd))
	return add, appendElements(nil, deleteElements, name, spec, x.elements(changeDrop))
}

// writeOneByOne is write where an element to be deleted had just lapsed, which
// undid the whole transaction.
func (f *Firewall) writeOneByOne(e *edits, s setup) error {
	add := s.sets
	for _, x := range e.list {
		add = appendElements(add, addElements, f.gen.set(x.class, x.fresh), x.class.spec(), x.elements(changeAdd))
	}
	if err := f.kernel.commit(concat(add, s.rules)); err != nil {
		return err
	}
	for _, x := range e.list {
		if err := f.renewAll(x); err != nil {
			return err
		}
	}
	return f.dropAll(e)
}

// writeMany is write for more elements than one transaction takes.
func (f *Firewall) writeMany(e *edits, s setup) error {
	if err := f.kernel.commit(concat(s.sets, s.rules)); err != nil {
		return err
	}
	for _, x := range e.list {
		name, spec := f.gen.set(x.class, x.fresh), x.class.spec()
		adds := x.elements(changeAdd)
		if err := f.commitParts(appendElements(nil, addElements, name, spec, adds)); err != nil {
			return err
		}
		if err := f.renewAll(x); err != nil {
			return err
		}
		if err := f.verify(name, len(adds), f.deadlines(x)); err != nil {
			return err
		}
	}
	return f.dropAll(e)
}

// deadlines returns what the kernel's set should hold by now.
func (f *Firewall) deadlines(x *edit) func(yield func(key, time.Duration) bool) {
	if x.fresh {
		return x.class.heldUntil
	}
	return x.class.lastsUntil
}

// renewAll gives elements another life.
func (f *Firewall) renewAll(x *edit) error {
	name, spec := f.gen.set(x.class, x.fresh), x.class.spec()
	renew := x.elements(changeRenew)
	if f.renews == yes {
		return f.commitParts(appendElements(nil, addElements, name, spec, renew))
	}
	for i := range renew {
		one := renew[i : i+1]
		add := op{verb: addElements, name: name, set: spec, elems: one}
		err := f.kernel.commit([]op{{verb: deleteElements, name: name, set: spec, elems: one}, add})
		if missing(err) {
			err = f.kernel.commit([]op{add})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (f *Firewall) dropAll(e *edits) error {
	for _, x := range e.list {
		name, spec := f.gen.set(x.class, x.fresh), x.class.spec()
		for _, o := range appendElements(nil, deleteElements, name, spec, x.elements(changeDrop)) {
			if err := f.drop(o); err != nil {
				return err
			}
		}
	}
	return nil
}

// drop deletes elements of which some may have lapsed: it halves the lot until
// the missing ones stand alone.
func (f *Firewall) drop(o op) error {
	err := f.kernel.commit([]op{o})
	if !missing(err) {
		return err
	}
	if len(o.elems) == 1 {
		return nil
	}
	half := len(o.elems) / 2
	a, b := o, o
	a.elems, b.elems = o.elems[:half], o.elems[half:]
	if err := f.drop(a); err != nil {
		return err
	}
	return f.drop(b)
}

// learn finds out, in a set of its own, whether adding an element again renews
// its timeout (Linux 6.12 and later) or does nothing.
func (f *Firewall) learn() error {
	f.serial++
	name, spec := numbered("probe", f.serial), addressSet(false, true)
	with := func(life time.Duration) op {
		return op{verb: addElements, name: name, set: spec, elems: []element{{key: key{127, 0, 0, 1}, life: life}}}
	}
	if err := f.kernel.commit([]op{{verb: addSet, name: name, set: spec}, with(time.Hour)}); err != nil {
		return err
	}
	if err := f.kernel.commit([]op{with(3 * time.Hour)}); err != nil {
		return err
	}
	got, err := f.kernel.elements(name)
	if err != nil {
		return err
	}
	if err := f.kernel.commit([]op{{verb: deleteSet, name: name}}); err != nil {
		return err
	}
	f.renews = no
	if len(got) == 1 && got[0].life > 2*time.Hour {
		f.renews = yes
	}
	return nil
}

func concat(parts ...[]op) (out []op) {
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}
