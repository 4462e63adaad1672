// Package logs is the sensor that reads logs: files, the journal, messages of
// syslog, the output of commands. It finds the files that the watches name, reads
// every line of them and every entry of the journal exactly once across rotation,
// truncation and restarts, runs the rules on whole blocks of lines and hands what
// hit to the line as [gate.Batch].
//
// It is called by the composition root, which gives it a function that takes
// batches and one that knows the mark of each source. It refuses to decide
// anything: it counts nothing, bans nobody and keeps no state of its own on
// disk; where it is in each file travels as [gate.Batch.Mark].
//
// The parts, each in its file:
//
//	finder    patterns -> files and the folders to listen to
//	folders   one fsnotify watch a folder, with polling where that cannot work
//	queue     which sources have something to do; a few workers serve it
//	source    one watched path: the file there now and those rotated away from it
//	look      which file does the path lead to now?
//	search    the files beside it, seen at one moment; what came after what
//	resume    from a mark, and from a file that was emptied, to what is left to read
//	leave     when a rotated file is let go
//	claims    which source reads which file, and whom an event concerns
//	follower  one open file: whole lines out of it, and has it been replaced?
//	rotated   what the files beside a log are called after a rotation
//	place     a position that survives renaming, and its text form, the mark
//	hits      blocks of lines -> events, by the rules
//
// What is no file is a stream, and each of its sources a feed:
//
//	streams   which streams there are, and how they run beside the files
//	feed      lines by another way than a file -> batches
//	bundle    such lines, with what is known of each besides its text
//	journal   one journalctl for all units, its entries to the feeds of their units
//	export    the format in which it writes
//	cursor    a position in the journal, and its text form, the mark
//	trust     who may speak for a service
//	unit      which services are installed, by their unit files
//	choice    files or journal? One of them, where a rule may read either
//	syslog    an address at which messages come in
//	listen    its settings
//	datagram  all that waits at a socket of datagrams, and who sent it
//	framing   messages out of a stream of them
//	message   a message as a line with a header
//	peer      which user has the other end of a socket of this machine
//	command   the output of a program
//	child     a program that is run, started again, and ended with all it started
//
// Invariants:
//
//   - Each line lies in exactly one batch of its source, whole; batches of one
//     source are handed over one after the other. A source that is started from
//     the mark of any batch goes on with the first line behind it.
//   - Who is no service speaks for none: a person's entry in the journal or message
//     at a local socket never counts, whatever name is on it. What comes over the
//     network unsigned proves no more than [gate.Forgeable].
//   - Of files and journal, a watch that may read either reads one.
//   - What came by a socket cannot be read again: it has no mark.
//   - A line is what ends with a newline. The unfinished last line of a file
//     waits for it, unless the file was rotated away and is let go.
//   - Reading needs bounded memory: one block of 256 KB for each worker, up to
//     1 MB where a line is that long. Longer lines are skipped and counted.
//   - Nothing is polled, except a look at everything each 30 s as a safety net,
//     and each second what lies on a network file system.
//   - All goroutines and children end with [Sensor.Run].
package logs
