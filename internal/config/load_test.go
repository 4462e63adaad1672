package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestLoad reads files as the system may offer them.
func TestLoad(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	env := environment("HOME=/home/ann")
	tests := []struct {
		name, path string
		o          Options
		want       string // the error without the path in front; "" for none
	}{
		{"good", write("good", "forget: 1d\n", 0o644), Options{}, ""},
		{"private", write("private", "", 0o600), Options{}, ""},
		{"group may write", write("group", "", 0o664), Options{}, ": others than its owner may write this file (mode 0664), and so tell root whom to ban\n  hint: chmod go-w PATH"},
		{"all may write", write("all", "", 0o666), Options{}, ": others than its owner may write this file (mode 0666), and so tell root whom to ban\n  hint: chmod go-w PATH"},
		{"group may write, not root", write("user", "", 0o664), Options{UID: 1000, Env: env}, ""},
		{"missing", filepath.Join(dir, "none"), Options{}, ": cannot open the configuration: no such file or directory\n  hint: gatehouse config reference prints a file to start from"},
		{"a folder", dir, Options{}, ": this is not a regular file\n  hint: name a file of YAML text, such as /etc/gatehouse/gatehouse.yaml"},
		{"a pipe without a writer", pipe, Options{}, ": this is not a regular file\n  hint: name a file of YAML text, such as /etc/gatehouse/gatehouse.yaml"},
		{"an endless device", "/dev/zero", Options{UID: 1000, Env: env}, ": this is not a regular file\n  hint: name a file of YAML text, such as /etc/gatehouse/gatehouse.yaml"},
		{"1 MB", write("full", "#"+strings.Repeat("x", maxFile-2)+"\n", 0o644), Options{}, ""},
		{"over 1 MB", write("over", "#"+strings.Repeat("x", maxFile-1)+"\n", 0o644), Options{}, ": the file is larger than 1 MB\n  hint: is it a configuration? long lists of addresses go in with gatehouse import list"},
		{"a bad key", write("bad", "alow:\n", 0o644), Options{}, ":1:1: unknown key \"alow\"\n  alow:\n  ^\n  hint: did you mean allow?"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Load(tt.path, tt.o)
			if tt.want == "" {
				if err != nil || c == nil {
					t.Fatal(err)
				}
				return
			}
			if want := tt.path + strings.ReplaceAll(tt.want, "PATH", tt.path); err == nil || err.Error() != want || c != nil {
				t.Errorf("got  %v\nwant %s", err, want)
			}
			if _, ok := errors.AsType[Problems](err); !ok {
				t.Errorf("the error is a %T", err)
			}
			if got := errors.Is(err, fs.ErrNotExist); got != (tt.name == "missing") {
				t.Errorf("errors.Is(err, fs.ErrNotExist) is %v", got)
			}
		})
	}
}

// TestHostileIsRefused feeds what makes YAML parsers slow: all of it comes back
// within a fraction of a second, refused, with an error of bounded length.
func TestHostileIsRefused(t *testing.T) {
	const size = maxFile / 4
	tests := []struct {
		name string
		src  []byte
	}{
		{"open brackets", bytes.Repeat([]byte("["), size)},
		{"open braces", bytes.Repeat([]byte("{a: "), size/4)},
		{"dashes", bytes.Repeat([]byte("- "), size/2)},
		{"question marks", bytes.Repeat([]byte("? "), size/2)},
		{"colons", bytes.Repeat([]byte(": "), size/2)},
		{"keys", bytes.Repeat([]byte("k: v\n"), size/5)},
		{"nested keys", nested(size)},
		{"anchors", bytes.Repeat([]byte("&a "), size/3)},
		{"aliases", bytes.Repeat([]byte("- *a\n"), size/5)},
		{"tags", bytes.Repeat([]byte("!a "), size/3)},
		{"documents", bytes.Repeat([]byte("---\n"), size/4)},
		{"an open quote", append([]byte("state: \""), bytes.Repeat([]byte("x\n"), size/2-8)...)},
		{"NUL bytes", make([]byte, size)},
	}
	for _, tt := range tests {
		if _, err := Parse("hostile.yaml", tt.src, Options{}); err == nil {
			t.Errorf("%s: accepted", tt.name)
		} else if len(err.Error()) > 1<<16 {
			t.Errorf("%s: an error of %d bytes", tt.name, len(err.Error()))
		}
	}
}

func nested(size int) []byte {
	var b bytes.Buffer
	for i := 0; b.Len() < size-1500; i++ {
		b.Write(bytes.Repeat([]byte(" "), i))
		b.WriteString("k:\n")
	}
	return b.Bytes()
}

// TestManyAddresses: a list that a person may well paste is still read.
func TestManyAddresses(t *testing.T) {
	src := append([]byte("allow:\n"), bytes.Repeat([]byte("- 192.0.2.1\n"), 50_000)...)
	c, err := Parse("many.yaml", src, Options{})
	if err != nil || len(c.Allow) != 50_000 {
		t.Fatal(err)
	}
}
