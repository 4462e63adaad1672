package policy

import (
	"testing"

	"gatehouse/internal/gate"
)

// What is only to be told becomes a record as it is, whomever it is about.
func TestTellPasses(t *testing.T) {
	p := New(Config{}, nil)
	zone, err := gate.ParseSubject("zone:1/3")
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []gate.Subject{zone, {}} {
		o := gate.Origin{Source: "panel", Offset: 7}
		e := gate.Event{Time: t0, Origin: o, Rule: "panel", Pattern: "alarm", Subject: s, Class: gate.ClassTell, Line: "front door: alarm"}
		f := gate.Finding{Time: t0, Origin: o, Rule: "panel", Subject: s, Proof: gate.Proof{Count: 1, First: []gate.Event{e}}}
		ds, _ := p.Decide([]gate.Finding{f}, t0, gate.Host{})
		if len(ds) != 1 {
			t.Fatalf("%d decisions", len(ds))
		}
		if d := ds[0]; d.Kind() != "panel.alarm" || d.Verdict != gate.Tell || d.Subject != s || d.Why != "front door: alarm" || d.Origin != o {
			t.Errorf("%+v", d)
		}
	}
}
