package api

import (
	"context"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/internal/gate"
)

// PortWish is a wish about ports, as the backend gets it.
type PortWish struct {
	Verdict   gate.Verdict // Close, Open, or Release: take back what was asked
	What      []string     // services and ports, as a person wrote them
	Direction gate.Direction
	From, To  netip.Prefix // zero = anywhere
	For       time.Duration
	Cut       bool // when an opening ends, live connections end too
	Sure      bool // the asker's own session may be cut
	Reason    string
	Caller    Caller
	Named     string // who asks, where it is no caller: "mqtt"
}

// PortAsking asks for a change of ports.
type PortAsking struct {
	Do        string   `json:"do" enum:"close,open,reset" doc:"reset takes back what was asked for"`
	What      []string `json:"what" minItems:"1" maxItems:"256" doc:"services by name, and ports as in 22, 80,443/tcp or 8000-8500/udp"`
	Direction string   `json:"direction,omitempty" enum:"in,out" doc:"empty = in"`
	From      string   `json:"from,omitempty" doc:"only what comes from this address or prefix"`
	To        string   `json:"to,omitempty" doc:"only what goes to this address or prefix"`
	For       string   `json:"for,omitempty" doc:"how long, as in 30m, 2h or forever; empty = for good"`
	Cut       bool     `json:"cut,omitempty" doc:"when an opening ends, live connections end too"`
	Sure      bool     `json:"yes_cut_me_off,omitempty" doc:"do it at once, even if it cuts the asker's own session"`
	Reason    string   `json:"reason,omitempty" maxLength:"512" doc:"why, in the asker's words"`
}

// PortAnswer is what became of one part of a wish about ports.
type PortAnswer struct {
	Answer
	Service string     `json:"service,omitempty" doc:"the service that was named"`
	Confirm *time.Time `json:"confirm,omitempty" doc:"it is taken back at this time unless it is confirmed"`
	Others  []string   `json:"others,omitempty" doc:"what tables of other programs do to the same ports"`
}

// Port is what holds for some ports.
type Port struct {
	State     string     `json:"state" enum:"open,closed" doc:"what holds"`
	Ports     gate.Ports `json:"ports" doc:"which ports"`
	Service   string     `json:"service,omitempty" doc:"the service that was named"`
	Direction string     `json:"direction" enum:"in,out" doc:"connections to this machine, or from it"`
	From      string     `json:"from,omitempty" doc:"only what comes from there; absent = from anywhere"`
	To        string     `json:"to,omitempty" doc:"only what goes there; absent = to anywhere"`
	Since     *time.Time `json:"since" doc:"since when; null = as long as the configuration says so"`
	Until     *time.Time `json:"until" doc:"when it ends; null = never"`
	Kind      string     `json:"kind" enum:"rest,schedule,wish" doc:"a resting state, a schedule, or what somebody asked for"`
	By        string     `json:"by" doc:"who asked"`
	Why       string     `json:"why" doc:"in a sentence"`
	Packets   *uint64    `json:"packets" doc:"packets that a closing stopped; null for an opening, for another time than now, and where many are counted together"`
	Pending   bool       `json:"pending,omitempty" doc:"it waits to be confirmed, until until"`
	Others    []string   `json:"others,omitempty" doc:"what tables of other programs do to the same ports"`
}

// Confirmed is the answer to a confirmation.
type Confirmed struct {
	Changes int `json:"changes" doc:"how many changes were waiting"`
}

type portsInput struct {
	At time.Time `query:"at" doc:"what will hold at this time; absent = now"`
}

func (s *Server) ports(ctx context.Context, in *portsInput) ([]Port, error) {
	list, err := s.backend.Ports(ctx, in.At)
	return own(list), err
}

func (s *Server) askPorts(ctx context.Context, in *struct{ Body PortAsking }) ([]PortAnswer, error) {
	w, err := in.Body.wish()
	if err != nil {
		return nil, badInput(err)
	}
	w.Caller = callerOf(ctx)
	answers, err := s.backend.AskPorts(ctx, w)
	return own(answers), err
}

func (s *Server) confirmPorts(ctx context.Context, _ *nothing) (Confirmed, error) {
	n, err := s.backend.ConfirmPorts(ctx, callerOf(ctx).By())
	return Confirmed{n}, err
}

// wish reads what a caller sent.
func (in PortAsking) wish() (w PortWish, err error) {
	w = PortWish{What: in.What, Cut: in.Cut, Sure: in.Sure, Reason: in.Reason, Direction: gate.In}
	w.Verdict = map[string]gate.Verdict{"close": gate.Close, "open": gate.Open, "reset": gate.Release}[in.Do]
	if in.Direction != "" {
		if w.Direction, err = gate.ParseDirection(in.Direction); err != nil {
			return w, err
		}
	}
	for _, p := range []struct {
		text string
		to   *netip.Prefix
	}{{in.From, &w.From}, {in.To, &w.To}} {
		if p.text == "" {
			continue
		}
		sub, err := ParseNet(p.text)
		if err != nil {
			return w, err
		}
		*p.to = sub.Prefix()
	}
	if in.For != "" {
		if w.For, err = gate.ParseDuration(in.For); err != nil {
			return w, err
		}
		if w.For <= 0 {
			return w, fmt.Errorf("%s is no time at all: write 30m, 2h or forever", in.For)
		}
	}
	switch {
	case w.Verdict == gate.Release && in.For != "":
		return w, fmt.Errorf("what is taken back has no duration")
	case in.Cut && (w.Verdict != gate.Open || w.For == 0 || w.For == gate.Forever):
		return w, fmt.Errorf("only an opening that ends can cut connections when it does")
	}
	return w, nil
}

// Check finds what is wrong with a wish before anybody is asked; what its names
// stand for only the daemon knows.
func (in PortAsking) Check() error {
	for _, w := range in.What {
		if w != "" && '0' <= w[0] && w[0] <= '9' {
			if _, err := gate.ParsePorts(w); err != nil {
				return err
			}
		}
	}
	_, err := in.wish()
	return err
}

// Ports returns what holds for ports; the zero time is now.
func (c *Client) Ports(ctx context.Context, at time.Time) ([]Port, error) {
	var out []Port
	path := "/v1/ports"
	if !at.IsZero() {
		path += "?at=" + url.QueryEscape(at.UTC().Format(time.RFC3339))
	}
	return out, c.call(ctx, "GET", path, nil, &out)
}

// AskPorts asks for a change of ports.
func (c *Client) AskPorts(ctx context.Context, in PortAsking) ([]PortAnswer, error) {
	var out []PortAnswer
	return out, c.call(ctx, "POST", "/v1/ports", in, &out)
}

// ConfirmPorts makes changes last that wait to be confirmed.
func (c *Client) ConfirmPorts(ctx context.Context) (Confirmed, error) {
	var out Confirmed
	return out, c.call(ctx, "POST", "/v1/ports/confirm", nil, &out)
}
