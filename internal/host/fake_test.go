package host

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// tree is a fake root with /proc and /etc.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree {
	t.Helper()
	f := tree{t, t.TempDir()}
	f.write("proc/net/tcp", "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	return f
}

func (f tree) write(name, content string) {
	f.t.Helper()
	name = filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		f.t.Fatal(err)
	}
}

func (f tree) link(to, name string) {
	f.t.Helper()
	name = filepath.Join(f.root, name)
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.Symlink(to, name); err != nil {
		f.t.Fatal(err)
	}
}

// conns writes the table of TCP connections: "inode state local remote", with
// addresses as the kernel writes them on a little-endian machine.
func (f tree) conns(lines ...string) {
	f.t.Helper()
	var b strings.Builder
	b.WriteString("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n")
	for i, l := range lines {
		p := strings.Fields(l)
		fmt.Fprintf(&b, "%4d: %s %s %s 00000000:00000000 02:000AFBB8 00000000     0        0 %s 2 0000000000000000 21 4 17 20 -1\n", i, p[2], p[3], p[1], p[0])
	}
	f.write("proc/net/tcp", b.String())
}

// proc is one fake process.
type proc struct {
	pid, ppid, uid int
	exe, title     string
	sockets        []int  // inodes, from descriptor 3 on
	name           string // of the command; "" = from exe
	loginuid       string
}

func (f tree) procs(ps ...proc) {
	f.t.Helper()
	for _, p := range ps {
		dir := "proc/" + strconv.Itoa(p.pid) + "/"
		if p.name == "" {
			p.name = filepath.Base(strings.TrimSuffix(p.exe, " (deleted)"))
		}
		f.write(dir+"cmdline", p.title+"\x00\x00\x00")
		f.write(dir+"status", fmt.Sprintf("Name:\t%s\nUmask:\t0022\nState:\tS (sleeping)\nPid:\t%d\nPPid:\t%d\nUid:\t%d\t%d\t%d\t%d\n", p.name, p.pid, p.ppid, p.uid, p.uid, p.uid, p.uid))
		f.link(p.exe, dir+"exe")
		f.link("/dev/null", dir+"fd/1")
		for i, ino := range p.sockets {
			f.link(fmt.Sprintf("socket:[%d]", ino), dir+"fd/"+strconv.Itoa(i+3))
		}
		if p.loginuid != "" {
			f.write(dir+"loginuid", p.loginuid)
		}
	}
}

func (f tree) watcher() *Watcher {
	return New(Deps{Log: slog.New(slog.DiscardHandler), Root: f.root})
}
