package rules

// names keeps texts that came before, so that the same one is not made anew
// for each hit: hosts and accounts come again and again. The zero value is
// ready to use.
type names struct {
	lastHost string
	users    [64]string // by hash
}

// maxHost is how much of a host's name a Hit keeps, in bytes.
const maxHost = 64

// host returns at most maxHost bytes of b as a string.
func (n *names) host(b []byte) string {
	if b = b[:min(len(b), maxHost)]; string(b) != n.lastHost {
		n.lastHost = string(b)
	}
	return n.lastHost
}

// user returns at most maxUser bytes of b as a string.
func (n *names) user(b []byte) string {
	b = b[:min(len(b), maxUser)]
	p := &n.users[fnv32(b)%uint32(len(n.users))]
	if string(b) != *p {
		*p = string(b)
	}
	return *p
}
