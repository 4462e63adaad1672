package app

import (
	"context"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// whatIf tells what would follow if a subject offended under one of the rules that
// count something of it, and if somebody asked for something about it.
func (d *daemon) whatIf(ctx context.Context, s gate.Subject) (out []api.Prospect, err error) {
	now := time.Now()
	err = d.spine.do(ctx, func() {
		var rules []string
		for _, w := range d.spine.detect.Windows(s, now) {
			rules = append(rules, w.Rule)
		}
		for _, p := range d.spine.policy.WhatIf(s, rules, now, d.host.Snapshot()) {
			out = append(out, api.Prospect{If: p.If, Decisions: p.Decisions, Refused: p.Refused, Hint: p.Hint})
		}
	})
	return out, err
}
