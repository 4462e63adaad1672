// Package packaging holds what is installed beside the binary: the systemd unit,
// the group and the configuration to start from. Its test checks them.
package packaging

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/config"
)

func read(t *testing.T, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestConfiguration: the file to start from changes no default, is short, and
// holds no commented setting that would be refused.
func TestConfiguration(t *testing.T) {
	src := read(t, "gatehouse.yaml")
	got, err := config.Parse("gatehouse.yaml", src, config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	want, err := config.Default(config.Options{})
	if err != nil || !got.Equal(want) {
		t.Errorf("it says %+v, the defaults are %+v, %v", got, want, err)
	}
	if n := len(regexp.MustCompile(`(?m)^[^#\n]`).FindAll(src, -1)); n > 3 {
		t.Errorf("%d active lines, want 3 at most", n)
	}
	all := regexp.MustCompile(`(?m)^#([^ #\n])`).ReplaceAll(src, []byte("$1"))
	if bytes.Equal(all, src) {
		t.Fatal("no commented setting was found")
	}
	if got, err = config.Parse("uncommented.yaml", all, config.Options{}); err != nil || !got.Equal(want) {
		t.Errorf("with all its settings it says %+v, %v", got, err)
	}
}

// TestUnitExplains: each setting of the unit has a comment above it, or stands
// in a group that has.
func TestUnitExplains(t *testing.T) {
	explained := false
	for i, line := range strings.Split(string(read(t, "gatehouse.service")), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			explained = true
		case line == "" || strings.HasPrefix(line, "["):
			explained = false
		case !explained && !strings.HasPrefix(line, "Description=") && !strings.HasPrefix(line, "WantedBy="):
			t.Errorf("gatehouse.service:%d: no reason is given for %s", i+1, line)
		}
	}
}

// TestUnitVerifies lets systemd read the unit, with the binary's folder filled
// in as `make install` does. Every line that it writes is a fault.
func TestUnitVerifies(t *testing.T) {
	analyze, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not installed: the unit is not verified by systemd itself")
	}
	dir := t.TempDir()
	binary := filepath.Join(dir, "gatehouse")
	if err := os.WriteFile(binary, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	src := read(t, "gatehouse.service")
	if n := bytes.Count(src, []byte("@BINDIR@/gatehouse")); n != 2 {
		t.Errorf("@BINDIR@ stands in %d commands, want 2", n)
	}
	unit := filepath.Join(dir, "gatehouse.service")
	if err := os.WriteFile(unit, bytes.ReplaceAll(src, []byte("@BINDIR@"), []byte(dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(analyze, "verify", "--man=no", "--recursive-errors=no", unit).CombinedOutput()
	for line := range strings.Lines(string(out)) {
		// Units of the machine that the unit refers to are not ours to judge.
		if strings.Contains(line, unit) || strings.Contains(line, "gatehouse.service") {
			t.Error(strings.TrimSpace(line))
		}
	}
	if err != nil {
		t.Errorf("systemd-analyze verify: %v\n%s", err, out)
	}
}

// TestGroup: the one line of the sysusers file is the group that the daemon
// gives its socket to.
func TestGroup(t *testing.T) {
	var lines []string
	for line := range strings.Lines(string(read(t, "gatehouse.sysusers.conf"))) {
		if !strings.HasPrefix(line, "#") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	if got := fmt.Sprint(lines); got != "[g gatehouse - -]" {
		t.Error(got)
	}
}
