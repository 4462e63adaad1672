// Package policy judges: from findings, from the wishes of people and from the
// passing of time it makes decisions, each with its reason in plain words.
//
// It refuses to see and to act: it does no input or output, starts no goroutine
// and reads no clock; history and the state of the machine are given to it. The
// line calls it from one goroutine; a [Policy] is not safe for concurrent use.
//
// Invariants: a decision changes the wanted state, or tells of one that was not
// allowed to change; where nothing changes there is no decision. No ban touches
// loopback, an address of this machine, a gateway, a name server, the other end
// of an SSH session, or what the allow list covers. A command extends a ban and
// never shortens it. The same calls give the same decisions.
//
// # Bans and releases
//
// A ban is identified by subject and scope: one address may be banned on
// 22/tcp until tomorrow and on all ports for ten minutes. A Ban decision of the
// same subject and scope replaces the one before. A Release names the scope of
// the ban that it ends. One that ends the ban of everything is followed, in the
// same batch, by the bans of single ports that stay, so that whoever takes the
// empty scope for all scopes is right as well. A ban that one of a wider scope
// outlasts ends without a decision of its own. Where several bans of a subject
// are lifted at once, one Release bears the origin and the others none, for
// they would be taken for the same decision.
//
// # Offences
//
// A finding that leads to a ban is an offence; its number is in the decision.
// Findings while a ban of that scope is live join it: no decision, and no step
// up the ladder. The first of several decisions of one offence bears its
// number, others (a further scope, what stays after a release, an extension)
// bear none, so that offences can be counted in the ledger. What anyone can
// forge is no offence.
//
// A finding from the past, read when sources catch up, counts from its own
// time: its ban ends when it would have ended. If that is over there is no
// decision, but the offence is remembered.
package policy
