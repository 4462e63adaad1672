package rules

import "bytes"

// scanPart is how many bytes that a run goes over cost a step.
const scanPart = 32

// greedyRun matches as many characters of a class as it can, from least to
// most of them (most < 0: any number), and then next.
func greedyRun(class *runeClass, least, most int, next *node) *node {
	n := &node{}
	if least > 0 {
		n.first = &class.bytes
	} else {
		n.atFirst(&node{first: &class.bytes}, next)
	}
	switch {
	case next.first != nil && most < 0 && !class.bytes.meets(next.first):
		// What follows begins with nothing of the class: it begins where the
		// run ends.
		n.do = func(m *machine, i int) bool {
			_, to, ok := class.run(m.b, i, least, most)
			m.left -= (to - i) / scanPart
			return ok && next.can(m.b, to) && next.do(m, to)
		}
	case next.lit != "":
		lit := next.lit
		n.do = func(m *machine, i int) bool {
			from, to, ok := class.run(m.b, i, least, most)
			if m.left -= 1 + (to-i)/scanPart; !ok {
				return false
			}
			for p := min(to, len(m.b)-len(lit)); p >= from; p-- {
				if m.b[p] != lit[0] || string(m.b[p:p+len(lit)]) != lit {
					continue
				}
				if m.left--; m.left < 0 {
					return false
				}
				if next.do(m, p) {
					return true
				}
			}
			return false
		}
	default:
		n.do = func(m *machine, i int) bool {
			from, to, ok := class.run(m.b, i, least, most)
			if m.left -= 1 + (to-i)/scanPart; !ok {
				return false
			}
			for p := to; p >= from; p-- {
				if !next.can(m.b, p) || !between(m.b, p) {
					continue
				}
				if m.left--; m.left < 0 {
					return false
				}
				if next.do(m, p) {
					return true
				}
			}
			return false
		}
	}
	return n
}

// lazyRun is greedyRun with as few as it can.
func lazyRun(class *runeClass, least, most int, next *node) *node {
	n := &node{}
	if least > 0 {
		n.first = &class.bytes
	} else {
		n.atFirst(&node{first: &class.bytes}, next)
	}
	n.do = func(m *machine, i int) bool {
		from, to, ok := class.run(m.b, i, least, most)
		if m.left -= 1 + (to-i)/scanPart; !ok {
			return false
		}
		for p := from; p <= to; p++ {
			if lit := next.lit; lit != "" {
				at := bytes.Index(m.b[p:min(to+len(lit), len(m.b))], []byte(lit))
				if at < 0 {
					return false
				}
				p += at
			} else if !next.can(m.b, p) || !between(m.b, p) {
				continue
			}
			if m.left--; m.left < 0 {
				return false
			}
			if next.do(m, p) {
				return true
			}
		}
		return false
	}
	return n
}
