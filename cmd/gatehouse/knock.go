package main

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/gate"
	"gatehouse/internal/ports"
)

// knockCommand sends a knock.
func knockCommand(e *env) *cobra.Command {
	var key, from string
	var port int
	var fresh bool
	c := &cobra.Command{
		Use:   "knock HOST SERVICE --key FILE [--port N] [--from ADDR]",
		Short: "open a service elsewhere for yourself by one encrypted packet",
		Long: "Sends one encrypted packet to a machine that gatehouse guards (ports: knock in its configuration). Nothing listens there and " +
			"nothing answers: whether it worked shows when you connect, within the time that its configuration says (30s).\n\n" +
			"The packet is good once, for a minute, and opens the service to one address: the one that --from says, or else " +
			"the one that it is sent from, unless that is a private one; then to whoever the packet comes from.",
		Example: "gatehouse knock --new-key > knock.key\ngatehouse knock gate.example.org ssh --key knock.key && ssh gate.example.org",
		Args: func(c *cobra.Command, args []string) error {
			if fresh {
				return takes(0, 0)(c, args)
			}
			return takes(2, 2)(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			if fresh {
				text, err := ports.NewKnockKey()
				if err != nil {
					return failed("", "knock: %v", err)
				}
				if e.json {
					return e.document(map[string]string{"key": text})
				}
				fmt.Fprintln(e.out, text)
				return nil
			}
			usage := "usage: " + useLine(c)
			switch {
			case !gate.IsName(args[1]):
				return misused(usage, "knock: %s cannot be the name of a service", gate.Quote(args[1], 64))
			case key == "":
				return misused("make one with: gatehouse knock --new-key", "knock: --key is missing")
			case port < 1 || port > 65535:
				return misused(usage, "knock: --port %d is no port: ports go from 1 to 65535", port)
			}
			k, err := ports.ReadKnockKey(key)
			if err != nil {
				return failed("the same key as at the other end: copy its file", "knock: %v", err)
			}
			n := ports.Knock{Time: e.now(), Counter: uint64(e.now().UnixNano()), Service: args[1]}
			if from != "" {
				if n.Client, err = netip.ParseAddr(from); err != nil {
					return misused(usage, "knock: --from: %s is not an address", gate.Quote(from, 40))
				}
			}
			return e.knock(k, n, args[0], port)
		},
	}
	c.Flags().StringVar(&key, "key", "", "`FILE` with the key that the other end has, too")
	c.Flags().IntVar(&port, "port", 62201, "UDP port `N` that the other end reads knocks at")
	c.Flags().StringVar(&from, "from", "", "`ADDR` that you connect from, as the other end sees it")
	c.Flags().BoolVar(&fresh, "new-key", false, "write a fresh key, and send nothing")
	return c
}

// knock sends the packet to the host's addresses, one for each family.
func (e *env) knock(k ports.KnockKey, n ports.Knock, host string, port int) error {
	sent := 0
	var last error
	for _, family := range []string{"udp4", "udp6"} {
		conn, err := net.DialTimeout(family, net.JoinHostPort(host, strconv.Itoa(port)), 5*time.Second)
		if err != nil {
			last = err
			continue
		}
		defer conn.Close()
		one := n
		if local, err := netip.ParseAddrPort(conn.LocalAddr().String()); err == nil && !one.Client.IsValid() && !local.Addr().IsPrivate() && !local.Addr().IsLinkLocalUnicast() {
			one.Client = local.Addr().Unmap()
		}
		one.Counter += uint64(sent)
		packet, err := k.Seal(one)
		if err == nil {
			_, err = conn.Write(packet)
		}
		if err != nil {
			last = err
			continue
		}
		sent++
	}
	if sent == 0 {
		return failed("check the name and the route", "knock: %v", last)
	}
	if e.json {
		return e.document(map[string]int{"packets": sent})
	}
	fmt.Fprintf(e.out, "knocked at %s for %s; nobody answers a knock, so connect now\n", harmless(host), harmless(n.Service))
	return nil
}
