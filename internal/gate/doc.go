// Package gate is the vocabulary of Gatehouse: the few types that travel down
// its line, from what was seen to what was done about it.
//
//	sensors ──Event──▶ detect ──Finding──▶ policy ──Decision──▶ ledger ──Record──▶ followers
//
// One type an arrow, one producer a type. The package is pure: it imports the
// standard library only, does no input or output, starts no goroutine and reads
// no clock. Every other package of the program may import it; it imports none.
//
// Invariants that its users may rely on: an address is a [netip.Addr] with
// 4-in-6 addresses unmapped and without a zone; a [Subject] is comparable and
// its text form parses back to an equal value; the zero value of each
// enumeration is invalid or harmless.
package gate
