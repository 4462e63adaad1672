package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// release is the release of Debian whose services are captured. Lines of another
// release are other lines.
const release = "bookworm"

// budget is how large all layers together may grow, in bytes; the base has 300 MB.
const budget = 2500 << 20

//go:embed base.sh
var baseScript string

//go:embed layer.sh
var layerScript string

// store is the folder that holds the base and the layers of the services, made
// once and used again: base, layers/NAME-HASH, apt.
type store struct {
	dir    string // absolute
	mirror string
}

// layer is what the packages of a service add to the base.
type layer struct {
	Lower    []string          // folders for an overlay mount, the uppermost first
	Versions map[string]string // package -> version
	Made     bool              // it was installed just now
}

// base makes the base unless it is there.
func (s store) base(ctx context.Context) (string, error) {
	unlock, err := s.lock("base")
	if err != nil {
		return "", err
	}
	defer unlock()
	sum := sha256.Sum256([]byte(baseScript + s.mirror))
	dir := filepath.Join(s.dir, "base-"+hex.EncodeToString(sum[:4]))
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	if err := s.forget("base-*", "layers/*"); err != nil { // layers lie on the base that they were made on
		return "", err
	}
	return dir, s.script(ctx, "base", baseScript, dir, s.mirror, release)
}

// layer installs the packages of a service, unless they are there. Only one is
// installed at a time, by however many processes.
func (s store) layer(ctx context.Context, base string, v Service) (layer, error) {
	unlock, err := s.lock("apt")
	if err != nil {
		return layer{}, err
	}
	defer unlock()
	sum := sha256.Sum256([]byte(base + layerScript + strings.Join(v.Packages, " ") + "\n" + strings.Join(v.Debconf, "\n")))
	dir := filepath.Join(s.dir, "layers", v.Name+"-"+hex.EncodeToString(sum[:4]))
	l := layer{Lower: []string{filepath.Join(dir, "upper"), base}}
	if l.Versions, err = versions(dir); err == nil {
		now := time.Now()
		return l, os.Chtimes(dir, now, now) // for prune: it is in use
	}
	if err := s.forget("layers/"+v.Name+"-????????", "layers/"+v.Name+"-????????.new"); err != nil {
		return layer{}, err
	}
	fresh := dir + ".new"
	if err := os.MkdirAll(fresh, 0o755); err != nil {
		return layer{}, fmt.Errorf("make a layer: %w", err)
	}
	debconf := filepath.Join(fresh, "debconf")
	if err := os.WriteFile(debconf, []byte(strings.Join(append(v.Debconf, ""), "\n")), 0o644); err != nil {
		return layer{}, fmt.Errorf("write answers for debconf: %w", err)
	}
	args := append([]string{base, fresh, filepath.Join(s.dir, "apt"), debconf}, v.Packages...)
	if err := s.script(ctx, "install-"+v.Name, layerScript, args...); err != nil {
		return layer{}, errors.Join(err, os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, dir); err != nil {
		return layer{}, fmt.Errorf("keep a layer: %w", err)
	}
	l.Made = true
	if l.Versions, err = versions(dir); err != nil {
		return layer{}, fmt.Errorf("read what is installed: %w", err)
	}
	return l, s.prune(dir)
}

// script runs a script in namespaces of its own for mounts, processes, IPC and
// host name, what it says in build/capture/log/NAME; the error ends with the last
// lines of it.
func (s store) script(ctx context.Context, name, text string, args ...string) error {
	file := filepath.Join(s.dir, "log", name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("make a folder for logs: %w", err)
	}
	var out bytes.Buffer
	cmd := exec.CommandContext(ctx, "unshare", append([]string{"-m", "-p", "-f", "-i", "-u", "--kill-child", "sh", "-eu", "-c", text, name}, args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Dir = s.dir
	err := cmd.Run()
	os.WriteFile(file, out.Bytes(), 0o644) // a convenience: the error holds the end of it
	if err != nil {
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		return fmt.Errorf("%s: %w (see %s):\n    %s", name, err, file, strings.Join(lines[max(0, len(lines)-6):], "\n    "))
	}
	return nil
}

// lock waits until no other process holds the lock of that name.
func (s store) lock(name string) (unlock func(), err error) {
	f, err := os.OpenFile(filepath.Join(s.dir, "lock."+name), os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open a lock: %w", err)
	}
	for {
		if err = unix.Flock(int(f.Fd()), unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock %s: %w", f.Name(), err)
	}
	return func() { f.Close() }, nil
}

// forget removes what these patterns name below the store.
func (s store) forget(patterns ...string) error {
	for _, p := range patterns {
		found, err := filepath.Glob(filepath.Join(s.dir, p))
		if err != nil {
			return fmt.Errorf("find %s: %w", p, err)
		}
		for _, dir := range found {
			if err := os.RemoveAll(dir); err != nil {
				return fmt.Errorf("remove an old layer: %w", err)
			}
		}
	}
	return nil
}

// prune removes the layers that were not used for longest until all fit into the
// budget; never keep, nor one that was used within ten minutes.
func (s store) prune(keep string) error {
	dirs, err := filepath.Glob(filepath.Join(s.dir, "layers", "*"))
	if err != nil {
		return fmt.Errorf("list layers: %w", err)
	}
	type used struct {
		dir  string
		at   time.Time
		size int64
	}
	var all []used
	total := int64(0)
	for _, d := range dirs {
		st, err := os.Stat(d)
		if err != nil {
			return fmt.Errorf("look at a layer: %w", err)
		}
		n := size(d)
		total += n
		all = append(all, used{d, st.ModTime(), n})
	}
	slices.SortFunc(all, func(a, b used) int { return a.at.Compare(b.at) })
	for _, u := range all {
		if total <= budget || time.Since(u.at) < 10*time.Minute {
			break
		}
		if u.dir == keep {
			continue
		}
		if err := os.RemoveAll(u.dir); err != nil {
			return fmt.Errorf("remove a layer: %w", err)
		}
		total -= u.size
	}
	return nil
}

// size returns the bytes of all files below dir; what cannot be read counts 0.
func size(dir string) int64 {
	n := int64(0)
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if st, err := d.Info(); err == nil {
				n += st.Size()
			}
		}
		return nil
	})
	return n
}

// versions reads which packages a layer and its base hold.
func versions(dir string) (map[string]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, "versions"))
	if err != nil {
		return nil, err
	}
	m := map[string]string{}
	for line := range strings.Lines(string(b)) {
		if name, version, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			m[name] = version
		}
	}
	return m, nil
}

// upstream returns the version that the makers of a program gave it: Debian's
// version without epoch and revision.
func upstream(version string) string {
	if _, rest, ok := strings.Cut(version, ":"); ok {
		version = rest
	}
	if i := strings.LastIndexByte(version, '-'); i > 0 {
		version = version[:i]
	}
	return version
}
