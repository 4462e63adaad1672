// Package fail2ban reads the files of a fail2ban installation as fail2ban does,
// and looks for failures in log lines as its filters say: so that a filter that
// somebody has written, or that came with a distribution, works unmodified.
//
// Reading goes in layers, one file each: the ini format (ini.go), which files
// make up a definition (load.go), %(name)s (interpolate.go), <tag> (tag.go),
// what takes precedence (definition.go), <HOST> and its like (hosttag.go),
// expressions in Python's syntax (package pyre), dates (template.go,
// detector.go, strptime.go). A Scanner runs a Filter over one source: the
// literal filter (literal.go) finds the few lines that can matter at all, the
// rest goes through the same steps as in fail2ban (pipeline.go), sessions
// included (session.go).
//
// The package is pure over an fs.FS, whose root is what fail2ban calls its
// configuration directory: it opens nothing else, resolves no name, starts no
// goroutine and reads no clock. It runs nothing that it reads: no command, no
// formula, no Python. It ships no filter and writes no file. Compatibility with
// fail2ban stays in here; the rest of the program sees rules, watches and
// events.
//
// Invariants: a Filter is immutable and safe for concurrent use, a Scanner is
// not; a line costs a bounded number of steps; what fail2ban would refuse, or
// what cannot be understood, is a Problem with file and line.
package fail2ban
