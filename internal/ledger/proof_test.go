package ledger

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

func someEvents(max int) *rapid.Generator[[]gate.Event] {
	event := rapid.Custom(func(t *rapid.T) gate.Event {
		e := gate.Event{
			Time: time.Unix(0, rapid.Int64().Draw(t, "t")|1).UTC(), Rule: rapid.SampledFrom([]string{"sshd", "", "nginx"}).Draw(t, "rule"),
			Pattern: rapid.String().Draw(t, "pattern"), Class: gate.Class(rapid.IntRange(0, 6).Draw(t, "class")),
			Evidence: gate.Evidence(rapid.IntRange(0, 2).Draw(t, "evidence")), Line: rapid.String().Draw(t, "line"),
			Origin: gate.Origin{Source: rapid.SampledFrom([]string{"", "file:/x"}).Draw(t, "source"), Epoch: rapid.SampledFrom([]uint64{0, 7}).Draw(t, "epoch"), Offset: rapid.Int64().Draw(t, "offset")},
			Detail: gate.Detail{User: rapid.String().Draw(t, "user"), Session: rapid.Uint64().Draw(t, "session"), Via: rapid.String().Draw(t, "via")},
		}
		if rapid.Bool().Draw(t, "subject") {
			e.Subject = subjects().Draw(t, "s")
		}
		if rapid.Bool().Draw(t, "asks") {
			e.Ask = &gate.Ask{Verdict: gate.Ban, For: time.Hour, Reason: rapid.String().Draw(t, "reason"), By: "root"}
		}
		return e
	})
	return rapid.SliceOfN(event, 0, max)
}

// TestProof checks that a proof comes back as it went in, deflated or not.
func TestProof(t *testing.T) {
	var p prover
	rapid.Check(t, func(t *rapid.T) {
		d := decisions().Draw(t, "decision")
		d.Proof = &gate.Proof{Count: rapid.Int().Draw(t, "count"), First: someEvents(gate.ProofFirst).Draw(t, "first"), Last: someEvents(gate.ProofLast).Draw(t, "last")}
		b, err := p.pack(&d)
		if err != nil {
			t.Fatal(err)
		}
		back, err := unpackProof(b, &d)
		if err != nil || back.Count != d.Proof.Count || len(back.First) != len(d.Proof.First) || len(back.Last) != len(d.Proof.Last) {
			t.Fatalf("%s comes back as %+v, %v", b, back, err)
		}
		for i, e := range append(back.First, back.Last...) {
			if want := append(d.Proof.First, d.Proof.Last...)[i]; !reflect.DeepEqual(e, want) {
				t.Fatalf("%+v comes back as %+v", want, e)
			}
		}
	})
}

// TestProofSize pins what makes a proof small: what it shares with its decision
// is left out, and large ones are deflated.
func TestProofSize(t *testing.T) {
	for _, c := range []struct {
		events int
		kind   byte
		max    int
	}{{0, plainJSON, 10}, {1, plainJSON, 200}, {2, plainJSON, 400}, {5, deflatedJSON, 300}, {32, deflatedJSON, 800}} {
		var p prover
		d := withProof(ban(1), c.events)
		b, err := p.pack(&d)
		if err != nil || b[0] != c.kind || len(b) > c.max {
			t.Errorf("%d events: %d bytes of %c, want at most %d of %c (%v)", c.events, len(b), b[0], c.max, c.kind, err)
		}
	}
	var p prover
	if b, err := p.pack(&gate.Decision{}); b != nil || err != nil {
		t.Errorf("no proof is stored as %q, %v", b, err)
	}
}

// FuzzProofReader checks that no stored bytes make the reader fail otherwise than
// with an error, or use memory without bound.
func FuzzProofReader(f *testing.F) {
	d := withProof(ban(1), 3)
	for _, n := range []int{0, 1, 3, 32} {
		var p prover
		x := withProof(ban(1), n)
		b, err := p.pack(&x)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(bytes.Clone(b))
	}
	f.Add([]byte(`j{"n":1,"f":[{"U":"not an address"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := unpackProof(b, &d)
		if err != nil || p == nil {
			return
		}
		d := d
		d.Proof = p
		var again prover
		out, err := again.pack(&d)
		if err != nil {
			return // a wish that was read may have no text form
		}
		if _, err := unpackProof(out, &d); err != nil {
			t.Errorf("%q is read, and stored as %q, which is not: %v", b, out, err)
		}
	})
}

// FuzzString checks the JSON strings against encoding/json.
func FuzzString(f *testing.F) {
	for _, s := range []string{"", "a\"\\b", "\x00\x1f\x7f", "\xff\xfe", "\u2028ü\U0001F600", strings.Repeat("x", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		if err := json.Unmarshal(appendString(nil, s), &got); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		if want := strings.ToValidUTF8(s, ""); utf8.ValidString(s) && got != want {
			t.Errorf("%q comes back as %q", s, got)
		}
		var fromJSON string
		b, err := json.Marshal(s)
		if err == nil {
			err = json.Unmarshal(b, &fromJSON)
		}
		if err != nil || got != fromJSON {
			t.Errorf("%q comes back as %q, encoding/json has %q (%v)", s, got, fromJSON, err)
		}
	})
}
