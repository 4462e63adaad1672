package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/netlab"
)

const (
	startPatience  = 40 * time.Second       // until a service is ready
	linePatience   = 10 * time.Second       // until a line comes that an attack expects
	stopPatience   = 8 * time.Second        // until a service ends that was asked to
	quiet          = 250 * time.Millisecond // without a line: an attack is over
	settlePatience = 5 * time.Second        // for a service that never stops writing
	tick           = 25 * time.Millisecond
)

// Run is a service that runs and is attacked; attacks get it.
type Run struct {
	V4, V6         *Client // the attacker
	Other, OtherV6 *Client // somebody else, who logs in correctly

	ctx      context.Context
	gate     machine
	journal  *journal
	names    *names
	mark     int    // lines before this attack
	step     string // its name
	problems []string
	exited   chan struct{} // closed when the service has ended
	cmd      *netlab.Cmd
}

// Problem notes that something did not go as meant; the lines are kept, but not
// as testdata.
func (r *Run) Problem(format string, args ...any) {
	r.problems = append(r.problems, r.step+": "+fmt.Sprintf(format, args...))
}

// Expect waits until a line that came since the attack began contains all of
// this, and returns it; it is a problem if none comes.
func (r *Run) Expect(parts ...string) string {
	deadline := time.Now().Add(linePatience)
	for {
		if err := r.journal.poll(); err != nil {
			r.Problem("%v", err)
			return ""
		}
		for _, e := range r.journal.from(r.mark) {
			if !slices.ContainsFunc(parts, func(p string) bool { return !strings.Contains(string(e.Line), p) }) {
				return string(e.Line)
			}
		}
		if time.Now().After(deadline) || r.ctx.Err() != nil {
			r.Problem("no line with %q", parts)
			return ""
		}
		time.Sleep(tick)
	}
}

// Inside runs a command on the service's machine and returns what it wrote.
func (r *Run) Inside(args ...string) string { return r.InsideInput("", args...) }

// InsideInput is Inside with a standard input.
func (r *Run) InsideInput(stdin string, args ...string) string {
	ctx, cancel := context.WithTimeout(r.ctx, 20*time.Second)
	defer cancel()
	out, _ := r.gate.run(ctx, nil, stdin, args...)
	if ctx.Err() != nil {
		r.Problem("%s: it did not end", strings.Join(args, " "))
	}
	return out
}

// Shell runs a script (sh -eu) on the service's machine; that it fails is a
// problem.
func (r *Run) Shell(script string) string {
	out, err := r.gate.run(r.ctx, nil, "", "sh", "-euc", script)
	if err != nil {
		r.Problem("script: %v: %s", err, strings.TrimSpace(out))
	}
	return out
}

// Reverse lets the name server say from now on that this address has that name;
// "" = none. Who owns an address chooses its name.
func (r *Run) Reverse(address, name string) { r.names.reverse(address, name) }

// result is what a stage hands back.
type result struct {
	Problems []string
	Steps    []step
	Output   []string // the last lines of its output, if something went wrong
}

// step is one attack and its lines; the first is the start, the last the stop.
type step struct {
	Name  string
	Lines []entry
}

// capture starts a service, attacks and stops it. It runs inside a stage.
func capture(ctx context.Context, v Service, lower []string) (res result) {
	ctx, cancel := context.WithTimeout(ctx, v.patience())
	defer cancel()
	r := &Run{ctx: ctx, step: "start"}
	c := &netlab.Crew{}
	err := c.Perform(func() error {
		if err := r.build(c, v, lower); err != nil {
			return err
		}
		if err := r.start(v); err != nil {
			return err
		}
		res.Steps = append(res.Steps, r.end())
		for _, a := range v.Attacks {
			r.begin(a.Name)
			r.attack(a)
			res.Steps = append(res.Steps, r.end())
			if ctx.Err() != nil {
				return fmt.Errorf("not done after %v", v.patience())
			}
		}
		r.begin("stop")
		r.stop()
		res.Steps = append(res.Steps, r.end())
		return nil
	})
	if err != nil {
		r.Problem("%v", err)
	}
	res.Problems = r.problems
	if len(r.problems) > 0 && r.journal != nil {
		all := r.journal.from(0)
		for _, e := range all[max(0, len(all)-12):] {
			res.Output = append(res.Output, e.From+": "+string(e.Line))
		}
	}
	return res
}

// attack runs one attack; an error in it is a problem of the run.
func (r *Run) attack(a Attack) {
	defer func() {
		if p := recover(); p != nil {
			r.Problem("panic: %v\n%s", p, debug.Stack())
		}
	}()
	select {
	case <-r.exited:
		r.Problem("the service has ended")
	default:
		a.Do(r)
	}
}

