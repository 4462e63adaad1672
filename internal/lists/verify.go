package lists

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"strings"

	"github.com/jedisct1/go-minisign"
)

// maxProof bounds a file of checksums or a signature, in bytes.
const maxProof = 64 << 10

// verify checks the content of a list by what is configured for it. The file is at
// its beginning before and after.
func (l *List) verify(ctx context.Context, c *http.Client, agent, folder string, f *os.File) error {
	if l.SHA256 != "" {
		if err := l.checksum(ctx, c, agent, folder, f); err != nil {
			return err
		}
	}
	if l.Minisign != "" {
		return l.signature(ctx, c, agent, folder, f)
	}
	return nil
}

// proof reads a file of checksums or a signature, from a URL or a path.
func (l *List) proof(ctx context.Context, c *http.Client, agent, folder, where string) (string, error) {
	var src io.ReadCloser
	if isURL(where) {
		r, err := fetch(ctx, c, agent, where, "", "", folder, maxProof)
		if err != nil {
			return "", err
		}
		defer r.close()
		src = r.file
	} else {
		f, err := openRegular(where)
		if err != nil {
			return "", err
		}
		defer f.Close()
		src = f
	}
	b, err := io.ReadAll(io.LimitReader(src, maxProof))
	return string(b), err
}

// checksum compares the SHA-256 of a list with the one configured, or with the one
// in a file in the form of sha256sum(1).
func (l *List) checksum(ctx context.Context, c *http.Client, agent, folder string, f *os.File) error {
	want := l.SHA256
	if !isSum(want) {
		text, err := l.proof(ctx, c, agent, folder, want)
		if err != nil {
			return fmt.Errorf("its checksum cannot be read: %w", err)
		}
		if want = sumOf(text, path.Base(strings.SplitN(l.where(), "?", 2)[0])); want == "" {
			return errors.New("no checksum in the file of checksums")
		}
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if got := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(got, want) {
		return fmt.Errorf("its checksum is %s…, and should be %s…", got[:12], want[:12])
	}
	return nil
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size
}

// sumOf finds a checksum in a file of them: that of the file with this name, else the
// only one.
func sumOf(text, name string) (sum string) {
	sc := bufio.NewScanner(strings.NewReader(text))
	n := 0
	for sc.Scan() {
		for _, w := range strings.Fields(sc.Text()) {
			if isSum(w) {
				sum = w
				n++
				if strings.HasSuffix(strings.TrimSpace(sc.Text()), name) {
					return w
				}
			}
		}
	}
	if n != 1 {
		return ""
	}
	return sum
}

// signature checks the minisign signature of a list. The whole of it is in memory
// meanwhile, which its size bounds.
func (l *List) signature(ctx context.Context, c *http.Client, agent, folder string, f *os.File) error {
	k, err := minisign.NewPublicKey(l.Minisign)
	if err != nil {
		return errors.New("the minisign key is not one")
	}
	where := l.Signature
	if where == "" {
		where = l.where() + ".minisig"
	}
	text, err := l.proof(ctx, c, agent, folder, where)
	if err != nil {
		return fmt.Errorf("its signature cannot be read: %w", err)
	}
	sig, err := minisign.DecodeSignature(text)
	if err != nil {
		return errors.New("its signature is not one of minisign")
	}
	body, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if ok, err := k.Verify(body, sig); err != nil || !ok {
		return errors.New("its signature is not by the configured key, or the list was changed since it was signed")
	}
	return nil
}
