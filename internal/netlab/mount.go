package netlab

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Mount shows a file or folder of the machine at another place of the host
// (bind mount). The target must exist there.
func (h *Host) Mount(source, target string) {
	h.lab.tb.Helper()
	h.must("mount "+source+" at "+target, func() error {
		return unix.Mount(source, target, "", unix.MS_BIND|unix.MS_REC, "")
	})
}

// Tmpfs gives the host an empty folder of its own in memory at these places,
// for example /run.
func (h *Host) Tmpfs(targets ...string) {
	h.lab.tb.Helper()
	for _, t := range targets {
		h.must("mount an empty "+t, func() error {
			return unix.Mount("netlab", t, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755")
		})
	}
}

// File gives the host another content of a file, for example /etc/resolv.conf.
// The machine's own file stays as it is: the new one is mounted over it. Where
// the file does not exist it must lie in a folder made by Tmpfs.
func (h *Host) File(target, content string, mode os.FileMode) {
	h.lab.tb.Helper()
	h.must("write "+target, func() error {
		if _, err := os.Stat(target); os.IsNotExist(err) {
			// It may be a symbolic link to a place that Tmpfs has emptied.
			if to, err := os.Readlink(target); err == nil {
				if !filepath.IsAbs(to) {
					to = filepath.Join(filepath.Dir(target), to)
				}
				target = to
			}
			if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
				return err
			}
			return writeFile(target, content, mode)
		}
		f, err := os.CreateTemp(h.dir, "file-")
		if err != nil {
			return err
		}
		f.Close()
		if err := writeFile(f.Name(), content, mode); err != nil {
			return err
		}
		if err := unix.Mount(f.Name(), target, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("bind: %w", err)
		}
		return nil
	})
}

// writeFile is os.WriteFile with exactly this mode, whatever the umask is.
func writeFile(name, content string, mode os.FileMode) error {
	if err := os.WriteFile(name, []byte(content), mode); err != nil {
		return err
	}
	return os.Chmod(name, mode)
}

// devices are the device files that programs expect.
var devices = []string{"null", "zero", "full", "random", "urandom", "tty"}

// ownDev gives the host a /dev of its own, in which further files can be made.
func (h *Host) ownDev() error {
	dev := filepath.Join(h.dir, "dev")
	if err := os.MkdirAll(dev, 0o755); err != nil {
		return err
	}
	return h.Do(func() error {
		if err := unix.Mount("netlab", dev, "tmpfs", unix.MS_NOSUID, "mode=0755"); err != nil {
			return fmt.Errorf("mount a folder for devices: %w", err)
		}
		for _, d := range devices {
			if err := writeFile(filepath.Join(dev, d), "", 0o666); err != nil {
				return err
			}
			if err := unix.Mount("/dev/"+d, filepath.Join(dev, d), "", unix.MS_BIND, ""); err != nil {
				return fmt.Errorf("bind /dev/%s: %w", d, err)
			}
		}
		for _, d := range []string{"pts", "shm"} {
			if err := os.Mkdir(filepath.Join(dev, d), 0o777); err != nil {
				return err
			}
		}
		if err := unix.Mount("devpts", filepath.Join(dev, "pts"), "devpts", unix.MS_NOSUID|unix.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620"); err != nil {
			return fmt.Errorf("mount pseudo terminals: %w", err)
		}
		for name, to := range map[string]string{"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2"} {
			if err := os.Symlink(to, filepath.Join(dev, name)); err != nil {
				return err
			}
		}
		if err := unix.Mount(dev, "/dev", "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("move the devices to /dev: %w", err)
		}
		return nil
	})
}
