package logs

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// slowLines is the model: the lines of a file that has been read to its end, as
// they are meant to be handed over, with their offsets.
func slowLines(content []byte) (lines []string) {
	off := 0
	for {
		i := bytes.IndexByte(content[off:], '\n')
		if i < 0 {
			return lines
		}
		raw := content[off : off+i]
		line := bytes.TrimLeft(raw, "\x00")
		at := off + len(raw) - len(line)
		if len(line) > 0 && len(line) <= maxLine {
			lines = append(lines, fmt.Sprintf("%d:%s", at, line))
		}
		off += i + 1
	}
}

// drain reads all that the follower gives.
func drain(t interface{ Fatal(...any) }, f *follower, buf *buffer) (lines []string) {
	for {
		block, at, what, err := f.next(buf)
		switch {
		case err != nil || what == replaced || what == began:
			t.Fatal(what, err)
		case what == atEnd:
			return lines
		case what == gotLines && block[len(block)-1] != '\n':
			t.Fatal("an unfinished block")
		}
		for len(block) > 0 {
			line, rest, _ := bytes.Cut(block, []byte{'\n'})
			if len(line) > 0 {
				lines = append(lines, fmt.Sprintf("%d:%s", at, line))
			}
			at += int64(len(block) - len(rest))
			block = rest
		}
	}
}

// However a file grows, and wherever reading it is interrupted and resumed, the
// lines are those of the model.
func TestFollowerAgainstModel(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	rapid.Check(t, func(t *rapid.T) {
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		w, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer w.Close()
		var content []byte
		var got []string
		at := place{}
		for range rapid.IntRange(1, 12).Draw(t, "rounds") {
			var piece []byte
			for range rapid.IntRange(0, 6).Draw(t, "pieces") {
				n := rapid.SampledFrom([]int{0, 1, 7, 80, 80, 80, 300, 5000, blockSize, 300, 80, 7, maxLine}).Draw(t, "length")
				b := rapid.SampledFrom([]string{"a", "\n", "line\n", "\x00", "\xff", "\r\n", "\x00\n"}).Draw(t, "of")
				piece = append(piece, strings.Repeat(b, n/len(b))...)
			}
			if len(content)+len(piece) > 5<<19 {
				break
			}
			if _, err := w.Write(piece); err != nil {
				t.Fatal(err)
			}
			content = append(content, piece...)
			c, info, err := openPlain(path)
			if err != nil {
				t.Fatal(err)
			}
			f := &follower{content: c, place: place{id: info.id}}
			if !f.verify(at) {
				t.Fatal("the place is not found again")
			}
			got = append(got, drain(t, f, newBuffer())...)
			at = f.here()
			_ = c.Close()
		}
		if want := slowLines(content); !slices.Equal(got, want) {
			i := 0
			for i < len(got) && i < len(want) && got[i] == want[i] {
				i++
			}
			t.Fatalf("%d lines, want %d; from line %d on\n got %.80q\nwant %.80q", len(got), len(want), i, got[i:], want[i:])
		}
	})
}

func TestFollowerNotices(t *testing.T) {
	first := strings.Repeat("first line\n", 20)
	for _, c := range []struct {
		name, now string
		want      outcome
	}{
		{"nothing new", first, atEnd},
		{"more", first + "more\n", gotLines},
		{"an unfinished line", first + "more", atEnd},
		{"shorter", first[:100], replaced},
		{"empty", "", replaced},
		{"other content, as long", strings.Repeat("other line\n", 20), replaced},
		{"other content, longer", strings.Repeat("other line\n", 200), replaced},
		{"the same beginning, then other content", first[:len(first)-5] + strings.Repeat("zzzz\n", 200), replaced},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "log")
			if err := os.WriteFile(path, []byte(first), 0o644); err != nil {
				t.Fatal(err)
			}
			p, _, err := openPlain(path)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			f := &follower{content: p}
			if lines := drain(t, f, newBuffer()); len(lines) != 20 {
				t.Fatal(lines)
			}
			if err := os.WriteFile(path, []byte(c.now), 0o644); err != nil {
				t.Fatal(err)
			}
			if _, _, what, err := f.next(newBuffer()); what != c.want || err != nil {
				t.Errorf("outcome %d, want %d, %v", what, c.want, err)
			}
		})
	}
}

// A NUL byte within a line never breaks it: whoever is quoted in a log could
// write lines of his own.
func TestBlankZeros(t *testing.T) {
	for in, want := range map[string]string{
		"a\nb\n":           "a\nb\n",
		"\x00\x00a\n":      "\n\na\n",
		"a\n\x00b\x00\n":   "a\n\nb\x00\n",
		"a\x00\x00b\nc\n":  "a\x00\x00b\nc\n",
		"a\n\x00\x00\nb\n": "a\n\n\n\nb\n",
	} {
		b := []byte(in)
		if blankZeros(b); string(b) != want {
			t.Errorf("%q: %q, want %q", in, b, want)
		}
	}
}

func BenchmarkFollower(b *testing.B) {
	path := filepath.Join(b.TempDir(), "log")
	line := "Nov 21 08:00:00 host sshd[1234]: Failed password for invalid user admin from 192.0.2.7 port 51234 ssh2 and so on and on....\n"
	const lines = 500_000
	if err := os.WriteFile(path, bytes.Repeat([]byte(line), lines), 0o644); err != nil {
		b.Fatal(err)
	}
	c, _, err := openPlain(path)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	buf := newBuffer()
	b.SetBytes(int64(len(line) * lines))
	for b.Loop() {
		f := &follower{content: c}
		for what := gotLines; what == gotLines; {
			_, _, what, err = f.next(buf)
		}
		if err != nil || f.off != int64(len(line)*lines) {
			b.Fatal(f.off, err)
		}
	}
	b.ReportMetric(float64(lines)*float64(b.N)/b.Elapsed().Seconds(), "lines/s")
}
