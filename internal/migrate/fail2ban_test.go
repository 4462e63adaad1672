package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
)

// files makes an installation of these files.
func files(list map[string]string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for name, text := range list {
		fsys[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fsys
}

const appFilter = "[Definition]\nfailregex = ^app: no entry for <F-USER>\\S+</F-USER> from <ADDR>$\n"

// imported imports one jail called app, with these lines in its section.
func imported(t *testing.T, lines string) *Fail2ban {
	t.Helper()
	m, err := ReadFail2ban(files(map[string]string{
		"jail.conf":         "[DEFAULT]\nport = 0:65535\n[app]\nenabled = true\nfilter = app\nlogpath = /var/log/app.log\n",
		"jail.local":        "[app]\n" + lines + "\n",
		"filter.d/app.conf": appFilter,
	}), Fail2banOptions{Folder: "/etc/fail2ban", Port: func(_, name string) (int, bool) {
		n, ok := map[string]int{"http": 80, "https": 443, "domain": 53}[name]
		return n, ok
	}, ReadFile: func(name string) ([]byte, error) {
		if name == "/etc/ignore" {
			return []byte("192.0.2.9 # ours\n\n2001:db8::/32, www.example.org\n"), nil
		}
		return nil, os.ErrNotExist
	}})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestOptions is a table of what stands in a jail and what must, and must not,
// stand in the configuration.
func TestOptions(t *testing.T) {
	for _, c := range []struct{ lines, want, not string }{
		{"", "- fail2ban: app\n    files: [/var/log/app.log]\n    threshold: 5 in 10m\n", "    ports:"},
		{"maxretry = 3\nfindtime = 1h", "threshold: 3 in 1h", ""},
		{"bantime = -1", "ban: [forever]", ""},
		{"bantime = 1d 12h", "ban: [1d12h]", ""},
		{"bantime = 0", "bantime = 0 bans nobody", ""},
		{"port = http,https", `ports: ["80,443/tcp"]`, ""},
		{"port = domain\nprotocol = udp", "ports: [53/udp]", ""},
		{"port = 8000:8010 2222\nprotocol = all", `ports: ["2222,8000-8010"]`, ""},
		{"port = gopher", "port = gopher is neither a number nor a service", "    ports:"},
		{"protocol = icmp", "NOT CARRIED OVER: protocol = icmp", ""},
		{"port = http\naction = iptables-allports[name=x]", "threshold", "    ports:"},
		{"port = http\naction = nftables[type=allports]", "threshold", "    ports:"},
		{"ignoreip = 127.0.0.1/8 ::1 192.0.2.7 198.51.100.3/24", "allow:\n  - 192.0.2.7\n  - 198.51.100.0/24\n", "127.0.0"},
		{"ignoreip = file:/etc/ignore", "- 192.0.2.9 # from /etc/ignore, which is not read again\n  - \"2001:db8::/32\"", ""},
		{"ignoreip = file:/none", "file:/none, which cannot be read", ""},
		{"ignoreip = 0.0.0.0/0", "which is everybody", "- 0.0.0.0"},
		{"ignoreip = what?", `ignoreip has "what?", which is neither`, ""},
		{"ignoreself = false", "ignoreself = false; this machine's own addresses", ""},
		{"ignorecommand = /usr/bin/spare <ip>", "ignorecommand = /usr/bin/spare <ip> is not run", ""},
		{"maxmatches = 100", "maxmatches = 100; of each ban the first 8", ""},
		{"chain = DOCKER-USER", "chain = DOCKER-USER; there is one place", ""},
		{"chian = INPUT", "jail.local:2: nothing reads the option chian", ""},
		{"usedns = no", `- fail2ban: "[app]"`, ""},
		{"maxlines = 3", `- fail2ban: "[app]"`, ""},
		{"ignoreregex = from 192", `- fail2ban: "[app]"`, ""},
		{"logtimezone = UTC+0100", "- fail2ban: app", ""},
		{"logencoding = utf-16", "logencoding utf-16 is not read", ""},
		{"logpath = /a.log\n  /b.log tail", "files: [/a.log, /b.log]", ""},
		{"logpath = relative.log", "logpath relative.log is not an absolute path", "    files:"},
		{"backend = systemd\njournalmatch = _SYSTEMD_UNIT=app.service", "- fail2ban: app\n    threshold", "    files:"},
		{"backend = systemd", "threshold", ""},
		{"action = sendmail-whois[dest=\"me@example.org\"]", "channels:\n    - name: mail\n      mail: [\"me@example.org\"]\n  routes:\n    - kinds: [ban]\n      rules: [fail2ban-app]\n      to: [mail]\n", ""},
		{"action = abuseipdb[abuseipdb_apikey=x]", "the action abuseipdb reports the address elsewhere", "apikey=x"},
		{"action = abuseipdb", "report: {to: [{name: abuseipdb, abuseipdb: {file: /etc/gatehouse/abuseipdb.key}}]}", ""},
		{"action = blocklist_de", "blocklist_de: {file: /etc/gatehouse/blocklist.key}, server: you@example.org", ""},
		{"action = complain", "report: {organisation: Example Ltd, contact: abuse@example.org, to: [{name: holder, mail: mail}]}", ""},
		{"action = dshield", "hooks: [{on: [ban], run: [/etc/gatehouse/report", ""},
		{"action = cloudflare", "the action cloudflare shuts the address out elsewhere", ""},
		{"action = own", "the action own is your own", ""},
		{"action = fun.py", "the action fun.py is a program in Python", ""},
		{"action = ufw", "threshold", "NOT CARRIED OVER: the action"},
		{"action = firewallcmd-ipset\n  shorewall\n  route\n  iptables-ipset-proto6[x=1]", "threshold", "NOT CARRIED OVER: the action"},
		{"bantime.increment = true\nbantime.maxtime = 1h\nbantime.overalljails = true", "ban: [10m, 20m, 40m, 1h]", "NOT CARRIED OVER: "},
		{"bantime.increment = true\nbantime.multipliers = 1 5 30\nbantime.overalljails = true", "ban: [10m, 50m, 5h]", "NOT CARRIED OVER: "},
		{"bantime.increment = true\nbantime.factor = 2\nbantime.maxtime = 3h\nbantime.overalljails = true", "ban: [10m, 40m, 1h20m, 2h40m, 3h]", ""},
		{"bantime.increment = true\nbantime.overalljails = true\nbantime.maxtime = 2h\nbantime.formula = ban.Time * math.exp(float(ban.Count+1)*banFactor)/math.exp(1*banFactor)", "ban: [10m, 27m11s, 1h13m53s, 2h]", "NOT CARRIED OVER: "},
		{"bantime.increment = true\nbantime.formula = ban.Time * __import__('os').getpid()", "a formula is never run", ""},
		{"bantime.increment = true\nbantime.rndtime = 600", "bantime.rndtime adds a random time", ""},
		{"bantime.increment = true", "forget: 1d", ""},
	} {
		text := string(imported(t, c.lines).Text)
		flat := strings.NewReplacer("\n  #  ", "", "\n#  ", "").Replace(text)
		if !strings.Contains(flat, c.want) {
			t.Errorf("%s: %q is missing in\n%s", c.lines, c.want, text)
		}
		if c.not != "" && strings.Contains(text, c.not) {
			t.Errorf("%s: %q should not stand in\n%s", c.lines, c.not, text)
		}
	}
}

// TestImportIsStable: the same files give the same text.
func TestImportIsStable(t *testing.T) {
	const lines = "ignoreip = 192.0.2.1 192.0.2.2\nbantime.increment = true\naction = own\n other\nchian = x"
	a, b := imported(t, lines), imported(t, lines)
	if string(a.Text) != string(b.Text) {
		t.Errorf("first\n%s\nthen\n%s", a.Text, b.Text)
	}
	if len(a.Remarks) < 4 {
		t.Errorf("%d remarks: %v", len(a.Remarks), a.Remarks)
	}
}

// TestJails: what takes the place of several jails, enabled or not, broken or not.
func TestJails(t *testing.T) {
	m, err := ReadFail2ban(files(map[string]string{
		"jail.conf": "[DEFAULT]\nbantime = 1h\nmaxretry = 4\n" +
			"[off]\nfilter = app\nlogpath = /off.log\n" +
			"[a]\nenabled = true\nfilter = app\nlogpath = /a.log\nport = 80\n" +
			"[b]\nenabled = true\nfilter = app\nlogpath = /a.log\nport = 81\nmaxretry = 2\n" +
			"[c]\nenabled = true\nfilter = app\nlogpath = /c.log\n" +
			"[lost]\nenabled = true\nfilter = missing\nlogpath = /d.log\n" +
			"[inline]\nenabled = true\nfilter =\nfailregex = ^gone <HOST>$\nlogpath = /e.log\n" +
			"[limit]\nenabled = true\nfilter = nginx-limit-req[mode=normal]\nlogpath = /var/log/nginx/error.log\n" +
			"[recidive]\nenabled = true\nfilter = recidive\nlogpath = /var/log/fail2ban.log\nbantime = 1w\nfindtime = 2d\n",
		"filter.d/app.conf":             appFilter,
		"filter.d/nginx-limit-req.conf": "[Definition]\nfailregex = ^limiting <HOST>$\n",
		"filter.d/recidive.conf":        "[Definition]\nfailregex = ^Ban <HOST>$\n",
		"fail2ban.conf":                 "[DEFAULT]\ndbfile = /x.sqlite3\ndbpurgeage = 3d\n",
	}), Fail2banOptions{Folder: "/etc/fail2ban"})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, j := range m.Jails {
		got = append(got, fmt.Sprintf("%s: %s %v", j.Name, j.By, j.Watches))
	}
	want := []string{
		"a: its filter app [fail2ban-app]", "b: its filter app [fail2ban-app]", "c: its filter app [fail2ban-app.2]",
		"lost: nothing []", "inline: its own expressions [fail2ban-inline]", "limit: our rule nginx-limits [nginx-limits]", "recidive: the ladder []",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q\nwant %q", got, want)
	}
	text := string(m.Text)
	for _, s := range []string{"jail a, b (", "ports: [\"80-81/tcp\"]", "ban: [1h, 1h, 1h, 1w]", "forget: 3d", "filter.d/missing.conf", `fail2ban: "[inline]"`, "- rule: nginx-limits\n    threshold"} {
		if !strings.Contains(text, s) && !strings.Contains(text, strings.ReplaceAll(s, `"80-81/tcp"`, "80-81/tcp")) {
			t.Errorf("%q is missing in\n%s", s, text)
		}
	}
	if m.Database != "/x.sqlite3" || m.Purge != 3*gate.Day {
		t.Errorf("database %s for %v", m.Database, m.Purge)
	}
	if name, ports := m.WatchOf("b"); name != "fail2ban-app" || ports.String() != "80/tcp" {
		t.Errorf("jail b is %s on %s", name, ports)
	}
}

// TestLadders is a table of increments and their ladders.
func TestLadders(t *testing.T) {
	for _, c := range []struct {
		base time.Duration
		in   fail2ban.Increment
		want string
	}{
		{time.Hour, fail2ban.Increment{}, "[1h]"},
		{gate.Forever, fail2ban.Increment{Enabled: true}, "[forever]"},
		{time.Hour, fail2ban.Increment{Enabled: true, MaxTime: 30 * time.Minute}, "[1h, 1h]"},
		{time.Hour, fail2ban.Increment{Enabled: true, Multipliers: []float64{1, 1, 1}}, "[1h]"},
		{time.Hour, fail2ban.Increment{Enabled: true, Multipliers: []float64{1, 1e12}}, "[1h, forever]"},
		{time.Minute, fail2ban.Increment{Enabled: true, Formula: "ban.Time * (ban.Count+1) * banFactor", MaxTime: 3 * time.Minute}, "[1m, 2m, 3m]"},
		{time.Minute, fail2ban.Increment{Enabled: true, Formula: "ban.Time", MaxTime: time.Hour}, "[1m]"},
	} {
		j := &fail2ban.Jail{BanTime: c.base, Increment: c.in}
		if got := ladderText(ladderOf(j, func(string, string) {})); got != c.want {
			t.Errorf("%+v: %s, want %s", c.in, got, c.want)
		}
	}
}

// database makes a database of fail2ban as its version 0.11 and later do.
func database(t *testing.T, statements ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f.sqlite3")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range statements {
		if _, err := db.Exec(s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	return path
}

const (
	bansTable = "CREATE TABLE bans (jail TEXT NOT NULL, ip TEXT, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL DEFAULT 1, data JSON)"
	bipsTable = "CREATE TABLE bips (ip TEXT NOT NULL, jail TEXT NOT NULL, timeofban INTEGER NOT NULL, bantime INTEGER NOT NULL, bancount INTEGER NOT NULL DEFAULT 1, data JSON, PRIMARY KEY (ip, jail))"
)

func TestBans(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	path := database(t, bansTable, bipsTable,
		"INSERT INTO bans (jail, ip, timeofban, bantime) VALUES ('app','192.0.2.1',1799990000,600), ('app','192.0.2.1',1799999900,600), ('app','2001:db8::/64',1799999000,-1), ('app','someone',1799999000,60)",
		"INSERT INTO bips (jail, ip, timeofban, bantime) VALUES ('app','192.0.2.1',1799999900,600), ('app','2001:db8::/64',1799999000,-1), ('app','192.0.2.3',1799999950,600)")
	b, err := ReadBans(context.Background(), path, t.TempDir(), now)
	if err != nil {
		t.Fatal(err)
	}
	m := imported(t, "port = http")
	m.Database = path
	var got []string
	for _, d := range m.Decisions(b, now, 90*gate.Day) {
		left := "over"
		if d.Life(now) > 0 {
			left = gate.FormatDuration(d.Life(now))
		}
		got = append(got, fmt.Sprint(d.Subject, " ", d.Rule, " ", d.Scope.Ports, " offence ", d.Offence, " ", left))
	}
	want := []string{
		"192.0.2.1 fail2ban-app 80/tcp offence 1 over",
		"2001:db8::/64 fail2ban-app 80/tcp offence 1 forever",
		"192.0.2.1 fail2ban-app 80/tcp offence 2 8m20s",
		"192.0.2.3 fail2ban-app 80/tcp offence 1 9m10s",
	}
	if !slices.Equal(got, want) || b.Other != 1 {
		t.Errorf("%q, %d others\nwant %q", got, b.Other, want)
	}
	if n := len(m.Decisions(b, now, time.Hour)); n != 3 {
		t.Errorf("%d decisions within an hour, want 3", n)
	}
}

// TestOldDatabase: before version 0.11 there were neither lengths nor bips.
func TestOldDatabase(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	path := database(t, "CREATE TABLE bans (jail TEXT, ip TEXT, timeofban INTEGER, data JSON)", "INSERT INTO bans VALUES ('app','192.0.2.1',1799999900,'{}'), ('app','192.0.2.2',1799990000,'{}')")
	b, err := ReadBans(context.Background(), path, t.TempDir(), now)
	if err != nil || len(b.List) != 2 || b.List[0].Live || !b.List[1].Live {
		t.Errorf("%+v, %v", b, err)
	}
}

// TestDamagedDatabase: a database that is torn, empty, none at all or missing is
// told, and nothing is left behind.
func TestDamagedDatabase(t *testing.T) {
	good := database(t, bansTable, bipsTable, "INSERT INTO bans (jail, ip, timeofban, bantime) SELECT 'app', '192.0.2.1', 1, 1 FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 20000) SELECT i FROM n)")
	src, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{
		"torn":    src[:len(src)/2],
		"flipped": slices.Concat(src[:5000], []byte(strings.Repeat("\xff", 3000)), src[8000:]),
		"text":    []byte("this is no database, this is a text that somebody wrote\n"),
		"empty":   nil,
		"other":   mustRead(t, database(t, "CREATE TABLE x (y)")),
	} {
		path, folder := filepath.Join(t.TempDir(), "f"), t.TempDir()
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := ReadBans(context.Background(), path, folder, time.Now()); !errors.Is(err, ErrDatabaseDamaged) {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(folder); len(left) > 0 {
			t.Errorf("%s: %v is left behind", name, left)
		}
	}
	if _, err := ReadBans(context.Background(), "/nonexistent", t.TempDir(), time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing: %v", err)
	}
	if _, err := ReadBans(context.Background(), t.TempDir(), t.TempDir(), time.Now()); !errors.Is(err, ErrDatabaseDamaged) {
		t.Errorf("a folder: %v", err)
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestLockedDatabase: a database that another holds with a lock is read as it was
// before the transaction that is under way.
func TestLockedDatabase(t *testing.T) {
	path := database(t, bansTable, bipsTable, "INSERT INTO bans (jail, ip, timeofban, bantime) VALUES ('app','192.0.2.1',1799990000,600)")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	for _, s := range []string{"BEGIN EXCLUSIVE", "INSERT INTO bans (jail, ip, timeofban, bantime) VALUES ('app','192.0.2.2',1799990000,600)"} {
		if _, err := db.Exec(s); err != nil {
			t.Fatal(err)
		}
	}
	b, err := ReadBans(context.Background(), path, t.TempDir(), time.Unix(1_800_000_000, 0))
	if err != nil || len(b.List) != 1 {
		t.Errorf("%+v, %v", b, err)
	}
}

// FuzzTextIsOneLine: whatever stands in a remark, a comment stays a comment, and a
// quoted text stays on its line.
func FuzzTextIsOneLine(f *testing.F) {
	f.Add("a\nallow: [0.0.0.0/0]")
	f.Add("\u2028x\x85y\ttail \\ \"")
	f.Fuzz(func(t *testing.T, s string) {
		var p page
		p.comment("  ", s)
		for _, line := range strings.FieldsFunc(p.String(), func(c rune) bool { return c == '\n' || c == '\r' || c == '\u0085' || c == '\u2028' || c == '\u2029' }) {
			if !strings.HasPrefix(line, "  #") {
				t.Errorf("%q becomes %q", s, p.String())
			}
		}
		if q := quoted(s); strings.ContainsAny(q, "\n\r\u0085\u2028\u2029") {
			t.Errorf("%q becomes %q", s, q)
		}
	})
}
