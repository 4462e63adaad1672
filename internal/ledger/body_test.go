package ledger

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// decisions draws decisions without a proof.
func decisions() *rapid.Generator[gate.Decision] {
	when := rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(0, rapid.Int64().Draw(t, "ns")|1).UTC()
	})
	sets := rapid.SampledFrom([][]string{nil, {"22/tcp"}, {"80,443"}, {"1-100/udp", "7/tcp"}})
	return rapid.Custom(func(t *rapid.T) gate.Decision {
		ports, err := gate.ParsePorts(sets.Draw(t, "ports")...)
		if err != nil {
			t.Fatal(err)
		}
		return gate.Decision{
			Time: when.Draw(t, "time"), Until: when.Draw(t, "until"), Verdict: gate.Verdict(rapid.IntRange(0, int(gate.Tell)).Draw(t, "verdict")),
			Subject: subjects().Draw(t, "subject"), Rule: rapid.String().Draw(t, "rule"), Why: rapid.String().Draw(t, "why"),
			Scope: gate.Scope{Ports: ports, Direction: gate.Direction(rapid.IntRange(0, 2).Draw(t, "direction")), New: rapid.Bool().Draw(t, "new"), HTTP: rapid.Bool().Draw(t, "http"),
				From: rapid.SampledFrom(prefixes).Draw(t, "from"), To: rapid.SampledFrom(prefixes).Draw(t, "to")},
			Topic:   rapid.SampledFrom([]string{"", "panel.alarm"}).Draw(t, "topic"),
			Origin:  gate.Origin{Source: rapid.String().Draw(t, "source"), Epoch: rapid.Uint64().Draw(t, "epoch"), Offset: rapid.Int64().Draw(t, "offset")},
			Offence: rapid.IntRange(-3, 1000).Draw(t, "offence"),
		}
	})
}

// TestBody checks that a decision comes back as it went in, under its own number
// only, and never if a bit was flipped.
func TestBody(t *testing.T) {
	var u unpacker
	rapid.Check(t, func(t *rapid.T) {
		d, seq := decisions().Draw(t, "decision"), rapid.Uint64().Draw(t, "seq")
		b := appendBody(nil, &d, seq)
		back, err := u.decision(b, seq)
		if err != nil || !reflect.DeepEqual(back, d) {
			t.Fatalf("%+v comes back as %+v, %v", d, back, err)
		}
		if _, err := u.decision(b, seq+1); err == nil {
			t.Fatal("it is taken for another record")
		}
		bit := rapid.IntRange(0, 8*len(b)-1).Draw(t, "bit")
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := u.decision(b, seq); err == nil {
			t.Fatalf("bit %d is flipped, and nobody notices", bit)
		}
	})
}

// TestNanos pins the times that do not fit.
func TestNanos(t *testing.T) {
	for _, c := range []struct{ in, out time.Time }{
		{time.Time{}, time.Time{}},
		{t0, t0},
		{time.Unix(0, 0), time.Unix(0, 1)},
		{time.Date(3000, 1, 1, 0, 0, 0, 0, time.UTC), lastTime},
		{time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC), firstTime},
	} {
		if got := fromNanos(nanos(c.in)); !got.Equal(c.out) {
			t.Errorf("%v comes back as %v, want %v", c.in, got, c.out)
		}
	}
}

// FuzzBody checks that no content of a body makes the reader fail otherwise than
// with an error. The checksum is made to fit.
func FuzzBody(f *testing.F) {
	d := ban(1)
	b := appendBody(nil, &d, 1)
	f.Add(b[:len(b)-4])
	f.Add([]byte{bodyVersion})
	f.Fuzz(func(t *testing.T, b []byte) {
		var u unpacker
		if _, err := u.decision(b, 1); err == nil && len(b) < 12 {
			t.Errorf("%x is a decision", b)
		}
		d, err := u.decision(binary.LittleEndian.AppendUint32(b[:len(b):len(b)], bodySum(b, 1)), 1)
		if err != nil {
			return
		}
		back, err := u.decision(appendBody(nil, &d, 1), 1)
		if err != nil || !reflect.DeepEqual(back, d) {
			t.Errorf("%+v comes back as %+v, %v", d, back, err)
		}
	})
}

var prefixes = []netip.Prefix{{}, netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}
