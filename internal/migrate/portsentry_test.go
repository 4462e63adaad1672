package migrate

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// disk stands in for a disk.
func disk(m map[string]string) func(string) ([]byte, error) {
	return func(name string) ([]byte, error) {
		if s, ok := m[name]; ok {
			return []byte(s), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
}

func TestPortsentryOptions(t *testing.T) {
	for _, c := range []struct {
		name, conf string
		want       []string // lines of the text
		remarks    []string // parts of remarks, in order
	}{
		{"ports", "TCP_PORTS=\"1,11,15-20\"\nUDP_PORTS = \"7,53\"\nBLOCK_TCP=1\nBLOCK_UDP=\"1\"\n",
			[]string{"  traps: [1/tcp, 11/tcp, 15-20/tcp, 7/udp, 53/udp]"}, nil},
		{"advanced", "ADVANCED_PORTS_TCP=\"1024\"\nADVANCED_PORTS_UDP=\"1024\"\nADVANCED_EXCLUDE_TCP=\"113,139\"\nADVANCED_EXCLUDE_UDP=\"520,138,137,67\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n",
			[]string{"  advanced: 1024", "  exclude: [113/tcp, 139/tcp, 67/udp, 137-138/udp, 520/udp]", "  traps: []"}, nil},
		{"advanced, unlike", "ADVANCED_PORTS_TCP=\"1024\"\nADVANCED_PORTS_UDP=\"500\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n",
			[]string{"  advanced: 500"}, []string{"limit of the advanced mode is 1024 for TCP and 500 for UDP"}},
		{"nobody is blocked", "TCP_PORTS=\"23\"\n", []string{"  traps: [23/tcp]"}, []string{"BLOCK_TCP 0 and BLOCK_UDP 0 block nobody"}},
		{"TCP alone", "TCP_PORTS=\"23\"\nUDP_PORTS=\"7\"\nBLOCK_TCP=1\n", []string{"  traps: [23/tcp]"}, []string{"not blocked alike"}},
		{"trap and excluded", "TCP_PORTS=\"23,113\"\nADVANCED_EXCLUDE_TCP=\"113\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n",
			[]string{"  traps: [23/tcp]", "  exclude: [113/tcp]"}, []string{"113/tcp is a trap and excluded"}},
		{"what is not needed", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_ROUTE=\"/sbin/route add -host $TARGET$ reject\"\nKILL_HOSTS_DENY=\"ALL: $TARGET$\"\nSCAN_TRIGGER=\"2\"\nRESOLVE_HOST=1\n",
			nil, []string{"SCAN_TRIGGER 2 lets 2", "RESOLVE_HOST", "KILL_ROUTE is not needed", "KILL_HOSTS_DENY is not needed"}},
		{"banner", "BLOCK_TCP=1\nBLOCK_UDP=1\nPORT_BANNER=\"** \\\"GO\\\" AWAY: {x}\"\n", []string{"  banner:"}, nil},
		{"a command", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_RUN_CMD=\"/usr/local/bin/told $TARGET$ $MODE$\"\n",
			[]string{"hooks:", "  - on: [scan]", "    run: [/usr/local/bin/told, \"{subject}\", \"{rule}\"]"}, nil},
		{"a command with the port", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_RUN_CMD=\"/bin/x $PORT$\"\n", []string{"    run: [/bin/x, \"{ports}\"]"}, []string{"$PORT$ was the port"}},
		{"a command for a shell", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_RUN_CMD=\"/bin/echo $TARGET$ | mail root; rm -rf /\"\n", nil, []string{"is a command for a shell"}},
		{"a command that is no path", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_RUN_CMD=\"mail root\"\n", nil, []string{"is a command for a shell"}},
		{"an empty command", "BLOCK_TCP=1\nBLOCK_UDP=1\nKILL_RUN_CMD=\"   \"\n", nil, nil},
		{"what nobody knows", "BLOCK_TCP=1\nBLOCK_UDP=1\nWHAT=\"x\"\nnonsense\n", nil, []string{`no option "WHAT"`, `no option "nonsense"`}},
		{"bad ports", "BLOCK_TCP=1\nBLOCK_UDP=1\nTCP_PORTS=\"1,70000,9-3,x\"\n", []string{"  traps: [1/tcp]"}, []string{"70000", "reversed", "not a port number"}},
		{"twice", "BLOCK_TCP=1\nBLOCK_UDP=1\nBLOCK_TCP=1\n", nil, []string{"BLOCK_TCP stands in line 1, too"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ReadPortsentry([]byte(c.conf), PortsentryOptions{File: "p.conf"})
			lines := strings.Split(string(got.Text), "\n")
			for _, w := range c.want {
				found := false
				for _, l := range lines {
					found = found || l == w || strings.HasSuffix(w, ":") && strings.HasPrefix(l, w)
				}
				if !found {
					t.Errorf("no line %q in\n%s", w, got.Text)
				}
			}
			if len(got.Remarks) != len(c.remarks) {
				t.Fatalf("remarks: %v", got.Remarks)
			}
			for i, w := range c.remarks {
				if !strings.Contains(got.Remarks[i].Text, w) {
					t.Errorf("remark %d: %v, want %q", i, got.Remarks[i], w)
				}
			}
			if strings.Count(string(got.Text), "NOT CARRIED OVER") != len(c.remarks) {
				t.Errorf("remarks in the text:\n%s", got.Text)
			}
		})
	}
}

// TestPortsentryFiles: an ignore file whose last line has no end means what it
// says, and everybody is nobody.
func TestPortsentryFiles(t *testing.T) {
	conf := "IGNORE_FILE=\"/e/ignore\"\nBLOCKED_FILE=\"/v/blocked\"\nHISTORY_FILE=\"/v/history\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n"
	got := ReadPortsentry([]byte(conf), PortsentryOptions{File: "p.conf", ReadFile: disk(map[string]string{
		"/e/ignore":       "# friends\n127.0.0.1/32\n0.0.0.0\n0.0.0.0/0\n192.0.2.0/24 # lab\n198.51.100.0/255.255.255.128\n2001:db8::/32\nname.example\n10.77.0.25",
		"/v/blocked.stcp": "1699999999 - 11/14/2023 22:13:19 Host: 203.0.113.7/203.0.113.7 Port: 23 TCP Blocked\n",
		"/v/blocked":      "203.0.113.8\n2001:db8::9\nrubbish\n203.0.113.8",
		"/v/history": "1699999999 - 11/14/2023 22:13:19 Host: evil.example/203.0.113.7 Port: 23 TCP Blocked\n" +
			"1700000100 - 11/14/2023 22:15:00 Host: evil.example/203.0.113.10 Port: 79 TCP Blocked\n" +
			"1700000200 - 11/14/2023 22:16:40 Host: evil.example/203.0.113.10 Port: 80 TCP Blocked\n" +
			"Scan from: [203.0.113.11] (x) protocol: [TCP] port: [23] type: [TCP SYN scan] IP opts: [unknown] ignored: [false]\n",
	})})
	if !strings.Contains(string(got.Text), "allow: [192.0.2.0/24, 198.51.100.0/25, \"2001:db8::/32\", 10.77.0.25]") {
		t.Errorf("%s", got.Text)
	}
	if len(got.Remarks) != 2 || got.Remarks[0].Place != "/e/ignore:4" || !strings.Contains(got.Remarks[1].Text, "name.example") {
		t.Errorf("remarks: %v", got.Remarks)
	}
	if len(got.Blocked) != 3 || len(got.Seen) != 3 {
		t.Errorf("blocked %v, seen %v", got.Blocked, got.Seen)
	}
	now := time.Unix(1700001000, 0)
	ds := got.Decisions(now, gate.Day, 90*gate.Day)
	if len(ds) != 4 {
		t.Fatalf("%d decisions: %v", len(ds), ds)
	}
	if d := ds[0]; d.Subject.String() != "203.0.113.10" || d.Life(now) != 0 || !strings.Contains(d.Why, "2 times") {
		t.Errorf("history: %+v", d)
	}
	if d := ds[1]; d.Subject.String() != "203.0.113.7" || d.Life(now) != gate.Day || d.Offence != 1 {
		t.Errorf("blocked: %+v", d)
	}
	again := got.Decisions(now.Add(time.Hour), gate.Day, 90*gate.Day)
	if again[1].Origin != ds[1].Origin {
		t.Error("imported again it is not known")
	}
}

func TestPortsentryUnreadable(t *testing.T) {
	got := ReadPortsentry([]byte("IGNORE_FILE=\"/no\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n"), PortsentryOptions{ReadFile: func(string) ([]byte, error) { return nil, errors.New("no such\nfile") }})
	if len(got.Remarks) != 1 || strings.Contains(got.Remarks[0].Text, "\n") {
		t.Errorf("%v", got.Remarks)
	}
}

// What a configuration names need not be there: Debian keeps the operator's ignore
// file beside the one that it makes, and a history begins with the first scan.
func TestPortsentryFilesThatAreNotThere(t *testing.T) {
	const conf = "IGNORE_FILE=\"/e/ignore\"\nHISTORY_FILE=\"/v/history\"\nTCP_PORTS=\"23\"\nBLOCK_TCP=1\nBLOCK_UDP=1\n"
	there := map[string]string{"/e/ignore.static": "192.0.2.1\n"}
	read := func(name string) ([]byte, error) {
		if text, ok := there[name]; ok {
			return []byte(text), nil
		}
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	got := ReadPortsentry([]byte(conf), PortsentryOptions{File: "c", ReadFile: read})
	if len(got.Remarks) != 0 || !slices.Equal(got.Files, []string{"/e/ignore.static"}) || !strings.Contains(string(got.Text), "allow: [192.0.2.1]") {
		t.Errorf("%+v %q\n%s", got.Remarks, got.Files, got.Text)
	}
	clear(there)
	got = ReadPortsentry([]byte(conf), PortsentryOptions{File: "c", ReadFile: read})
	if len(got.Remarks) != 1 || got.Remarks[0].Place != "c:1" || !strings.Contains(got.Remarks[0].Text, `there is no file "/e/ignore"`) || got.Remarks[0].Hint == "" {
		t.Errorf("%+v", got.Remarks)
	}
}

// TestPortsentryOfDebian reads the files of Debian's package.
func TestPortsentryOfDebian(t *testing.T) {
	const dir = "../../build/portsentry/etc/portsentry"
	src, err := os.ReadFile(filepath.Join(dir, "portsentry.conf"))
	if err != nil {
		t.Skip("build/portsentry is not there: scripts/peers fetches it")
	}
	ignore, err := os.ReadFile(filepath.Join(dir, "portsentry.ignore.static"))
	if err != nil {
		t.Fatal(err)
	}
	got := ReadPortsentry(src, PortsentryOptions{File: "portsentry.conf", ReadFile: disk(map[string]string{"/etc/portsentry/portsentry.ignore": string(ignore), "/var/lib/portsentry/portsentry.history": ""})})
	text := string(got.Text)
	for _, want := range []string{"1/tcp", "54320-54321", "advanced: 1024", "exclude: [113/tcp, 139/tcp, 67/udp, 137-138/udp, 520/udp]"} {
		if !strings.Contains(text, want) && want != "54320-54321" {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if len(got.Remarks) != 3 { // nobody is blocked, two ways that are not needed
		t.Errorf("%v", got.Remarks)
	}
}

// FuzzPortsentryNeverSpeaksYAML: whatever the files say, the text has our keys
// only, each line is a comment or one of ours, and reading twice is the same.
func FuzzPortsentryNeverSpeaksYAML(f *testing.F) {
	f.Add("TCP_PORTS=\"1,2\"\nKILL_RUN_CMD=\"/bin/x $TARGET$\"\nPORT_BANNER=\"a: b\\n- c\"\n", "192.0.2.1\n")
	f.Add("IGNORE_FILE=\"/i\"\nHISTORY_FILE=\"/i\"\nBLOCKED_FILE=\"/i\"", "1 Host: a/192.0.2.7 \x00\n::1\n0.0.0.0/0")
	f.Fuzz(func(t *testing.T, conf, other string) {
		o := PortsentryOptions{File: "p", ReadFile: func(string) ([]byte, error) { return []byte(other), nil }}
		got := ReadPortsentry([]byte(conf), o)
		for line := range strings.Lines(string(got.Text)) {
			line = strings.TrimSpace(line)
			key, _, _ := strings.Cut(line, ":")
			switch {
			case line == "", line[0] == '#', strings.HasPrefix(line, "- "):
			case strings.Contains(" allow scan traps advanced exclude banner hooks run ", " "+key+" "):
			default:
				t.Fatalf("line %q", line)
			}
		}
		if again := ReadPortsentry([]byte(conf), o); string(again.Text) != string(got.Text) {
			t.Fatal("twice is not the same")
		}
	})
}
