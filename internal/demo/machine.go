package demo

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// machine is what the show must leave as it was.
type machine struct {
	net, mounts string           // the namespaces of this process
	files       map[string]stamp // files that the stage shows in another form
}

// stamp changes when a file does.
type stamp struct {
	inode uint64
	size  int64
	time  time.Time
}

// shown are the files that the stage's hosts have their own forms of.
var shown = []string{"/etc/passwd", "/etc/shadow", "/etc/group", "/etc/nsswitch.conf", "/etc/resolv.conf", "/dev/log"}

func lookAtMachine() (m machine, err error) {
	if m.net, err = os.Readlink("/proc/self/ns/net"); err != nil {
		return m, fmt.Errorf("look at this machine: %w", err)
	}
	if m.mounts, err = os.Readlink("/proc/self/ns/mnt"); err != nil {
		return m, fmt.Errorf("look at this machine: %w", err)
	}
	m.files = map[string]stamp{}
	for _, name := range shown {
		m.files[name] = stampOf(name)
	}
	return m, nil
}

// stampOf returns the stamp of a file; the zero stamp if there is none.
func stampOf(name string) stamp {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{}
	}
	s := stamp{size: info.Size(), time: info.ModTime()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = st.Ino
	}
	return s
}

// untouched reports what a show in this folder, which is over, has left behind.
func (m machine) untouched(dir string) error {
	for name, was := range m.files {
		if stampOf(name) != was {
			return fmt.Errorf("%s has changed: by the show, or by another program meanwhile; play it again to know", name)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is still there", dir)
	}
	f, err := os.Open("/proc/self/mountinfo")
	if err != nil {
		return fmt.Errorf("look at the mounts: %w", err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if strings.Contains(s.Text(), dir) {
			return fmt.Errorf("a mount is left: %s", s.Text())
		}
	}
	return noProcess(dir)
}

// noProcess returns an error if a process has the folder among its arguments.
func noProcess(dir string) error {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return fmt.Errorf("look at the processes: %w", err)
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		b, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err == nil && strings.Contains(string(b), dir) {
			return fmt.Errorf("process %d is left: %s", pid, strings.ReplaceAll(string(b), "\x00", " "))
		}
	}
	return nil
}

// installHint says how to install OpenSSH on this machine (os-release(5)).
func installHint(osRelease string) string {
	b, _ := os.ReadFile(osRelease) // without it, the general words
	ids := ""
	for line := range strings.Lines(string(b)) {
		key, val, _ := strings.Cut(strings.TrimSpace(line), "=")
		if key == "ID" || key == "ID_LIKE" {
			ids += " " + strings.Trim(val, `"'`)
		}
	}
	for _, id := range strings.Fields(ids) {
		switch id {
		case "debian", "ubuntu":
			return "install it with: sudo apt install openssh-server openssh-client"
		case "fedora", "rhel", "centos":
			return "install it with: sudo dnf install openssh-server openssh-clients"
		case "arch":
			return "install it with: sudo pacman -S openssh"
		case "alpine":
			return "install it with: sudo apk add openssh"
		case "suse", "opensuse":
			return "install it with: sudo zypper install openssh"
		}
	}
	return "install OpenSSH, server and client, with the package manager of this system"
}
