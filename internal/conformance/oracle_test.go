package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/fail2ban"
)

// oracleScript runs filters of an unpacked fail2ban as its daemon does, where
// the first expression that matches counts, and prints what they find: one line
// of JSON a filter. Arguments: configuration directory, folder of logs, filters.
const oracleScript = `
import sys, json, os, time, logging
os.environ["TZ"] = "CET-01CEST-02,M3.5.0,M10.5.0"
time.tzset()
logging.disable(logging.CRITICAL)
from fail2ban.server.mytime import MyTime
MyTime.setTime(1124013600)
from fail2ban.server.filter import Filter
from fail2ban.client.filterreader import FilterReader
base, logs = sys.argv[1:3]
for spec in json.loads(sys.argv[3]):
    name, opts = spec
    out = []
    try:
        flt = Filter(None)
        flt.returnRawHost, flt.checkFindTime, flt.active = True, False, True
        r = FilterReader(name, "jail", dict(opts), basedir=base)
        r.read(); r.getOptions({})
        for o in r.convert():
            for v in (o[3] if o[0] == "multi-set" else [o[3]]):
                if o[2] == "prefregex": flt.prefRegex = v
                elif o[2] == "addfailregex": flt.addFailRegex(v)
                elif o[2] == "addignoreregex": flt.addIgnoreRegex(v)
                elif o[2] == "maxlines": flt.setMaxLines(v)
                elif o[2] == "datepattern": flt.setDatePattern(v)
        with open(os.path.join(logs, name), "rb") as f:
            lines = f.read().decode("utf-8", "replace").split("\n")
        for i, line in enumerate(lines):
            if line.startswith("#") or not line.strip(): continue
            for n, fid, at, fail in flt.processLine(line.rstrip("\r\n")):
                user = fail.get("user")
                out.append([i, n, str(fid), round(at) if at is not None else None, user if isinstance(user, str) else "", len(fail.get("matches", []))])
    except Exception as e:
        out = repr(e)
    print(json.dumps(out), flush=True)
`

// mix are filters that read the samples of all others, too: with sessions, with
// several forms of date, with addresses in many places.
var mix = []string{"sshd", "dovecot", "postfix", "exim", "recidive", "apache-auth", "nginx-http-auth", "named-refused", "mysqld-auth", "asterisk", "ejabberd-auth", "mongodb-auth"}

// TestAgreesWithFail2ban runs each filter over all lines of its sample log, and
// has fail2ban itself do the same. The samples are judged one expression at a
// time; this is how a jail works.
func TestAgreesWithFail2ban(t *testing.T) {
	root, err := filepath.Abs("../../build/fail2ban")
	if err != nil {
		t.Fatal(err)
	}
	pkg := filepath.Join(root, "usr/lib/python3/dist-packages")
	logs := filepath.Join(pkg, "fail2ban/tests/files/logs")
	if _, err := os.Stat(logs); err != nil {
		t.Skip("Debian's package fail2ban is not unpacked in build/ (make peers does it)")
	}
	python := "/usr/bin/python3" // the one that the package is for
	if _, err := os.Stat(python); err != nil {
		t.Skip("python3 is not installed")
	}
	type spec = [2]any
	var specs []spec
	entries, err := os.ReadDir(logs)
	if err != nil {
		t.Fatal(err)
	}
	conf := filepath.Join(root, "etc/fail2ban")
	// Each filter also reads what is meant for others, dates of all forms mixed.
	mixed := t.TempDir()
	var all []byte
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return e.IsDir() })
	for _, e := range entries {
		src, err := os.ReadFile(filepath.Join(logs, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all = append(append(all, src...), '\n')
	}
	for _, e := range entries {
		if _, err := os.Stat(filepath.Join(conf, "filter.d", e.Name()+".conf")); err != nil {
			continue
		}
		own, err := os.ReadFile(filepath.Join(logs, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if slices.Contains(mix, e.Name()) {
			own = slices.Concat(own, []byte{'\n'}, all)
		}
		if err := os.WriteFile(filepath.Join(mixed, e.Name()), own, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, mode := range []string{"", "aggressive"} {
			opts := map[string]string{}
			if mode != "" {
				opts["mode"] = mode
			}
			specs = append(specs, spec{e.Name(), opts})
		}
	}
	arg, err := json.Marshal(specs)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(python, "-c", oracleScript, conf, mixed, string(arg))
	cmd.Env = append(os.Environ(), "PYTHONPATH="+pkg, "PYTHONDONTWRITEBYTECODE=1", "PYTHONWARNINGS=ignore")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Skipf("this python3 does not run the package: %v: %.300s", err, errs.String())
	}
	answers := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(answers) != len(specs) {
		t.Fatalf("%d answers for %d filters", len(answers), len(specs))
	}
	total := 0
	for i, s := range specs {
		name, opts := s[0].(string), s[1].(map[string]string)
		var want [][]any
		if err := json.Unmarshal([]byte(answers[i]), &want); err != nil {
			// What fail2ban refuses, we must refuse, too.
			if _, err := findAll(conf, filepath.Join(mixed, name), name, opts); err == nil {
				t.Errorf("%s %v: we read what fail2ban refuses: %s", name, opts, answers[i])
			}
			continue
		}
		got, err := findAll(conf, filepath.Join(mixed, name), name, opts)
		if err != nil {
			t.Errorf("%s %v: %v", name, opts, err)
			continue
		}
		total += len(want)
		compareAll(t, fmt.Sprint(name, opts), got, want)
	}
	t.Logf("%d failures in %d runs", total, len(specs))
}

// findAll returns what we find, each failure in the form of the oracle.
func findAll(conf, log, name string, opts map[string]string) (out []string, err error) {
	call := fail2ban.Call{Name: name, Args: opts}
	for k := range opts {
		call.Keys = append(call.Keys, k)
	}
	f, err := fail2ban.Compile(os.DirFS(conf), call.String(), fail2ban.Options{AnyName: true})
	if err != nil {
		return nil, err
	}
	src, err := os.ReadFile(log)
	if err != nil {
		return nil, err
	}
	s := f.Scanner(fail2ban.ScanOptions{Zone: testZone()})
	for i, line := range strings.Split(string(src), "\n") {
		if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		s.Line([]byte(line), clock, func(f *fail2ban.Failure) {
			at := any(nil)
			if !f.Time.IsZero() {
				at = f.Time.Round(1e9).Unix()
			}
			id := f.ID
			if f.Prefix.IsValid() && f.Prefix.IsSingleIP() {
				id = f.Prefix.Addr().String()
			}
			out = append(out, fmt.Sprint(i+1, " expression ", f.Expression, " id ", id, " time ", at, " user ", f.User, " lines ", f.Lines))
		})
	}
	return out, nil
}

func compareAll(t *testing.T, what string, got []string, want [][]any) {
	t.Helper()
	var list []string
	for _, w := range want {
		at := w[3]
		if v, ok := at.(float64); ok {
			at = int64(v)
		}
		list = append(list, fmt.Sprint(int(w[0].(float64))+1, " expression ", int(w[1].(float64)), " id ", w[2], " time ", at, " user ", w[4], " lines ", int(w[5].(float64))))
	}
	if slices.Equal(got, list) {
		return
	}
	shown := 0
	for _, g := range got {
		if !slices.Contains(list, g) && shown < 5 {
			shown++
			t.Errorf("%s: only we find line %s", what, g)
		}
	}
	for _, w := range list {
		if !slices.Contains(got, w) && shown < 10 {
			shown++
			t.Errorf("%s: only fail2ban finds line %s", what, w)
		}
	}
}
