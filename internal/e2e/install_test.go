package e2e

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// `make install` puts everything in place and keeps an existing configuration;
// `make uninstall` leaves no file.
func TestInstallAndUninstall(t *testing.T) {
	if _, err := exec.LookPath("make"); err != nil {
		t.Skip("make is not installed")
	}
	dest := t.TempDir()
	run := func(target string) {
		t.Helper()
		cmd := exec.Command("make", "-C", "../..", target, "DESTDIR="+dest)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("make %s: %v\n%s", target, err, out)
		}
	}
	files := func() (list []string) {
		filepath.WalkDir(dest, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				list = append(list, strings.TrimPrefix(path, dest))
			}
			return err
		})
		return list
	}
	run("install")
	want := []string{
		"/etc/gatehouse/gatehouse.yaml", "/etc/systemd/system/gatehouse.service", "/usr/lib/sysusers.d/gatehouse.conf",
		"/usr/local/bin/gatehouse", "/usr/local/share/man/man8/gatehouse.8",
	}
	if got := files(); !slices.Equal(got, want) {
		t.Errorf("installed %q, want %q", got, want)
	}
	unit, err := os.ReadFile(filepath.Join(dest, "etc/systemd/system/gatehouse.service"))
	if err != nil || strings.Contains(string(unit), "@") && strings.Contains(string(unit), "DIR@") {
		t.Errorf("the unit: %v\n%s", err, unit)
	}
	own := []byte("allow: [192.0.2.10]\n")
	conf := filepath.Join(dest, "etc/gatehouse/gatehouse.yaml")
	if err := os.WriteFile(conf, own, 0o644); err != nil {
		t.Fatal(err)
	}
	run("install")
	if b, _ := os.ReadFile(conf); string(b) != string(own) {
		t.Errorf("the configuration was overwritten: %s", b)
	}
	run("uninstall")
	if got := files(); len(got) > 0 {
		t.Errorf("left behind: %q", got)
	}
}

// What a dead daemon has left in the kernel goes with `stop --flush`.
func TestFlushWithoutDaemon(t *testing.T) {
	y := newYard(t, "watch: []\n")
	y.daemon.Start()
	y.daemon.Must("ban", "203.0.113.7")
	y.daemon.Stop()
	list := func() string {
		out, _ := y.gate.Command("nft", "list", "tables").CombinedOutput()
		return string(out)
	}
	if !strings.Contains(list(), "inet gatehouse") {
		t.Fatal("an ordinary stop must leave the table")
	}
	y.daemon.Must("stop", "--flush")
	if strings.Contains(list(), "gatehouse") {
		t.Errorf("still there: %s", list())
	}
}
