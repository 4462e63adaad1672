package app

import (
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// settleAfter is how long after the start memory is given back that only the
// start needed: reading the rules and the bans, opening the database.
const settleAfter = 2 * time.Second

// settle gives back what the start needed: free pages of the heap, and the pages
// of the program's own file that are mapped but not used any more. The kernel
// reads those again from its cache, should they be needed after all.
func settle() {
	debug.FreeOSMemory()
	exe, err := os.Readlink("/proc/self/exe")
	if err != nil {
		return
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return
	}
	for line := range strings.Lines(string(maps)) {
		if from, size, ok := unwritable(line, exe); ok {
			// An error means only that the pages stay.
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, size, unix.MADV_DONTNEED)
		}
	}
}

// unwritable reads a line of /proc/PID/maps (proc_pid_maps(5)) and returns the
// range of a mapping of this file that nobody can write, and that therefore holds
// nothing but the file.
func unwritable(line, file string) (from, size uintptr, ok bool) {
	f := strings.Fields(line)
	if len(f) < 6 || strings.Join(f[5:], " ") != file || len(f[1]) != 4 || f[1][0] != 'r' || f[1][1] != '-' {
		return 0, 0, false
	}
	a, b, _ := strings.Cut(f[0], "-")
	lo, err1 := strconv.ParseUint(a, 16, 64)
	hi, err2 := strconv.ParseUint(b, 16, 64)
	if err1 != nil || err2 != nil || hi <= lo {
		return 0, 0, false
	}
	return uintptr(lo), uintptr(hi - lo), true
}
