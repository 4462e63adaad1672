package ports

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/gate"
)

func set(s string) gate.Ports {
	p, err := gate.ParsePorts(strings.Fields(s)...)
	if err != nil {
		panic(err)
	}
	return p
}

func TestResolve(t *testing.T) {
	file := filepath.Join(t.TempDir(), "services")
	if err := os.WriteFile(file, []byte("# list\nssh\t22/tcp\ndomain 53/tcp nameserver # both\ndomain 53/udp\nbad x/tcp\nodd 1/sctp\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	n := Names{Services: map[string]gate.Ports{"ssh": set("2222/tcp"), "vpn": set("51820/udp")}, File: file}
	for _, c := range []struct{ words, want string }{
		{"ssh", "ssh=2222/tcp"},
		{"domain", "domain=53"},
		{"nameserver", "nameserver=53/tcp"},
		{"80,443 8000-8500/udp", "=80,443/tcp 80,443,8000-8500/udp"},
		{"22/tcp vpn 23/tcp", "vpn=51820/udp; =22-23/tcp"},
		{"vpn vpn", "vpn=51820/udp"},
		{"", "error: name services or ports: ssh, 80,443 or 8000-8500/udp"},
		{"0", `error: ports "0": "0" is not a port: ports go from 1 to 65535`},
		{"65536", `error: ports "65536": "65536" is not a port: ports go from 1 to 65535`},
		{"90-80", `error: ports "90-80": the range "90-80" is reversed: write 80-90`},
		{"22/sctp", `error: ports "22/sctp": "sctp" is not a protocol: write /tcp or /udp after the whole list, or nothing for both`},
		{"bad", `error: there is no service "bad": name it under services: in the configuration, or write its ports, as in 22/tcp`},
		{"../x", ""},
	} {
		got := ""
		list, err := n.Resolve(strings.Fields(c.words))
		for _, v := range list {
			got += "; " + v.Service + "=" + v.Ports.String()
		}
		got = strings.TrimPrefix(got, "; ")
		if err != nil {
			got = "error: " + err.Error()
		}
		if c.want == "" && err != nil {
			continue
		}
		if got != c.want {
			t.Errorf("%q\n got %s\nwant %s", c.words, got, c.want)
		}
	}
}

// FuzzResolveParsesBack: ports that are understood have a text that is understood
// the same way, and are never more than there are.
func FuzzResolveParsesBack(f *testing.F) {
	for _, s := range []string{"80,443", "8000-8500/udp 22/tcp", "1-65535", "ssh 0", "a,b", "1-2-3/tcp"} {
		f.Add(s)
	}
	n := Names{Services: map[string]gate.Ports{"ssh": set("22/tcp")}, File: "/nowhere"}
	f.Fuzz(func(t *testing.T, s string) {
		list, err := n.Resolve(strings.Fields(s))
		if err != nil {
			return
		}
		for _, v := range list {
			again, err := gate.ParsePorts(strings.Fields(v.Ports.String())...)
			if err != nil || !again.Equal(v.Ports) || v.Ports.IsEmpty() || v.Ports.Len() > 2*65535 {
				t.Fatalf("%q: %v, read back %v, %v", s, v.Ports, again, err)
			}
			if sub := gate.PortSubject(v.Ports, gate.In); sub.IsValid() {
				if back, err := gate.ParseSubject(sub.String()); err != nil || back != sub {
					t.Fatalf("%q: subject %v reads back as %v, %v", s, sub, back, err)
				}
			}
		}
	})
}
