package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/gate"
)

// nothing is the input of a route that takes none.
type nothing struct{}

// done is the answer of a route that has nothing to tell.
type done struct {
	Done bool `json:"done" doc:"always true"`
}

func (s *Server) status(context.Context, *nothing) (Status, error) {
	st := s.backend.Status()
	st.Since = st.Since.UTC()
	st.Lists, st.Hooks = own(st.Lists), own(st.Hooks)
	return st, nil
}

type bansInput struct {
	Rule string `query:"rule" doc:"bans of this rule only"`
	List string `query:"list" doc:"what this block list bans"`
}

func (s *Server) bans(ctx context.Context, in *bansInput, out *lines) error {
	return s.backend.Bans(ctx, BansQuery{Rule: in.Rule, List: in.List}, func(b Ban) error {
		return out.add(banInUTC(b))
	})
}

// banInUTC returns b with its times in UTC.
func banInUTC(b Ban) Ban {
	b.Since = b.Since.UTC()
	if b.Until != nil {
		b.Until = TimeOf(*b.Until)
	}
	return b
}

type whyInput struct {
	Subject string `query:"subject" required:"true" doc:"an address or a prefix"`
}

func (s *Server) why(ctx context.Context, in *whyInput) (Why, error) {
	sub, err := parseSubject(in.Subject)
	if err != nil {
		return Why{}, err
	}
	w, err := s.backend.Why(ctx, sub)
	if err != nil {
		return Why{}, err
	}
	w.Bans, w.Windows, w.History = own(w.Bans), own(w.Windows), own(w.History)
	w.Lists, w.Hooks = own(w.Lists), own(w.Hooks)
	for i, b := range w.Bans {
		w.Bans[i] = banInUTC(b)
	}
	for i, r := range w.History {
		w.History[i] = recordInUTC(r)
	}
	for i := range w.Windows {
		w.Windows[i].Oldest, w.Windows[i].Newest = w.Windows[i].Oldest.UTC(), w.Windows[i].Newest.UTC()
	}
	return w, nil
}

// own returns a copy of a list of the backend; an empty array for none.
func own[T any](list []T) []T { return append([]T{}, list...) }

// parseSubject reads a subject that a caller sent.
func parseSubject(text string) (gate.Subject, error) {
	sub, err := gate.ParseSubject(text)
	if err != nil {
		return gate.Subject{}, &Error{Status: http.StatusUnprocessableEntity, Message: err.Error()}
	}
	return sub, nil
}

type logInput struct {
	After   uint64    `query:"after" doc:"records behind this sequence number"`
	Last    int       `query:"last" minimum:"0" doc:"begin with the newest so many"`
	Limit   int       `query:"limit" minimum:"0" doc:"end after so many; 0 = no limit"`
	Follow  bool      `query:"follow" doc:"go on with what comes"`
	Rule    string    `query:"rule" doc:"records of this rule only"`
	Kind    string    `query:"kind" maxLength:"130" doc:"records of this kind only: a verdict (ban), a part (scan), or a topic (scan.held)"`
	Subject string    `query:"subject" doc:"records on this subject, what covers it and what lies in it"`
	Since   time.Time `query:"since" doc:"records decided at or after this time"`
}

func (s *Server) log(ctx context.Context, in *logInput, out *lines) error {
	q := LogQuery{After: in.After, Last: in.Last, Limit: in.Limit, Follow: in.Follow, Rule: in.Rule, Kind: in.Kind, Since: in.Since}
	if in.Subject != "" {
		sub, err := parseSubject(in.Subject)
		if err != nil {
			return err
		}
		q.Subject = sub
	}
	if in.Follow {
		if err := out.flush(); err != nil {
			return err
		}
		stop := s.whenStopping(&ctx)
		defer stop()
	}
	err := s.backend.Log(ctx, q, func(r gate.Record) error {
		if err := out.add(recordInUTC(r)); err != nil || !in.Follow {
			return err
		}
		return out.flush()
	})
	if in.Follow && errors.Is(err, context.Canceled) {
		return nil // the reader left, or the daemon stops: that is how following ends
	}
	return err
}

func (s *Server) allowList(context.Context, *nothing) ([]Allowed, error) {
	list := s.backend.AllowList()
	if list == nil {
		list = []Allowed{}
	}
	return list, nil
}

func (s *Server) reload(ctx context.Context, _ *nothing) (done, error) {
	return done{true}, s.backend.Reload(ctx)
}

type stopInput struct {
	Flush bool `query:"flush" doc:"take the bans out of the kernel, too"`
}

func (s *Server) stop(_ context.Context, in *stopInput) (done, error) {
	return done{true}, s.backend.Stop(in.Flush)
}
