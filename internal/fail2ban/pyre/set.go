package pyre

import (
	"slices"
	"unicode"
	"unicode/utf8"
)

// class is one of Python's categories of characters.
type class uint8

const (
	classDigit class = iota // \d: decimal digits
	classSpace              // \s
	classWord               // \w: letters, numbers and the underscore
)

// item is a part of a set: a range of characters, or a class.
type item struct {
	lo, hi rune
	class  class
	is     bool // it is a class
	not    bool // the class's complement
	ascii  bool // the class's ASCII part only
}

// set is a set of characters.
type set struct {
	items []item
	neg   bool
	fold  bool
	low   [2]uint64 // ASCII, worked out
	high  highKind  // what is known of the others
}

type highKind uint8

const (
	highSome highKind = iota
	highNone
	highAll
)

// ready works out what is looked up often.
func (s *set) ready() *set {
	s.low = [2]uint64{}
	for r := rune(0); r < utf8.RuneSelf; r++ {
		if s.slow(r) {
			s.low[r>>6] |= 1 << (r & 63)
		}
	}
	s.high = s.kind()
	return s
}

// kind says whether all or none of the characters beyond ASCII are in the set.
func (s *set) kind() highKind {
	any := false
	for _, it := range s.items {
		switch {
		case !it.is && it.hi >= utf8.RuneSelf, it.is && (!it.ascii || it.not):
			any = true
		case s.fold && !it.is:
			// Letters whose other forms lie beyond ASCII.
			for _, r := range "iksIKS" {
				any = any || it.lo <= r && r <= it.hi
			}
		}
	}
	switch {
	case any && len(s.items) == 1 && s.items[0].lo <= utf8.RuneSelf && s.items[0].hi == unicode.MaxRune && !s.neg:
		return highAll
	case any:
		return highSome
	case s.neg:
		return highAll
	}
	return highNone
}

// hasByte reports whether an ASCII character is in the set.
func (s *set) hasByte(c byte) bool { return s.low[c>>6]>>(c&63)&1 != 0 }

// has reports whether a character is in the set.
func (s *set) has(r rune) bool {
	if r < utf8.RuneSelf {
		return s.low[r>>6]>>(r&63)&1 != 0
	}
	switch s.high {
	case highNone:
		return false
	case highAll:
		return true
	}
	return s.slow(r)
}

func (s *set) slow(r rune) bool {
	in := s.contains(r)
	if !in && s.fold {
		in = slices.ContainsFunc(otherCases(r), s.contains)
	}
	return in != s.neg
}

func (s *set) contains(r rune) bool {
	for _, it := range s.items {
		if it.is && isClass(r, it.class, it.ascii) != it.not || !it.is && it.lo <= r && r <= it.hi {
			return true
		}
	}
	return false
}

// single returns the one character of a set that has no other.
func (s *set) single() (rune, bool) {
	if len(s.items) != 1 || s.neg || s.items[0].is || s.items[0].lo != s.items[0].hi {
		return 0, false
	}
	r := s.items[0].lo
	if s.fold && len(otherCases(r)) > 0 {
		return 0, false
	}
	return r, true
}

func isClass(r rune, c class, ascii bool) bool {
	if ascii && r >= utf8.RuneSelf {
		return false
	}
	switch c {
	case classDigit:
		if r < utf8.RuneSelf {
			return r >= '0' && r <= '9'
		}
		return unicode.Is(unicode.Nd, r)
	case classSpace:
		switch r {
		case ' ', '\t', '\n', '\r', '\f', '\v':
			return true
		case 0x1c, 0x1d, 0x1e, 0x1f:
			return !ascii
		case 0x85, 0xa0, 0x1680, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000:
			return true
		}
		return r >= 0x2000 && r <= 0x200a
	}
	return isWord(r)
}

// isWord reports whether a character belongs to a word.
func isWord(r rune) bool {
	if r < utf8.RuneSelf {
		return r == '_' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z'
	}
	return unicode.IsLetter(r) || unicode.IsNumber(r)
}

// otherCases returns the characters that are equal to r but for case.
func otherCases(r rune) (out []rune) {
	switch r {
	// Python takes the dotted and the dotless i for an i, Go does not.
	case 'i', 'I', 'ı', 'İ':
		for _, o := range []rune{'i', 'I', 'ı', 'İ'} {
			if o != r {
				out = append(out, o)
			}
		}
		return out
	}
	for o := unicode.SimpleFold(r); o != r; o = unicode.SimpleFold(o) {
		out = append(out, o)
	}
	return out
}

func rangeSet(lo, hi rune) *set { return &set{items: []item{{lo: lo, hi: hi}}} }
