// Package corpus makes logs and rules for measuring the matcher: what a busy
// server writes, a tenth of it relevant, and rules in the shape of those of
// well-known services. Everything is the same at each call.
//
// It refuses to be a library of rules: these are made after what services write
// but are checked against no source. Tests and benchmarks call it.
package corpus
