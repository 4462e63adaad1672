package logs

import (
	"bufio"
	"bytes"
	"os"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// unitFolders are where systemd looks for units, the first first
// (systemd.unit(5), "Unit File Search Path").
var unitFolders = []string{
	"/etc/systemd/system", "/run/systemd/system", "/run/systemd/generator",
	"/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system",
}

// maxUnitFile bounds how much of a unit file is read, in bytes.
const maxUnitFile = 64 << 10

// units knows which services are installed, by their files: nothing is asked of
// systemd, so it need not run.
type units struct{ folders []string }

// installed returns the name under which entries of the unit are in the journal,
// if there is a file for it: that of the unit itself where it is an alias. For a
// template (sshd@*.service) it is the pattern as it is.
func (u units) installed(pattern string) (name string, ok bool) {
	file := unitFile(pattern)
	if file == "" {
		return pattern, slices.ContainsFunc(u.folders, func(dir string) bool {
			all, _ := filepath.Glob(filepath.Join(dir, pattern))
			return len(all) > 0
		})
	}
	for _, dir := range u.folders {
		at := filepath.Join(dir, file)
		fi, err := os.Lstat(at)
		if err != nil {
			continue
		}
		if fi.Mode()&os.ModeSymlink == 0 {
			return pattern, fi.Mode().IsRegular() && fi.Size() > 0
		}
		real, err := filepath.EvalSymlinks(at)
		if err != nil || real == "/dev/null" {
			return "", false // masked, or left over
		}
		if base := filepath.Base(real); path.Ext(base) == path.Ext(file) && file == pattern {
			return base, true
		}
		return pattern, true
	}
	return "", false
}

// unitFile returns the name of the file of a unit, that of the template for
// instances of one; "" for a pattern of several units.
func unitFile(pattern string) string {
	if base, rest, ok := strings.Cut(pattern, "@"); ok && !isPattern(base) {
		return base + "@" + path.Ext(rest)
	}
	if isPattern(pattern) {
		return ""
	}
	return pattern
}

// owner returns the user that the unit's file names (User=), -1 if none does.
func (u units) owner(pattern string) int {
	file, name := unitFile(pattern), ""
	if file == "" {
		return -1
	}
	for _, dir := range u.folders {
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			name = userIn(filepath.Join(dir, file))
			break
		}
	}
	for _, dir := range slices.Backward(u.folders) {
		more, _ := filepath.Glob(filepath.Join(dir, file+".d", "*.conf"))
		for _, m := range more {
			if n := userIn(m); n != "" {
				name = n
			}
		}
	}
	if name == "" {
		return -1
	}
	if who, err := user.Lookup(name); err == nil {
		name = who.Uid
	}
	if uid, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(uid)
	}
	return -1
}

// userIn returns what the last User= of a unit file says.
func userIn(file string) (name string) {
	fi, err := os.Stat(file)
	if err != nil || !fi.Mode().IsRegular() || fi.Size() > maxUnitFile {
		return ""
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	service := false
	for lines := bufio.NewScanner(bytes.NewReader(b)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if strings.HasPrefix(line, "[") {
			service = line == "[Service]"
		}
		if key, value, ok := strings.Cut(line, "="); ok && service && strings.TrimSpace(key) == "User" {
			name = strings.TrimSpace(value)
		}
	}
	return name
}

// templateSlice returns the slice in which systemd puts the instances of a template by
// itself; "" for other units.
func templateSlice(pattern string) string {
	base, _, ok := strings.Cut(pattern, "@")
	if !ok || isPattern(base) {
		return ""
	}
	return "system-" + strings.ReplaceAll(base, "-", `\x2d`) + ".slice"
}
