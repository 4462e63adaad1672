package app

import (
	"encoding/json"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// wall says what a package of this module may import, and why not more.
type wall struct {
	pkg  string   // below gatehouse/internal/
	may  []string // packages below gatehouse/internal/
	also []string // modules besides the standard library; nil = any
	why  string
}

var none = []string{}

var walls = []wall{
	{"gate", none, none, "the vocabulary must stay readable and usable everywhere: standard library only"},
	{"rules", []string{"gate"}, []string{"github.com/goccy/go-yaml"}, "rules are pure: the same line gives the same hit, in the daemon, in a test and in a fuzzer"},
	{"rules/corpus", none, none, "made-up logs and rules for measurements: nothing of the program depends on them"},
	{"fail2ban/pyre", none, none, "matching is pure: a text and an expression give the same match everywhere"},
	{"fail2ban", []string{"gate", "rules", "fail2ban/pyre"}, none, "what fail2ban's files mean is read from files alone: no clock, no names, no commands"},
	{"conformance", []string{"fail2ban", "gate", "rules"}, none, "the conformance program holds our reading against fail2ban's own samples, and nothing else"},
	{"detect", []string{"gate"}, none, "counting is pure, so that reading a log again after a crash derives the same findings"},
	{"policy", []string{"gate"}, []string{"github.com/gaissmai/bart"}, "deciding is pure, so that a decision can be explained, replayed and checked against a model"},
	{"replay", []string{"gate", "rules", "fail2ban", "detect", "policy"}, none, "a replay must be able to do nothing but compute: it opens, writes, bans and resolves nothing"},
	{"logs", []string{"gate", "rules", "fail2ban"}, nil, "a sensor knows what it reads and nothing of what follows from it"},
	{"portscan", []string{"gate"}, nil, "a sensor knows what the kernel reports and nothing of what follows from it"},
	{"host", []string{"gate"}, nil, "facts about the machine are collected in one place and judged elsewhere"},
	{"ports", []string{"gate"}, nil, "schedules, remote files and knocks say what is wanted of ports; what holds is policy's to decide"},
	{"ledger", []string{"gate"}, nil, "the ledger stores decisions and takes none"},
	{"firewall", []string{"gate"}, nil, "the firewall makes the kernel equal to a wanted set and does not know where that comes from"},
	{"ad2", []string{"gate"}, none, "what a panel says is read from its lines alone: the same lines give the same events, in the daemon, in a test and in a fuzzer"},
	{"ad2/emulator", none, none, "the emulator is tested against: it builds its lines from the protocol, not from our reading of it"},
	{"emulate", []string{"ad2/emulator"}, nil, "an emulated panel is connected as a real one is, and by nothing else"},
	{"panel", []string{"gate", "ad2"}, nil, "the panel's connection knows the panel and nothing of what follows from what it says"},
	{"api", []string{"gate", "ad2"}, nil, "the API serves functions that it is given; it reaches into no other part"},
	{"lists/formats", []string{"gate"}, none, "reading a list and writing bans is pure: the same text gives the same entries in the daemon, in a command and in a fuzzer"},
	{"lists", []string{"gate", "lists/formats"}, nil, "a sensor knows what it reads and nothing of what follows from it"},
	{"exports", []string{"gate", "lists/formats"}, none, "exports make files equal to the bans that they are given; whoever wants to know why asks the ledger"},
	{"hooks", []string{"gate"}, none, "hooks follow records and hand commands to somebody else: they start no process"},
	{"runner", none, []string{"golang.org/x/sys"}, "the child that runs commands knows commands and nothing of bans, so that little can go wrong in it"},
	{"migrate", []string{"gate", "rules", "fail2ban", "lists/formats"}, []string{"modernc.org/sqlite"}, "what others keep is read and said in our words; what follows from it is for the caller to do"},
	{"config", []string{"gate"}, []string{"github.com/goccy/go-yaml"}, "configuration is read once and handed out; nobody but the composition root imports it"},
	{"notify", []string{"gate"}, nil, "telling people follows the ledger and must not be able to decide or delay anything"},
	{"enrich", []string{"gate"}, []string{"github.com/oschwald/maxminddb-golang"}, "who is behind an address is looked up for others and decides nothing"},
	{"report", []string{"gate"}, none, "reports follow the ledger; how mail and requests leave, and who holds an address, is handed to them"},
	{"mqtt", []string{"gate"}, nil, "the broker sees state and sends wishes; it reaches into no other part"},
	{"netlab", none, nil, "the laboratory knows nothing of what is tested in it"},
	{"rig", []string{"netlab"}, nil, "the rig holds the built program from outside, as a person would"},
	{"demo", []string{"gate", "netlab"}, nil, "the demo drives the built program from outside, as a person would"},
}

// free packages wire the others together and may import any of them.
var free = []string{"app", "bench", "capture", "e2e", "testreport"}

func TestWalls(t *testing.T) {
	imports := listImports(t)
	for pkg, list := range imports {
		name, inside := strings.CutPrefix(pkg, "gatehouse/internal/")
		if !inside || slices.Contains(free, name) {
			continue
		}
		i := slices.IndexFunc(walls, func(w wall) bool { return w.pkg == name })
		if i < 0 {
			t.Errorf("package %s has no wall: add a line to the table, with its reason", pkg)
			continue
		}
		w := walls[i]
		for _, imp := range list {
			if err := w.allows(imp); err != nil {
				t.Errorf("%s imports %s: %v (%s)", pkg, imp, err, w.why)
			}
		}
	}
}

func (w wall) allows(imp string) error {
	if own, ok := strings.CutPrefix(imp, "gatehouse/internal/"); ok {
		if !slices.Contains(w.may, own) {
			return fmt.Errorf("of this module it may import %v only", w.may)
		}
		return nil
	}
	if first, _, _ := strings.Cut(imp, "/"); !strings.Contains(first, ".") || w.also == nil {
		return nil
	}
	for _, m := range w.also {
		if imp == m || strings.HasPrefix(imp, m+"/") {
			return nil
		}
	}
	return fmt.Errorf("of other modules it may import %v only", w.also)
}

// listImports returns the imports of each package's own files, tests aside.
func listImports(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "gatehouse/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	m := map[string][]string{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := dec.Decode(&p); err == io.EOF {
			return m
		} else if err != nil {
			t.Fatal(err)
		}
		m[p.ImportPath] = p.Imports
	}
}

// TestPureCodeStartsNothing pins that pure packages neither start goroutines
// nor read the clock: time and concurrency are the caller's.
func TestPureCodeStartsNothing(t *testing.T) {
	for _, pkg := range []string{"gate", "rules", "fail2ban", "fail2ban/pyre", "detect", "policy", "ad2", "ad2/emulator"} {
		out, err := exec.Command("go", "list", "-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, "gatehouse/internal/"+pkg).Output()
		if err != nil {
			t.Fatalf("go list %s: %v", pkg, err)
		}
		for _, file := range strings.Fields(string(out)) {
			for _, bad := range forbidden(t, file) {
				t.Errorf("%s: %s in pure code: pass it in as a parameter", file, bad)
			}
		}
	}
}
