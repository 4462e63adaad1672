package main

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

func TestListLine(t *testing.T) {
	for _, c := range []struct {
		line  string
		first bool
		want  string // "" = nothing on the line, "-" = an error
	}{
		{"192.0.2.1", false, "192.0.2.1"},
		{"  192.0.2.1\t", false, "192.0.2.1"},
		{"192.0.2.9/24", false, "192.0.2.0/24"},
		{"192.0.2.9/32", false, "192.0.2.9"},
		{"::ffff:192.0.2.1", false, "192.0.2.1"},
		{"2001:db8::/32 ; SBL1", false, "2001:db8::/32"},
		{"192.0.2.1# why", false, "192.0.2.1"},
		{"# nobody", false, ""},
		{"", false, ""},
		{" ; ", false, ""},
		{"192.0.2.1,knocked,3", false, "192.0.2.1"},
		{`"192.0.2.1","knocked"`, false, "192.0.2.1"},
		{"192.0.2.1\r", false, "192.0.2.1"},
		{"\ufeff192.0.2.1", true, "192.0.2.1"},
		{"ip,reason", true, ""},
		{"ip address,reason", true, ""},
		{"ip,reason", false, "-"},
		{"reason", true, "-"},
		{"192.0.2,reason", true, "-"},
		{"192.0.2.256", false, "-"},
		{"192.0.2.1 192.0.2.2", false, "-"},
		{"fe80::1%eth0", false, "-"},
		{"port:22/tcp/in", false, "-"},
		{"list:drop", false, "-"},
		{"192.0.2.0/33", false, "-"},
		{"\x1b[2J", false, "-"},
	} {
		s, err := listLine(c.line, c.first)
		got := s.String()
		if err != nil {
			got = "-"
		}
		if got != c.want {
			t.Errorf("%q: %q (%v), want %q", c.line, got, err, c.want)
		}
	}
}

func TestReadList(t *testing.T) {
	got, err := readList("l", strings.NewReader("192.0.2.1\n192.0.2.1\n\n2001:db8::1 # x"))
	if err != nil || !slices.Equal(got, []string{"192.0.2.1", "2001:db8::1"}) {
		t.Errorf("%v %v", got, err)
	}
	_, err = readList("l", strings.NewReader("192.0.2.1\n"+strings.Repeat("x\n", 30)))
	e, ok := errors.AsType[*api.Error](err)
	if !ok || len(e.Problems) != maxBadLines || e.Problems[0].Line != 2 || !strings.Contains(e.Message, "30 lines are wrong") {
		t.Errorf("%+v", err)
	}
	_, err = readList("l", strings.NewReader("192.0.2.1\n"+strings.Repeat("x", maxListLine+1)))
	if err == nil || !strings.Contains(err.Error(), "line 2 is longer") {
		t.Errorf("%v", err)
	}
}

// Whatever a list holds, what is read from it can be banned, and an error of a
// line is harmless and short.
func FuzzListLineGivesNetsOrAnError(f *testing.F) {
	for _, s := range []string{"192.0.2.1", "10.0.0.0/8 ; x", `"::1",2`, "#", "ip,why", "fe80::1%x", "a\x1bb"} {
		f.Add(s, true)
	}
	f.Fuzz(func(t *testing.T, line string, first bool) {
		s, err := listLine(line, first)
		if err != nil {
			if s.IsValid() || len(err.Error()) > 1024 {
				t.Errorf("%q: %v and %d bytes of error", line, s, len(err.Error()))
			}
			return
		}
		if !s.IsValid() {
			return
		}
		back, err := gate.ParseSubject(s.String())
		if err != nil || back != s || !s.IsNet() {
			t.Errorf("%q: %v does not come back: %v %v", line, s, back, err)
		}
	})
}
