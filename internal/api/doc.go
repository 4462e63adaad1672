// Package api is how a person, or a program, talks to the running daemon: HTTP
// with JSON documents on a unix socket, and the Go client that the command line
// uses.
//
//	command line ──Client──▶ unix socket ──▶ Server ──▶ Backend (functions of the daemon)
//
// What a caller may do follows from who it is, as the kernel tells it
// (SO_PEERCRED, unix(7)): root and the daemon's own user may change things,
// members of the group may look, others get an error that says so. There are no
// passwords and no tokens.
//
// The package decides nothing and keeps nothing. A change of wanted state is
// handed on as a [Wish], travels down the line like everything else, and its
// answer comes back when it is in the ledger. It does not listen on a network,
// and it starts no goroutine that outlives [Server.Run].
//
// Invariants: every request body, every response line and the number of
// requests at once are bounded; a panic of a handler ends that request only;
// times are RFC 3339 in UTC; a single address is written without its length.
// The routes stand in one list, in routes.go; the server describes them as
// OpenAPI 3.1 at /openapi.json.
package api
