package runner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// deliveryName is the variable by which a process is known to belong to a command,
// also where it has left its session.
const deliveryName = "GATEHOUSE_DELIVERY="

// runnerName is the variable that names the child that started a process.
const runnerName = "GATEHOUSE_RUNNER="

func deliveryOf(env []string) string {
	for _, e := range env {
		if v, ok := strings.CutPrefix(e, deliveryName); ok {
			return v
		}
	}
	return ""
}

// forget takes a command off the list of those that run.
func (c *child) forget(pid int) {
	c.mu.Lock()
	delete(c.running, pid)
	c.mu.Unlock()
}

// sweep kills what a command has left behind: its process group, and what has left
// that and came back to us as its nearest living ancestor.
func (c *child) sweep(group int, env []string) {
	if group > 0 {
		_ = unix.Kill(-group, unix.SIGKILL)
		return
	}
	delivery := deliveryOf(env)
	for range 8 { // killing one may bring its children to us
		found := false
		for _, pid := range children() {
			c.mu.Lock()
			_, ours := c.running[pid]
			idle := len(c.running) == 0
			c.mu.Unlock()
			if ours || !idle && (delivery == "" || !belongs(pid, delivery)) {
				continue
			}
			found = true
			_ = unix.Kill(pid, unix.SIGKILL)
			_, _ = unix.Wait4(pid, nil, 0, nil) // it is killed, so this is short
		}
		if !found {
			return
		}
	}
}

// belongs reports whether a process has a command's delivery in its environment.
func belongs(pid int, delivery string) bool {
	return hasVariable(pid, deliveryName+delivery)
}

// hasVariable reports whether a process was started with this variable.
func hasVariable(pid int, variable string) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	return err == nil && strings.Contains("\x00"+string(b)+"\x00", "\x00"+variable+"\x00")
}

// killOrphans kills what a child that died has left running.
func killOrphans(child int) {
	entries, _ := os.ReadDir("/proc") // where there is none, nothing can be found
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err == nil && pid != os.Getpid() && hasVariable(pid, runnerName+strconv.Itoa(child)) {
			_ = unix.Kill(pid, unix.SIGKILL)
		}
	}
}

// children returns our children.
func children() (pids []int) {
	files, _ := filepath.Glob("/proc/self/task/*/children") // a constant pattern
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		for _, s := range strings.Fields(string(b)) {
			if pid, err := strconv.Atoi(s); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}
