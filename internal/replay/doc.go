// Package replay runs logs of the past through the line as if they were written
// now: the rules on their lines, detect and policy on what hit, in the order of
// the logs' own time. It tells which decisions would have been taken, and what
// the bans would have kept away.
//
// It refuses to act and to look around: nothing is banned, written or resolved,
// no clock is read and no file is opened. Logs are readers that it is given, and
// the history is a function. The command line calls it.
//
//	Source ─block─▶ scanning, on all cores ─hits─▶ merge by time ─Line─▶ Course: detect, policy, tally
//
// The parts, each in its file:
//
//	source   a log, and what runs on it
//	cutter   a reader -> blocks of whole lines
//	feed     a log -> blocks whose hits are known, in the order of the log
//	merge    many feeds -> one stream of lines, by time
//	passing  lines that no rule takes: of whom they speak
//	date     when they were written
//	course   lines -> decisions, by one configuration
//	tally    what each ban would have kept away
//	worst    whose bans would have kept most away
//	summary  what comes out at the end
//
// [Run] feeds any [Listener]; a [Course] is one, so that two configurations, or
// a configuration and something else, can be held against one reading of the
// logs.
//
// Invariants: the lines of one log keep their order; of several logs the line
// with the earliest time comes first, and among equals that of the log that
// began first. How many cores read, and how a log whose lines are in order is cut
// into blocks or files, changes no decision. Memory is bounded whatever the logs
// are: some blocks for each log, the windows of detect, the bans of policy, and
// some 100,000 offenders. All goroutines end with [Run].
//
// What a ban would have kept away is exact for one log; where there are several,
// lines that no rule takes are looked at up to a block too early.
package replay
