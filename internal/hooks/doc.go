// Package hooks runs the operator's commands for what is recorded: a log follower.
//
// Each hook follows the ledger by itself, behind a cursor of its own, so that one
// that hangs delays neither a ban nor another hook. A record is delivered at least
// once, with an identifier that stays the same when it comes again.
//
// It decides nothing, and starts no process itself: it is given a function that runs
// commands with the rights they are to have. It is called by the composition root.
//
// Invariants:
//
//   - A command is an argument vector. What is put in for words in braces never
//     becomes several arguments, and holds no control characters.
//   - Memory is bounded whatever happens: the ledger is the queue, and each hook has
//     at most as many records in hand as runs of it are allowed at once.
//   - Failures are recorded, at most one a minute for each hook with the number of
//     those in between, and no hook is run for records about hooks.
package hooks
