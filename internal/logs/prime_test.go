package logs

import (
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// A session that began before a restart goes on behind it: what was read of a file
// is looked at again for who connected.
func TestSessionsOutliveARestart(t *testing.T) {
	b := newBench(t)
	at := time.Now().Format(time.RFC3339)
	b.write("a.log", at+" h slapd[7]: conn=1000 fd=12 ACCEPT from IP=192.0.2.7:40022 (IP=0.0.0.0:389)\n")
	begin := func() {
		b.sensor = b.build(Watch{Name: "w", Rule: builtin(t, "slapd"), Files: []string{b.path("a.log")}})
		b.sensor.env.reader = b.sensor.readers.open
		b.run()
	}
	begin()
	b.until("the connection", func() bool { return len(b.lines) == 1 })
	b.stop()
	begin()
	b.write("a.log", at+" h slapd[7]: conn=1000 op=0 RESULT tag=97 err=49 text=\n")
	b.until("the failure", func() bool { return len(b.lines) == 2 })
	b.stop()
	last := b.batches[len(b.batches)-1].Events
	if len(last) != 1 || last[0].Subject.String() != "192.0.2.7" || last[0].Class != gate.ClassFailure {
		t.Errorf("behind the restart: %+v", last)
	}
}

// Behind a trusted proxy the client counts, marked as one whom the kernel never
// sees; watches that trust others read the same line in their own way.
func TestProxiedClients(t *testing.T) {
	rule := builtin(t, "web-auth")
	line := `192.0.2.80 - joe [21/Nov/2026:08:00:00 +0000] "GET / HTTP/1.1" 401 5 "-" "curl" "198.51.100.9, 203.0.113.9"` + "\n"
	r := readers{}
	l := r.open([]Watch{
		{Name: "behind", Rule: rule, Proxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.80/32")}},
		{Name: "direct", Rule: rule},
	})
	events, _, _ := l.read([]byte(line), spot{live: true})
	got := map[string]gate.Event{}
	for _, e := range events {
		got[e.Rule] = e
	}
	if e := got["behind"]; e.Subject.String() != "203.0.113.9" || !e.Detail.Proxied {
		t.Errorf("behind a proxy: %+v", e)
	}
	if e := got["direct"]; e.Subject.String() != "192.0.2.80" || e.Detail.Proxied {
		t.Errorf("without: %+v", e)
	}
}
