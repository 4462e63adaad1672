package formats

import "net/netip"

// four is the n-th address of a documentation network.
func four(n int) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(n)}) }
