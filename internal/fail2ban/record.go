package fail2ban

import "slices"

// kind says what a slot of a record holds.
type kind uint8

const (
	absent kind = iota // no expression has such a group
	none               // the group did not match
	text               // bytes
	tuple              // several texts
)

// value is what a group captured.
type value struct {
	kind  kind
	text  []byte
	parts []string // of a tuple; a part that did not match is ""
}

// full reports whether there is anything in it.
func (v *value) full() bool { return v.kind == tuple || v.kind == text && len(v.text) > 0 }

// record is what is known of one attempt: what one line says, or the lines of
// one session together.
type record struct {
	vals    []value // by slot
	users   []string
	lines   int  // that made it a failure
	held    int  // lines that have not made it a failure yet
	pending bool // a failure, but nobody knows yet whose
}

// maxUsers is how many different accounts of one session are told apart: two
// are enough to know that there is more than one.
const maxUsers = 8

// reset empties the record for n slots.
func (r *record) reset(n int) {
	if cap(r.vals) < n {
		r.vals = make([]value, n)
	}
	r.vals = r.vals[:n]
	clear(r.vals)
	r.users, r.lines, r.held, r.pending = nil, 0, 0, false
}

// at returns the value of a slot, which may be -1.
func (r *record) at(slot int) *value {
	if slot < 0 || slot >= len(r.vals) {
		return &value{}
	}
	return &r.vals[slot]
}

func (r *record) clear(slot int) {
	if slot >= 0 {
		r.vals[slot] = value{}
	}
}

// take adds what an expression captured. What was there before stays where a
// group did not match.
func (r *record) take(e *expression, caps []int32, b []byte) {
	for i, slot := range e.slots {
		if slot < 0 {
			continue
		}
		from, to := caps[2*i+2], caps[2*i+3]
		if from >= 0 && to >= from {
			r.vals[slot] = value{kind: text, text: b[from:to]}
		} else if r.vals[slot].kind == absent {
			r.vals[slot].kind = none
		}
	}
	for _, p := range e.alts {
		if v := &r.vals[p.from]; v.full() && !r.vals[p.to].full() {
			r.vals[p.to] = *v
		}
	}
	for _, p := range e.tuples {
		to := &r.vals[p.to]
		parts := to.parts
		if to.kind != tuple {
			parts = []string{string(to.text)}
		}
		*to = value{kind: tuple, parts: append(slices.Clip(parts), string(r.vals[p.from].text))}
	}
}

// keep makes the record independent of the line that it was made of.
func (r *record) keep() *record {
	out := *r
	out.vals = slices.Clone(r.vals)
	for i := range out.vals {
		out.vals[i].text = slices.Clone(out.vals[i].text)
	}
	out.users = slices.Clone(r.users)
	return &out
}

// merge adds what a later line of the session says.
func (r *record) merge(later *record) {
	for i := range later.vals {
		if v := &later.vals[i]; v.kind >= text {
			r.vals[i] = value{v.kind, slices.Clone(v.text), v.parts}
		}
	}
}

func (r *record) addUser(v *value) {
	if !v.full() {
		return
	}
	u := string(v.text)
	if v.kind == tuple {
		u = v.parts[0]
	}
	if !slices.Contains(r.users, u) && len(r.users) < maxUsers {
		r.users = append(r.users, u)
	}
}
