package gate

import (
	"net/netip"
	"testing"
)

func TestIsPublic(t *testing.T) {
	for text, want := range map[string]bool{
		"8.8.8.8": true, "1.0.0.1": true, "223.255.255.255": true, "100.63.255.255": true, "100.128.0.0": true, "172.32.0.1": true,
		"2a00::1": true, "2001:4860::1": true, "2001:200::1": true, "::ffff:8.8.8.8": true,
		"0.0.0.0": false, "10.1.2.3": false, "100.64.0.1": false, "127.0.0.1": false, "169.254.1.1": false, "172.31.0.1": false,
		"192.0.2.7": false, "192.168.1.1": false, "198.19.0.1": false, "203.0.113.9": false, "224.0.0.1": false, "255.255.255.255": false,
		"::": false, "::1": false, "fe80::1": false, "fe80::1%eth0": false, "fd00::1": false, "ff02::1": false, "2001::1": false,
		"2001:db8::1": false, "2002:808:808::1": false, "3fff::1": false, "::ffff:10.0.0.1": false, "64:ff9b::808:808": false,
	} {
		if got := IsPublic(netip.MustParseAddr(text)); got != want {
			t.Errorf("IsPublic(%s) = %v", text, got)
		}
	}
	if IsPublic(netip.Addr{}) {
		t.Error("no address is public")
	}
}
