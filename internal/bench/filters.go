package main

import (
	"bytes"
	"fmt"
	"io/fs"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/rules/corpus"
)

// Where Debian's package of fail2ban is unpacked, and what of it is used.
const (
	packageRoot = "build/fail2ban"
	packageConf = packageRoot + "/etc/fail2ban"
	packageCode = packageRoot + "/usr/lib/python3/dist-packages"
	packageLogs = packageCode + "/fail2ban/tests/files/logs"
)

// scanFilter runs a filter over a log in blocks of 256 KB, as a sensor does, and
// returns the failures and the time that it took.
func scanFilter(f *fail2ban.Filter, log []byte) (failures int, took time.Duration) {
	s := f.Scanner(fail2ban.ScanOptions{})
	from := cpu()
	for base := 0; base < len(log); {
		size := min(256<<10, len(log)-base)
		size = bytes.LastIndexByte(log[base:base+size], '\n') + 1
		s.Scan(log[base:base+size], matchDay, func(*fail2ban.Failure) { failures++ })
		base += size
	}
	return failures, cpu() - from
}

// filterRate returns the best of three readings, in lines a CPU-second.
func filterRate(f *fail2ban.Filter, log []byte) (best float64, failures int) {
	lines := float64(bytes.Count(log, []byte("\n")))
	for range 3 {
		n, took := scanFilter(f, log)
		best, failures = math.Max(best, lines/took.Seconds()), n
	}
	return best, failures
}

// filterSSHD has fail2ban's own sshd filter on 1M lines of auth.log.
func filterSSHD(b *bench) (string, bool) {
	f, err := fail2ban.Compile(os.DirFS(packageConf), "sshd", fail2ban.Options{})
	if err != nil {
		return "skipped: make peers unpacks fail2ban", true
	}
	best, failures := filterRate(f, corpus.AuthLog(matchLines))
	return fmt.Sprintf("%.2fM lines/CPU-s, %dk failures", best/1e6, failures/1000), best >= 1.5e6
}

// Sizes of the log that a filter is measured on: lines, and which of them is one of
// the filter's own samples.
const (
	filterLines  = 10_000
	filterSample = 10
)

// sampleLog mixes the samples of a filter into lines that have nothing to do with it.
func sampleLog(filter string) ([]byte, error) {
	src, err := os.ReadFile(filepath.Join(packageLogs, filter))
	if err != nil {
		return nil, err
	}
	var samples [][]byte
	for line := range bytes.Lines(src) {
		if line = bytes.TrimRight(line, "\r\n"); len(line) > 0 && line[0] != '#' {
			samples = append(samples, line)
		}
	}
	if len(samples) == 0 {
		return nil, fs.ErrNotExist
	}
	idle := bytes.Split(bytes.TrimSuffix(corpus.AuthLog(filterLines), []byte("\n")), []byte("\n"))
	idle = slices.DeleteFunc(idle, func(l []byte) bool { return bytes.Contains(l, []byte("sshd")) })
	web := bytes.Split(bytes.TrimSuffix(corpus.AccessLog(filterLines), []byte("\n")), []byte("\n"))
	var b bytes.Buffer
	for i := range filterLines {
		switch {
		case i%filterSample == 0:
			b.Write(samples[i/filterSample%len(samples)])
		case i%2 == 0:
			b.Write(idle[i%len(idle)])
		default:
			b.Write(web[i])
		}
		b.WriteByte('\n')
	}
	return b.Bytes(), nil
}

// processed is how long fail2ban-regex says that the lines took it.
var processed = regexp.MustCompile(`\[processed in ([0-9.]+) sec\]`)

// fail2banRegex has fail2ban-regex read a log, and returns the time that it took for
// the lines, its start aside.
func fail2banRegex(filter, log string) (time.Duration, error) {
	root, err := filepath.Abs(packageRoot)
	if err != nil {
		return 0, err
	}
	cmd := exec.Command("/usr/bin/python3", root+"/usr/bin/fail2ban-regex", "-c", root+"/etc/fail2ban", "--raw", "--print-no-missed", log, filter)
	cmd.Env = append(os.Environ(), "PYTHONPATH="+root+"/usr/lib/python3/dist-packages", "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore")
	out, err := cmd.Output()
	m := processed.FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("fail2ban-regex: %v: %.200s", err, out)
	}
	seconds, err := strconv.ParseFloat(string(m[1]), 64)
	if err != nil {
		return 0, err
	}
	// The clock on the wall counts what others took of the processor, too.
	return min(time.Duration(seconds*float64(time.Second)), cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime()), nil
}

// filterRatios has every stock filter on its own samples among other lines, and
// fail2ban-regex on the same: a table, and the smallest ratio.
func filterRatios(b *bench) (string, bool) {
	entries, err := os.ReadDir(packageLogs)
	if err != nil {
		return "skipped: make peers unpacks fail2ban", true
	}
	root := os.DirFS(packageConf)
	var rows []string
	least, of, n := math.Inf(1), "", 0
	for _, e := range entries {
		log, err := sampleLog(e.Name())
		if err != nil {
			continue
		}
		f, err := fail2ban.Compile(root, e.Name(), fail2ban.Options{})
		if err != nil {
			continue
		}
		path := filepath.Join(b.TempDir(), "log")
		if err := os.WriteFile(path, log, 0o600); err != nil {
			b.Fatalf("%v", err)
		}
		theirs, err := fail2banRegex(e.Name(), path)
		if err != nil {
			return "skipped: " + err.Error(), true
		}
		ours, failures := filterRate(f, bytes.Repeat(log, 5))
		their := filterLines / theirs.Seconds()
		ratio := ours / their
		rows = append(rows, fmt.Sprintf("    %-24s %8.2fM %10.0fk %8.0fx %8d failures", e.Name(), ours/1e6, their/1e3, ratio, failures/5))
		if n++; ratio < least {
			least, of = ratio, e.Name()
		}
	}
	fmt.Printf("  each stock filter of fail2ban, %d lines of which every %dth is a sample of it: lines/CPU-s, fail2ban-regex, ratio\n%s\n", filterLines, filterSample, strings.Join(rows, "\n"))
	return fmt.Sprintf("%.0fx at least (%s), %d filters", least, of, n), least >= 20
}
