package api

import (
	"errors"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// Error is an error that a person reads: what went wrong, and the next step. It
// is the body of every response that is not a success.
type Error struct {
	Message  string    `json:"error" doc:"what went wrong"`
	Hint     string    `json:"hint,omitempty" doc:"what to do about it"`
	Problems []Problem `json:"problems,omitempty" doc:"each error of a file, with its place"`
	Status   int       `json:"-"` // of HTTP; 0 = 500

	is error // sentinel that it wraps, or nil
}

// Error implements error; the hint is not part of it.
func (e *Error) Error() string { return e.Message }

// Unwrap returns the sentinel that the error wraps, if any.
func (e *Error) Unwrap() error { return e.is }

// GetStatus returns the status of HTTP that goes with the error.
func (e *Error) GetStatus() int {
	if e.Status == 0 {
		return http.StatusInternalServerError
	}
	return e.Status
}

// What a caller of the Client branches on. An error wraps at most one of them.
var (
	ErrNoDaemon = errors.New("no daemon answers")       // nobody listens on the socket
	ErrNoAccess = errors.New("no access to the socket") // the socket is there, but not for this user
)

// asError returns err as an *Error, made from its text where it is none.
func asError(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Message == err.Error() {
			return e
		}
		c := *e
		c.Message = err.Error()
		return &c
	}
	return &Error{Message: err.Error()}
}

// reshape turns the library's own error document into ours, so that a caller
// meets one form of error only. It is a huma.Transformer.
func reshape(ctx huma.Context, _ string, v any) (any, error) {
	m, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	ctx.SetHeader("Content-Type", "application/json")
	e := &Error{Message: m.Detail, Status: m.Status}
	var parts []string
	for _, d := range m.Errors {
		if d == nil {
			continue
		}
		if part := strings.TrimSpace(d.Location + " " + d.Message); len(parts) < 8 {
			parts = append(parts, part)
		}
	}
	if len(parts) > 0 {
		e.Message += ": " + strings.Join(parts, "; ")
	}
	if e.Message == "" {
		e.Message = m.Title
	}
	if m.Status == http.StatusRequestEntityTooLarge {
		e.Hint = "send it in smaller parts"
	} else if m.Status < 500 {
		e.Hint = "the routes and their documents are described at /openapi.json"
	}
	return e, nil
}
