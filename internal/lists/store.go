package lists

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/lists/formats"
)

// Store is the folder in which the copies of lists lie: NAME-DIGEST.netset, one
// network a line, and NAME.json, what is known of the list. Its methods are safe for
// concurrent use on different lists.
type Store struct{ folder string }

// NewStore returns the store in a folder, which is made when it is first needed.
func NewStore(folder string) *Store { return &Store{folder} }

// Digest is the first 8 bytes of the SHA-256 of a list's networks, one a line.
type Digest uint64

// String returns 16 hexadecimal digits.
func (d Digest) String() string { return fmt.Sprintf("%016x", uint64(d)) }

// ParseDigest is the inverse of String.
func ParseDigest(s string) (Digest, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 8 {
		return 0, false
	}
	return Digest(binary.BigEndian.Uint64(b)), true
}

// MarshalText implements encoding.TextMarshaler.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Digest) UnmarshalText(b []byte) error {
	v, ok := ParseDigest(string(b))
	if !ok {
		return fmt.Errorf("%s is not a digest", gate.Quote(string(b), 32))
	}
	*d = v
	return nil
}

// memory is what is kept of a list over a restart.
type memory struct {
	Source   string    `json:"source"`              // where it came from; another source begins anew
	Digest   Digest    `json:"digest"`              // of the copy in force; 0 = none
	Prefixes int       `json:"prefixes"`            // networks in it
	Entries  int       `json:"entries"`             // that the source named
	Address4 uint64    `json:"addresses"`           // IPv4 addresses in it
	Changed  time.Time `json:"changed"`             // when it became this one
	Checked  time.Time `json:"checked"`             // when the source was last known to say the same
	Remark   string    `json:"remark,omitempty"`    // what was left out of it
	ETag     string    `json:"etag,omitempty"`      // of the source at Checked
	Modified string    `json:"modified,omitempty"`  // its Last-Modified
	Held     Digest    `json:"held"`                // of a copy that is held back; 0 = none
	HeldWhy  string    `json:"held_why,omitempty"`  // why
	HeldSize int       `json:"held_size,omitempty"` // networks in it
	Over     bool      `json:"over,omitempty"`      // it is too old, and no longer in force
}

func (s *Store) path(name string, d Digest) string {
	return filepath.Join(s.folder, name+"-"+d.String()+".netset")
}

// digest returns the digest of a set.
func digest(set *Set) Digest {
	h := sha256.New()
	out := bufio.NewWriterSize(h, 32<<10)
	_ = writeSet(out, set) // a hash takes everything
	return digestOf(h)
}

func digestOf(h hash.Hash) Digest {
	d := Digest(binary.BigEndian.Uint64(h.Sum(nil)))
	if d == 0 {
		d = 1 // 0 means none
	}
	return d
}

func writeSet(out *bufio.Writer, set *Set) error {
	var b []byte
	for p := range set.All() {
		b = append(p.AppendTo(b[:0]), '\n')
		_, _ = out.Write(b) // an error sticks, Flush returns it
	}
	return out.Flush()
}

// save writes a copy, whole or not at all, and returns its digest.
func (s *Store) save(name string, set *Set) (Digest, error) {
	if err := os.MkdirAll(s.folder, 0o700); err != nil {
		return 0, fmt.Errorf("keep list %s: %w", name, err)
	}
	h := sha256.New()
	f, err := os.CreateTemp(s.folder, ".new-*")
	if err != nil {
		return 0, fmt.Errorf("keep list %s: %w", name, err)
	}
	defer os.Remove(f.Name()) // it is renamed before, or of no use
	err = writeSet(bufio.NewWriterSize(io.MultiWriter(f, h), 64<<10), set)
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("keep list %s: %w", name, err)
	}
	d := digestOf(h)
	if err := os.Rename(f.Name(), s.path(name, d)); err != nil {
		return 0, fmt.Errorf("keep list %s: %w", name, err)
	}
	return d, nil
}

// maxCopy bounds a copy that is read back, in bytes: our own lines are short.
const maxCopy = 256 << 20

// Load reads a copy back. A copy whose content is not what its digest says is an
// error.
func (s *Store) Load(name string, d Digest) (*Set, error) {
	f, err := os.Open(s.path(name, d))
	if err != nil {
		return nil, fmt.Errorf("read the copy of list %s: %w", name, err)
	}
	defer f.Close()
	var b builder
	_, err = formats.Read(io.LimitReader(f, maxCopy), formats.Options{Format: formats.Plain}, func(e formats.Entry) error {
		b.add(e.Prefix)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read the copy of list %s: %w", name, err)
	}
	set := b.set()
	if digest(set) != d {
		return nil, fmt.Errorf("the copy of list %s is damaged: %s", name, s.path(name, d))
	}
	return set, nil
}

// recall reads what is kept of a list; nothing where that cannot be read.
func (s *Store) recall(name string) (m memory) {
	b, err := os.ReadFile(filepath.Join(s.folder, name+".json"))
	if err != nil || json.Unmarshal(b, &m) != nil {
		return memory{}
	}
	return m
}

// remember writes what is kept of a list.
func (s *Store) remember(name string, m memory) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err == nil {
		err = os.MkdirAll(s.folder, 0o700)
	}
	if err != nil {
		return err
	}
	path := filepath.Join(s.folder, name+".json")
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// prune removes the copies of a list but these.
func (s *Store) prune(name string, keep ...Digest) {
	for d, path := range s.copies(name) {
		needed := false
		for _, k := range keep {
			needed = needed || k == d
		}
		if !needed {
			_ = os.Remove(path) // one that stays costs room, and goes next time
		}
	}
}

// copies returns the copies of a list.
func (s *Store) copies(name string) map[Digest]string {
	out := map[Digest]string{}
	entries, _ := os.ReadDir(s.folder) // none that can be read is none
	for _, e := range entries {
		rest, ok := strings.CutPrefix(e.Name(), name+"-")
		if d, is := ParseDigest(strings.TrimSuffix(rest, ".netset")); ok && is && strings.HasSuffix(rest, ".netset") {
			out[d] = filepath.Join(s.folder, e.Name())
		}
	}
	return out
}

// Forget removes all that is kept of lists that are not among these.
func (s *Store) Forget(names []string) {
	entries, err := os.ReadDir(s.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), ".json")
		if !ok || !gate.IsName(name) {
			continue
		}
		wanted := false
		for _, n := range names {
			wanted = wanted || n == name
		}
		if !wanted {
			s.prune(name)
			_ = os.Remove(filepath.Join(s.folder, e.Name())) // as above
		}
	}
}
