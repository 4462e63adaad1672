package formats

import (
	"bufio"
	"fmt"
	"time"
)

// remaining returns the seconds that a ban has left, at most most; 0 = it has no
// end.
func (b Ban) remaining(now time.Time, most int64) int64 {
	if b.Until.IsZero() {
		return 0
	}
	return min(most, int64(b.Until.Sub(now)/time.Second))
}

// maxNFTTimeout is the longest timeout that is written for nft, in seconds: 68
// years.
const maxNFTTimeout = 1 << 31

func writeNFT(w *bufio.Writer, bans []Ban, now time.Time) error {
	v4, v6, ports, http := whole(bans, now)
	head(w, len(v4)+len(v6), ports, http, now, "nft -f FILE")
	const table = "inet gatehouse_export"
	fmt.Fprintf(w, "table %s\ndelete table %s\ntable %s {\n", table, table, table)
	nftSet(w, "addr4", "ipv4_addr", "timeout", singles(v4), now)
	nftSet(w, "net4", "ipv4_addr", "interval, timeout", outermost(v4), now)
	nftSet(w, "addr6", "ipv6_addr", "timeout", singles(v6), now)
	nftSet(w, "net6", "ipv6_addr", "interval, timeout", outermost(v6), now)
	_, _ = w.WriteString("\tchain ban {\n\t\ttype filter hook prerouting priority raw; policy accept;\n" +
		"\t\tip saddr @addr4 drop\n\t\tip saddr @net4 drop\n\t\tip6 saddr @addr6 drop\n\t\tip6 saddr @net6 drop\n\t}\n}\n") // an error sticks
	return nil
}

func nftSet(w *bufio.Writer, name, kind, flags string, bans []Ban, now time.Time) {
	fmt.Fprintf(w, "\tset %s {\n\t\ttype %s\n\t\tflags %s\n", name, kind, flags)
	for i, b := range bans {
		sep := ",\n\t\t\t"
		if i == 0 {
			sep = "\t\telements = {\n\t\t\t"
		}
		fmt.Fprint(w, sep, b.Subject)
		if s := b.remaining(now, maxNFTTimeout); s > 0 {
			fmt.Fprintf(w, " timeout %ds", s)
		}
	}
	if len(bans) > 0 {
		fmt.Fprint(w, "\n\t\t}\n")
	}
	fmt.Fprint(w, "\t}\n")
}

func singles(bans []Ban) (out []Ban) {
	for _, b := range bans {
		if b.Subject.Prefix().IsSingleIP() {
			out = append(out, b)
		}
	}
	return out
}

// maxIPSetTimeout is the longest timeout of ipset(8), in seconds.
const maxIPSetTimeout = 2147483

func writeIPSet(w *bufio.Writer, bans []Ban, now time.Time) error {
	v4, v6, ports, http := whole(bans, now)
	head(w, len(v4)+len(v6), ports, http, now, "ipset restore -exist < FILE")
	for _, set := range []struct {
		name, family string
		bans         []Ban
	}{{"gatehouse4", "inet", v4}, {"gatehouse6", "inet6", v6}} {
		fmt.Fprintf(w, "create %s hash:net family %s timeout 0 maxelem %d\nflush %s\n", set.name, set.family, max(65536, 2*len(set.bans)), set.name)
		for _, b := range set.bans {
			fmt.Fprintf(w, "add %s %s timeout %d\n", set.name, b.Subject, b.remaining(now, maxIPSetTimeout))
		}
	}
	return nil
}
