package pyre

import (
	"bytes"
	"unicode/utf8"
)

// choose tries the ways that a choice has.
func (m *Machine) choose(in *inst, i int) bool {
	switch in.code {
	case codeLoop:
		if in.lazy {
			return m.fewest(in, i)
		}
		return m.most(in, i)
	case codeSplit:
		mark := len(m.trail)
		for k, w := range in.ways {
			if f := in.firsts[k]; f != nil && (i >= len(m.b) || !f.has(m.b[i])) {
				continue
			}
			if m.run(w, i) {
				return true
			}
			if m.tooFar {
				return false
			}
			m.back(mark)
		}
		return false
	}
	// A repetition that matched nothing is the last.
	if int(m.caps[in.slot]) == i {
		return m.run(in.next, i)
	}
	mark := len(m.trail)
	enter := in.skip == nil || i < len(m.b) && in.skip.has(m.b[i])
	if in.lazy {
		if m.run(in.next, i) {
			return true
		}
		if m.tooFar || !enter {
			return false
		}
		m.back(mark)
		m.put(in.slot, i)
		return m.run(in.body, i)
	}
	if enter {
		m.put(in.slot, i)
		if m.run(in.body, i) {
			return true
		}
		if m.tooFar {
			return false
		}
		m.back(mark)
	}
	return m.run(in.next, i)
}

// span returns how far a loop reaches: the end of what it may take, and the end
// of what it must; -1 where it cannot take as much.
func (m *Machine) span(in *inst, i int) (least, most int) {
	b, s := m.b, in.set
	least, n := -1, 0
	if in.min == 0 {
		least = i
	}
	// Most loops are .* and take the rest of the line.
	for n != in.max && i < len(b) {
		if c := b[i]; c < utf8.RuneSelf {
			if !s.hasByte(c) {
				break
			}
			i++
		} else {
			r, size := utf8.DecodeRune(b[i:])
			if !s.has(r) {
				break
			}
			i += size
		}
		if n++; n == in.min {
			least = i
		}
	}
	return least, i
}

// most takes as much as a loop can, then less.
func (m *Machine) most(in *inst, i int) bool {
	least, at := m.span(in, i)
	if least < 0 {
		return false
	}
	m.steps += (at - i) >> 2
	mark := len(m.trail)
	if at == least {
		return m.run(in.next, at)
	}
	f := in.follow
	for {
		if f == nil || at < len(m.b) && f.has(m.b[at]) {
			if m.run(in.next, at) {
				return true
			}
			if m.tooFar {
				return false
			}
			m.back(mark)
		}
		if at == least {
			return false
		}
		for at--; m.b[at]&0xc0 == 0x80; at-- {
		}
	}
}

// fewest takes as little as a loop must, then more.
func (m *Machine) fewest(in *inst, i int) bool {
	mark, b, n := len(m.trail), m.b, 0
	f := in.follow
	from := i
	for {
		if n >= in.min && (f == nil || i < len(b) && f.has(b[i])) {
			m.steps += (i - from) >> 2
			from = i
			if m.run(in.next, i) {
				return true
			}
			if m.tooFar {
				return false
			}
			m.back(mark)
		}
		if n == in.max || i >= len(b) {
			return false
		}
		r, size := rune(b[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRune(b[i:])
		}
		if !in.set.has(r) {
			return false
		}
		i, n = i+size, n+1
	}
}

func (m *Machine) look(in *inst, i int) bool {
	at := i
	if in.behind {
		for range in.ahead {
			if at == 0 {
				return in.neg
			}
			for at--; at > 0 && m.b[at]&0xc0 == 0x80; at-- {
			}
		}
	}
	mark := len(m.trail)
	ok := m.run(in.body, at)
	if m.tooFar {
		return false
	}
	if in.neg || !ok {
		m.back(mark)
	}
	return ok != in.neg
}

// again returns how many bytes at i repeat a group; -1 if they do not.
func (m *Machine) again(in *inst, i int) int {
	from, to := m.caps[in.slot], m.caps[in.slot+1]
	if from < 0 || to < from {
		return -1
	}
	text := m.b[from:to]
	m.steps += len(text) >> 4
	if !in.fold {
		if bytes.HasPrefix(m.b[i:], text) {
			return len(text)
		}
		return -1
	}
	j := i
	for _, r := range string(text) {
		if j >= len(m.b) {
			return -1
		}
		o, size := utf8.DecodeRune(m.b[j:])
		s := set{items: []item{{lo: r, hi: r}}, fold: true}
		if !s.slow(o) {
			return -1
		}
		j += size
	}
	return j - i
}

// holds reports whether a condition on the place i is met.
func (m *Machine) holds(in *inst, i int) bool {
	b := m.b
	switch in.code {
	case codeBegin:
		return i == 0
	case codeEnd:
		return i == len(b)
	case codeEndLine:
		return i == len(b) || i == len(b)-1 && b[i] == '\n'
	case codeBeginM:
		return i == 0 || b[i-1] == '\n'
	case codeEndM:
		return i == len(b) || b[i] == '\n'
	}
	if in.code == codeNotWord {
		return len(b) > 0 && !m.atWord(in, i) // Python finds no \B in an empty text
	}
	return m.atWord(in, i)
}

func (m *Machine) atWord(in *inst, i int) bool {
	before, after := false, false
	if i > 0 {
		r, _ := utf8.DecodeLastRune(m.b[:i])
		before = isWord(r) && (!in.ascii || r < utf8.RuneSelf)
	}
	if i < len(m.b) {
		r, _ := utf8.DecodeRune(m.b[i:])
		after = isWord(r) && (!in.ascii || r < utf8.RuneSelf)
	}
	return before != after
}
