package app

import (
	"context"
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/hooks"
	"gatehouse/internal/runner"
)

// hookDesk is the child that runs commands, and the hooks that have it do so.
type hookDesk struct {
	d      *daemon
	runner *runner.Runner

	mu      sync.Mutex // guards what follows
	keeper  *crew      // of the child; nil while nothing needed one
	hooks   *hooks.Hooks
	config  []hooks.Hook
	crew    *crew
	cancel  context.CancelFunc
	endLast context.CancelFunc
}

func newHookDesk(d *daemon) *hookDesk { return &hookDesk{d: d, runner: runner.New(d.log)} }

// needsRunner reports whether a configuration has commands to run.
func needsRunner(c *config.Config) bool {
	if len(c.Hooks) > 0 {
		return true
	}
	if tellsByCommand(c) {
		return true
	}
	for _, e := range c.Exports {
		if len(e.Reload) > 0 {
			return true
		}
	}
	return false
}

// prepare starts the child where one is needed, while the daemon has all its rights.
func (k *hookDesk) prepare(c *config.Config) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.keeper != nil || !needsRunner(c) {
		return
	}
	why := ""
	if err := k.runner.Start(); err != nil {
		why = err.Error()
		k.d.log.Error("hooks do not run", "err", err)
	}
	k.d.faults.report("the process that runs commands", why, "hooks wait meanwhile")
	ctx, cancel := context.WithCancel(context.Background())
	k.keeper, k.endLast = newCrew(k.d.log, k.d.faults), cancel
	k.keeper.start(ctx, task{"runner", k.runner.Run})
}

// end ends the child with all that it runs.
func (k *hookDesk) end() {
	k.mu.Lock()
	keeper, end := k.keeper, k.endLast
	k.mu.Unlock()
	if keeper != nil {
		end()
		keeper.wait()
	}
}

// start runs the hooks of a configuration.
func (k *hookDesk) start(ctx context.Context, c *config.Config) {
	k.prepare(c)
	ctx, cancel := context.WithCancel(ctx)
	hs := hookConfig(c)
	for _, h := range hs {
		why, hint := runner.CheckCommand(h.Run)
		k.d.faults.report("hook "+h.Name, why, hint)
	}
	run := hooks.New(hs, hooks.Deps{
		Log: k.d.log, Ledger: k.d.ledger, Memory: k.d.ledger.Keep("hooks"), Do: k.do,
		Tell: func(ctx context.Context, kind string, s gate.Subject, sentence string) {
			k.d.tell(ctx, hooks.Part, kind, s, sentence)
		},
		Fault: k.d.faults.report,
	})
	crew := newCrew(k.d.log, k.d.faults)
	k.mu.Lock()
	k.hooks, k.crew, k.cancel, k.config = run, crew, cancel, hs
	k.mu.Unlock()
	crew.start(ctx, task{"hooks", run.Run})
}

// restart runs the hooks of another configuration, where that says something else
// about them: commands that run are not given up for nothing.
func (k *hookDesk) restart(ctx context.Context, c *config.Config) {
	k.prepare(c) // exports may need it, too
	k.mu.Lock()
	before := k.config
	k.mu.Unlock()
	now := hookConfig(c)
	if reflect.DeepEqual(before, now) {
		return
	}
	k.stop()
	for _, h := range before {
		if !slices.ContainsFunc(now, func(n hooks.Hook) bool { return n.Name == h.Name }) {
			k.d.faults.report("hook "+h.Name, "", "")
		}
	}
	k.start(ctx, c)
}

// stop ends what start started: commands that run are given up, and come again.
func (k *hookDesk) stop() {
	k.mu.Lock()
	crew, cancel := k.crew, k.cancel
	k.mu.Unlock()
	if cancel != nil {
		cancel()
		crew.wait()
	}
}

// do has the child run a command.
func (k *hookDesk) do(ctx context.Context, c hooks.Command) (hooks.Result, error) {
	res, err := k.runner.Do(ctx, runner.Command(c))
	return hooks.Result(res), err
}

// command runs a command of the configuration that is no hook. Its error says how it
// ended.
func (k *hookDesk) command(ctx context.Context, argv []string, limit time.Duration) error {
	res, err := k.runner.Do(ctx, runner.Command{Argv: argv, Limit: limit, Output: 1 << 10, Env: []string{"GATEHOUSE_DELIVERY=export"}})
	if err != nil {
		return err
	}
	if res.Problem != "" {
		return fmt.Errorf("%s: %s", filepath.Base(argv[0]), res.Problem)
	}
	return nil
}

// hookConfig maps the section of the configuration to the hooks' own.
func hookConfig(c *config.Config) (out []hooks.Hook) {
	used := map[string]bool{}
	for _, h := range c.Hooks {
		used[h.Name] = true
	}
	for _, h := range c.Hooks {
		name := h.Name
		if name == "" {
			name = freeName(filepath.Base(h.Run[0]), used)
		}
		out = append(out, hooks.Hook{
			Name: name, On: h.On, Run: h.Run, Rules: h.Rules, Match: h.Match, Timeout: h.Timeout,
			Parallel: h.Parallel, Retries: h.Retries, Late: h.Late, User: h.User,
		})
	}
	return out
}

// freeName is a name that is not used yet, and is from now on.
func freeName(base string, used map[string]bool) string {
	if !gate.IsName(base) {
		base = "hook"
	}
	name := base
	for n := 2; used[name]; n++ {
		name = fmt.Sprintf("%s.%d", base, n)
	}
	used[name] = true
	return name
}

// report is how each hook is.
func (k *hookDesk) report() []api.Hook {
	k.mu.Lock()
	h := k.hooks
	k.mu.Unlock()
	out := []api.Hook{}
	if h == nil {
		return out
	}
	for _, s := range h.Status() {
		out = append(out, api.Hook{
			Name: s.Name, On: s.On, Runs: s.Runs, Failed: s.Failed, Late: s.Passed, Running: s.Running, Behind: s.Behind,
			Last: api.TimeOf(s.Last), Problem: s.Problem,
		})
	}
	return out
}

// runs returns the latest runs of a hook.
func (k *hookDesk) runs(name string) ([]api.HookRun, error) {
	k.mu.Lock()
	h := k.hooks
	k.mu.Unlock()
	rs, err := h.Latest(name)
	if err != nil {
		return nil, &api.Error{Message: err.Error(), Hint: "see: gatehouse hooks"}
	}
	return hookRuns(rs), nil
}

// about returns the latest runs for a subject.
func (k *hookDesk) about(s gate.Subject) []api.HookRun {
	k.mu.Lock()
	h := k.hooks
	k.mu.Unlock()
	if h == nil {
		return []api.HookRun{}
	}
	return hookRuns(h.About(s))
}

func hookRuns(rs []hooks.Run) []api.HookRun {
	out := []api.HookRun{}
	for _, r := range rs {
		out = append(out, api.HookRun{
			Hook: r.Hook, Record: r.Seq, Delivery: r.Delivery, Subject: r.Subject, Time: r.Time, Milliseconds: r.Took.Milliseconds(),
			Tries: r.Tries, Exit: r.Exit, Problem: r.Problem, Output: r.Output, Lost: r.Lost,
		})
	}
	return out
}
