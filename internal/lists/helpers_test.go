package lists

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/lists/formats"
)

// formatsOf reads the prefixes of a list.
func formatsOf(t *testing.T, text string) []netip.Prefix {
	t.Helper()
	c, err := Read(strings.NewReader(text), formats.Auto, true, Limits{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return c.Set.Prefixes()
}
