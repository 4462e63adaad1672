// Package rig holds the built program the way a person does: it starts the
// daemon on a host of a laboratory, waits until it says that it is ready, and
// runs the command line against it. End-to-end tests and the benchmarks use it;
// the program itself never does.
package rig

import (
	"bufio"
	"bytes"
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
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/netlab"
)

// Patience is how long anything that the rig waits for may take.
const Patience = 30 * time.Second

// Build builds the program into dir with these extra flags and returns its path;
// the environment variable GATEHOUSE_BIN names a finished one instead.
func Build(dir string, flags ...string) (string, error) {
	if bin := os.Getenv("GATEHOUSE_BIN"); bin != "" {
		return filepath.Abs(bin)
	}
	bin := filepath.Join(dir, "gatehouse")
	args := append([]string{"build", "-o", bin}, flags...)
	cmd := exec.Command("go", append(args, "gatehouse/cmd/gatehouse")...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build the program: %w\n%s", err, out)
	}
	return bin, nil
}

// Daemon is one running daemon on a host, and the folder that holds its
// configuration, state and socket. Its methods end the test with Fatalf where
// the rig itself fails.
type Daemon struct {
	Bin  string
	Host *netlab.Host
	Dir  string   // configuration, state, socket
	Args []string // further arguments of `run`
	Env  []string // further environment of `run`
	tb   netlab.TB
	run  *process

	mu  sync.Mutex
	log bytes.Buffer
}

// process is one run of the daemon.
type process struct {
	cmd    *netlab.Cmd
	exited chan struct{} // closed when it is gone
	err    error         // how it ended, once exited is closed
}

// New prepares a daemon on h with this configuration; state and socket are added
// to it. It is not started yet.
func New(tb netlab.TB, bin string, h *netlab.Host, config string) *Daemon {
	tb.Helper()
	d := &Daemon{Bin: bin, Host: h, Dir: tb.TempDir(), tb: tb}
	d.Configure(config)
	tb.Cleanup(func() { d.Kill() })
	return d
}

// Configure writes the configuration file; it is in force after Start or a reload.
func (d *Daemon) Configure(config string) {
	d.tb.Helper()
	text := fmt.Sprintf("state: %s\nsocket: %s\n%s", d.State(), d.Socket(), config)
	if err := os.WriteFile(d.Config(), []byte(text), 0o644); err != nil {
		d.tb.Fatalf("rig: %v", err)
	}
}

// Config returns the path of the configuration file.
func (d *Daemon) Config() string { return filepath.Join(d.Dir, "gatehouse.yaml") }

// State returns the state folder.
func (d *Daemon) State() string { return filepath.Join(d.Dir, "state") }

// Socket returns the path of the daemon's socket.
func (d *Daemon) Socket() string { return filepath.Join(d.Dir, "gatehouse.sock") }

// Pid returns the process of the running daemon.
func (d *Daemon) Pid() int { return d.run.cmd.Process.Pid }

// Start starts the daemon and returns when it has said READY=1, and how long
// that took.
func (d *Daemon) Start() time.Duration {
	d.tb.Helper()
	ready, err := d.TryStart()
	if err != nil {
		d.tb.Fatalf("rig: %v\n%s", err, d.Log())
	}
	return ready
}

// TryStart is Start with the failure returned.
func (d *Daemon) TryStart() (time.Duration, error) {
	path := filepath.Join(d.Dir, "notify")
	os.Remove(path)
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return 0, err
	}
	cmd := d.Host.Command(d.Bin, append([]string{"--config", d.Config(), "run"}, d.Args...)...)
	cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+path), d.Env...)
	cmd.Stdout, cmd.Stderr = d, d
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	run := &process{cmd: cmd, exited: make(chan struct{})}
	d.run = run
	go func() { run.err = cmd.Wait(); close(run.exited); conn.Close() }()
	conn.SetReadDeadline(begun.Add(Patience))
	for b := make([]byte, 4096); ; {
		n, err := conn.Read(b)
		if err != nil {
			select {
			case <-run.exited:
				return 0, fmt.Errorf("the daemon ended: %v", run.err)
			default:
				return 0, fmt.Errorf("the daemon is not ready: %w", err)
			}
		}
		if strings.Contains(string(b[:n]), "READY=1") {
			took := time.Since(begun)
			go io.Copy(io.Discard, conn) // until the process ends
			return took, nil
		}
	}
}

