// Package lists is the sensor of block lists: it fetches lists from files and URLs,
// checks and reads them, merges what they name into sorted networks that do not
// overlap, keeps the last good copy of each, and offers what has changed to the line:
// "list drop is now digest X, 1203 prefixes".
//
// It decides nothing: whether an offer is taken or held back is policy's to say, and
// putting it in force is the firewall's. It is called by the composition root, which
// passes it a function for offers and one for what is to be told.
//
// The parts, each in its file:
//
//	formats/  every form in which lists are passed around, in and out; pure
//	set       networks, sorted and merged, in little memory
//	store     the copies on disk, by name and digest
//	fetch     one request: conditional, bounded in size and time, unpacked with care
//	verify    checksums and signatures
//	feed      one list: when to look
//	take      what to make of what its source gives
//	sensor    all of them
//
// Invariants:
//
//   - What is in force stays in force until something better was read whole, checked
//     and taken: a page of HTML, a bomb, an empty file, a server that is away or a
//     list that is half as long change nothing and are told.
//   - Memory and time are bounded whatever a server sends: bytes on the wire, bytes
//     unpacked, entries, seconds.
//   - A source is asked no more often than configured, later when it asks for it or
//     fails, and only for what has changed where it can say so.
//   - Nothing wider than MinBits4 or MinBits6 and no private or reserved network
//     comes out of a list, unless it is wanted so.
package lists
