package host

import (
	"bytes"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
)

// maxResolv bounds what is read of a resolv.conf, in bytes.
const maxResolv = 64 << 10

// resolvConf is where the C library looks for name servers (resolv.conf(5)).
const resolvConf = "/etc/resolv.conf"

// upstreamConfs name the servers that a local one asks, where resolv.conf names
// only the local one: those of systemd-resolved, NetworkManager and resolvconf.
var upstreamConfs = [...]string{
	"/run/systemd/resolve/resolv.conf",
	"/run/NetworkManager/no-stub-resolv.conf",
	"/run/dnsmasq/resolv.conf",
}

// parseResolv returns the addresses of the `nameserver` lines, without zones.
func parseResolv(b []byte) (out []netip.Addr) {
	for line := range bytes.Lines(b) {
		i := 0
		for f := range bytes.FieldsSeq(line) {
			if i == 0 && string(f) != "nameserver" {
				break
			}
			if i == 1 {
				if a, err := netip.ParseAddr(string(f)); err == nil {
					out = append(out, a.WithZone("").Unmap())
				}
				break
			}
			i++
		}
	}
	return out
}

// readResolv returns the name servers in use, sorted, loopback excluded, and the
// files that say so and whose change matters. A missing file has none.
func readResolv(root string) (servers []netip.Addr, files []string) {
	one := func(name string) (local bool) {
		files = append(files, name)
		if to, err := filepath.EvalSymlinks(name); err == nil && to != name {
			files = append(files, to)
		}
		f, err := os.Open(name)
		if err != nil {
			return false
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxResolv))
		if err != nil {
			return false
		}
		for _, a := range parseResolv(b) {
			if a.IsLoopback() || a.IsUnspecified() {
				local = true
			} else {
				servers = append(servers, a)
			}
		}
		return local
	}
	if one(filepath.Join(root, resolvConf)) {
		for _, name := range upstreamConfs {
			one(filepath.Join(root, name))
		}
	} else if to, err := os.Readlink(filepath.Join(root, resolvConf)); err == nil {
		// A symbolic link into a folder that a service has yet to make.
		if !filepath.IsAbs(to) {
			to = filepath.Join("/etc", to)
		}
		files = append(files, filepath.Join(root, to))
	}
	slices.SortFunc(servers, netip.Addr.Compare)
	return slices.Compact(servers), files
}

// foldersOf returns the folders to watch for changes of the files: each one's own,
// or the nearest above it that exists.
func foldersOf(files []string) (out []string) {
	for _, f := range files {
		dir := filepath.Dir(f)
		for {
			if st, err := os.Stat(dir); err == nil && st.IsDir() || dir == "/" || dir == "." {
				break
			}
			dir = filepath.Dir(dir)
		}
		if !slices.Contains(out, dir) {
			out = append(out, dir)
		}
	}
	return out
}
