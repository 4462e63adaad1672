// Package panel connects Gatehouse to an alarm panel: it is the sensor that tells
// what happens there, the hand that commands it, and a server by which other
// programs go on using the same adapter.
//
// Run keeps a connection to the adapter (a serial device, or a ser2sock server
// over TCP or TLS), feeds what comes to ad2.Panel, and hands the events on. Do
// carries out a command and returns when the panel's own state says what became
// of it. The server speaks as ser2sock does: whoever connects gets each line and,
// with the right for it, may press keys.
//
// It refuses: to press a key that nobody asked for; to send a sequence of keys
// twice; to let the keys of two askers mix; to write a code into an event, an
// error, a log or a file. What a client sends is checked byte by byte before any
// of it is sent on, and a client that sends something else than keys is cut off.
//
// One goroutine, the loop in Run, owns the state; everything else asks it. Every
// queue is bounded: a client that reads too slowly is cut off and delays nobody.
// internal/app makes it, feeds its events into the line, and serves Do and Follow
// over the API.
package panel
