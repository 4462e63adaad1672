// Package portscan is the sensor for port scans. The kernel itself holds whoever
// touches a trap or tries too many ports: the firewall has the rules for that.
// This package listens to what the kernel reports about it, opens the decoys,
// and turns both into events of the line.
//
// It refuses to decide and to drop anything: it neither writes rules nor knows
// what follows from an event. Its caller is the composition root, which runs
// [Sensor.Run] and tells the firewall which group of messages the sensor
// listens to.
//
// Layers:
//
//	Sensor   reports of the kernel -> batches of events   sensor.go loss.go
//	packet   the first bytes of a packet -> what it is     packet.go
//	decoys   listeners with a banner and a tarpit          decoys.go banner.go
//	memory   who was held lately, and for what             memory.go
//
// # Evidence
//
// A packet can be forged, a finished TCP handshake cannot: the events of packets
// are forgeable, those of a connection to a decoy are proven. A datagram at a
// decoy is forgeable, too.
//
// # Invariants
//
//   - Whatever arrives, memory is bounded: queues, connections, what is
//     remembered. What does not fit is counted, and status shows it.
//   - A decoy never sends more than its banner, and over UDP nothing at all, so
//     that nobody can use it against a third party.
//   - Messages of the kernel that were lost are counted by their numbers; then
//     the held addresses are read instead.
package portscan
