package pyre

import "slices"

// MaxSize is how many instructions an expression may have once its counted
// repetitions are written out: stock ones have some hundred.
const MaxSize = 20000

// code is what an instruction does.
type code uint8

const (
	codeMatch  code = iota // the end of the expression, or of one looked at by itself
	codeText               // these bytes
	codeSet                // one character of a set
	codeLoop               // characters of a set, min to max of them
	codeSplit              // one of several ways, in order
	codeEnter              // begin a repetition
	codeAgain              // one more repetition, or go on
	codeSave               // remember where a group begins or ends
	codeAtomic             // what body matches first
	codeLook               // body matches here, or does not
	codeBack               // the text of a group again
	codeCond               // one of two ways, by whether a group has matched
	codeBegin              // see the ops of the same names
	codeEnd
	codeEndLine
	codeBeginM
	codeEndM
	codeWord
	codeNotWord
)

// first is which bytes a match can begin with; nil = it can be any, or none.
type first [4]uint64

func (f *first) has(c byte) bool { return f == nil || f[c>>6]>>(c&63)&1 != 0 }

// inst is an instruction of a program, which is a graph.
type inst struct {
	code     code
	lazy     bool // of codeLoop, codeAgain
	neg      bool // of codeLook
	fold     bool // of codeBack
	ascii    bool // of codeWord, codeNotWord
	behind   bool // of codeLook
	ahead    int  // of codeLook: characters to go back, where behind
	text     string
	set      *set
	min, max int     // of codeLoop; max < 0 = no limit
	slot     int     // of codeSave, codeBack, codeCond, codeEnter, codeAgain
	next     *inst   // what follows
	body     *inst   // of codeAgain, codeAtomic, codeLook
	ways     []*inst // of codeSplit, codeCond
	firsts   []*first
	follow   *first // of codeLoop: what can come behind it
	skip     *first // of codeAgain: what body can begin with

	// Where an instruction chooses, what failed there can be remembered:
	// see machine.failed.
	memo  int   // first of its rows; < 0 = not remembered
	loops []int // slots of the repetitions around it
}

// Regexp is a compiled expression. It is immutable and safe for concurrent use.
type Regexp struct {
	src    string
	root   *node
	start  *inst
	names  []string
	slots  int    // two a group, the whole match included, then one a repetition
	rows   int    // of what can be remembered
	conds  []int  // groups that conditions ask for
	refs   bool   // it has backreferences
	begins bool   // it can match at the text's begin only
	first  *first // what a match begins with
}

// Compile reads an expression. With multiline, ^ and $ match at each line, as
// under re.MULTILINE. The error is a *SyntaxError.
func Compile(src string, multiline bool) (*Regexp, error) {
	n, p, err := parse(src, multiline)
	if err != nil {
		return nil, err
	}
	c := compiler{re: &Regexp{src: src, root: n, names: p.names}}
	c.re.slots = 2 * (len(p.names) + 1)
	end := c.add(&inst{code: codeMatch})
	start := c.compile(n, end)
	if c.tooLarge {
		return nil, &SyntaxError{"the expression is too large", len(src)}
	}
	c.finish()
	c.re.start = start
	c.re.begins = anchored(n)
	c.re.first = c.firstOf(start)
	return c.re, nil
}

// String returns the expression.
func (re *Regexp) String() string { return re.src }

// Names returns the names of the groups, from the first; "" = it has none.
func (re *Regexp) Names() []string { return slices.Clone(re.names) }

// compiler makes a program of a tree.
type compiler struct {
	re       *Regexp
	insts    []*inst
	loops    []int
	tooLarge bool
}

func (c *compiler) add(in *inst) *inst {
	if len(c.insts) >= MaxSize {
		c.tooLarge = true
	} else {
		c.insts = append(c.insts, in)
	}
	in.memo = -1
	in.loops = slices.Clip(c.loops)
	return in
}

// compile returns instructions that match n, and then next.
func (c *compiler) compile(n *node, next *inst) *inst {
	if c.tooLarge {
		return next
	}
	switch n.op {
	case opEmpty:
		return next
	case opSet:
		if r, ok := n.set.single(); ok {
			// Texts grow from behind.
			text := string(r)
			if next.code == codeText && len(next.text) < 256 {
				return c.add(&inst{code: codeText, text: text + next.text, next: next.next})
			}
			return c.add(&inst{code: codeText, text: text, next: next})
		}
		return c.add(&inst{code: codeSet, set: n.set, next: next})
	case opConcat:
		for _, s := range slices.Backward(n.subs) {
			next = c.compile(s, next)
		}
		return next
	case opAlt:
		in := &inst{code: codeSplit, next: next}
		for _, s := range n.subs {
			in.ways = append(in.ways, c.compile(s, next))
		}
		return c.add(in)
	case opRepeat:
		return c.repeat(n, next)
	case opGroup:
		end := c.add(&inst{code: codeSave, slot: 2*n.group + 1, next: next})
		return c.add(&inst{code: codeSave, slot: 2 * n.group, next: c.compile(n.subs[0], end)})
	case opAtomic:
		return c.add(&inst{code: codeAtomic, body: c.apart(n.subs[0]), next: next})
	case opLook:
		return c.add(&inst{code: codeLook, body: c.apart(n.subs[0]), next: next, neg: n.neg, behind: n.behind, ahead: n.width})
	case opBackref:
		c.re.refs = true
		return c.add(&inst{code: codeBack, slot: 2 * n.group, fold: n.fold, next: next})
	case opCond:
		if !slices.Contains(c.re.conds, n.group) {
			c.re.conds = append(c.re.conds, n.group)
		}
		ways := []*inst{c.compile(n.subs[0], next), c.compile(n.subs[1], next)}
		return c.add(&inst{code: codeCond, slot: 2 * n.group, ways: ways})
	}
	codes := map[op]code{opBegin: codeBegin, opEnd: codeEnd, opEndLine: codeEndLine, opBeginM: codeBeginM, opEndM: codeEndM, opWord: codeWord, opNotWord: codeNotWord}
	return c.add(&inst{code: codes[n.op], next: next, ascii: n.ascii})
}

