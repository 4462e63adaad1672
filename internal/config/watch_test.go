package config

import (
	"reflect"
	"strings"
	"testing"
)

// TestWatchSources: each kind of source, alone and with what goes with it.
func TestWatchSources(t *testing.T) {
	for src, want := range map[string]string{
		`journal: [ssh.service, "sshd@*.service"]`:                              "[ssh.service sshd@*.service]",
		`syslog: "udp://127.0.0.1:5514"`:                                        "udp://127.0.0.1:5514",
		`syslog: "udp://[::1]:5514"`:                                            "udp://[::1]:5514",
		`syslog: "tcp://0.0.0.0:601", allow_from: [192.0.2.7, "2001:db8::/32"]`: "tcp://0.0.0.0:601",
		`syslog: "tls://127.0.0.1:6514", cert: /a, key: /b, client_ca: /c`:      "tls://127.0.0.1:6514",
		`syslog: "unix:///srv/jail/dev/log"`:                                    "unix:///srv/jail/dev/log",
		`command: [docker, logs, --follow, web], format: plain`:                 "[docker logs --follow web]",
		`files: [/var/lib/docker/containers/*/*-json.log]`:                      "[/var/lib/docker/containers/*/*-json.log]",
	} {
		c, err := Parse("t.yaml", []byte("watch: [{rule: sshd, "+src+"}]"), Options{RuleExists: known})
		if err != nil {
			t.Errorf("%s: %v", src, err)
			continue
		}
		w := c.Watch[0]
		got := strings.NewReplacer("[] ", "", " []", "").Replace(sprint(w.Files, w.Journal, w.Command) + w.Syslog)
		if !strings.Contains(got, want) {
			t.Errorf("%s: read as %s", src, got)
		}
	}
	c, err := Parse("t.yaml", []byte(`watch: [{rule: sshd, syslog: "udp://0.0.0.0:514", allow_from: [192.0.2.7, "2001:db8::/32"]}]`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Watch[0].AllowFrom; len(got) != 2 || got[0].String() != "192.0.2.7/32" || got[1].String() != "2001:db8::/32" {
		t.Errorf("allow_from reads %v", got)
	}
	same, err := Parse("t.yaml", c.YAML(), Options{})
	if err != nil || !reflect.DeepEqual(same.Watch, c.Watch) {
		t.Errorf("written and read back: %v, %v", same, err)
	}
}

// TestReferenceAlternatives: the examples that stand in place of each other are
// good too, each with what it goes with.
func TestReferenceAlternatives(t *testing.T) {
	with := map[string]string{
		"allow_from": `, syslog: "udp://192.0.2.1:514"`,
		"cert":       `, syslog: "tls://127.0.0.1:514", key: /k`,
		"key":        `, syslog: "tls://127.0.0.1:514", cert: /c`,
		"client_ca":  `, syslog: "tls://127.0.0.1:514", cert: /c, key: /k`,
	}
	eachKey(reflect.TypeFor[Watch](), func(f field) {
		if f.instead == "" {
			return
		}
		if f.instead == "rule" {
			return // TestFilters has it
		}
		src := "watch:\n  - rule: sshd\n    " + f.key + ": " + f.example + strings.ReplaceAll(with[f.key], ", ", "\n    ") + "\n"
		if _, err := Parse("t.yaml", []byte(src), Options{RuleExists: known}); err != nil {
			t.Errorf("%s\n%v", src, err)
		}
	})
}

func sprint(lists ...[]string) string {
	var all []string
	for _, l := range lists {
		all = append(all, "["+strings.Join(l, " ")+"]")
	}
	return strings.Join(all, " ")
}
