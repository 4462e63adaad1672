package demo

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// readyWait is how long the daemon may take until it guards.
const readyWait = 15 * time.Second

// daemon is the guard of the gate: the real program as a process of its own,
// asked through its own command line.
type daemon struct {
	host    *netlab.Host
	program string // path
	config  string // file
	socket  string // of the command line
	log     string // file: what it wrote to standard error
	exited  chan struct{}
	cmd     *netlab.Cmd
}

// settings is the daemon's whole configuration; %s are the show's folder, three
// times, threshold, first ban and log.
const settings = `state: %s/state
socket: %s/socket
rules: %s/rules
threshold: %s
ban: [%s, 1h]
watch:
  - {rule: sshd, files: [%s]}
`

// startDaemon starts the daemon on the gate and returns when it guards.
func startDaemon(ctx context.Context, c *netlab.Crew, h *netlab.Host, program, dir, authLog string) (*daemon, error) {
	d := &daemon{
		host: h, program: program, config: filepath.Join(dir, "gatehouse.yaml"), socket: filepath.Join(dir, "socket"),
		log: filepath.Join(dir, "daemon.log"), exited: make(chan struct{}),
	}
	text := fmt.Sprintf(settings, dir, dir, dir, threshold, firstBan, authLog) + fmt.Sprintf(houseSettings, housePort, dir)
	if err := os.WriteFile(d.config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	// The machine's own emergency exit must not open the stage.
	if st, err := os.Stat("/etc/gatehouse"); err == nil && st.IsDir() {
		h.Tmpfs("/etc/gatehouse")
	}
	notify := filepath.Join(dir, "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("listen for the daemon: %w", err)
	}
	defer conn.Close()
	out, err := os.Create(d.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	d.cmd = h.Command(program, "--config", d.config, "--socket", d.socket, "run")
	d.cmd.Stdout, d.cmd.Stderr = out, out
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the daemon: %w", err)
	}
	go func() {
		defer close(d.exited)
		d.cmd.Wait()
		conn.Close() // ends a wait for READY
	}()
	c.Cleanup(func() {
		d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-d.exited:
		case <-time.After(3 * time.Second):
			d.cmd.Process.Kill()
			<-d.exited
		}
	})
	if err := awaitReady(ctx, conn); err != nil {
		return nil, fmt.Errorf("the daemon does not guard: %w%s", err, d.said())
	}
	return d, nil
}

// awaitReady waits for READY=1 (sd_notify(3)).
func awaitReady(ctx context.Context, conn *net.UnixConn) error {
	deadline := time.Now().Add(readyWait)
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	if err := conn.SetReadDeadline(deadline); err != nil {
		return err
	}
	buf := make([]byte, 4096)
	for {
		n, err := conn.Read(buf)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(buf[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

// said returns the end of what the daemon wrote, for an error.
func (d *daemon) said() string {
	b, err := os.ReadFile(d.log)
	if err != nil || len(b) == 0 {
		return ""
	}
	return ":\n" + string(b[max(0, len(b)-2000):])
}

// ask returns a command of the command line, such as status.
func (d *daemon) ask(ctx context.Context, args ...string) *netlab.Cmd {
	return d.host.CommandContext(ctx, d.program, append([]string{"--config", d.config, "--socket", d.socket}, args...)...)
}

// status is the part of `status --json` that the show needs.
type status struct {
	Bans  int `json:"bans"`
	Drops struct {
		Packets uint64 `json:"packets"`
	} `json:"drops"`
	Never []gate.Subject `json:"never"`
}

func (d *daemon) status(ctx context.Context) (s status, err error) {
	b, err := d.ask(ctx, "--json", "status").Output()
	if err != nil {
		return s, fmt.Errorf("gatehouse status: %w", withStderr(err))
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("gatehouse status: %w", err)
	}
	return s, nil
}

// why returns the story of a subject, as a person reads it.
func (d *daemon) why(ctx context.Context, subject string) (string, error) {
	b, err := d.ask(ctx, "why", subject).Output()
	if err != nil {
		return "", fmt.Errorf("gatehouse why %s: %w", subject, withStderr(err))
	}
	return string(b), nil
}

// follow calls yield for each decision, until ctx ends.
func (d *daemon) follow(ctx context.Context, yield func(gate.Record)) error {
	cmd := d.ask(ctx, "--json", "log", "--follow")
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()
	var errs strings.Builder
	cmd.Stdout, cmd.Stderr = w, &errs
	err = cmd.Start()
	w.Close()
	if err != nil {
		return fmt.Errorf("gatehouse log: %w", err)
	}
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if err == io.EOF {
			err = cmd.Wait()
			if ctx.Err() != nil {
				return nil
			}
			return fmt.Errorf("gatehouse log ended: %v %s", err, strings.TrimSpace(errs.String()))
		}
		if err != nil {
			return fmt.Errorf("gatehouse log: %w", err)
		}
		var rec gate.Record
		if err := json.Unmarshal(line, &rec); err != nil {
			return fmt.Errorf("gatehouse log: %w", err)
		}
		yield(rec)
	}
}

// withStderr adds to a command's error what it wrote to standard error.
func withStderr(err error) error {
	if ee, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(ee.Stderr)))
	}
	return err
}
