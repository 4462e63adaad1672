// Package detect turns events into findings: it counts, for each watch and each
// subject, what counted within the watch's window, and says when there was too
// much of it.
//
// It refuses to judge: whether a finding leads to a ban, for how long and of
// what is decided elsewhere. It does no input or output, starts no goroutine
// and reads no clock. The line calls it from one goroutine; a [Detector] is not
// safe for concurrent use.
//
// Invariants: the same events in the same order give the same findings, also
// across [Detector.Snapshot] and [Detector.Restore]; windows run on the time of
// the events, never on the time of the call, which only bounds how long an
// untouched window is kept; memory is bounded whatever arrives, and what falls
// to a bound is the least recently used. Nothing that is kept per subject holds
// a pointer, so that a million windows cost the collector nothing.
//
// # Counting
//
// `5 in 10m` fires on the fifth event that lies at most 10 minutes behind the
// newest one. Then the window starts anew: the next finding needs five more. An
// event that comes late still counts where the window covers it; one from
// before the window does not.
//
// IPv6 addresses are counted together per /64, link-local ones and those of the
// networks in Config.Single one by one.
//
// # Sessions
//
// The lines of one session count as gate.Class says. Of several lines that
// stand for one attempt the first makes the count; a Failure that comes after a
// Hint or a Key takes the place of it, so that it counts at its own time and is
// what the evidence shows. A session belongs to one address: another address
// under the same number, or a silence of ten minutes, starts a new one. An
// event without a subject belongs to the subject of its session.
package detect
