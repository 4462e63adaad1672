package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/gate"
)

// Bounds of what an asker may write.
const (
	maxReason = 512 // bytes, as gate.Ask.Reason says
	maxHost   = 253 // bytes of a host name, RFC 1035 section 2.3.4 without the final dot
)

// Banning asks for bans.
type Banning struct {
	Subjects []string `json:"subjects" minItems:"1" maxItems:"5000" doc:"addresses and prefixes"`
	For      string   `json:"for,omitempty" doc:"how long, as in 10m, 7d or forever; empty = as configured"`
	Ports    string   `json:"ports,omitempty" doc:"only these ports, as in 22/tcp; empty = all"`
	Reason   string   `json:"reason,omitempty" maxLength:"512" doc:"why, in the asker's words"`
}

// Lifting asks for the end of bans.
type Lifting struct {
	Subjects []string `json:"subjects,omitempty" maxItems:"5000" doc:"addresses and prefixes"`
	All      bool     `json:"all,omitempty" doc:"every ban; then there are no subjects"`
	Reason   string   `json:"reason,omitempty" maxLength:"512" doc:"why, in the asker's words"`
}

// Allowing asks for a change of the allow list.
type Allowing struct {
	Entries []string `json:"entries" minItems:"1" maxItems:"5000" doc:"addresses, prefixes and host names"`
	Reason  string   `json:"reason,omitempty" maxLength:"512" doc:"why, in the asker's words"`
}

func (s *Server) ban(ctx context.Context, in *struct{ Body Banning }) ([]Answer, error) {
	ask := gate.Ask{Verdict: gate.Ban, Reason: in.Body.Reason, By: callerOf(ctx).By()}
	if in.Body.For != "" {
		d, err := gate.ParseDuration(in.Body.For)
		if err == nil && d <= 0 {
			err = fmt.Errorf("%s is no time at all: write 10m, 7d or forever", in.Body.For)
		}
		if err != nil {
			return nil, badInput(err)
		}
		ask.For = d
	}
	ports, err := gate.ParsePorts(strings.Fields(in.Body.Ports)...)
	if err != nil {
		return nil, badInput(err)
	}
	ask.Ports = ports
	return s.askAbout(ctx, in.Body.Subjects, ask)
}

func (s *Server) unban(ctx context.Context, in *struct{ Body Lifting }) ([]Answer, error) {
	ask := gate.Ask{Verdict: gate.Release, Reason: in.Body.Reason, By: callerOf(ctx).By(), All: in.Body.All}
	switch {
	case in.Body.All && len(in.Body.Subjects) > 0:
		return nil, badInput(fmt.Errorf("either all or subjects, not both"))
	case in.Body.All:
		return s.ask(ctx, []Wish{{Ask: ask}})
	case len(in.Body.Subjects) == 0:
		return nil, badInput(fmt.Errorf("name the subjects, or say all"))
	}
	return s.askAbout(ctx, in.Body.Subjects, ask)
}

func (s *Server) allow(ctx context.Context, in *struct{ Body Allowing }) ([]Answer, error) {
	return s.askAllow(ctx, in.Body, gate.Allow)
}

func (s *Server) disallow(ctx context.Context, in *struct{ Body Allowing }) ([]Answer, error) {
	return s.askAllow(ctx, in.Body, gate.Disallow)
}

// askAllow wishes a change of the allow list for each entry. Nothing is wished
// when one of them is neither an address, a prefix nor a host name.
func (s *Server) askAllow(ctx context.Context, in Allowing, v gate.Verdict) ([]Answer, error) {
	wishes := make([]Wish, len(in.Entries))
	for i, e := range in.Entries {
		sub, name, err := ParseEntry(e)
		if err != nil {
			return nil, badInput(err)
		}
		wishes[i] = Wish{sub, gate.Ask{Verdict: v, Name: name, Reason: in.Reason, By: callerOf(ctx).By()}}
	}
	return s.ask(ctx, wishes)
}

// askAbout wishes the same for each subject. Nothing is wished when one of them
// is not an address or a prefix.
func (s *Server) askAbout(ctx context.Context, subjects []string, ask gate.Ask) ([]Answer, error) {
	wishes := make([]Wish, len(subjects))
	for i, text := range subjects {
		sub, err := ParseNet(text)
		if err != nil {
			return nil, badInput(err)
		}
		wishes[i] = Wish{sub, ask}
	}
	return s.ask(ctx, wishes)
}

// ask hands wishes to the line and waits for the answers.
func (s *Server) ask(ctx context.Context, wishes []Wish) ([]Answer, error) {
	answers, err := s.backend.Ask(ctx, wishes)
	if err != nil {
		return nil, err
	}
	if len(answers) != len(wishes) {
		return nil, fmt.Errorf("%d wishes got %d answers", len(wishes), len(answers))
	}
	out := make([]Answer, len(answers))
	for i, a := range answers {
		sub := a.Subject.String()
		if sub == "" {
			sub = wishes[i].Name
		}
		out[i] = Answer{Subject: sub, Changed: a.Changed, Until: TimeOf(a.Until), Refused: a.Refused, Hint: a.Hint, Note: a.Note}
	}
	return out, nil
}

// badInput is the error for what the caller sent.
func badInput(err error) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: err.Error()}
}

// ParseNet reads an address or a prefix. Its errors say how to write one.
func ParseNet(text string) (gate.Subject, error) {
	sub, err := gate.ParseSubject(text)
	if err == nil && !sub.IsNet() {
		err = fmt.Errorf("%s: %w: only an address or a prefix can be banned or allowed", gate.Quote(text, 64), gate.ErrNotSubject)
	}
	if err != nil {
		return gate.Subject{}, err
	}
	return sub, nil
}

// ParseEntry reads an entry of the allow list: an address or a prefix, else a
// host name (RFC 1123 section 2.1, with underscores), which is returned in
// lower case without its final dot.
func ParseEntry(text string) (gate.Subject, string, error) {
	sub, err := ParseNet(text)
	if err == nil {
		return sub, "", nil
	}
	name := strings.ToLower(strings.TrimSuffix(text, "."))
	if !isHost(name) {
		return gate.Subject{}, "", fmt.Errorf("%s is not an address, a prefix or a host name", gate.Quote(text, 64))
	}
	return gate.Subject{}, name, nil
}

// isHost reports whether s is a host name: labels of letters, digits, hyphens
// and underscores, the last one not of digits only (that is a broken address).
func isHost(s string) bool {
	if s == "" || len(s) > maxHost {
		return false
	}
	letter := false
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		letter = false
		for i := range len(label) {
			c := label[i]
			switch {
			case 'a' <= c && c <= 'z' || c == '_' || c == '-':
				letter = true
			case '0' <= c && c <= '9':
			default:
				return false
			}
		}
	}
	return letter
}
