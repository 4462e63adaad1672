package app

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/internal/api"
	"gatehouse/internal/firewall"
)

// TestHintedOnce: where the kernel cannot be used, the hint names the way to watch
// all the same, and names it once.
func TestHintedOnce(t *testing.T) {
	for _, c := range []*firewall.Error{
		{Op: "ask the kernel", Err: firewall.ErrNoPermission, Hint: "run it as root; gatehouse run --observe needs neither"},
		{Op: "ask the kernel", Err: firewall.ErrUnavailable, Hint: "load the module"},
		{Op: "ask the kernel", Err: firewall.ErrUnavailable},
	} {
		e, ok := errors.AsType[*api.Error](hinted(c))
		if !ok || strings.Count(e.Hint, "run --observe") != 1 || strings.HasPrefix(e.Hint, ";") {
			t.Errorf("%+v: %+v", c, e)
		}
	}
}