// build makes the network and the machines.
func (r *Run) build(c *netlab.Crew, v Service, lower []string) error {
	if err := unix.Sethostname([]byte("gate")); err != nil { // the stage's own
		return fmt.Errorf("set the host name: %w", err)
	}
	lab := netlab.New(c)
	// The networks first: a machine that has its root sees nothing else any more.
	var ms []machine
	for _, h := range []struct{ name, v4, v6 string }{
		{"gate", gate4, gate6}, {"attacker", attacker4, attacker6}, {"other", other4, other6}, {"resolver", resolver4, resolver6},
	} {
		m, err := newMachine(lab, h.name, lower)
		if err != nil {
			return err
		}
		ms = append(ms, m)
	}
	gate, attacker, other, resolver := ms[0], ms[1], ms[2], ms[3]
	lab.Switch("switch",
		gate.At(gate4+"/24", gate6+"/64"), attacker.At(attacker4+"/24", attacker6+"/64"),
		other.At(other4+"/24", other6+"/64"), resolver.At(resolver4+"/24", resolver6+"/64"))
	for _, m := range ms {
		if err := m.write("/etc/resolv.conf", "nameserver "+resolver4+"\noptions timeout:1 attempts:1\n"); err != nil {
			return fmt.Errorf("name the resolver: %w", err)
		}
		if err := m.write(askpass, "#!/bin/sh\nprintf '%s\\n' \"$PASSWORD\"\n"); err != nil {
			return fmt.Errorf("write the program that tells passwords: %w", err)
		}
	}
	r.gate, r.names = gate, newNames()
	if err := r.names.serve(resolver); err != nil {
		return err
	}
	r.V4 = &Client{attacker4, gate4, attacker, r}
	r.V6 = &Client{attacker6, gate6, attacker, r}
	r.Other = &Client{other4, gate4, other, r}
	r.OtherV6 = &Client{other6, gate6, other, r}
	var err error
	r.journal, err = newJournal(gate, v)
	return err
}

// prepare writes the files, makes the accounts and runs the script.
func (r *Run) prepare(v Service) error {
	for path, content := range v.Files {
		if err := r.gate.write(path, content); err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	for _, u := range v.Users {
		if err := r.gate.addUser(r.ctx, u); err != nil {
			return err
		}
	}
	if v.Prepare != "" {
		if out, err := r.gate.run(r.ctx, v.Env, "", "sh", "-euc", v.Prepare); err != nil {
			return fmt.Errorf("prepare: %w: %s", err, strings.TrimSpace(out))
		}
	}
	return nil
}

// shell runs a shell on a service's machine, before the service's start.
func shell(ctx context.Context, v Service, lower []string) error {
	r, c := &Run{ctx: ctx, step: "shell"}, &netlab.Crew{}
	return c.Perform(func() error {
		if err := r.build(c, v, lower); err != nil {
			return err
		}
		if err := r.prepare(v); err != nil {
			return err
		}
		sh := r.gate.command(ctx, append(v.Env, "TERM="+os.Getenv("TERM")), "sh")
		sh.Stdin, sh.Stdout, sh.Stderr = os.Stdin, os.Stdout, os.Stderr
		return sh.Run()
	})
}

// start prepares and starts the service and waits until it is ready.
func (r *Run) start(v Service) error {
	if err := r.prepare(v); err != nil {
		return err
	}
	r.begin(r.step) // what making accounts logged is not the service's
	r.exited = make(chan struct{})
	if len(v.Command) == 0 {
		return nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("make a pipe: %w", err)
	}
	defer write.Close()
	r.cmd = r.gate.command(context.Background(), v.Env, v.Command...)
	r.cmd.Stdout, r.cmd.Stderr = write, write
	r.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := r.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", v.Command[0], err)
	}
	go r.journal.output(read)
	var ended error
	go func() { ended = r.cmd.Wait(); close(r.exited) }()
	deadline := time.Now().Add(startPatience)
	for {
		if err := r.journal.poll(); err != nil {
			return err
		}
		if r.ready(v.Ready) {
			return nil
		}
		select {
		case <-r.exited:
			return fmt.Errorf("it ended: %v", ended)
		case <-r.ctx.Done():
			return errors.New("not ready in time")
		case <-time.After(tick):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not ready after %v: waiting for %+v", startPatience, v.Ready)
		}
	}
}

// ready reports whether all holds that shows a service is ready.
func (r *Run) ready(want Ready) bool {
	if want.TCP != 0 && !r.gate.listens("tcp", want.TCP) || want.UDP != 0 && !r.gate.listens("udp", want.UDP) {
		return false
	}
	if want.File != "" && r.gate.Do(func() error { _, err := os.Stat(filepath.Clean(want.File)); return err }) != nil {
		return false
	}
	return want.Says == "" || slices.ContainsFunc(r.journal.from(0), func(e entry) bool { return strings.Contains(string(e.Line), want.Says) })
}

// stop asks the service to end and waits for it, then ends what it left behind.
func (r *Run) stop() {
	if r.cmd == nil {
		return
	}
	syscall.Kill(r.cmd.Process.Pid, syscall.SIGTERM) // it may have ended
	select {
	case <-r.exited:
	case <-time.After(stopPatience):
		r.cmd.Process.Kill()
		<-r.exited
	}
	syscall.Kill(-r.cmd.Process.Pid, syscall.SIGTERM) // the rest of its group, if any
}

// begin begins an attack.
func (r *Run) begin(name string) { r.step, r.mark = name, r.journal.len() }

// end waits until an attack's lines have come and returns them.
func (r *Run) end() step {
	over := time.Now()
	for {
		if err := r.journal.poll(); err != nil {
			r.Problem("%v", err)
			break
		}
		if time.Since(over) > quiet && r.journal.idle() > quiet || time.Since(over) > settlePatience {
			break
		}
		time.Sleep(tick)
	}
	return step{r.step, r.journal.from(r.mark)}
}
