package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fail2ban"
)

// clock is what fail2ban's tests take for now: 2005-08-14 10:00 UTC.
var clock = time.Unix(1124013600, 0)

// options are what a control line sets; keys that begin with `test.` are for
// the tests.
type options map[string]string

// test is a filter with one set of options. Its state lasts over lines.
type test struct {
	opts    options
	scanner *fail2ban.Scanner
}

// runner runs one filter over its sample logs.
type runner struct {
	*suite
	result
	filter string
	report func(string)
	tests  map[string]*test
	now    []*test // for the lines that follow
	common options // of the file
	files  []string
	ignore bool
	// each, if not nil, takes the lines in place of the filter: with what is wanted
	// of each, under the option sets that it is for.
	each func(line string, want map[string]any, sets []options) error

	file string
	line int
}

var control = regexp.MustCompile(`^#+ ?(failJSON|(?:file|filter)Options|addFILE):(.+)$`)

func (r *runner) run() {
	r.files = []string{r.filter}
	for i := 0; i < len(r.files); i++ {
		if err := r.runFile(r.files[i]); err != nil {
			r.report(fmt.Sprintf("%s: %s:%d: %v", r.filter, r.file, r.line, err))
			r.all++
			return
		}
	}
}

func (r *runner) runFile(name string) error {
	r.file, r.line, r.ignore = name, 0, false
	src, err := fs.ReadFile(r.logs, name)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSuffix(string(src), "\n"), "\n")
	for ; r.line < len(lines); r.line++ {
		line, want := lines[r.line], map[string]any{}
		if m := control.FindStringSubmatch(line); m != nil {
			if m[1] != "failJSON" {
				if err := r.control(m[1], []byte(m[2])); err != nil {
					return err
				}
				continue
			}
			if err := json.Unmarshal([]byte(m[2]), &want); err != nil {
				return err
			}
			if r.line++; r.line == len(lines) {
				return errors.New("the line after failJSON is missing")
			}
			line = lines[r.line]
		} else if strings.HasPrefix(line, "#") || strings.TrimSpace(line) == "" {
			continue
		}
		if r.ignore {
			continue
		}
		if err := r.evaluate(strings.TrimRight(line, "\r\n"), want); err != nil {
			return err
		}
	}
	return nil
}

// control obeys a control line.
func (r *runner) control(what string, arg []byte) error {
	switch what {
	case "addFILE":
		var name string
		if err := json.Unmarshal(arg, &name); err != nil {
			return err
		}
		r.files = append(r.files, path.Base(name))
		return nil
	case "fileOptions":
		r.common = options{}
		return json.Unmarshal(arg, &r.common)
	}
	var list []options
	if err := json.Unmarshal(arg, &list); err != nil {
		var one options
		if err := json.Unmarshal(arg, &one); err != nil {
			return err
		}
		list = []options{one}
	}
	r.now, r.ignore = nil, false
	for _, o := range list {
		opts := options{}
		maps.Copy(opts, r.common)
		maps.Copy(opts, o)
		if c := opts["test.condition"]; c != "" {
			ok, err := r.holds(c, opts)
			if err != nil {
				return err
			}
			r.ignore = !ok
		}
		if r.ignore {
			continue
		}
		t, err := r.test(opts)
		if err != nil {
			return err
		}
		r.now = append(r.now, t)
	}
	return nil
}

// test returns the filter with these options, the same one each time.
func (r *runner) test(opts options) (*test, error) {
	if r.each != nil {
		return &test{opts: opts}, nil
	}
	call := fail2ban.Call{Name: r.filter, Args: map[string]string{}}
	for k, v := range opts {
		if !strings.HasPrefix(k, "test.") {
			call.Args[k] = v
		}
	}
	call.Keys = slices.Sorted(maps.Keys(call.Args))
	key := opts["test.filter-name"]
	if key == "" {
		key = call.String()
	}
	if t := r.tests[key]; t != nil {
		return &test{opts, t.scanner}, nil
	}
	f, err := fail2ban.Compile(r.root, call.String(), fail2ban.Options{AnyName: true, Dir: r.conf})
	if err != nil {
		return nil, err
	}
	t := &test{opts, f.Scanner(fail2ban.ScanOptions{Zone: testZone(), CheckAll: true})}
	r.tests[key] = t
	return t, nil
}

// condition is the form of Python expressions that the samples use.
var condition = regexp.MustCompile(`^\s*(?:(name)|opts\.get\('([^']*)'\))\s*(==|!=)\s*'([^']*)'\s*$`)

func (r *runner) holds(expr string, opts options) (bool, error) {
	m := condition.FindStringSubmatch(expr)
	if m == nil {
		return false, fmt.Errorf("the condition %q is of no known form", expr)
	}
	v := r.filter
	if m[1] == "" {
		v = opts[m[2]]
	}
	return (v == m[4]) == (m[3] == "=="), nil
}

