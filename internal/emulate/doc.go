// Package emulate gives an emulated alarm panel a wire: a TCP port, as ser2sock
// would serve it, or a pseudo-terminal, as a serial adapter would be. It runs an
// emulator.House in real time, and takes commands in words: open 3, close 3,
// mains off. `gatehouse panel emulate` and tests use it; nothing in it is part of
// the guard.
//
// One goroutine, the loop in Run, owns the house. It listens on the address that
// it is given and nowhere else.
package emulate
