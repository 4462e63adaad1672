// Package exports keeps the bans where other programs find them: a state follower. It
// writes files, whole and only when they change, has a command run behind that, and
// serves the bans to other machines over HTTP.
//
// With a file for a web server it is the enforcer of bans that the kernel cannot
// enforce: those of clients behind a proxy.
//
// It decides nothing and starts no process. It is called by the composition root,
// which passes it functions: one that returns the bans in force, one that says when
// they have changed, one that runs a command.
//
// Invariants:
//
//   - A file is at each moment one of the states that the bans were in, never a part
//     of one; when the daemon is dead it keeps the last.
//   - Nobody fetches without the token; what a fetch costs is bounded, and a slow
//     reader holds up nobody.
//   - The same bans are the same ETag.
package exports
