// Package pyre matches regular expressions as Python's re module does on str:
// the same syntax, the same leftmost-first choice, the same captures, and
// Python's meaning of $, \d, \w, \s and \b, which is Unicode's.
//
// It exists because expressions written for Python use look-around,
// backreferences and conditionals, which linear engines lack, and because other
// backtracking engines differ from Python in what they call a word or a digit.
// It backtracks; a search that takes many steps begins anew and remembers where
// it failed, so that its time is bounded by the size of the expression times
// the length of the text. An expression with backreferences, of which that does
// not hold, has a budget of steps instead. No clock is read.
//
// It refuses lookbehind of variable width, as Python does, and expressions that
// unroll to more than MaxSize. Package fail2ban is its only caller.
//
// Invariants: a Regexp is immutable and safe for concurrent use, a Machine is
// not; offsets are bytes and lie between characters.
package pyre
