package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestShape(t *testing.T) {
	m := newMask(Service{Volatile: []string{`session=<[^>]*>`}})
	for _, c := range []struct {
		what, a, b string
		same       bool
	}{
		{"times, processes and ports", "Nov 21 08:00:00 gate sshd[12]: from 192.0.2.66 port 4022", "Dec  1 23:59:59 gate sshd[9]: from 192.0.2.66 port 59999", true},
		{"day names", "Sat Nov 21 10:14:58 2026 [pid 91] CONNECT", "Mon Nov 23 10:14:58 2026 [pid 7] CONNECT", true},
		{"decimals", "PREGREET 19 after 0.04 from", "PREGREET 19 after 0 from", true},
		{"hexadecimal identifiers", "pid 67A2E1A4: client", "pid 0x7fae12: client", true},
		{"short words of hexadecimal letters stay", "a bad face1 x", "a bad face x", false},
		{"what the service calls volatile", "TLS, session=<C45bv8ZgW97A>", "TLS, session=<>", true},
		{"texts", "Failed password for root", "Failed password for alice", false},
		{"IPv4 and IPv6", "from 192.0.2.66", "from 2001:db8::66", false},
	} {
		a, b := m.shape([]byte(c.a)), m.shape([]byte(c.b))
		if (a == b) != c.same {
			t.Errorf("%s: %q and %q: same is %v, want %v", c.what, a, b, a == b, c.same)
		}
	}
}

// steps are two attacks on a service with two logs.
func steps(second string) []step {
	line := func(from, text string) entry { return entry{from, []byte(text)} }
	return []step{
		{"start", []entry{line("output", "chatter")}},
		{"wrong password", []entry{
			line("syslog", "Nov 21 08:00:00 gate x[1]: bad 1"), line("/var/log/x", "192.0.2.66 401"), line("syslog", "Nov 21 08:00:01 gate x[2]: bad 2"),
			line("syslog", "Nov 21 08:00:02 gate x[3]: bad 3"), line("syslog", "Nov 21 08:00:03 gate x[4]: bad 4"), line("syslog", "Nov 21 08:00:04 gate x[5]: bad 5"),
			line("syslog", second),
		}},
	}
}

func TestDocuments(t *testing.T) {
	v := Service{Name: "x", Packages: []string{"xd"}, Logs: []Log{{From: "syslog"}, {From: "/var/log/x", As: "access"}, {From: "/var/log/none", As: "none"}}}
	docs := documents(v, "1:2.0-3", steps("other"), mask{}, time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC))
	if len(docs) != 2 || docs[0].Name != "x.log" || docs[1].Name != "x.access.log" {
		t.Fatalf("files: %+v", docs)
	}
	text := string(docs[0].Text)
	if !strings.HasPrefix(text, "# xd 2.0 (Debian package xd 1:2.0-3), syslog, captured on 2026-11-21\n") {
		t.Errorf("it begins with %.120q", text)
	}
	if docs[0].Lines != alike+1 || strings.Contains(text, "bad 5") || !strings.HasSuffix(text, "bad 4\nother\n") {
		t.Errorf("of like lines %d are to stay:\n%s", alike, text)
	}
	if strings.Contains(text, "## start") || strings.Contains(text, "chatter") {
		t.Errorf("an attack without lines, or a source that was not asked for:\n%s", text)
	}
	if !strings.HasSuffix(string(docs[1].Text), "\n\n## wrong password\n192.0.2.66 401\n") {
		t.Errorf("the second file:\n%s", docs[1].Text)
	}
}

// TestWriteOnlyWhatChanged pins that a file stays as it is, its date too, when it
// is captured again and only numbers differ.
func TestWriteOnlyWhatChanged(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "captured")
	v := Service{Name: "x", Packages: []string{"xd"}}
	m := newMask(Service{Sometimes: []string{"by chance"}})
	write := func(second string, day int) change {
		t.Helper()
		c, err := documents(v, "2.0-3", steps(second), m, time.Date(2026, 11, day, 0, 0, 0, 0, time.UTC))[0].write(dir, m)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	if c := write("from 192.0.2.66 port 1", 21); !c.Written {
		t.Error("a new file was not written")
	}
	if c := write("it came by chance", 22); !c.Written {
		t.Error("a line that went was not seen")
	}
	if c := write("from 192.0.2.66 port 1", 22); !c.Written {
		t.Error("a line that came was not seen")
	}
	before, _ := os.ReadFile(filepath.Join(dir, "x.log"))
	if c := write("from 192.0.2.66 port 2", 22); c.Written {
		t.Errorf("a file of the same shapes was written: %+v", c)
	}
	if after, _ := os.ReadFile(filepath.Join(dir, "x.log")); string(after) != string(before) {
		t.Error("the file differs")
	}
	c := write("an other line", 23)
	if !c.Written || !slices.Equal(c.Fresh, []string{"an other line"}) || !slices.Equal(c.Stale, []string{"from0 port0"}) {
		t.Errorf("a file of other shapes: %+v", c)
	}
}
