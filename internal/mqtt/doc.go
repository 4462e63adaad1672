// Package mqtt shows the guard to a house: its state, its bans and its services on
// an MQTT broker, in the form by which Home Assistant finds devices, and it takes
// commands from there.
//
//	sources ──Entity──▶ follower ──retained topics──▶ broker ──▶ Home Assistant and others
//	broker ──command──▶ desk ──Command──▶ the line, as a wish like any other
//
// It is a state follower: it makes the retained topics equal to a wanted set, so
// that a restart of the broker, a lost message and a foreign deletion heal in the
// same way. It decides nothing: a command is a wish that the allow list and the
// guard against locking out judge. It refuses commands that the configuration does
// not allow by name, and those that a broker had stored.
//
// The composition root makes a [Follower] and runs it; other parts that have
// something to show implement [Source].
//
// Invariants: what comes from the broker is bounded in size and rate before it is
// looked at; what is published is bounded, too, and at most every [calm]; nothing
// outside the own topics is ever written.
package mqtt
