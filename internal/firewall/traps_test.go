package firewall

import (
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func somePorts(t *testing.T, lists ...string) gate.Ports {
	t.Helper()
	p, err := gate.ParsePorts(lists...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// usual is what a test sets that says nothing else.
func usual(t *testing.T) Traps {
	return Traps{
		Ports: somePorts(t, "23/tcp"), Distinct: 5, Shared: 10, Within: time.Minute, Hold: 10 * time.Minute,
		Ephemeral: gate.PortRange{Lo: 32768, Hi: 60999},
	}
}

func TestTrapsInTheKernel(t *testing.T) {
	s := newScene(t, Config{}, Deps{})
	if err := s.SetTraps(usual(t)); err != nil {
		t.Fatal(err)
	}
	s.load(nil, nil, nil)
	if s.Health().Mode != Enforcing {
		t.Fatal(s.Health())
	}
	t.Log(s.nft("list", "ruleset"))
	from := netip.MustParseAddr("198.51.100.7")
	_ = from
}
