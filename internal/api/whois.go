package api

import (
	"context"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"gatehouse/internal/gate"
)

// HostName is a name that reverse DNS gives an address.
type HostName struct {
	Name      string `json:"name" doc:"the name"`
	Confirmed bool   `json:"confirmed" doc:"whether it leads back to the address; anybody can give their addresses any name"`
}

// Whois is who is behind an address.
type Whois struct {
	Address  netip.Addr `json:"address" doc:"who was asked about"`
	Names    []HostName `json:"names" doc:"what reverse DNS says, confirmed names first"`
	Country  string     `json:"country,omitempty" doc:"ISO 3166-1, two letters: of the database, else as registered"`
	AS       uint32     `json:"as,omitempty" doc:"number of the network that announces it"`
	Operator string     `json:"operator,omitempty" doc:"name of that network"`
	Network  string     `json:"network,omitempty" doc:"registered network that it is of"`
	Title    string     `json:"title,omitempty" doc:"what its holder calls it"`
	Owner    string     `json:"owner,omitempty" doc:"who holds it"`
	Abuse    []string   `json:"abuse" doc:"mail addresses for reports of abuse, the best first"`
	Source   string     `json:"source,omitempty" doc:"which registry said so; absent = none did"`
	Asked    *time.Time `json:"asked,omitempty" doc:"when it was asked"`
	Problems []string   `json:"problems" doc:"what could not be learned, and why"`
}

type whoisInput struct {
	Address string `query:"address" required:"true" doc:"an address"`
	Fresh   bool   `query:"fresh" doc:"ask again, whatever is known"`
}

func (s *Server) whois(ctx context.Context, in *whoisInput) (Whois, error) {
	addr, err := parseAddress(in.Address)
	if err != nil {
		return Whois{}, err
	}
	w, err := s.backend.Whois(ctx, addr, in.Fresh)
	w.Names, w.Abuse, w.Problems = own(w.Names), own(w.Abuse), own(w.Problems)
	return w, err
}

// parseAddress reads one address that a caller sent.
func parseAddress(text string) (netip.Addr, error) {
	sub, err := parseSubject(text)
	if err != nil {
		return netip.Addr{}, err
	}
	if sub.Kind() != gate.KindAddr {
		return netip.Addr{}, &Error{Status: http.StatusUnprocessableEntity, Message: sub.String() + " is not one address", Hint: "write one address, such as 192.0.2.7"}
	}
	return sub.Addr(), nil
}

// Whois asks who is behind an address; fresh asks the registries again. It may
// take half a minute.
func (c *Client) Whois(ctx context.Context, addr netip.Addr, fresh bool) (w Whois, err error) {
	v := url.Values{"address": {addr.String()}}
	if fresh {
		v.Set("fresh", "true")
	}
	return w, c.call(ctx, "GET", "/v1/whois?"+v.Encode(), nil, &w)
}
