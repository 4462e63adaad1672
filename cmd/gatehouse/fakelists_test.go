package main

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// lists are two block lists of the fakeDaemon: one is good, one is held back until it
// is taken.
func (d *fakeDaemon) lists() []api.List {
	heard, next := d.now.Add(-5*time.Minute), d.now.Add(12*time.Hour)
	drop := api.List{Name: "drop", Source: "https://lists.example.org/drop.txt", Verdict: gate.Ban, State: "good", InForce: true,
		Entries: 1210, Prefixes: 1203, Packets: 77, Checked: &heard, Changed: &heard, Next: &next}
	own := api.List{Name: "own", Source: "/etc/gatehouse/own.txt", Verdict: gate.Ban, State: "held back", InForce: true, Prefixes: 10, Held: 90,
		Checked: &heard, Problem: "it has grown by more than 100 %: 90 networks now, 10 before", Next: &next}
	if d.taken {
		own.State, own.Held, own.Prefixes, own.Problem = "good", 0, 90, ""
	}
	return []api.List{drop, own}
}

func (d *fakeDaemon) list(_ context.Context, name, by string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case name == "own" && by != "":
		d.taken = true
	case name != "own" && name != "drop":
		return &api.Error{Message: "list " + gate.Quote(name, 64) + ": there is no list " + gate.Quote(name, 64), Hint: "see: gatehouse lists"}
	}
	return nil
}

// hooks are two hooks, one of which fails.
func (d *fakeDaemon) hooks() []api.Hook {
	last := d.now.Add(-150 * time.Second)
	return []api.Hook{
		{Name: "on-ban", On: []string{"ban", "release"}, Runs: 1204, Last: &last},
		{Name: "router", On: []string{"ban"}, Runs: 3, Failed: 1, Behind: 2, Last: &last, Problem: "it ended with exit code 255"},
	}
}

func (d *fakeDaemon) hookRuns(name string) ([]api.HookRun, error) {
	if name != "router" {
		return nil, &api.Error{Message: "there is no hook " + gate.Quote(name, 64), Hint: "see: gatehouse hooks"}
	}
	return []api.HookRun{{Hook: name, Record: 7, Delivery: "7/router", Subject: subject("203.0.113.9"), Time: d.now.Add(-150 * time.Second), Milliseconds: 210,
		Tries: 1, Exit: 255, Problem: "it ended with exit code 255", Output: "ssh: connect to host 192.0.2.1: \x1b[31mConnection refused\n"}}, nil
}
