package netlab

import (
	"encoding/hex"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// How long IPv6 may take until it works on a new interface, and how often that is
// looked at: the kernel does it in a work queue and sends no event at its end.
const (
	settleLimit = 5 * time.Second
	settleLook  = 200 * time.Microsecond
)

// settle waits until the interface answers for all its IPv6 addresses: until it
// has joined their groups for neighbour discovery (RFC 4291, section 2.7.1). Before
// that, who asks for one of them waits a second for its next question.
func (h *Host) settle(name string) error {
	return h.Do(func() error {
		deadline := time.Now().Add(settleLimit)
		for {
			missing, err := unsettled(name)
			if err != nil {
				return err
			}
			if missing == "" {
				return nil
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("IPv6 on %s of %s does not come up: %s", name, h.Name, missing)
			}
			time.Sleep(settleLook)
		}
	})
}

// unsettled says what an interface of the calling thread's network still lacks; ""
// if nothing.
func unsettled(name string) (string, error) {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	addrs, err := netlink.AddrList(link, unix.AF_INET6)
	if err != nil {
		return "", fmt.Errorf("list addresses of %s: %w", name, err)
	}
	b, err := os.ReadFile("/proc/thread-self/net/igmp6")
	if err != nil {
		return "", err
	}
	joined := map[string]bool{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) > 2 && f[1] == name {
			joined[f[2]] = true
		}
	}
	local := false
	for _, a := range addrs {
		local = local || a.IP.IsLinkLocalUnicast()
		if a.Flags&unix.IFA_F_TENTATIVE != 0 {
			return a.IP.String() + " is tentative", nil
		}
		if !joined[solicitedNode(a.IP)] {
			return a.IP.String() + " has not joined its group", nil
		}
	}
	if !local {
		return "there is no link-local address", nil
	}
	return "", nil
}

// solicitedNode returns the group of an address as /proc/net/igmp6 writes it:
// ff02::1:ff and its last 24 bits.
func solicitedNode(ip []byte) string {
	return "ff0200000000000000000001ff" + hex.EncodeToString(ip[13:])
}

// hasIPv6 reports whether one of the prefixes is of IPv6.
func hasIPv6(prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.Contains(p, ":") })
}
