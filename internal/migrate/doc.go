// Package migrate reads what other programs that guard a machine keep, and says the
// same in the words of Gatehouse: a configuration with a comment at each thing that
// cannot be carried over, and the bans that are in force.
//
// It reads and computes: it writes no file of another program, runs nothing of what
// it reads, and changes nothing. What comes out is written, and put in force, by
// whoever calls it (the command `import`). One file, or one prefix of files, for
// each program.
//
// Invariants: the same input gives the same text, byte for byte, so that importing
// twice changes nothing; what is not understood is a Remark with its place, never
// an error of the whole; a text from outside becomes YAML in quotes, or a comment
// of one line.
package migrate
