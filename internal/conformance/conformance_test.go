package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// TestDebianPackage runs the sample logs of Debian's package, which `make
// peers` unpacks.
func TestDebianPackage(t *testing.T) {
	const dir = "../../build/fail2ban"
	if _, err := os.Stat(dir + "/etc/fail2ban"); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	var out, errs strings.Builder
	code := run(dir, &out, &errs)
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s", code, &out, &errs)
	}
	lines := strings.Split(strings.TrimSuffix(out.String(), "\n"), "\n")
	var agree, all int
	if _, err := fmt.Sscanf(lines[len(lines)-1], "%d of %d evaluations agree", &agree, &all); err != nil {
		t.Fatalf("the last line is %q", lines[len(lines)-1])
	}
	if all < 1000 || all-agree > 10 {
		t.Errorf("%d of %d evaluations agree", agree, all)
	}
	t.Log(lines[len(lines)-1])
}

// TestNothingToRun pins what a wrong directory says.
func TestNothingToRun(t *testing.T) {
	var out, errs strings.Builder
	if code := run(t.TempDir(), &out, &errs); code != 2 || !strings.Contains(errs.String(), "holds neither") {
		t.Errorf("exit code %d, %q", code, &errs)
	}
}

// TestDifferencesAreTold runs a suite of our own in which one sample is wrong.
func TestDifferencesAreTold(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		path := dir + "/" + name
		if err := os.MkdirAll(path[:strings.LastIndexByte(path, '/')], 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("config/filter.d/x.conf", "[Definition]\nmode = a\nfailregex = <mode> <HOST>$\n")
	write("fail2ban/tests/files/logs/x", `# filterOptions: [{}, {"mode": "b"}]
# failJSON: {"time": "2005-06-14T10:00:01", "match": true, "host": "192.0.2.1", "constraint": "opts.get('mode') != 'b'"}
Jun 14 10:00:01 a 192.0.2.1
# failJSON: {"match": true, "host": "192.0.2.2", "constraint": "opts.get('mode') == 'b'"}
Jun 14 10:00:01 b 192.0.2.3
nothing
# failJSON: {"match": true}
nothing
# filterOptions: {"test.condition": "name == 'y'"}
a 192.0.2.1
# addFILE: "more"
`)
	write("fail2ban/tests/files/logs/more", "# filterOptions: {\"logtype\": \"journal\", \"test.prefix-line\": \"a \"}\n# failJSON: {\"match\": true, \"host\": \"192.0.2.9\"}\n192.0.2.9\n")
	var out, errs strings.Builder
	if code := run(dir, &out, &errs); code != 1 {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{"x:5: host is \"192.0.2.3\" (true), want 192.0.2.2", "x:8: not matched", "4 of 7 evaluations agree\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s%s", want, &out, &errs)
		}
	}
}

func TestZone(t *testing.T) {
	for at, want := range map[int64]string{
		1124013600: "2005-08-14 12:00:00", // the tests' now
		1106434800: "2005-01-23 00:00:00", // in winter
		1099180799: "2004-10-31 01:59:59", // the last second of summer
		1099180800: "2004-10-31 01:00:00",
	} {
		if got := time.Unix(at, 0).In(testZone()).Format(time.DateTime); got != want {
			t.Errorf("%d is %s, want %s", at, got, want)
		}
	}
}
