// Package ad2 understands the AlarmDecoder family of adapters (AD2USB, AD2PI,
// AD2SERIAL) and, through them, alarm panels of Honeywell/Ademco (Vista) and DSC.
//
// It has three layers. The codec cuts bytes into lines ([Lines]) and lines into
// messages ([Decode]); damaged and merged lines are read as far as they make
// sense, and the rest is counted. The machine ([Panel]) follows the messages of
// the panel, partition by partition and zone by zone, and yields an [Event] for
// each thing that happened. The keys ([Keys]) say what to type for a command.
//
// The package is pure: it opens nothing, starts no goroutine, reads no clock and
// logs nothing. Time is a parameter. It keeps no alarm code: keys pass through
// the values that it returns and stay in none of its own.
//
// Invariants. Memory is bounded whatever comes down the wire: a line is at most
// MaxLine bytes, a panel at most 8 partitions with 999 zones each. An event is
// yielded once, when something changes, never again while it stays so. What a
// panel shows for one partition never touches a zone of another one.
//
// internal/panel feeds it from a device, cmd/gatehouse from files, and the
// emulator in ad2/emulator speaks its other side.
package ad2
