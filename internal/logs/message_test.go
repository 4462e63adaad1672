package logs

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

var somewhen = time.Date(2026, 11, 21, 8, 0, 0, 5000, time.UTC)

func TestDress(t *testing.T) {
	const head = "2026-11-21T08:00:00.000005Z 192.0.2.1 "
	for in, want := range map[string]string{
		"<38>Nov 21 08:00:00 host sshd[7]: x":          "",
		"<38>Nov  1 08:00:00 sshd[7]: x":               "",
		"<38>1 2026-11-21T08:00:00Z host sshd 7 - x":   "",
		"<38>2026-11-21T08:00:00.1+01:00 host sshd: x": "",
		"no priority":                 "",
		"<192>sshd[7]: x":             "",
		"<>sshd[7]: x":                "",
		"<3":                          "",
		"<38>sshd[7]: x":              "<38>" + head + "sshd[7]: x",
		"<0>  sshd[7]: x":             "<0>" + head + "sshd[7]: x",
		"<191>Nob 21 08:00:00 h s: x": "<191>" + head + "Nob 21 08:00:00 h s: x",
		"<38>":                        "<38>" + head,
		"<38>x\n\x00":                 "<38>" + head + "x",
	} {
		if want == "" {
			want = in
		}
		if got := string(dress(nil, []byte(in), "192.0.2.1", somewhen)); got != want {
			t.Errorf("%q becomes %q, want %q", in, got, want)
		}
	}
}

// A message loses nothing, and what is put before it is ours alone.
func FuzzDressLosesNothing(f *testing.F) {
	f.Add([]byte("<38>sshd: x"))
	f.Add([]byte("<38>Nov 21 08:00:00 h sshd: x"))
	f.Fuzz(func(t *testing.T, in []byte) {
		got := dress(nil, in, "h", somewhen)
		want := trimFrame(in)
		if bytes.Equal(got, want) {
			return
		}
		n := priorityLen(want)
		rest, ok := bytes.CutPrefix(got, append(bytes.Clone(want[:n]), "2026-11-21T08:00:00.000005Z h "...))
		if n == 0 || !ok || !bytes.Equal(rest, bytes.TrimLeft(want[n:], " ")) {
			t.Errorf("%q becomes %q", in, got)
		}
	})
}

// Whatever is added is one line, and each line is found again by its place.
func FuzzBundleIsOneLineEach(f *testing.F) {
	f.Add([]byte("a"), []byte("b\nc"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var bu bundle
		bu.add(about{offset: 1}, []byte("head "), a)
		bu.add(about{offset: 2}, b)
		if n := bytes.Count(bu.text, []byte("\n")); n != 2 {
			t.Fatalf("%d lines of %q", n, bu.text)
		}
		if want := "head " + strings.ReplaceAll(string(a), "\n", "#012") + "\n"; string(bu.text[:bu.at[1]]) != want {
			t.Errorf("%q, want %q", bu.text[:bu.at[1]], want)
		}
	})
}
