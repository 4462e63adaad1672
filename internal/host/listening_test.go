package host

import (
	"testing"

	"gatehouse/internal/gate"
)

func TestEphemeral(t *testing.T) {
	usual := gate.PortRange{Lo: ephemeralLo, Hi: ephemeralHi}
	for text, want := range map[string]gate.PortRange{
		"32768\t60999\n": usual,
		"1024 65535":     {Lo: 1024, Hi: 65535},
		"":               usual,
		"9 5":            usual,
		"0 100":          usual,
		"1 99999":        usual,
		"a b":            usual,
	} {
		if got := ephemeralOf(text); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}
