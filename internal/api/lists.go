package api

import (
	"context"
	"time"

	"gatehouse/internal/gate"
)

// List is one block list.
type List struct {
	Name      string         `json:"name" doc:"its name in the configuration"`
	Source    string         `json:"source" doc:"where it comes from: a URL without its secrets, or a path"`
	Verdict   gate.Verdict   `json:"verdict" doc:"ban, or allow for a list of who is never banned"`
	Direction gate.Direction `json:"direction" doc:"in, out, or empty for both"`
	State     string         `json:"state" enum:"waiting,good,held back,failing,too old" doc:"how it is"`
	InForce   bool           `json:"in_force" doc:"whether the kernel looks at it"`
	Entries   int            `json:"entries" doc:"how many the source names"`
	Prefixes  int            `json:"prefixes" doc:"networks in force, merged, without those who are spared"`
	Spared    int            `json:"spared" doc:"networks that were cut because they hold somebody who is never banned"`
	Held      int            `json:"held" doc:"networks in what is held back"`
	Packets   uint64         `json:"packets" doc:"packets that it stopped"`
	Checked   *time.Time     `json:"checked" doc:"when the source last said so; null = never"`
	Changed   *time.Time     `json:"changed" doc:"when it last became another; null = never"`
	Next      *time.Time     `json:"next" doc:"when the source is asked again"`
	Problem   string         `json:"problem" doc:"what is wrong, or was left out"`
}

// Listing is an entry of a list that covers somebody.
type Listing struct {
	List      string         `json:"list" doc:"the name of the list"`
	Entry     gate.Subject   `json:"entry" doc:"the network in it"`
	Verdict   gate.Verdict   `json:"verdict" doc:"ban or allow"`
	Direction gate.Direction `json:"direction" doc:"in, out, or empty for both"`
	Since     time.Time      `json:"since" doc:"when the list became what it is"`
	InForce   bool           `json:"in_force" doc:"false: somebody in it is spared"`
	Reason    string         `json:"reason" doc:"where the list comes from, in a sentence"`
}

type listInput struct {
	Name string `path:"name" maxLength:"64" doc:"the name of the list"`
}

func (s *Server) refreshList(ctx context.Context, in *listInput) (done, error) {
	return done{true}, s.backend.List(ctx, in.Name, "")
}

func (s *Server) acceptList(ctx context.Context, in *listInput) (done, error) {
	return done{true}, s.backend.List(ctx, in.Name, callerOf(ctx).By())
}

// RefreshList makes the daemon look at a list now, and returns when it has.
func (c *Client) RefreshList(ctx context.Context, name string) error {
	return c.call(ctx, "POST", "/v1/lists/"+name+"/refresh", nil, &done{})
}

// AcceptList takes what is held back of a list.
func (c *Client) AcceptList(ctx context.Context, name string) error {
	return c.call(ctx, "POST", "/v1/lists/"+name+"/accept", nil, &done{})
}
