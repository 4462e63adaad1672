package api

import (
	"context"
	"net/url"
	"time"

	"gatehouse/internal/gate"
)

// Hook is one command of the operator's.
type Hook struct {
	Name    string     `json:"name" doc:"its name"`
	On      []string   `json:"on" doc:"what it is run for"`
	Runs    uint64     `json:"runs" doc:"how often it ran since the start"`
	Failed  uint64     `json:"failed" doc:"how often it failed, after all tries"`
	Late    uint64     `json:"late" doc:"records that waited for too long and were passed over"`
	Running int        `json:"running" doc:"runs of it that go on now"`
	Behind  uint64     `json:"behind" doc:"records that it has not looked at yet"`
	Last    *time.Time `json:"last" doc:"when a run last ended; null = never"`
	Problem string     `json:"problem" doc:"what was wrong with the last run; empty = nothing"`
}

// HookRun is one run of a hook that has ended.
type HookRun struct {
	Hook         string       `json:"hook" doc:"its name"`
	Record       uint64       `json:"record" doc:"number of the record that it ran for"`
	Delivery     string       `json:"delivery" doc:"the same whenever this record comes to this hook"`
	Subject      gate.Subject `json:"subject,omitzero" doc:"whom the record is about"`
	Time         time.Time    `json:"time" doc:"when it ended"`
	Milliseconds int64        `json:"milliseconds" doc:"how long it ran"`
	Tries        int          `json:"tries" doc:"how often it was run for the record"`
	Exit         int          `json:"exit" doc:"its exit code; -1 = it has none"`
	Problem      string       `json:"problem,omitempty" doc:"why it failed; absent = it did not"`
	Output       string       `json:"output,omitempty" doc:"the end of what it wrote"`
	Lost         int64        `json:"lost,omitempty" doc:"bytes that it wrote besides"`
}

type hookInput struct {
	Name string `path:"name" maxLength:"64" doc:"the name of the hook"`
}

func (s *Server) hookRuns(_ context.Context, in *hookInput) ([]HookRun, error) {
	rs, err := s.backend.HookRuns(in.Name)
	return own(rs), err
}

// HookRuns returns the latest runs of a hook, oldest first.
func (c *Client) HookRuns(ctx context.Context, name string) ([]HookRun, error) {
	var out []HookRun
	return out, c.call(ctx, "GET", "/v1/hooks/"+url.PathEscape(name), nil, &out)
}
