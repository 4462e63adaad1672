// Package e2e holds the end-to-end tests: the built program on a host of a
// laboratory, with real peers around it. It has no code of its own.
package e2e