// Write collects what the daemon writes.
func (d *Daemon) Write(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.Write(b)
}

// Log returns what the daemon has written so far.
func (d *Daemon) Log() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.log.String()
}

// Kill ends the daemon as a crash would, and returns when it is gone. A daemon
// that does not run is left alone.
func (d *Daemon) Kill() { d.signal(syscall.SIGKILL) }

// Stop ends the daemon as a service manager does, and returns when it is gone.
func (d *Daemon) Stop() { d.signal(syscall.SIGTERM) }

func (d *Daemon) signal(sig syscall.Signal) {
	if d.run == nil {
		return
	}
	select {
	case <-d.run.exited:
		return
	default:
	}
	d.run.cmd.Process.Signal(sig)
	<-d.run.exited
}

// Result is what one run of the command line gave.
type Result struct {
	Out, Err string
	Code     int
}

// CLI runs a command of the command line against the daemon.
func (d *Daemon) CLI(args ...string) Result { return d.CLIInput(nil, args...) }

// CLIInput is CLI with a standard input.
func (d *Daemon) CLIInput(in io.Reader, args ...string) Result {
	d.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := d.Host.CommandContext(ctx, d.Bin, append([]string{"--config", d.Config(), "--socket", d.Socket()}, args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err := cmd.Run()
	r := Result{Out: out.String(), Err: errs.String()}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		r.Code = exit.ExitCode()
	case err != nil:
		d.tb.Fatalf("rig: %v: %v", args, err)
	}
	return r
}

// Must runs a command that has to succeed and returns its output.
func (d *Daemon) Must(args ...string) string {
	d.tb.Helper()
	r := d.CLI(args...)
	if r.Code != 0 {
		d.tb.Fatalf("gatehouse %s: exit %d\n%s%s", strings.Join(args, " "), r.Code, r.Out, r.Err)
	}
	return r.Out
}

// JSON runs a command with --json and reads its document into v.
func (d *Daemon) JSON(v any, args ...string) {
	d.tb.Helper()
	out := d.Must(append([]string{"--json"}, args...)...)
	if err := json.Unmarshal([]byte(out), v); err != nil {
		d.tb.Fatalf("gatehouse %s: %v in %q", strings.Join(args, " "), err, out)
	}
}

// Entry is one record as `log --json` prints it.
type Entry struct {
	Seq     uint64    `json:"seq"`
	Time    time.Time `json:"time"`
	Until   time.Time `json:"until"`
	Verdict string    `json:"verdict"`
	Subject string    `json:"subject"`
	Rule    string    `json:"rule"`
	Offence int       `json:"offence"`
	Why     string    `json:"why"`
}

// Follow opens `log --follow` and returns a function that waits for the next
// record that match accepts.
func (d *Daemon) Follow() (next func(match func(Entry) bool) (Entry, error)) {
	d.tb.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cmd := d.Host.CommandContext(ctx, d.Bin, "--config", d.Config(), "--socket", d.Socket(), "--json", "log", "--follow")
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		d.tb.Fatalf("rig: follow: %v", err)
	}
	d.tb.Cleanup(func() { cancel(); cmd.Wait() })
	entries := make(chan Entry, 1024) // the reader below waits when the test is that far behind
	go func() {
		defer close(entries)
		for sc := bufio.NewScanner(pipe); sc.Scan(); {
			var e Entry
			if json.Unmarshal(sc.Bytes(), &e) == nil {
				select {
				case entries <- e:
				case <-ctx.Done():
					return
				}
			}
		}
	}()
	return func(match func(Entry) bool) (Entry, error) {
		timeout := time.After(Patience)
		for {
			select {
			case e, ok := <-entries:
				if !ok {
					return Entry{}, errors.New("the stream of records ended")
				}
				if match(e) {
					return e, nil
				}
			case <-timeout:
				return Entry{}, fmt.Errorf("no such record within %v", Patience)
			}
		}
	}
}
