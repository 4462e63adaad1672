package migrate

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// nextMinute is a crontab of fixed hours and minutes, every day or on weekdays,
// which is all that these tests need.
func nextMinute(cron string, after time.Time) (time.Time, error) {
	var m, h int
	var days string
	if n, err := fmt.Sscanf(cron, "%d %d * * %s", &m, &h, &days); n != 3 || err != nil {
		return time.Time{}, fmt.Errorf("no such time")
	}
	for t := after.UTC().Truncate(time.Minute).Add(time.Minute); ; t = t.Add(time.Minute) {
		weekday := t.Weekday() >= 1 && t.Weekday() <= 5
		if t.Hour() == h && t.Minute() == m && (days == "*" || days == "1-5" && weekday || days == "2-6" && t.Weekday() >= 2) {
			return t, nil
		}
	}
}

func TestBlockport(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"a pair of crontab", "30 17 * * * root /usr/local/sbin/blockport -bi 80,443\n0 7 * * * root /usr/local/sbin/blockport -ui 80,443 # open\n",
			"ports:\n  schedule:\n    - {close: \"80,443\", direction: in, from: \"30 17 * * *\", for: 13h30m}\n"},
		{"on weekdays, until the next morning", "0 20 * * 1-5 blockport -bo 8000-8500\n0 6 * * 2-6 blockport -uo 8000:8500\n",
			"ports:\n  schedule:\n    - {close: \"8000-8500\", direction: out, from: \"0 20 * * 1-5\", for: 10h}\n"},
		{"both directions", "30 17 * * * blockport -b 25/tcp\n0 7 * * * blockport -u 25/tcp\n",
			"ports:\n  schedule:\n    - {close: \"25/tcp\", direction: in, from: \"30 17 * * *\", for: 13h30m}\n    - {close: \"25/tcp\", direction: out, from: \"30 17 * * *\", for: 13h30m}\n"},
		{"one without the other", "30 17 * * * blockport -bi 80\n",
			"# NOT CARRIED OVER: f:1: the entry of crontab that closes 80 in at 30 17 * * *\n"},
		{"what stands closed", "blockport -bi 23,111\n@reboot blockport -bi 445/tcp\nblockport -bo 25\n",
			"services:\n  blocked-23-111: {ports: \"23,111\", rest: closed}\n  blocked-445: {ports: \"445/tcp\", rest: closed}\n# Once, by command: gatehouse port close --out 25\n"},
		{"closed and opened again", "blockport -bi 80\nblockport -ui 80\n", ""},
		{"a map of services", "declare -A services=([ssh]=22 [vpn]=\"51820/udp\")\nweb: 80,443\ndns 53 udp\nblockport -bi 51820/udp\n",
			"services:\n  dns: {ports: \"53/udp\", rest: open}\n  ssh: {ports: \"22\", rest: open}\n  vpn: {ports: \"51820/udp\", rest: closed}\n  web: {ports: \"80,443\", rest: open}\n"},
		{"bad ports", "blockport -bi 70000\n", "# NOT CARRIED OVER: f:1: ports that are not understood"},
		{"other lines", "#!/bin/sh\nset -e\nMAILTO=root\niptables -L\n", ""},
	} {
		got := string(ReadBlockport([]byte(c.in), BlockportOptions{File: "f", Next: nextMinute, From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}).Text)
		got = strings.TrimPrefix(got, "# From f.\n")
		if got != c.want && (!strings.HasPrefix(c.want, "# NOT") || !strings.HasPrefix(got, c.want)) {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}

// FuzzBlockportIsText: whatever is read, the outcome is bounded, and the same for
// the same.
func FuzzBlockportIsText(f *testing.F) {
	f.Add([]byte("30 17 * * * root blockport -bi 80,443\n0 7 * * * blockport -ui 80,443\nssh=22\n"))
	f.Add([]byte("-b -u -bio 1-65535 \x00"))
	next := func(string, time.Time) (time.Time, error) { return time.Time{}, fmt.Errorf("none") }
	f.Fuzz(func(t *testing.T, b []byte) {
		o := BlockportOptions{File: "f", Next: next}
		x, y := ReadBlockport(b, o), ReadBlockport(b, o)
		if string(x.Text) != string(y.Text) {
			t.Fatal("not the same twice")
		}
		if strings.ContainsAny(string(x.Text), "\x00\x1b") {
			t.Fatalf("%q", x.Text)
		}
	})
}
