package config

import (
	"strings"
	"testing"
	"time"
)

// What people write about services and ports reads as they mean it, and back.
func TestPortsSections(t *testing.T) {
	src := `services: {ssh: {ports: 22/tcp, rest: open}, vpn: {ports: 51820/udp, rest: closed}}
ports:
  schedule: [{close: "21-22,80", direction: out, from: "30 17 * * 1-5", for: 14h}]
  remote: {url: "https://files.example.org/gate.txt", every: 5m, verify: totp, key: /etc/gatehouse/remote.key}
`
	asked := false
	o := Options{PortsProblems: func(c *Config) []PortsProblem {
		asked = len(c.Ports.Schedule) == 1
		return nil
	}}
	c, err := Parse("f.yaml", []byte(src), o)
	if err != nil || !asked {
		t.Fatalf("%v, asked %v", err, asked)
	}
	s := c.Ports.Schedule[0]
	if s.Close != "21-22,80" || s.Direction != "out" || s.From != "30 17 * * 1-5" || s.For != 14*time.Hour || s.Cut {
		t.Errorf("the schedule: %+v", s)
	}
	if v := c.Services["vpn"]; v.Rest != "closed" || v.Ports.String() != "51820/udp" || c.Services["ssh"].Rest != "open" {
		t.Errorf("the services: %+v", c.Services)
	}
	if r := c.Ports.Remote; r.Every != 5*time.Minute || r.Longest != 12*time.Hour || r.Verify != "totp" {
		t.Errorf("the remote file: %+v", r)
	}
	again, err := Parse("again.yaml", c.YAML(), Options{})
	if err != nil || !again.Equal(c) {
		t.Errorf("read back: %v\n%s", err, c.YAML())
	}
}

// What a part finds stands at its place in the file.
func TestPortsProblemsHaveAPlace(t *testing.T) {
	src := "ports:\n  schedule:\n    - {close: \"80\", from: \"x\", for: 1h}\n"
	_, err := Parse("f.yaml", []byte(src), Options{PortsProblems: func(*Config) []PortsProblem {
		return []PortsProblem{{Schedule: 0, Key: "from", What: "it is not a time", Hint: "write one"}}
	}})
	if err == nil || !strings.Contains(err.Error(), "f.yaml:3:27: it is not a time") {
		t.Errorf("%v", err)
	}
}
