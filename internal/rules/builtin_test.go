package rules

import "testing"

// The name of a built-in rule is that of its file, and what BuiltinNamed leaves
// out are its samples and nothing else.
func TestBuiltinWithoutSamples(t *testing.T) {
	names := BuiltinNames()
	lean, full := BuiltinNamed(append(names, "no-such-rule")...), Builtin()
	if len(lean) != len(names) || len(full) != len(names) {
		t.Fatalf("%d names, %d rules, %d without samples", len(names), len(full), len(lean))
	}
	for i, r := range full {
		if r.Name != names[i] || !IsBuiltin(r.Name) {
			t.Errorf("the rule %s lies in %s.yaml", r.Name, names[i])
		}
		if len(lean[i].Samples) > 0 || len(r.Samples) == 0 {
			t.Errorf("%s: %d samples, %d where none are wanted: they come last in the file", r.Name, len(r.Samples), len(lean[i].Samples))
		}
		copied := *r
		copied.Samples = nil
		if string(copied.YAML()) != string(lean[i].YAML()) {
			t.Errorf("%s differs without its samples", r.Name)
		}
	}
}