// evaluate runs a line under each set of options.
func (r *runner) evaluate(line string, want map[string]any) error {
	if r.now == nil {
		t, err := r.test(options{})
		if err != nil {
			return err
		}
		r.now = []*test{t}
	}
	if r.each != nil {
		var sets []options
		for _, t := range r.now {
			sets = append(sets, t.opts)
		}
		return r.each(line, want, sets)
	}
	for _, t := range r.now {
		if c, _ := want["constraint"].(string); c != "" {
			ok, err := r.holds(c, t.opts)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
		}
		r.all++
		diff := t.compare(line, want)
		switch {
		case diff == "":
			r.agree++
		case mistakes[r.filter+"/"+line] != "":
			r.known++
			r.report(fmt.Sprintf("%s %s:%d: known: %s", r.filter, r.file, r.line+1, mistakes[r.filter+"/"+line]))
		default:
			r.report(fmt.Sprintf("%s %v %s:%d: %s\n\t%s", r.filter, t.opts, r.file, r.line+1, diff, line))
		}
	}
	return nil
}

// mistakes are sample lines that fail2ban itself is wrong about, by filter and
// line, with the reason.
var mistakes = map[string]string{}

// compare runs a line and says how the outcome differs from what is wanted; ""
// if it does not.
func (t *test) compare(line string, want map[string]any) (diff string) {
	count := 0
	emit := func(f *fail2ban.Failure) {
		if f.NoFail || f.Pending {
			return
		}
		if count++; count == 1 {
			diff = compareFailure(f, want)
		}
	}
	if t.opts["logtype"] == "journal" {
		t.scanner.Entry([]byte(t.opts["test.prefix-line"]+line), clock, clock, emit)
	} else {
		t.scanner.Line([]byte(line), clock, emit)
	}
	match, _ := want["match"].(bool)
	switch {
	case match && count == 0:
		return "not matched"
	case !match && count > 0:
		return "matched, and should not"
	case count > 1:
		return fmt.Sprintf("%d expressions match", count)
	}
	return diff
}

func compareFailure(f *fail2ban.Failure, want map[string]any) string {
	for _, k := range slices.Sorted(maps.Keys(want)) {
		v := want[k]
		switch k {
		case "match", "desc", "constraint":
			continue
		case "time":
			if d := compareTime(f.Time, v); d != "" {
				return d
			}
			continue
		}
		got, ok := f.Group(k)
		switch {
		case k == "users":
			if !sameSet(f.Users(), v) {
				return fmt.Sprintf("users %q, want %q", f.Users(), v)
			}
			continue
		case k == "attempts" && !ok:
			if float64(f.Lines) != v {
				return fmt.Sprintf("%d attempts, want %v", f.Lines, v)
			}
			continue
		case k == "host" && !ok:
			got, ok = f.ID, true
		}
		if parts := f.Tuple(k); parts != nil {
			if !sameList(parts, v) {
				return fmt.Sprintf("%s is %q, want %q", k, parts, v)
			}
			continue
		}
		if v == nil && !ok {
			continue
		}
		if s, isText := v.(string); !isText || !ok || got != s && !sameAddr(got, s, f) {
			return fmt.Sprintf("%s is %q (%v), want %v", k, got, ok, v)
		}
	}
	return ""
}

func sameAddr(got, want string, f *fail2ban.Failure) bool {
	a, err := netip.ParseAddr(got)
	b, err2 := netip.ParseAddr(want)
	if err == nil && err2 == nil {
		return a.Unmap() == b.Unmap()
	}
	p, err := netip.ParsePrefix(want)
	return err == nil && f.Prefix == p.Masked()
}

func sameList(parts []string, v any) bool {
	list, ok := v.([]any)
	if !ok || len(list) != len(parts) {
		return false
	}
	for i, p := range parts {
		if s, _ := list[i].(string); s != p {
			return false
		}
	}
	return true
}

func sameSet(users []string, v any) bool {
	list, _ := v.([]any)
	var want []string
	for _, e := range list {
		s, _ := e.(string)
		want = append(want, s)
	}
	got := slices.Sorted(slices.Values(users))
	slices.Sort(want)
	return slices.Equal(got, want)
}

// compareTime compares with a local time of the tests' zone.
func compareTime(got time.Time, v any) string {
	if v == nil {
		return ""
	}
	s, _ := v.(string)
	want, err := time.ParseInLocation("2006-1-2T15:04:05.999999", s, testZone())
	if err != nil {
		return err.Error()
	}
	if d := got.Sub(want); d > time.Microsecond || d < -time.Microsecond {
		return fmt.Sprintf("time %v, want %v", got.In(testZone()), want)
	}
	return ""
}
