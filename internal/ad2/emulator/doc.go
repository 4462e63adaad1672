// Package emulator is an alarm panel in software, with the adapter that speaks for
// it: what is on the wire is what a Vista or DSC panel behind an AlarmDecoder
// sends, with its texts, bits and timings.
//
// A [House] has partitions, zones (wired, on expanders, wireless), codes, mains
// power, a battery. Sensors are moved with Open, Close and their like, keys come
// in with Write; what the house says comes out as bytes. It runs on a clock that
// the caller moves with Advance, so a day takes as long as the test wants.
// [Damage] spoils what comes out the way that real lines are spoiled.
//
// The package is pure: no goroutine, no clock, no device. It knows nothing of the
// decoder that is tested against it: its lines are built from the table of the
// bus, not from the decoder's code. `gatehouse panel emulate`, the demo and tests
// use it. A House is not for concurrent use.
package emulator
