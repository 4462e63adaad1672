package logs

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// rotation is what the name of a rotated file says.
type rotation struct {
	base   string // the log that it is a rotation of: auth.log
	suffix string // of a compressed file: ".gz"; "" for a plain one
	number int    // counted up with each rotation, so that 1 is the newest; -1 if there is a date
	date   string // digits of a date and perhaps a time, in the order of time
}

// compressed are the endings of compressed files, those included that cannot
// be read here.
var compressed = [...]string{".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip"}

// maxRotations is how large the number in a rotated file's name may be.
const maxRotations = 9999

// parseRotation says what name is a rotation of:
//
//	auth.log.1  auth.log.old  auth.log.1.gz          of auth.log
//	auth.log-20261121  auth.log.2026-11-21-06.bz2    of auth.log
//	auth-20261121.log  auth.2026-11-21.log           of auth.log
//	auth.1.log                                       of auth.log
//
// It is false for any other name; then the file is no rotation of anything, so
// that a copy that a person made is never taken for one.
func parseRotation(name string) (rotation, bool) {
	r := rotation{number: -1}
	for _, s := range compressed {
		if stem, ok := strings.CutSuffix(name, s); ok {
			name, r.suffix = stem, s
			break
		}
	}
	if r.at(name, "") {
		return r, true
	}
	ext := filepath.Ext(name)
	if stem := strings.TrimSuffix(name, ext); ext != "" && r.at(stem, ext) {
		return r, true
	}
	return rotation{}, false
}

// at looks for the mark of a rotation at the end of stem: a separator, then
// digits, alone or grouped.
func (r *rotation) at(stem, ext string) bool {
	if base, ok := strings.CutSuffix(stem, ".old"); ok && base != "" && ext == "" {
		r.base, r.number = base, 1
		return true
	}
	first := len(strings.TrimRight(stem, "0123456789-_T.:"))
	for i := max(first, 1); i+1 < len(stem); i++ {
		if strings.IndexByte(".-_", stem[i]) >= 0 && isDigit(stem[i+1]) && r.mark(stem[i], stem[i+1:]) {
			r.base = stem[:i] + ext
			return true
		}
	}
	return false
}

// mark reads the digits behind the separator.
func (r *rotation) mark(sep byte, s string) bool {
	if n, err := strconv.Atoi(s); err == nil && len(s) <= len(strconv.Itoa(maxRotations)) {
		if sep != '.' {
			return false
		}
		r.number = n
		return true
	}
	digits := strings.Map(func(c rune) rune {
		if '0' <= c && c <= '9' {
			return c
		}
		return -1
	}, s)
	if !isDigit(s[len(s)-1]) || !isDate(digits) {
		return false
	}
	r.date = digits
	return true
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isDate reports whether the digits begin with a year, a month and a day, or
// are seconds of the Unix epoch.
func isDate(d string) bool {
	if len(d) < 8 || len(d) > 20 {
		return false
	}
	month, _ := strconv.Atoi(d[4:6])
	day, _ := strconv.Atoi(d[6:8])
	if (d[:2] == "19" || d[:2] == "20") && 1 <= month && month <= 12 && 1 <= day && day <= 31 {
		return true
	}
	return len(d) == 10 && d[0] == '1'
}

// sibling is a file beside a log that may hold what the log held before.
type sibling struct {
	path string
	rotation
	fileInfo
	live bool // the log itself
}

func (s sibling) packed() bool { return s.suffix != "" }

// readable reports whether the content can be got at.
func (s sibling) readable() bool {
	return s.suffix == "" || slices.Contains(packedSuffixes[:], s.suffix)
}

// siblings returns the rotated files of the log at path, the oldest first, and
// the log itself last if it is a regular file. With kin, a log with a date in
// its name has the others that differ in the date alone for siblings: that is
// how a link moves from one to the next. Where a plain file and its compressed
// form both exist, the compression is under way and the plain one is returned.
// A folder that cannot be listed has no rotated files.
func siblings(path string, kin bool) []sibling {
	dir, base := filepath.Split(path)
	of := base
	if r, ok := parseRotation(base); kin && ok && r.suffix == "" && r.date != "" {
		of = r.base
	}
	names, err := os.ReadDir(dir)
	if err != nil {
		names = nil
	}
	var found []sibling
	plainOnes := map[string]bool{}
	for _, e := range names {
		r, ok := parseRotation(e.Name())
		if !ok || r.base != of && r.base != base || e.Name() == base {
			continue
		}
		fi, err := e.Info()
		if err != nil || !fi.Mode().IsRegular() {
			continue
		}
		s := sibling{path: dir + e.Name(), rotation: r, fileInfo: infoOf(fi)}
		if !s.packed() {
			plainOnes[s.path] = true
		}
		found = append(found, s)
	}
	found = slices.DeleteFunc(found, func(s sibling) bool {
		return !s.readable() || s.packed() && plainOnes[strings.TrimSuffix(s.path, s.suffix)]
	})
	sortByAge(found)
	if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() {
		found = append(found, sibling{path: path, fileInfo: infoOf(fi), live: true})
	}
	return found
}

// sortByAge sorts rotated files, the oldest first: by their names where these
// are of one kind, else by when they were last written to.
func sortByAge(s []sibling) {
	numbered, dated := true, true
	for _, f := range s {
		numbered = numbered && f.number >= 0
		dated = dated && f.date != ""
	}
	slices.SortStableFunc(s, func(a, b sibling) int {
		switch {
		case numbered:
			return cmp.Compare(b.number, a.number)
		case dated:
			return strings.Compare(a.date, b.date)
		}
		return cmp.Or(a.mtime.Compare(b.mtime), cmp.Compare(b.number, a.number), strings.Compare(a.date, b.date))
	})
}
