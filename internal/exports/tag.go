package exports

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gatehouse/internal/lists/formats"
)

// tagOf identifies bans, which are in order, by what of them is written: not by what
// changes with time alone.
func tagOf(bans []formats.Ban) string {
	h := sha256.New()
	for _, b := range bans {
		until := int64(0)
		if !b.Until.IsZero() {
			until = b.Until.Unix()
		}
		// A hash takes everything.
		_, _ = fmt.Fprintf(h, "%s|%d|%d|%s|%s|%t|%t|%d|%q|%q\n", b.Subject, b.Since.Unix(), until, b.Rule, b.Ports, b.HTTP, b.Enforced, b.Offences, b.Origin, b.Reason)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
