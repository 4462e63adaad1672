package ports

import (
	"crypto/hmac"
	"crypto/sha1" // what phones speak: RFC 6238 section 1.2
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"net/url"
	"strings"
	"time"
)

// Codes are of six digits and change every 30 s, as every phone makes them.
const (
	codeDigits = 6
	codeStep   = 30 * time.Second
)

// otpSecret is a secret of RFC 6238.
type otpSecret []byte

// leastSecret is the shortest secret in bytes: RFC 4226 section 4, R6, wants 128
// bits, many programs make 80.
const leastSecret = 10

// parseOTPSecret reads a secret in base32, or an otpauth:// address with one.
func parseOTPSecret(text string) (otpSecret, error) {
	text = strings.TrimSpace(text)
	if strings.HasPrefix(text, "otpauth://") {
		u, err := url.Parse(text)
		if err != nil || u.Host != "totp" {
			return nil, fmt.Errorf("the otpauth address is not that of a totp")
		}
		q := u.Query()
		if d := q.Get("digits"); d != "" && d != "6" || q.Get("period") != "" && q.Get("period") != "30" ||
			q.Get("algorithm") != "" && !strings.EqualFold(q.Get("algorithm"), "SHA1") {
			return nil, fmt.Errorf("only codes of six digits every 30 seconds by SHA1 are understood")
		}
		text = q.Get("secret")
	}
	clean := strings.TrimRight(strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(text)), "=")
	b, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(clean)
	if err != nil {
		return nil, fmt.Errorf("the secret is not base32: letters A to Z and digits 2 to 7")
	}
	if len(b) < leastSecret {
		return nil, fmt.Errorf("the secret is too short: 16 letters at least")
	}
	return b, nil
}

// code returns the code of one step: RFC 4226 section 5.3.
func (s otpSecret) code(step int64) string {
	mac := hmac.New(sha1.New, s)
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(step))
	mac.Write(b[:])
	sum := mac.Sum(nil)
	at := sum[len(sum)-1] & 0xf
	v := binary.BigEndian.Uint32(sum[at:]) & 0x7fffffff
	return fmt.Sprintf("%06d", v%1_000_000)
}

// stepOf returns the step that a time is in.
func stepOf(t time.Time) int64 { return t.Unix() / int64(codeStep/time.Second) }

// find returns the newest step from first to last whose code it is and that was
// not used.
func (s otpSecret) find(code string, first, last int64, used map[int64]bool) (step int64, ok bool) {
	for n := first; n <= last; n++ { // all of them, so that the time says nothing
		if subtle.ConstantTimeCompare([]byte(s.code(n)), []byte(code)) == 1 && !used[n] {
			step, ok = n, true
		}
	}
	return step, ok
}
