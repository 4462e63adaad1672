package pyre

import "fmt"

// op is the kind of a node of a syntax tree.
type op uint8

const (
	opEmpty   op = iota // matches the empty text
	opSet               // one character of a set
	opConcat            // subs, one after another
	opAlt               // one of subs, the first that leads to a match
	opRepeat            // subs[0], min to max times
	opGroup             // subs[0], captured as group
	opAtomic            // subs[0], never entered again
	opLook              // subs[0] ahead or behind, or not
	opBackref           // the text of group again
	opCond              // subs[0] if group has matched, else subs[1]
	opBegin             // \A, and ^
	opEnd               // \Z
	opEndLine           // $: the end, or before a newline that ends the text
	opBeginM            // ^ in multi-line mode
	opEndM              // $ in multi-line mode
	opWord              // \b
	opNotWord           // \B
)

// node is a node of a syntax tree.
type node struct {
	op       op
	subs     []*node
	set      *set
	group    int  // of opGroup, opBackref, opCond: its number, from 1
	min, max int  // of opRepeat; max < 0 = no limit
	lazy     bool // of opRepeat
	neg      bool // of opLook
	behind   bool // of opLook
	fold     bool // of opBackref
	ascii    bool // of opWord, opNotWord
	width    int  // of opLook behind: in characters
}

// width returns how many characters the node matches at least and at most; a
// negative maximum means that there is no limit.
func (n *node) widths(groups map[int]*node) (lo, hi int) {
	switch n.op {
	case opSet:
		return 1, 1
	case opConcat:
		for _, s := range n.subs {
			l, h := s.widths(groups)
			lo, hi = lo+l, addWidth(hi, h)
		}
		return lo, hi
	case opAlt, opCond:
		for i, s := range n.subs {
			l, h := s.widths(groups)
			if i == 0 {
				lo, hi = l, h
				continue
			}
			lo = min(lo, l)
			if h < 0 || hi < 0 {
				hi = -1
			} else {
				hi = max(hi, h)
			}
		}
		return lo, hi
	case opRepeat:
		l, h := n.subs[0].widths(groups)
		lo = l * n.min
		switch {
		case h == 0:
			return lo, 0
		case h < 0 || n.max < 0:
			return lo, -1
		}
		return lo, h * n.max
	case opGroup, opAtomic:
		return n.subs[0].widths(groups)
	case opBackref:
		if g := groups[n.group]; g != nil {
			return g.widths(groups)
		}
		return 0, -1
	}
	return 0, 0
}

func addWidth(a, b int) int {
	if a < 0 || b < 0 {
		return -1
	}
	return a + b
}

// SyntaxError says why an expression does not compile.
type SyntaxError struct {
	Problem string // a clause in lower case
	Offset  int    // in the expression, in bytes
}

// Error implements error.
func (e *SyntaxError) Error() string { return fmt.Sprintf("%s at position %d", e.Problem, e.Offset) }
