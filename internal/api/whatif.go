package api

import (
	"context"
	"net/url"

	"gatehouse/internal/gate"
)

// Prospect is what would follow if something happened now.
type Prospect struct {
	If        string          `json:"if" doc:"what would happen"`
	Decisions []gate.Decision `json:"decisions" doc:"what would be decided; empty = nothing"`
	Refused   string          `json:"refused,omitempty" doc:"why nothing would be"`
	Hint      string          `json:"hint,omitempty" doc:"what to do instead"`
}

func (s *Server) whatIf(ctx context.Context, in *whyInput) ([]Prospect, error) {
	sub, err := parseSubject(in.Subject)
	if err != nil {
		return nil, err
	}
	ps, err := s.backend.WhatIf(ctx, sub)
	if err != nil {
		return nil, err
	}
	ps = own(ps)
	for i := range ps {
		ps[i].Decisions = own(ps[i].Decisions)
	}
	return ps, nil
}

// WhatIf returns what would follow if this subject offended, or somebody asked for
// something about it.
func (c *Client) WhatIf(ctx context.Context, s gate.Subject) ([]Prospect, error) {
	var out []Prospect
	return out, c.call(ctx, "GET", "/v1/what-if?subject="+url.QueryEscape(s.String()), nil, &out)
}
