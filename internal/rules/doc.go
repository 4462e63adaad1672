// Package rules reads log lines: it is the rule language, the matcher that
// runs rules over blocks of log, and the rules that come with the program.
//
// A rule says, for one service, which log messages tell of a failed or of a
// successful attempt, and where in them the address stands. [Parse] reads one
// from YAML and reports all that is wrong with it, each with line and column;
// [Builtin] returns those that are built in; [NewMatcher] compiles any number
// of them; a [Scanner], one a source, turns a block of log into [Hit] values.
// A rule's [Format] says what its lines consist of: a message behind a syslog
// header or a date, the fields of an access log, or those of a JSON object.
// Around any of them a container runtime may have put a [Wrapper].
// The sensors that follow logs call it, and the commands that show, test and
// lint rules. docs/rules.md is the manual of the language.
//
// The package refuses to do several things. It resolves no host name: where a
// log has a name in place of an address there is no hit. It reads no file, no
// clock and no environment, and starts no goroutine. It never guesses at who
// sent what: a pattern that could take an address from text that a stranger
// chose is a bug of the rule, and Lint looks for it. What a proxy says of whom
// it speaks for counts only where the source names that proxy as trusted.
//
// Invariants: a Rule is immutable after Parse; a Matcher is safe for
// concurrent use; each Hit of a rule has a valid address, with 4-in-6
// addresses unmapped and without a zone; the same lines give the same hits in
// whatever blocks of whole lines they arrive, and whatever came before them
// from that source, but for patterns that have the address from another line of
// the session (Peer), of which a source knows a bounded number; a line that is irrelevant costs no allocation; matching time
// is linear in the length of the line, and a line longer than MaxLine is not
// looked at.
package rules
