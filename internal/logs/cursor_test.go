package logs

import (
	"strings"
	"testing"
)

const someCursor = "s=cdd16d0cbb16482b9e89d7fb7e9f05b7;i=5;b=11111111222233334444555566667777;m=f51e0;t=660c6eb0452b3;x=ce99f6d6eb4150f9"

func TestCursor(t *testing.T) {
	c, ok := parseCursor(someCursor)
	if !ok || c.seq != 5 || c.mono != 0xf51e0 || c.real != 0x660c6eb0452b3 || c.sum != 0xce99f6d6eb4150f9 || c.file[:4] != "cdd1" || c.boot[:4] != "1111" {
		t.Fatalf("%+v, %v", c, ok)
	}
	for _, bad := range []string{
		"", "x", "s=1", someCursor + ";", someCursor + ";i=6", strings.Replace(someCursor, "i=5", "i=-5", 1),
		strings.Replace(someCursor, "i=5", "i= 5", 1), strings.Replace(someCursor, "s=c", "s=!", 1),
		strings.Replace(someCursor, ";x=ce99f6d6eb4150f9", "", 1), someCursor + strings.Repeat(" ", maxCursor),
	} {
		if _, ok := parseCursor(bad); ok {
			t.Errorf("taken: %.60q", bad)
		}
	}
}

// Each case changes the cursor above and says how it stands to it.
func TestCursorOrder(t *testing.T) {
	base, _ := parseCursor(someCursor)
	for _, tc := range []struct {
		name, from, to string
		upTo, atLeast  bool
	}{
		{"itself", "i=5", "i=5", true, true},
		{"the next of the sequence", "i=5", "i=6", false, true},
		{"the next of the sequence, though the clock was set back", "i=5;b=11111111222233334444555566667777;m=f51e0;t=660c6eb0452b3", "i=6;b=11111111222233334444555566667777;m=f51e0;t=1", false, true},
		{"one before it", "i=5", "i=4", true, false},
		{"one before it that was written to disk later", "i=5;b=11111111222233334444555566667777;m=f51e0", "i=9;b=11111111222233334444555566667777;m=f51df", true, false},
		{"the next of the sequence, after a boot", "i=5;b=11111111222233334444555566667777;m=f51e0", "i=6;b=22221111222233334444555566667777;m=1", false, true},
		{"another file, later in the same boot", "s=cdd16d0cbb16482b9e89d7fb7e9f05b7;i=5;b=11111111222233334444555566667777;m=f51e0", "s=00d16d0cbb16482b9e89d7fb7e9f05b7;i=1;b=11111111222233334444555566667777;m=f51e1", false, true},
		{"another file and boot, earlier by the wall clock", "s=cdd16d0cbb16482b9e89d7fb7e9f05b7;i=5;b=11111111222233334444555566667777;m=f51e0;t=660c6eb0452b3", "s=00d16d0cbb16482b9e89d7fb7e9f05b7;i=9;b=00111111222233334444555566667777;m=ff1e0;t=660c6eb0452b2", true, false},
		{"the same entry, moved to another file", "s=cdd16d0cbb16482b9e89d7fb7e9f05b7;i=5", "s=00d16d0cbb16482b9e89d7fb7e9f05b7;i=9", true, true},
	} {
		c, ok := parseCursor(strings.Replace(someCursor, tc.from, tc.to, 1))
		if !ok || !strings.Contains(c.text, tc.to) {
			t.Fatalf("%s: not a cursor", tc.name)
		}
		if c.upTo(base) != tc.upTo || base.upTo(c) != tc.atLeast {
			t.Errorf("%s: %v and %v", tc.name, c.upTo(base), base.upTo(c))
		}
	}
	if base.upTo(cursor{}) {
		t.Error("there is something before the beginning")
	}
}

// What is taken as a cursor can stand on a command line, and is its own place.
func FuzzCursorIsHarmless(f *testing.F) {
	f.Add(someCursor)
	f.Add("s=;i=;b=;m=;t=;x=")
	f.Add("--help")
	f.Fuzz(func(t *testing.T, text string) {
		c, ok := parseCursor(text)
		if !ok {
			return
		}
		if !c.upTo(c) || c.text != text {
			t.Errorf("%q is not up to itself", text)
		}
		if strings.Trim(text, "sibmtx=;0123456789acdefABCDEF") != "" {
			t.Errorf("%q has something else in it", text)
		}
	})
}
