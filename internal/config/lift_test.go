package config

import (
	"strings"
	"testing"
)

// A channel under its name is an entry of channels.
func TestNamedChannels(t *testing.T) {
	short, err := Parse("t.yaml", []byte("notify:\n  mail: {mail: [you@example.org]}\n  log: {syslog: local}\n  routes: [{to: [mail]}]\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	long, err := Parse("t.yaml", []byte("notify:\n  channels:\n    - {name: mail, mail: [you@example.org]}\n    - {name: log, syslog: local}\n  routes: [{to: [mail]}]\n"), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if !short.Equal(long) {
		t.Errorf("%+v\n%+v", short.Notify, long.Notify)
	}
	for src, want := range map[string]string{
		"notify: {mail: {}}": "t.yaml:1:16: a channel that reaches nobody",
		"notify:\n  mail: {mail: [you@example.org], nope: 1}\n":                         `t.yaml:2:35: unknown key "nope"`,
		"notify:\n  mail: {syslog: local}\n  channels: [{name: mail, syslog: local}]\n": "mail",
		"notify:\n  channels: {name: mail}\n  mail: {syslog: local}\n":                  "t.yaml:2:13",
		"notify:\n  a b: {syslog: local}\n":                                             "cannot be a name",
		"notify: {mail: [you@example.org]}":                                             `unknown key "mail" in notify`,
	} {
		if _, err := Parse("t.yaml", []byte(src), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %s", src, err, want)
		}
	}
}