// apart compiles what is matched by itself.
func (c *compiler) apart(n *node) *inst {
	loops := c.loops
	c.loops = nil
	in := c.compile(n, c.add(&inst{code: codeMatch}))
	c.loops = loops
	return in
}

// repeat writes counted repetitions out; what has no limit is a loop.
func (c *compiler) repeat(n *node, next *inst) *inst {
	sub := n.subs[0]
	if sub.op == opSet {
		return c.add(&inst{code: codeLoop, set: sub.set, min: n.min, max: n.max, lazy: n.lazy, next: next})
	}
	if n.min > MaxSize || n.max > MaxSize {
		c.tooLarge = true
		return next
	}
	if n.max < 0 {
		next = c.endless(n, next)
	}
	after := next
	for range n.max - n.min {
		// What may be left out leads behind the whole.
		ways := []*inst{c.compile(sub, next), after}
		if n.lazy {
			slices.Reverse(ways)
		}
		if next = c.add(&inst{code: codeSplit, ways: ways}); c.tooLarge {
			return next
		}
	}
	for range n.min {
		next = c.compile(sub, next)
		if c.tooLarge {
			return next
		}
	}
	return next
}

func (c *compiler) endless(n *node, next *inst) *inst {
	slot := c.re.slots
	c.re.slots++
	again := c.add(&inst{code: codeAgain, slot: slot, lazy: n.lazy, next: next})
	c.loops = append(slices.Clip(c.loops), slot)
	again.loops = c.loops
	again.body = c.compile(n.subs[0], again)
	c.loops = c.loops[:len(c.loops)-1]
	return c.add(&inst{code: codeEnter, slot: slot, next: again})
}

// maxNested is how deep repetitions nest in which failures are remembered, and
// maxConds how many groups are asked for: each doubles the memory.
const (
	maxNested = 4
	maxConds  = 4
)

// finish fills in what needs the whole graph.
func (c *compiler) finish() {
	remember := !c.re.refs && len(c.re.conds) <= maxConds
	for _, in := range c.insts {
		switch in.code {
		case codeSplit:
			for _, w := range in.ways {
				in.firsts = append(in.firsts, c.firstOf(w))
			}
		case codeLoop:
			in.follow = c.firstOf(in.next)
		case codeAgain:
			in.skip = c.firstOf(in.body)
			in.follow = c.firstOf(in.next)
		default:
			continue
		}
		if remember && len(in.loops) <= maxNested {
			in.memo = c.re.rows
			c.re.rows += 1 << (len(in.loops) + len(c.re.conds))
		}
	}
}

// maxFirst bounds how far is looked for what a match can begin with.
const maxFirst = 40

// firstOf returns the bytes that a match from in can begin with.
func (c *compiler) firstOf(in *inst) *first {
	var f first
	steps := 0
	if !c.collect(in, &f, &steps) {
		return nil
	}
	return &f
}

// collect adds to f; false means that nothing is known.
func (c *compiler) collect(in *inst, f *first, steps *int) bool {
	for {
		if *steps++; *steps > maxFirst {
			return false
		}
		switch in.code {
		case codeText:
			f[in.text[0]>>6] |= 1 << (in.text[0] & 63)
			return true
		case codeSet:
			f.addSet(in.set)
			return true
		case codeLoop:
			if in.max == 0 {
				in = in.next
				continue
			}
			f.addSet(in.set)
			if in.min > 0 {
				return true
			}
		case codeSplit, codeCond:
			for _, w := range in.ways {
				if !c.collect(w, f, steps) {
					return false
				}
			}
			return true
		case codeAgain:
			if in.body == nil || !c.collect(in.body, f, steps) {
				return false
			}
		case codeSave, codeEnter, codeLook, codeWord, codeNotWord, codeBegin, codeBeginM:
		default:
			return false
		}
		in = in.next
	}
}

func (f *first) addSet(s *set) {
	f[0] |= s.low[0]
	f[1] |= s.low[1]
	if s.high != highNone {
		f[2], f[3] = ^uint64(0), ^uint64(0)
	}
}

// anchored reports whether the tree can match at the text's begin only.
func anchored(n *node) bool {
	switch n.op {
	case opBegin:
		return true
	case opConcat:
		for _, s := range n.subs {
			if anchored(s) {
				return true
			}
			if _, hi := s.widths(nil); hi != 0 {
				return false
			}
		}
	case opGroup, opAtomic:
		return anchored(n.subs[0])
	case opAlt:
		for _, s := range n.subs {
			if !anchored(s) {
				return false
			}
		}
		return true
	case opRepeat:
		return n.min > 0 && anchored(n.subs[0])
	}
	return false
}

// index returns the index of the first byte at or after i that f has, or -1.
func (f *first) index(b []byte, i int) int {
	for ; i < len(b); i++ {
		if f[b[i]>>6]>>(b[i]&63)&1 != 0 {
			return i
		}
	}
	return -1
}
