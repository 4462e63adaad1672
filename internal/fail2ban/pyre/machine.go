package pyre

import (
	"errors"
	"unicode/utf8"
)

// ErrBudget means that a search took too many steps and was given up. It
// happens with backreferences, and with long hostile texts.
var ErrBudget = errors.New("too many steps")

// Budgets of one search, in steps; a step takes 2 to 10 ns.
const (
	easySteps = 1 << 13 // then it begins anew and remembers
	hardSteps = 1 << 17 // where it cannot remember
	memoSteps = 1 << 23 // where it does
	// maxMemo is how many bits are remembered at most: 4 MB.
	maxMemo = 1 << 25
)

// Machine is the state of a search. Its zero value is ready; it may be used for
// one expression after another, but not concurrently.
type Machine struct {
	re     *Regexp
	b      []byte
	caps   []int32
	trail  []undo
	steps  int
	budget int
	meter  bool     // left counts
	left   int      // steps of all searches until the next Allow
	memo   []uint64 // what failed, as bits; nil = not remembered
	tooFar bool
	end    int
	space  []uint64
}

// undo says what a slot held before.
type undo struct{ slot, was int32 }

// Search looks for the first match in b, which is valid UTF-8. It returns the
// offsets of the match and its groups in pairs, -1 for a group that did not
// match; nil for no match. The result is valid until the next call.
func (m *Machine) Search(re *Regexp, b []byte) ([]int32, error) { return m.SearchIn(re, b, 0, len(b)) }

// Steps returns how many steps the last search took, both attempts together.
func (m *Machine) Steps() int { return m.steps }

// Allow sets how many steps all searches until the next call may take together.
// Without it, each search has a budget of its own alone.
func (m *Machine) Allow(steps int) { m.meter, m.left = true, steps }

// SearchIn is Search in b[from:to] as if the text ended at to, where as in
// Python what begins at from does not count as the text's begin, unless from is
// 0.
func (m *Machine) SearchIn(re *Regexp, b []byte, from, to int) ([]int32, error) {
	m.re, m.b = re, b[:to]
	if cap(m.caps) < re.slots {
		m.caps = make([]int32, re.slots)
	}
	m.caps = m.caps[:re.slots]
	m.memo, m.budget, m.tooFar = nil, easySteps, false
	if m.meter && m.left <= 0 {
		return nil, ErrBudget
	}
	ok := m.scan(from)
	m.left -= m.steps
	if m.tooFar {
		m.remember(to)
		if m.meter {
			m.budget = min(m.budget, max(m.left, easySteps))
		}
		first := m.steps
		ok = m.scan(from)
		m.left -= m.steps
		m.steps += first
	}
	if m.tooFar {
		return nil, ErrBudget
	}
	if !ok {
		return nil, nil
	}
	return m.caps[:2*(len(re.names)+1)], nil
}

// remember prepares for a search that may take long.
func (m *Machine) remember(n int) {
	m.tooFar, m.budget = false, hardSteps
	bits := m.re.rows * (n + 1)
	if m.re.rows == 0 || bits > maxMemo {
		return
	}
	words := bits/64 + 1
	if cap(m.space) < words {
		m.space = make([]uint64, words)
	}
	m.memo = m.space[:words]
	clear(m.memo)
	m.budget = memoSteps
}

// scan tries one place after another.
func (m *Machine) scan(from int) bool {
	m.steps = 0
	re := m.re
	for i := from; i <= len(m.b); i++ {
		if re.begins && i > 0 {
			return false
		}
		if re.first != nil && !re.begins {
			if i = re.first.index(m.b, i); i < 0 {
				return false
			}
		}
		for s := range m.caps {
			m.caps[s] = -1
		}
		m.trail = m.trail[:0]
		if m.run(re.start, i) {
			m.caps[0], m.caps[1] = int32(i), int32(m.end)
			return true
		}
		if m.tooFar {
			return false
		}
		for i < len(m.b)-1 && m.b[i+1]&0xc0 == 0x80 {
			i++
		}
	}
	return false
}

// put sets a slot so that it can be taken back.
func (m *Machine) put(slot, v int) {
	m.trail = append(m.trail, undo{int32(slot), m.caps[slot]})
	m.caps[slot] = int32(v)
}

func (m *Machine) back(to int) {
	for n := len(m.trail); n > to; n = len(m.trail) {
		u := m.trail[n-1]
		m.caps[u.slot] = u.was
		m.trail = m.trail[:n-1]
	}
}

// failed returns the bit that says whether going on from a choice at i failed
// before. What comes of it depends on the place alone, on which groups that
// are asked for have matched, and on which repetitions around it are empty so
// far.
func (m *Machine) failed(in *inst, i int) (word int, bit uint64) {
	row := 0
	for _, slot := range in.loops {
		row <<= 1
		if int(m.caps[slot]) == i {
			row |= 1
		}
	}
	for _, g := range m.re.conds {
		row <<= 1
		if m.caps[2*g+1] >= 0 {
			row |= 1
		}
	}
	at := (in.memo+row)*(len(m.b)+1) + i
	return at >> 6, 1 << (at & 63)
}

// run matches from in at i on, and sets end.
func (m *Machine) run(in *inst, i int) bool {
	b := m.b
	for {
		if m.steps++; m.steps > m.budget {
			m.tooFar = true
			return false
		}
		switch in.code {
		case codeMatch:
			m.end = i
			return true
		case codeText:
			n := len(in.text)
			if len(b)-i < n || string(b[i:i+n]) != in.text {
				return false
			}
			i += n
		case codeSet:
			if i >= len(b) {
				return false
			}
			if c := b[i]; c < utf8.RuneSelf {
				if !in.set.hasByte(c) {
					return false
				}
				i++
			} else {
				r, n := utf8.DecodeRune(b[i:])
				if !in.set.has(r) {
					return false
				}
				i += n
			}
		case codeLoop, codeSplit, codeAgain:
			if m.memo != nil && in.memo >= 0 {
				word, bit := m.failed(in, i)
				if m.memo[word]&bit != 0 {
					return false
				}
				if m.choose(in, i) {
					return true
				}
				if !m.tooFar {
					m.memo[word] |= bit
				}
				return false
			}
			return m.choose(in, i)
		case codeEnter:
			m.put(in.slot, -1)
		case codeSave:
			m.put(in.slot, i)
		case codeAtomic:
			mark := len(m.trail)
			if !m.run(in.body, i) {
				m.back(mark)
				return false
			}
			i = m.end
		case codeLook:
			if !m.look(in, i) {
				return false
			}
		case codeBack:
			n := m.again(in, i)
			if n < 0 {
				return false
			}
			i += n
		case codeCond:
			way := 1
			if m.caps[in.slot+1] >= 0 {
				way = 0
			}
			in = in.ways[way]
			continue
		default:
			if !m.holds(in, i) {
				return false
			}
		}
		in = in.next
	}
}
