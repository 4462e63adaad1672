// Package host watches what is true of this machine and matters for decisions:
// its own addresses, the networks it is attached to, gateways, name servers,
// who is logged in by SSH, and what listens. It offers it as a [gate.Host].
//
// It refuses to change anything, to start a program, and to ask the network:
// all it reads are rtnetlink, sock_diag, ctnetlink, /proc and resolv.conf. It decides
// nothing; package policy does, with the value that it gets.
//
// Callers: app runs one [Watcher], hands its Snapshot to policy, and judges
// again when Changed says so; the sensors of logs ask [Watcher.Spoke] whether a peer
// was really here; api and the command line ask [PeerOf] who is
// behind a process.
//
// Addresses, routes and name servers are watched by events, and so is the end of
// a session. The start of a session has no event: sessions and listeners are read
// again when somebody asks and the last reading is older than [MaxAge]. A machine
// where nobody asks costs nothing.
//
// What counts as a session, and what does not:
//
//   - sshd says by its process title that the user is authenticated: `sshd: bob@pts/0`,
//     `sshd: bob@notty`, `sshd: bob`. A connection that is not (`[accepted]`, `[net]`,
//     `[priv]`) is no session, however long it lasts.
//   - A title can be forged, so the program must be an sshd and either run as root or
//     be the child of an sshd that does. A user's own sshd, in a user namespace or
//     not, gives nobody a place among those who are never banned.
//   - The peer is that of the connection which the process shares with its parent.
//     Connections that sshd forwards are not taken for it.
//
// Reading the programs and descriptors of other users' processes needs
// CAP_SYS_PTRACE; without it no session is seen, which is logged once and told by
// [Watcher.Blind].
package host
