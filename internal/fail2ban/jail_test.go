package fail2ban

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

const jailConf = `[INCLUDES]
before = paths.conf
[DEFAULT]
bantime = 10m
findtime = 10m
maxretry = 5
ignoreip = 127.0.0.1/8, ::1 host.example
port = 0:65535
protocol = tcp
banaction = nftables-multiport
action_ = %(banaction)s[port="%(port)s", protocol="%(protocol)s"]
action_mw = %(action_)s
            %(mta)s-whois[dest="%(destemail)s"]
action = %(action_)s
mta = sendmail
destemail = root@localhost
filter = %(__name__)s[mode=%(mode)s]
mode = normal
backend = auto
`

func readJails(t *testing.T, local string) map[string]Jail {
	t.Helper()
	js, err := ReadJails(files("jail.conf", jailConf, "paths.conf", "[DEFAULT]\nlogs = /var/log\n", "jail.local", local,
		"filter.d/app.conf", "[Definition]\nmode = normal\nmdre-normal = a\nmdre-loud = b\nfailregex = <mdre-<mode>> <HOST>$\n",
		"jail.d/z.conf", "[extra]\nenabled = true\nfilter = app\nlogpath = /x\n"))
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]Jail{}
	for _, j := range js {
		out[j.Name] = j
	}
	return out
}

func TestJails(t *testing.T) {
	js := readJails(t, `[app]
enabled = true
mode = loud
port = http,https
logpath = %(logs)s/app.log
          %(logs)s/app/*.log tail
maxretry = 3
findtime = 1d12h
bantime = -1
bantime.increment = true
bantime.multipliers = 1 2 4
bantime.maxtime = 5w
bantime.formula = ban.Time * 2
action = %(action_mw)s
ignoreself = false
journalmatch = _SYSTEMD_UNIT=app.service + _COMM="a b"
logtimezone = UTC+0200
failregex = %(known/failregex)s
            ^more <HOST>$
[off]
filter = app
`)
	j := js["app"]
	if !j.Enabled || js["off"].Enabled || !js["extra"].Enabled {
		t.Errorf("enabled: %v %v %v", j.Enabled, js["off"].Enabled, js["extra"].Enabled)
	}
	for _, c := range []struct{ what, got, want string }{
		{"at", j.At.String(), "jail.local:1"},
		{"filter", j.Filter.String(), `app[mode=loud]`},
		{"logs", fmt.Sprint(j.Logs), "[{/var/log/app.log false} {/var/log/app/*.log true}]"},
		{"numbers", fmt.Sprint(j.MaxRetry, j.FindTime), "3 36h0m0s"},
		{"increment", fmt.Sprintf("%+v", j.Increment), fmt.Sprintf("%+v", Increment{Enabled: true, Multipliers: []float64{1, 2, 4}, MaxTime: 5 * 7 * 24 * time.Hour, Formula: "ban.Time * 2"})},
		{"actions", fmt.Sprint(j.Actions), `[nftables-multiport[port="http,https", protocol=tcp] sendmail-whois[dest="root@localhost"]]`},
		{"ignore", fmt.Sprint(j.IgnoreIP, j.IgnoreSelf), "[127.0.0.1/8 ::1 host.example] false"},
		{"port", j.Port, "http,https"},
		{"journal", fmt.Sprintf("%q", j.Journal), `[["_SYSTEMD_UNIT=app.service" "+" "_COMM=a b"]]`},
		{"zone", fmt.Sprint(*j.Zone), "120"},
		{"problems", fmt.Sprint(j.Problems), "[]"},
		{"defaults", fmt.Sprintf("%d %v %s", js["extra"].MaxRetry, js["extra"].BanTime, js["extra"].Port), "5 10m0s 0:65535"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.what, c.got, c.want)
		}
	}
	if j.BanTime != gate.Forever {
		t.Errorf("ban time %v", j.BanTime)
	}
	f, err := j.Compile(files("filter.d/app.conf", "[Definition]\nmode = normal\nmdre-normal = a\nmdre-loud = b\nfailregex = <mdre-<mode>> <HOST>$\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := f.Expressions(); len(got) != 2 || !strings.HasPrefix(got[0], "b ") || !strings.HasPrefix(got[1], "^more ") {
		t.Errorf("expressions: %q", got)
	}
}

func TestJailProblems(t *testing.T) {
	js := readJails(t, `[app]
enabled = true
maxretry = few
bantime = __import__('os')
bantim = 5
logpath = /a b
action = x[
logtimezone = Mars
bantime.factor = 0
failregex = %(nothing)s
helper = y
ignorecommand = %(helper)s
`)
	var got []string
	for _, p := range js["app"].Problems {
		got = append(got, p.Error())
	}
	all := strings.Join(got, "\n")
	for _, want := range []string{
		`jail.local:3: jail app: maxretry = "few" is not a number`,
		`jail.local:4: jail app: bantime: "__import__('os')" is not a length of time`,
		"jail.local:5: jail app: nothing reads the option bantim",
		`jail.local:6: jail app: "b" behind the path is neither head nor tail`,
		"jail.local:7: jail app: action \"x[\" does not end in ]",
		`jail.local:8: jail app: "Mars" is not a zone`,
		`jail.local:9: jail app: bantime.factor = "0"`,
		"jail.local:10: %(nothing)s refers to nothing in section [app]",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is missing in\n%s", want, all)
		}
	}
	if strings.Contains(all, "helper") {
		t.Error("an option that another refers to is reported")
	}
}

// TestDebianJails reads the stock jails: each must be understood, and its
// filter compile.
func TestDebianJails(t *testing.T) {
	fsys := debian(t)
	js, err := ReadJails(fsys)
	if err != nil {
		t.Fatal(err)
	}
	if len(js) < 80 {
		t.Errorf("%d jails", len(js))
	}
	for _, j := range js {
		for _, p := range j.Problems {
			t.Errorf("%s (%s)", p.Error(), p.Hint)
		}
		if _, err := j.Compile(fsys); err != nil {
			t.Errorf("%s: %v", j.Name, err)
		}
		if j.Enabled != (j.Name == "sshd") {
			t.Errorf("%s is enabled: %v", j.Name, j.Enabled)
		}
	}
}

// FuzzJailsEnd checks that reading jails ends, whatever they say.
func FuzzJailsEnd(f *testing.F) {
	f.Add("[a]\nenabled = true\nfilter = f[x=%(y)s]\ny = %(known/failregex)s\naction = b[c=\"<d>\"]\n")
	f.Add("[a]\nlogpath = %(b)s\nb = %(a)s\nbantime = 1d2h-3*4m\n")
	f.Fuzz(func(t *testing.T, local string) {
		js, err := ReadJails(files("jail.conf", jailConf, "paths.conf", "", "jail.local", local, "filter.d/f.conf", "[Definition]\nfailregex = <HOST>\n"))
		if err != nil {
			return
		}
		for _, j := range js {
			if j.FindTime < -1 || j.BanTime < 0 {
				t.Fatalf("%q: %v, %v", local, j.FindTime, j.BanTime)
			}
		}
	})
}
