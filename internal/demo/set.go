package demo

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"

	"gatehouse/internal/netlab"
)

// build makes hosts, wires and services.
func (s *show) build() error {
	s.lab = netlab.New(s.crew)
	router := s.lab.Host("internet")
	router.Sysctl("net.ipv4.ip_forward", "1")
	router.Sysctl("net.ipv6.conf.all.forwarding", "1")
	s.gate = s.lab.Host("gate")
	s.lab.Link(router.At("203.0.113.1/24", "2001:db8:1::1/64"), s.gate.At(gate4+"/24", gate6+"/64"))
	s.gate.Route("default", "203.0.113.1")
	s.gate.Route("default", "2001:db8:1::1")
	s.friend = &friend{host: s.lab.Host("friend")}
	s.lab.Link(router.At("192.0.2.1/24"), s.friend.host.At(friend4+"/24"))
	s.friend.host.Route("default", "192.0.2.1")
	for _, a := range s.cast {
		a.host = s.lab.Host(a.name)
		s.lab.Link(router.At(a.router), a.host.At(a.net))
		via, _, _ := strings.Cut(a.router, "/")
		a.host.Route("default", via)
	}
	s.sshd = netlab.StartSSHD(s.gate, netlab.SSHOptions{Users: []string{friendID}, Syslog: true})
	s.gate.File("/etc/resolv.conf", "nameserver 203.0.113.1\n", 0o644)
	web, err := s.gate.Listen("tcp", fmt.Sprintf(":%d", webPort))
	if err != nil {
		return fmt.Errorf("open a service on the gate: %w", err)
	}
	s.crew.Cleanup(func() { web.Close() })
	go echo(web)
	return s.sealed()
}

// echo gives back what comes, on each connection, until the listener closes.
func echo(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			io.Copy(c, c)
			c.Close()
		}()
	}
}

// sealed proves that no host of the stage is the machine.
func (s *show) sealed() error {
	hosts := []*netlab.Host{s.gate, s.friend.host}
	for _, a := range s.cast {
		hosts = append(hosts, a.host)
	}
	for _, h := range hosts {
		if err := h.Do(func() error {
			for name, machine := range map[string]string{"net": s.Net, "mnt": s.Mounts} {
				ns, err := os.Readlink("/proc/thread-self/ns/" + name)
				if err != nil {
					return err
				}
				if ns == machine {
					return fmt.Errorf("%s is in the machine's own namespace %s", h.Name, ns)
				}
			}
			return nil
		}); err != nil {
			return fmt.Errorf("the stage is not sealed: %w", err)
		}
	}
	return nil
}

// picture draws the network.
func (s *show) picture() {
	s.line("")
	rows := [][2]string{{"friend", friend4}}
	for _, a := range s.cast {
		rows = append(rows, [2]string{a.name, a.home})
	}
	for i, r := range rows {
		st, corner := red, "──┤"
		switch i {
		case 0:
			st, corner = green, "──┐"
		case len(rows) / 2:
			corner = "──┼── internet ──── " + s.paint(blue, "gate") + " " + gate4
		case len(rows) - 1:
			corner = "──┘"
		}
		if i == len(rows)/2+1 {
			corner += "                   OpenSSH " + s.opensshVersion()
		}
		s.line("   " + s.paint(st, fmt.Sprintf("%-9s", r[0])) + fmt.Sprintf(" %-18s ", r[1]) + corner)
	}
	s.line("")
}

// opensshVersion returns the version of the server, "9.2".
func (s *show) opensshVersion() string {
	path, err := netlab.FindSSHD()
	if err != nil {
		return ""
	}
	out, _ := exec.Command(path, "-V").CombinedOutput() // old versions complain, but tell
	major, minor, ok := netlab.OpenSSHVersion(string(out))
	if !ok {
		return ""
	}
	return fmt.Sprintf("%d.%d", major, minor)
}
