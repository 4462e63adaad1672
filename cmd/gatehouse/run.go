package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/gate"
)

// runCommand is the daemon.
func runCommand(e *env) *cobra.Command {
	var observe bool
	c := &cobra.Command{
		Use:   "run",
		Short: "guard this machine until stopped",
		Long: "Guards this machine until it is stopped. On a terminal it shows what it watches, who can never be " +
			"banned, how to undo everything, and then each decision; Ctrl-C takes every rule out of the kernel again. " +
			"Under a service manager, or without a terminal, the bans stay in the kernel when it stops, and end there by themselves.\n\n" +
			"SIGHUP reads the configuration again.",
		Args: takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error { return e.run(c.Context(), observe) },
	}
	c.Flags().BoolVar(&observe, "observe", false, "decide and record, but change nothing in the kernel")
	return c
}

// run is the daemon with what a person sees of it.
func (e *env) run(ctx context.Context, observe bool) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	foreground := e.foreground()
	o := app.Options{
		Config: e.config, Socket: e.socket, Observe: observe, Version: thisBuild().Version,
		Log: e.daemonLog(foreground), Flush: foreground, Getenv: os.Getenv,
	}
	if foreground {
		o.Ready, o.Decided = e.firstScreen, e.decided
	}
	hup := make(chan os.Signal, 1) // holds 1: one reload stands for several signals
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	reload := make(chan struct{}) // closed by nobody; the daemon takes from it while it runs
	o.Reload = reload
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-hup:
			}
			if foreground {
				cancel() // the terminal went away
				return
			}
			select {
			case reload <- struct{}{}:
			case <-ctx.Done():
				return
			}
		}
	}()
	left, err := app.Run(ctx, o)
	if foreground && left {
		fmt.Fprintln(e.out, "\nstopped; every rule of gatehouse has left the kernel")
	}
	return err
}

// foreground reports whether a person watches: a terminal, and no service
// manager.
func (e *env) foreground() bool {
	return e.outTerm && term.IsTerminal(int(os.Stdin.Fd())) && os.Getenv("NOTIFY_SOCKET") == ""
}

// daemonLog is where the daemon says what an operator has to know: standard
// error, without times where a journal adds its own.
func (e *env) daemonLog(foreground bool) *slog.Logger {
	level := slog.LevelInfo
	if foreground {
		level = slog.LevelWarn // the screen shows the rest
	}
	journal := os.Getenv("JOURNAL_STREAM") != ""
	return slog.New(slog.NewTextHandler(e.err, &slog.HandlerOptions{Level: level, ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if journal && len(groups) == 0 && a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
}

// firstScreen shows what is watched, who can never be banned, and how to undo
// everything.
func (e *env) firstScreen(st api.Status) {
	doing := e.paint(green, "guarding this machine")
	switch st.State {
	case api.Observing:
		doing = e.paint(yellow, "observing this machine: it decides, and bans nobody")
	case api.Guarding:
	default:
		doing = e.paint(red, string(st.State))
	}
	fmt.Fprintf(e.out, "%s %s is %s\n\n", e.paint(bold, "gatehouse"), harmless(st.Version), doing)
	_ = e.writeSources(st) // a terminal that is gone must not stop the guard
	var t table
	t.add("never banned", joined(st.Never))
	if len(st.Allow) > 0 {
		t.add("allowed", strings.Join(st.Allow, ", "))
	}
	t.add("banned now", grouped(st.Bans))
	width := e.width
	e.width = 0 // who can never be banned is never cut
	_ = e.columns(t)
	e.width = width
	e.writeDegraded(st)
	fmt.Fprintf(e.out, `
undo one ban     gatehouse unban ADDRESS
undo all         gatehouse unban --all
enforce nothing  touch /etc/gatehouse/OPEN
stop             Ctrl-C: every rule leaves the kernel

`)
}

// decided shows one decision.
func (e *env) decided(r gate.Record) {
	st := map[gate.Verdict]style{gate.Ban: red, gate.Release: green}[r.Verdict]
	fmt.Fprintf(e.out, "%s  %s %s  %s\n", e.paint(faint, r.Time.Local().Format("15:04:05")),
		e.paint(st, r.Verdict.String()), e.paint(bold, r.Subject.String()), harmless(r.Why))
}
