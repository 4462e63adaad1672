package ports

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/hiddeco/sshsig"
	"github.com/jedisct1/go-minisign"
	"golang.org/x/crypto/ssh"

	"gatehouse/internal/gate"
)

// The ways to verify a remote file.
const (
	VerifyTOTP     = "totp"
	VerifyMinisign = "minisign"
	VerifySSH      = "ssh"
	VerifyNone     = "none"
)

// sshNamespace is what a signature of ssh-keygen is made for: ssh-keygen -Y sign
// -n gatehouse-intent.
const sshNamespace = "gatehouse-intent"

// maxSignature and maxKey bound what is read, in bytes.
const (
	maxSignature = 16 << 10
	maxKey       = 64 << 10
)

// errUnsigned is what any signature is refused for that does not verify; more is
// not said, for nobody but the owner of the key needs it.
var errUnsigned = errors.New("its signature is not that of the key")

// signatureSuffix is what stands behind the name of the file.
func signatureSuffix(verify string) string {
	switch verify {
	case VerifyMinisign:
		return ".minisig"
	case VerifySSH:
		return ".sig"
	}
	return ""
}

// readSmall reads a regular file of at most so many bytes; a pipe cannot hold it
// up.
func readSmall(path string, most int) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no file %s", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(most)+1))
	if err == nil && len(b) > most {
		err = errLarge
	}
	return b, err
}

// readSecret reads a file with a secret, which others than its owner must not be
// able to read.
func readSecret(path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if info.Mode().Perm()&0o077 != 0 {
		return "", fmt.Errorf("others than its owner may read the secret %s (mode %04o): chmod 600 %s", path, info.Mode().Perm(), path)
	}
	b, err := readSmall(path, maxKey)
	return string(b), err
}

// verifyMinisign checks a signature of minisign by a public key file.
func verifyMinisign(content, signature []byte, key string) error {
	lines := strings.Split(strings.TrimSpace(strings.ReplaceAll(key, "\r", "")), "\n")
	pk, err := minisign.NewPublicKey(strings.TrimSpace(lines[len(lines)-1]))
	if err != nil {
		return fmt.Errorf("the key file has no public key of minisign")
	}
	sig, err := minisign.DecodeSignature(string(signature))
	if err != nil {
		return errUnsigned
	}
	if ok, err := pk.Verify(content, sig); err != nil || !ok {
		return errUnsigned
	}
	return nil
}

// signer is one line of an allowed_signers file of ssh-keygen(1).
type signer struct {
	key           ssh.PublicKey
	after, before time.Time // zero = always
	namespaces    []string  // patterns; empty = any
}

// parseSigners reads an allowed_signers file: principals, options, key. Keys of
// authorities are left out: who signs is named one by one.
func parseSigners(text string) (out []signer, err error) {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		_, rest, ok := strings.Cut(strings.ReplaceAll(line, "\t", " "), " ")
		if !ok {
			return nil, fmt.Errorf("a line of the allowed_signers file has no key")
		}
		key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
		if err != nil {
			return nil, fmt.Errorf("a line of the allowed_signers file has no key that is understood")
		}
		s, skip := signer{key: key}, false
		for _, o := range options {
			name, value, _ := strings.Cut(o, "=")
			value = strings.Trim(value, `"`)
			switch strings.ToLower(name) {
			case "namespaces":
				s.namespaces = strings.Split(value, ",")
			case "valid-after":
				s.after, err = signerTime(value)
			case "valid-before":
				s.before, err = signerTime(value)
			case "cert-authority":
				skip = true
			default:
				err = fmt.Errorf("the option %s of the allowed_signers file is not understood", gate.Quote(name, 32))
			}
			if err != nil {
				return nil, err
			}
		}
		if !skip {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("the allowed_signers file names nobody")
	}
	return out, nil
}

// signerTime reads YYYYMMDD, YYYYMMDDHHMM and YYYYMMDDHHMMSS, with Z for UTC.
func signerTime(s string) (time.Time, error) {
	zone, digits := time.Local, s
	if d, ok := strings.CutSuffix(s, "Z"); ok {
		zone, digits = time.UTC, d
	}
	for _, form := range []string{"20060102", "200601021504", "20060102150405"} {
		if len(form) == len(digits) {
			return time.ParseInLocation(form, digits, zone)
		}
	}
	return time.Time{}, fmt.Errorf("%s is not a time of an allowed_signers file", gate.Quote(s, 32))
}

// verifySSH checks a signature of ssh-keygen -Y sign by an allowed_signers file.
func verifySSH(content, signature []byte, signers []signer, now time.Time) error {
	sig, err := sshsig.Unarmor(signature)
	if err != nil || sig.PublicKey == nil || sig.Signature == nil || sig.HashAlgorithm.Available() != nil {
		return errUnsigned
	}
	for _, s := range signers {
		if !bytes.Equal(s.key.Marshal(), sig.PublicKey.Marshal()) || !s.fits(now) {
			continue
		}
		if err := sshsig.Verify(bytes.NewReader(content), sig, s.key, sig.HashAlgorithm, sshNamespace); err == nil {
			return nil
		}
	}
	return errUnsigned
}

func (s signer) fits(now time.Time) bool {
	if !s.after.IsZero() && now.Before(s.after) || !s.before.IsZero() && !now.Before(s.before) {
		return false
	}
	if len(s.namespaces) == 0 {
		return true
	}
	for _, n := range s.namespaces {
		if n == sshNamespace || n == "*" || strings.HasSuffix(n, "*") && strings.HasPrefix(sshNamespace, strings.TrimSuffix(n, "*")) {
			return true
		}
	}
	return false
}
