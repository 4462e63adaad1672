package app

import (
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/config"
	"gatehouse/internal/logs"
	"gatehouse/internal/rules"
)

func TestLogWatch(t *testing.T) {
	r := &rules.Rule{Name: "sshd", Sources: rules.Sources{Files: []string{"/var/log/auth.log"}, Journal: []string{"sshd.service", "ssh.service", "ssh.socket"}}}
	some := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	for _, tc := range []struct {
		name string
		in   config.Watch
		auto bool
		want logs.Watch
	}{
		{"auto", config.Watch{Rule: "sshd"}, true, logs.Watch{Auto: true, Either: true, Files: r.Sources.Files,
			Journal: []string{"ssh.service", "ssh.socket", "ssh@*.service", "sshd.service", "sshd@*.service"}}},
		{"by name", config.Watch{Rule: "sshd"}, false, logs.Watch{Either: true, Files: r.Sources.Files,
			Journal: []string{"ssh.service", "ssh.socket", "ssh@*.service", "sshd.service", "sshd@*.service"}}},
		{"files", config.Watch{Rule: "sshd", Files: []string{"/a"}}, false, logs.Watch{Files: []string{"/a"}}},
		{"journal", config.Watch{Rule: "sshd", Journal: []string{"a.service"}}, false, logs.Watch{Journal: []string{"a.service"}}},
		{"syslog", config.Watch{Rule: "sshd", Syslog: "udp://192.0.2.1:514", AllowFrom: some}, false, logs.Watch{Syslog: &logs.Listen{Address: "udp://192.0.2.1:514", Allow: some}}},
		{"command", config.Watch{Rule: "sshd", Command: []string{"a", "b"}, Format: "plain"}, false, logs.Watch{Command: []string{"a", "b"}, Format: rules.FormatPlain}},
	} {
		tc.want.Name, tc.want.Rule = "sshd", r
		if got := logWatch(r, "sshd", tc.in, tc.auto); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v", tc.name, got)
		}
	}
}

// auto covers every rule that has no entry of its own, and hides what is not here.
func TestPlanAuto(t *testing.T) {
	c, err := config.Parse("t.yaml", []byte("rules: /nonexistent\nwatch: [auto, {rule: sshd, files: [/a]}]\n"), config.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p := newPlan(c)
	if err := p.logs.Check(); err != nil {
		t.Error(err)
	}
	for _, w := range p.logs.Watches {
		if own := w.Name == "sshd"; w.Auto == own || w.Either == own {
			t.Errorf("%+v", w)
		}
	}
	usual := slices.DeleteFunc(rules.Builtin(), func(r *rules.Rule) bool { return r.Optional })
	if len(p.logs.Watches) != len(usual) || len(p.detect.Watches) < len(p.logs.Watches) || len(p.policy.Watches) < len(p.logs.Watches) {
		t.Errorf("%d watches of %d rules that nobody has to name", len(p.logs.Watches), len(usual))
	}
}

func TestAbsent(t *testing.T) {
	if _, ok := absent(nil); ok {
		t.Error("nothing is absent, and told of")
	}
	if s, ok := absent([]string{"a"}); !ok || s.Why != "a has no log here" {
		t.Errorf("%+v", s)
	}
	if s, ok := absent([]string{"a", "b"}); !ok || !strings.HasPrefix(s.Why, "2 rules") || s.State != "waiting" {
		t.Errorf("%+v", s)
	}
	for name, want := range map[string]string{"/var/log/auth.log": "log /var/log/auth.log", "journal:ssh.service": "journal ssh.service", "/a:b": "log /a:b"} {
		if got := sourcePart(name); got != want {
			t.Errorf("%s: %s", name, got)
		}
	}
}
