package app

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// manager speaks to the service manager that started us, by the protocol of
// sd_notify(3). The zero value speaks to nobody.
type manager struct {
	socket   string        // abstract (@) or path; "" = none
	watchdog time.Duration // how often it wants to hear from us; 0 = never
}

// managerFrom reads the environment that a service manager passes.
func managerFrom(getenv func(string) string) manager {
	m := manager{socket: getenv("NOTIFY_SOCKET")}
	usec, err := strconv.ParseInt(getenv("WATCHDOG_USEC"), 10, 64)
	pid := getenv("WATCHDOG_PID")
	if err == nil && usec > 0 && (pid == "" || pid == strconv.Itoa(os.Getpid())) {
		m.watchdog = time.Duration(usec) * time.Microsecond
	}
	return m
}

// present reports whether a service manager listens.
func (m manager) present() bool { return m.socket != "" }

// tell sends state lines such as READY=1. It is best effort: a manager that
// does not listen must not stop the guard.
func (m manager) tell(lines ...string) {
	if m.socket == "" {
		return
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: m.socket, Net: "unixgram"})
	if err != nil {
		return
	}
	defer conn.Close()
	conn.Write([]byte(strings.Join(lines, "\n")))
}

// reloading is the line that begins a reload (systemd 253 wants the time).
func reloading() []string {
	return []string{"RELOADING=1", fmt.Sprintf("MONOTONIC_USEC=%d", monotonic().Microseconds())}
}
