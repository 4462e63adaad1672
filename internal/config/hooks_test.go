package config

import "testing"

// TestHookKinds: a hook for something that never happens would never run, silently.
func TestHookKinds(t *testing.T) {
	for _, c := range []struct{ on, want string }{
		{"ban", ""}, {"panel", ""}, {`"panel.*"`, ""}, {"scan", ""}, {"port", ""}, {"degraded", ""}, {"restored", ""}, {"[ban, panel]", ""},
		{"bann", `3:9: no record is of kind "bann" | did you mean ban?`},
		{"[ban, nonsense]", `3:15: no record is of kind "nonsense" | docs/hooks.md lists the kinds; panel stands for all that begin with panel`},
		{"Ban", `3:9: "Ban" is not a kind of record | write ban, release, scan, list.held, degraded or panel.alarm`},
	} {
		t.Run(c.on, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte("hooks:\n  - run: [/x]\n    on: "+c.on+"\n"), notifyOptions())
			if c.want == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			problems(t, err, c.want)
		})
	}
}
