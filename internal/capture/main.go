package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"

	"gatehouse/internal/netlab"
)

func main() {
	if netlab.Hook() {
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := command(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "capture:", err)
		stop()
		os.Exit(1)
	}
}

// options are those of the command line.
type options struct {
	dir, out, mirror string
	jobs             int
	list             bool
	shell            bool
	lower            string // inside a stage: the layers, as JSON
}

// command reads the command line and does what it says.
func command(ctx context.Context, args []string) error {
	var o options
	f := flag.NewFlagSet("capture", flag.ContinueOnError)
	f.StringVar(&o.dir, "dir", "build/capture", "folder for the throwaway roots")
	f.StringVar(&o.out, "out", "internal/rules/testdata/captured", "folder for the captured lines")
	f.StringVar(&o.mirror, "mirror", "http://deb.debian.org/debian", "mirror of Debian; its security updates lie beside it")
	f.IntVar(&o.jobs, "jobs", 4, "services at a time")
	f.BoolVar(&o.list, "list", false, "print the services and end")
	f.BoolVar(&o.shell, "shell", false, "prepare one service, do not start it, and run a shell on its machine")
	f.StringVar(&o.lower, "stage", "", "") // for itself
	if err := f.Parse(args); err != nil {
		return err
	}
	all, err := services()
	if err != nil {
		return err
	}
	wanted, err := choose(all, f.Args())
	switch {
	case err != nil:
		return err
	case o.list:
		for _, v := range wanted {
			fmt.Println(v.Name)
		}
		return nil
	case netlab.Staged():
		return stage(ctx, wanted[0], o)
	case os.Geteuid() != 0:
		return errors.New("installing packages into a root of their own takes root: run it with sudo")
	}
	return captureAll(ctx, o, wanted)
}

// choose returns the services of these names; all if there is none.
func choose(all []Service, names []string) ([]Service, error) {
	if len(names) == 0 {
		return all, nil
	}
	var chosen []Service
	for _, n := range names {
		i := slices.IndexFunc(all, func(v Service) bool { return v.Name == n })
		if i < 0 {
			var known []string
			for _, v := range all {
				known = append(known, v.Name)
			}
			return nil, fmt.Errorf("no service %q; there are: %s", n, strings.Join(known, " "))
		}
		chosen = append(chosen, all[i])
	}
	return chosen, nil
}

// stage captures one service inside a stage and prints the result as JSON.
func stage(ctx context.Context, v Service, o options) error {
	var folders []string
	if err := json.Unmarshal([]byte(o.lower), &folders); err != nil {
		return fmt.Errorf("read the layers: %w", err)
	}
	if o.shell {
		return shell(ctx, v, folders)
	}
	return json.NewEncoder(os.Stdout).Encode(capture(ctx, v, folders))
}

// captureAll captures services, some at a time, and prints a table.
func captureAll(ctx context.Context, o options, wanted []Service) error {
	dir, err := filepath.Abs(o.dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return fmt.Errorf("make the folder for roots: %w", err)
	}
	s := store{dir, o.mirror}
	base, err := s.base(ctx)
	if err != nil {
		return fmt.Errorf("make the base: %w", err)
	}
	if o.shell {
		l, err := s.layer(ctx, base, wanted[0])
		if err != nil {
			return err
		}
		_, err = stageOf(wanted[0], l.Lower, "-shell").Run(ctx)
		return err
	}
	rows := make([]row, len(wanted))
	slots := make(chan struct{}, max(1, o.jobs)) // a slot a service
	var wg sync.WaitGroup
	for i, v := range wanted {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		rows[i] = row{service: v}
		l, err := s.layer(ctx, base, v)
		if err != nil {
			rows[i].failed(fmt.Sprintf("its packages cannot be had: %v", err))
			fmt.Fprintf(os.Stderr, "%s: %s\n", v.Name, rows[i].outcome())
			continue
		}
		rows[i].version, rows[i].installed = l.Versions[v.Packages[0]], l.Made
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			rows[i].capture(ctx, o, dir, l)
			fmt.Fprintf(os.Stderr, "%s: %s\n", v.Name, rows[i].outcome())
		})
	}
	wg.Wait()
	table(os.Stdout, rows)
	if slices.ContainsFunc(rows, func(r row) bool { return len(r.problems) > 0 }) {
		return errors.New("not all is as it should be: see above")
	}
	return ctx.Err()
}

// runStage runs this program for one service in a stage and reads its result.
func runStage(ctx context.Context, v Service, lower []string, errs io.Writer) (res result, err error) {
	var out strings.Builder
	st := stageOf(v, lower)
	st.Stdin, st.Stdout, st.Stderr = nil, &out, errs
	code, err := st.Run(ctx)
	if err != nil {
		return res, err
	}
	if err := json.Unmarshal([]byte(out.String()), &res); err != nil {
		return res, fmt.Errorf("it ended with exit code %d before it was done", code)
	}
	return res, nil
}

// stageOf returns a stage that does one service's work on these layers.
func stageOf(v Service, lower []string, flags ...string) netlab.Stage {
	layers, err := json.Marshal(lower)
	if err != nil {
		panic(err) // strings can be marshalled
	}
	return netlab.Stage{Args: append(flags, "-stage", string(layers), v.Name), Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
}
