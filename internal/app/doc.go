// Package app is the composition root: it builds the parts of Gatehouse, wires
// them into the line, supervises them, reloads and stops them in order. It is
// the only package that starts long-lived goroutines and the only one, besides
// the command line, that may import every other.
//
// Begin with spine.go: it holds the loop down which everything flows.
//
//	sensors ──Event──▶ detect ──Finding──▶ policy ──Decision──▶ ledger ──Record──▶ followers
//
// Invariants: one goroutine, the spine's, owns detect and policy; a part that
// fails degrades alone and is restarted with back-off; what is stopped last is
// what others still need (sensors, then the spine, then ledger and firewall).
package app
