package logs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/internal/rules"
)

func TestFrames(t *testing.T) {
	long := strings.Repeat("x", rules.MaxLine-1)
	for _, tc := range []struct {
		name, in string
		want     []string
		long     int
		err      error
	}{
		{"lines", "<1>a\n<2>b\r\n<3>c\x00<4>d", []string{"<1>a", "<2>b", "<3>c", "<4>d"}, 0, io.EOF},
		{"octets", "4 <1>a6 <2>b\nc4 <3>d", []string{"<1>a", "<2>b\nc", "<3>d"}, 0, io.EOF},
		{"octets with line ends, as some write them", "5 <1>a\n5 <2>b\n", []string{"<1>a", "<2>b"}, 0, io.EOF},
		{"octets with line ends that are not counted", "4 <1>a\n4 <2>b\n", []string{"<1>a", "<2>b"}, 0, io.EOF},
		{"empty ones", "\n\n<1>a\n\n", []string{"<1>a"}, 0, io.EOF},
		{"a number begins a line among lines", "<1>user \n9 <38>x\n", []string{"<1>user ", "9 <38>x"}, 0, io.EOF},
		{"the longest", "<" + long + "\nb\n", []string{"<" + long, "b"}, 0, io.EOF},
		{"longer", "<" + long + "x\nb\n", []string{"b"}, 1, io.EOF},
		{"much longer, counted", fmt.Sprintf("%d <%s1 b", 1+20*len(long), strings.Repeat(long, 20)), []string{"b"}, 1, io.EOF},
		{"longer, at the end", "<" + long + "xxx", nil, 1, io.EOF},
		{"cut short, counted", "4 <1>a9 <2", []string{"<1>a"}, 0, io.EOF},
		{"cut short within the count", "4 <1>a9", []string{"<1>a"}, 0, io.EOF},
		{"a count that is none", "4x <1>", nil, 0, errFrame},
		{"a count without an end", "4" + strings.Repeat("4", 1<<17), nil, 0, errFrame},
		{"more than anybody sends", "99999999 <1>", nil, 0, errFrame},
		{"lost its place", "4 <1>abc\n", []string{"<1>a"}, 0, errFrame},
	} {
		f := newFrames(strings.NewReader(tc.in))
		var got []string
		var m []byte
		var err error
		for m, err = f.next(); err == nil; m, err = f.next() {
			got = append(got, string(m))
		}
		if fmt.Sprint(got) != fmt.Sprint(tc.want) || f.long != tc.long || !errors.Is(err, tc.err) {
			t.Errorf("%s: %.200q, %d too long, %v", tc.name, got, f.long, err)
		}
	}
}

// Messages in either framing come back as they were.
func FuzzFramesRoundTrip(f *testing.F) {
	f.Add([]byte("<1>a"), []byte("<2>b"), true)
	f.Add([]byte("<1>a\n9 <3>c"), []byte("<2>b"), true)
	f.Add([]byte("<1>a"), []byte("9 <3>c"), false)
	f.Fuzz(func(t *testing.T, a, b []byte, octets bool) {
		a, b = append([]byte("<"), a...), append([]byte("<"), b...)
		var in []byte
		var want [][]byte
		for _, m := range [][]byte{a, b} {
			if octets {
				in = append(fmt.Appendf(in, "%d ", len(m)), m...)
			} else {
				m = bytes.Map(func(r rune) rune {
					if r == '\n' || r == 0 {
						return '.'
					}
					return r
				}, m)
				in = append(append(in, m...), '\n')
			}
			if m = trimFrame(m); len(m) > 0 && len(m) <= rules.MaxLine {
				want = append(want, m)
			}
		}
		fr := newFrames(bytes.NewReader(in))
		for _, w := range want {
			if m, err := fr.next(); err != nil || !bytes.Equal(m, w) {
				t.Fatalf("%q, %v; want %q", m, err, w)
			}
		}
		if m, err := fr.next(); err != io.EOF {
			t.Fatalf("then %q, %v", m, err)
		}
	})
}

// Any stream ends, and no message is longer than a rule looks at.
func FuzzFramesAreBounded(f *testing.F) {
	f.Add([]byte("4 <1>a"))
	f.Add([]byte("<1>a\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		fr := newFrames(bytes.NewReader(in))
		for {
			m, err := fr.next()
			if err != nil {
				return
			}
			if len(m) == 0 || len(m) > rules.MaxLine {
				t.Fatalf("%q", m)
			}
		}
	})
}
