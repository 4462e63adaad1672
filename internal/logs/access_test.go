package logs

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestExplain(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	if err := os.WriteFile(path, nil, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		err  error
		want string
	}{
		{&fs.PathError{Op: "open", Path: path, Err: syscall.EACCES}, "permission denied: " + path + " belongs to "},
		{&fs.PathError{Op: "open", Path: path, Err: syscall.ELOOP}, "its symbolic links lead round in a circle"},
		{&fs.PathError{Op: "open", Path: path, Err: syscall.ENOTDIR}, "a part of its path is not a folder"},
		{&fs.PathError{Op: "open", Path: path, Err: syscall.EMFILE}, "too many files are open: raise the limit (LimitNOFILE= of the service)"},
		{&fs.PathError{Op: "read", Path: path, Err: syscall.EIO}, "input/output error"},
		{sameFileError{"/x"}, "the same file as /x"},
	} {
		if got := explain(path, c.err); !strings.HasPrefix(got, c.want) {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

// The missing permission is named, with who could give it.
func TestDenied(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, to give a file to another group")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "a.log")
	for _, c := range []struct {
		gid  int
		mode fs.FileMode
		want string
	}{
		{4, 0o640, "permission denied: %s belongs to root:adm with mode 0640: run as root or add the user to the group adm"},
		{4, 0o600, "permission denied: %s belongs to root:adm with mode 0600: run as root or give the user the right to read it (setfacl -m u:USER:r %[1]s)"},
		{0, 0o640, "permission denied: %s belongs to root:root with mode 0640: run as root or give the user the right to read it (setfacl -m u:USER:r %[1]s)"},
		{54321, 0o640, "permission denied: %s belongs to root:54321 with mode 0640: run as root or add the user to the group 54321"},
	} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chown(path, 0, c.gid); err != nil {
			t.Skip(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		if got, want := denied(path), fmt.Sprintf(c.want, path); got != want {
			t.Errorf("\n got %q\nwant %q", got, want)
		}
	}
}
