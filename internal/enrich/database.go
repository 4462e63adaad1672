package enrich

import (
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/oschwald/maxminddb-golang/v2"
)

// Bounds of databases.
const (
	maxDatabases = 8                // files that are open
	maxDatabase  = 1 << 30          // bytes of a file; it is mapped, not read
	lookAgain    = 30 * time.Second // how often it is looked whether a file is another one
)

// databases are the files on this disk that know countries and networks. Safe for
// concurrent use.
type databases struct {
	paths []string

	mu     sync.Mutex // guards what follows
	looked time.Time
	open   []*database
	wrong  map[string]string // file -> why it cannot be used
}

// database is one open file.
type database struct {
	path string
	size int64
	time time.Time
	kind string
	r    *maxminddb.Reader
}

// entry is what is read of a database, whatever its kind is.
type entry struct {
	Country    place  `maxminddb:"country"`
	Registered place  `maxminddb:"registered_country"`
	Code       string `maxminddb:"country_code"` // of flat databases
	AS         uint32 `maxminddb:"autonomous_system_number"`
	Operator   string `maxminddb:"autonomous_system_organization"`
}

type place struct {
	Code string `maxminddb:"iso_code"`
}

// find returns what the databases say about an address.
func (d *databases) find(addr netip.Addr, now time.Time) (code string, as uint32, operator string, problems []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.Sub(d.looked) > lookAgain || now.Before(d.looked) {
		d.look()
		d.looked = now
	}
	for _, db := range d.open {
		e, err := db.find(addr)
		if err != nil {
			problems = append(problems, filepath.Base(db.path)+": "+clean(err.Error(), maxText))
			continue
		}
		for _, c := range []string{e.Country.Code, e.Code, e.Registered.Code} {
			if c = country(c); c != "" && code == "" {
				code = c
			}
		}
		if e.AS != 0 && as == 0 {
			as, operator = e.AS, clean(e.Operator, maxText)
		}
	}
	for path, why := range d.wrong {
		problems = append(problems, filepath.Base(path)+": "+why)
	}
	slices.Sort(problems)
	return code, as, operator, problems
}

// find looks an address up. A file that is cut short while it is mapped must not
// take the guard down: the fault becomes an error.
func (db *database) find(addr netip.Addr) (e entry, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is damaged or was changed in place: %v", r)
		}
	}()
	res := db.r.Lookup(addr)
	if err := res.Err(); err != nil || !res.Found() {
		return e, err
	}
	return e, res.Decode(&e)
}

// look opens files that are new or were replaced and closes those that are gone.
func (d *databases) look() {
	var open []*database
	d.wrong = map[string]string{}
	for _, path := range d.files() {
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err == nil && (!info.Mode().IsRegular() || info.Size() > maxDatabase):
			err = errors.New("not a regular file of at most 1 GB")
		}
		if err != nil {
			d.wrong[path] = clean(err.Error(), maxText)
			continue
		}
		if i := slices.IndexFunc(d.open, func(o *database) bool {
			return o.path == path && o.size == info.Size() && o.time.Equal(info.ModTime())
		}); i >= 0 {
			open = append(open, d.open[i])
			continue
		}
		db, err := openDatabase(path, info)
		if err != nil {
			d.wrong[path] = clean(err.Error(), maxText)
			continue
		}
		open = append(open, db)
	}
	for _, old := range d.open {
		if !slices.Contains(open, old) {
			_ = old.r.Close() // it was only read
		}
	}
	d.open = open
}

func openDatabase(path string, info fs.FileInfo) (db *database, err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("the file is damaged: %v", r)
		}
	}()
	r, err := maxminddb.Open(path)
	if err != nil {
		return nil, fmt.Errorf("this is not a database of MaxMind's format: %w", err)
	}
	return &database{path: path, size: info.Size(), time: info.ModTime(), kind: clean(r.Metadata.DatabaseType, maxText), r: r}, nil
}

// files are the databases that are named, and those in folders that are named: of
// each only what knows countries or networks.
func (d *databases) files() (files []string) {
	for _, p := range d.paths {
		if info, err := os.Stat(p); err != nil || !info.IsDir() {
			files = append(files, p)
			continue
		}
		found, err := filepath.Glob(filepath.Join(p, "*.mmdb"))
		if err != nil {
			continue // only a bad pattern, and this one has brackets at most in the folder's name
		}
		city := slices.ContainsFunc(found, func(f string) bool { return strings.Contains(strings.ToLower(filepath.Base(f)), "country") })
		for _, f := range found {
			name := strings.ToLower(filepath.Base(f))
			if strings.Contains(name, "country") || strings.Contains(name, "asn") || strings.Contains(name, "city") && !city {
				files = append(files, f)
			}
		}
	}
	slices.Sort(files)
	files = slices.Compact(files)
	return files[:min(len(files), maxDatabases)]
}

// close closes all files.
func (d *databases) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, db := range d.open {
		_ = db.r.Close() // it was only read
	}
	d.open, d.looked = nil, time.Time{}
}
