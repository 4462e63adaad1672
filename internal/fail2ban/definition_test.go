package fail2ban

import (
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
)

// files makes a configuration directory of name and text pairs.
func files(pairs ...string) fs.FS {
	m := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return m
}

// TestFailregex reads definitions, and looks at the one expression that comes
// of them.
func TestFailregex(t *testing.T) {
	const def = "[Definition]\n"
	for _, c := range []struct {
		name, spec string
		fsys       fs.FS
		want       string
	}{
		{"a name of the same section", "f", files("filter.d/f.conf", def+"a = x\nfailregex = %(a)s <F-ID/>\n"), `x (?P<fid>\S+)`},
		{"a name of DEFAULT", "f", files("filter.d/f.conf", "[DEFAULT]\na = y\n"+def+"failregex = %(a)s <F-ID/>\n"), `y (?P<fid>\S+)`},
		{"a percent sign", "f", files("filter.d/f.conf", def+"failregex = 100%% <F-ID/>\n"), `100% (?P<fid>\S+)`},
		{"the section's own name", "f", files("filter.d/f.conf", def+"failregex = %(__name__)s <F-ID/>\n"), `Definition (?P<fid>\S+)`},
		{"another section", "f", files("filter.d/f.conf", "[s]\na = z\n"+def+"failregex = %(s/a)s <F-ID/>\n"), `z (?P<fid>\S+)`},
		{"DEFAULT by name", "f", files("filter.d/f.conf", "[DEFAULT]\na = z\n"+def+"a = no\nfailregex = %(default/a)s <F-ID/>\n"), `z (?P<fid>\S+)`},
		{"a tag", "f", files("filter.d/f.conf", def+"a = x\nfailregex = <a> <F-ID/>\n"), `x (?P<fid>\S+)`},
		{"a tag made of tags", "f", files("filter.d/f.conf", def+"re-big = X\nmode = big\nfailregex = <re-<mode>> <F-ID/>\n"), `X (?P<fid>\S+)`},
		{"a tag of another section", "f", files("filter.d/f.conf", "[DEFAULT]\nt = p\n[lt_p]\npre = Q\n"+def+"failregex = <lt_<t>/pre> <F-ID/>\n"), `Q (?P<fid>\S+)`},
		{"an unknown tag stays", "f", files("filter.d/f.conf", def+"failregex = <nil> <F-ID/>\n"), `<nil> (?P<fid>\S+)`},
		{"arguments win over Init, Init over Definition", `f[a=3]`, files("filter.d/f.conf", "[Init]\na = 2\nb = 2\n"+def+"a = 1\nb = 1\nfailregex = <a><b> <F-ID/>\n"), `32 (?P<fid>\S+)`},
		{"arguments for %()s", `f[a="3,4"]`, files("filter.d/f.conf", def+"a = 1\nfailregex = %(a)s <F-ID/>\n"), `3,4 (?P<fid>\S+)`},
		{"known in Init", `f[a="<known/a>+"]`, files("filter.d/f.conf", "[Init]\na = 2\n"+def+"failregex = <a> <F-ID/>\n"), `2+ (?P<fid>\S+)`},
		{"before and after", "f", files("filter.d/f.conf", "[INCLUDES]\nbefore = b.conf\nafter = c.conf\n"+def+"x = f\ny = f\nfailregex = %(x)s%(y)s%(z)s <F-ID/>\n",
			"filter.d/b.conf", def+"x = b\ny = b\nz = b\n", "filter.d/c.conf", def+"y = c\n"), `fcb (?P<fid>\S+)`},
		{"local wins", "f", files("filter.d/f.conf", def+"x = conf\nfailregex = %(x)s <F-ID/>\n", "filter.d/f.local", def+"x = local\n"), `local (?P<fid>\S+)`},
		{"an included file brings its local", "f", files("filter.d/f.conf", "[INCLUDES]\nbefore = b.conf\n"+def+"failregex = %(x)s <F-ID/>\n", "filter.d/b.conf", def+"x = conf\n", "filter.d/b.local", def+"x = local\n"), `local (?P<fid>\S+)`},
		{"a directory behind the file", "f", files("filter.d/f.conf", def+"x = 0\nfailregex = %(x)s <F-ID/>\n", "filter.d/f.d/b.conf", def+"x = 2\n", "filter.d/f.d/a.conf", def+"x = 1\n"), `2 (?P<fid>\S+)`},
		{"a local that adds", "f", files("filter.d/f.conf", def+"x = 1\nfailregex = %(x)s <F-ID/>\n", "filter.d/f.local", def+"x = %(known/x)s2\n"), `12 (?P<fid>\S+)`},
		{"a file that includes itself", "f", files("filter.d/f.conf", "[INCLUDES]\nbefore = b.conf\n"+def+"failregex = %(x)s <F-ID/>\n", "filter.d/b.conf", "[INCLUDES]\nbefore = f.conf\n"+def+"x = 1\n"), `1 (?P<fid>\S+)`},
		{"a conditional section says nothing here", "f", files("filter.d/f.conf", def+"x = 1\nfailregex = %(x)s <F-ID/>\n[Definition?family=inet6]\nx = 2\n"), `1 (?P<fid>\S+)`},
	} {
		f, err := Compile(c.fsys, c.spec, Options{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := f.Expressions()[0]; got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestCompileErrors(t *testing.T) {
	const def = "[Definition]\n"
	for _, c := range []struct {
		name, spec string
		fsys       fs.FS
		want       string
	}{
		{"no such filter", "nil", files("filter.d/f.conf", def), "filter.d/nil.conf: there is no such file"},
		{"no way out of the directory", "../../etc/passwd", files("filter.d/f.conf", def), "filter.d/etc/passwd.conf: there is no such file"},
		{"no section", "f", files("filter.d/f.conf", "[x]\na=1\n"), "no section [Definition]"},
		{"an unknown name", "f", files("filter.d/f.conf", def+"\nfailregex = %(nil)s\n"), "filter.d/f.conf:3: %(nil)s refers to nothing"},
		{"a name that refers to itself", "f", files("filter.d/f.conf", def+"a = %(a)s\nfailregex = %(a)s\n"), "goes more than 10 deep"},
		{"a tag that stands for itself", "f", files("filter.d/f.conf", def+"a = <b>\nb = <a>\nfailregex = <a>\n"), "refers to itself"},
		{"a value that explodes", "f", files("filter.d/f.conf", def+"a = "+strings.Repeat("x", 500)+"\nb = "+strings.Repeat("<a>", 400)+"\nfailregex = "+strings.Repeat("<b>", 400)+"\n"), "grows beyond"},
		{"a bad expression", "f", files("filter.d/f.conf", def+"x=1\nfailregex = (<HOST>\n"), "filter.d/f.conf:3: failregex does not compile: missing )"},
		{"an expression that does not say who", "f", files("filter.d/f.conf", def+"failregex = foo\n"), "filter.d/f.conf:2: an expression does not say who"},
		{"no expression", "f", files("filter.d/f.conf", def+"x = 1\n"), "there is no failregex"},
		{"a bad date pattern", "f", files("filter.d/f.conf", def+"failregex = <HOST>\ndatepattern = %%Q\n"), "%Q is not a part of a date"},
		{"bad maxlines", "f", files("filter.d/f.conf", def+"failregex = <HOST>\nmaxlines = many\n"), "maxlines"},
		{"a bad call", "f[a", files("filter.d/f.conf", def), "does not end in ]"},
		{"two groups of a name", "f", files("filter.d/f.conf", def+"failregex = <HOST> <HOST>\n"), "redefinition of group name"},
	} {
		_, err := Compile(c.fsys, c.spec, Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

func TestMissingIncludeIsToldAndLeftOut(t *testing.T) {
	f, err := Compile(files("filter.d/f.conf", "[INCLUDES]\nbefore = nil.conf\n         x.local\n[Definition]\nfailregex = <HOST>\n"), "f", Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Warnings) != 1 || f.Warnings[0].Error() != "filter.d/f.conf:2: the included file nil.conf is not there" {
		t.Errorf("warnings: %v", f.Warnings)
	}
}

func TestCalls(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"sshd", "sshd"},
		{"sshd[mode=aggressive]", `sshd[mode=aggressive]`},
		{`a[x="1,2", y='3]', z=4]`, `a[x="1,2", y="3]", z=4]`},
		{"a[x=1][y=2]", `a[x=1, y=2]`},
		{"a[x=1,\n  y=2]", `a[x=1, y=2]`},
		{`a[x='"']`, `a[x='"']`},
		{"a[]", "a"},
	} {
		got, err := ParseCall(c.in)
		if err != nil || got.String() != c.want {
			t.Errorf("%q: %v, %v, want %s", c.in, got, err, c.want)
		}
	}
	for _, in := range []string{"", "[x=1]", "a[x", "a[x]", `a[x="1]`, "a[x=1]b", `a[x="1"2]`} {
		if c, err := ParseCall(in); err == nil {
			t.Errorf("%q is read as %v", in, c)
		}
	}
	got := splitCalls("a[x=1, y=\"2 3\"] b\n   c[z=4]\n d [x=1]")
	if strings.Join(got, "|") != `a[x=1, y="2 3"]|b|c[z=4]|d [x=1]` {
		t.Errorf("split: %q", got)
	}
}

func FuzzCallsParseBack(f *testing.F) {
	f.Add(`a[x="1,2", y='3', z=4][u=5]`)
	f.Fuzz(func(t *testing.T, in string) {
		c, err := ParseCall(in)
		if err != nil {
			return
		}
		for _, v := range c.Args {
			if strings.Contains(v, `"`) && strings.Contains(v, "'") {
				return // cannot be written
			}
		}
		d, err := ParseCall(c.String())
		if err != nil || d.String() != c.String() {
			t.Fatalf("%q -> %q -> %q, %v", in, c, d, err)
		}
	})
}

// FuzzDefinitionsEnd checks that reading ends, with an expression or an error,
// whatever the two files say of one another.
func FuzzDefinitionsEnd(f *testing.F) {
	f.Add("[Definition]\na = %(b)s\nfailregex = <a> <HOST>\n", "[Definition]\nb = <c-<d>>\nd = e\nc-e = x\n")
	f.Add("[INCLUDES]\nbefore = g.conf\n[Definition]\nfailregex = %(known/failregex)s\n", "[INCLUDES]\nafter = f.conf\n[Definition]\nfailregex = <HOST>\n")
	f.Fuzz(func(t *testing.T, one, two string) {
		fsys := files("filter.d/f.conf", "[INCLUDES]\nbefore = g.conf\n"+one, "filter.d/g.conf", two, "filter.d/f.local", two)
		flt, err := Compile(fsys, "f", Options{})
		if err == nil && len(flt.Expressions()) == 0 {
			t.Fatal("no error, and no expression")
		}
	})
}

// FuzzTagsEnd checks that replacing tags ends, and that nothing is left that
// could be replaced.
func FuzzTagsEnd(f *testing.F) {
	f.Add("<b>", "<c-<d>>", "x")
	f.Add("<a>", "<b>", "<c>")
	f.Fuzz(func(t *testing.T, a, b, c string) {
		ts := tags{values: map[string]string{}}
		ts.set("a", a)
		ts.set("b", b)
		ts.set("c", c)
		ts.set("c-x", "y")
		if err := ts.resolve(func(string) (string, bool) { return "", false }); err != nil {
			return
		}
		for n, v := range ts.values {
			for from, to, ok := nextTag(v, 0); ok; from, to, ok = nextTag(v, to) {
				if _, known := ts.values[v[from+1:to-1]]; known {
					t.Fatalf("%s = %q of %q %q %q still has a tag", n, v, a, b, c)
				}
			}
		}
	})
}
