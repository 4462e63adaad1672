package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"gatehouse/internal/api"
)

// The exit codes, for ever.
const (
	exitDone     = 0 // done
	exitFailed   = 1 // failed or refused
	exitUsage    = 2 // the command line is wrong
	exitNoDaemon = 3 // no daemon answers
)

// failure is an error for a person: what, why, and what to do next.
type failure struct {
	text string // `what: why`
	hint string // the next step, or empty
	code int
}

// Error implements error.
func (f *failure) Error() string { return f.text }

// failed is a failure of what was asked for.
func failed(hint, format string, a ...any) error {
	return &failure{fmt.Sprintf(format, a...), hint, exitFailed}
}

// misused is a failure of the asker: the command line is wrong.
func misused(hint, format string, a ...any) error {
	return &failure{fmt.Sprintf(format, a...), hint, exitUsage}
}

// asFailure makes a failure of any error.
func asFailure(err error) *failure {
	if f, ok := errors.AsType[*failure](err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return &failure{text: "interrupted", code: exitFailed}
	}
	f := &failure{text: err.Error(), code: exitFailed}
	if e, ok := errors.AsType[*api.Error](err); ok {
		f.hint = e.Hint
	}
	if errors.Is(err, api.ErrNoDaemon) {
		f.code = exitNoDaemon
	}
	return f
}

// report writes an error in the form that was asked for and returns the exit
// code. What of it came from outside is made harmless.
func (e *env) report(err error) int {
	f := asFailure(err)
	if e.json {
		doc := struct {
			Error    string        `json:"error"`
			Hint     string        `json:"hint"`
			Problems []api.Problem `json:"problems,omitempty"`
		}{Error: f.text, Hint: f.hint}
		if a, ok := errors.AsType[*api.Error](err); ok {
			doc.Problems = a.Problems
		}
		b, _ := json.Marshal(doc) // strings and numbers only: cannot fail
		fmt.Fprintf(e.err, "%s\n", harmlessJSON(b))
		return f.code
	}
	if a, ok := errors.AsType[*api.Error](err); ok {
		writeProblems(e.err, a.Problems)
	}
	fmt.Fprintf(e.err, "gatehouse: %s\n", harmless(f.text))
	if f.hint != "" {
		fmt.Fprintf(e.err, "hint: %s\n", harmless(f.hint))
	}
	return f.code
}

// writeProblems writes errors of a file the way a compiler does.
func writeProblems(w io.Writer, ps []api.Problem) {
	for _, p := range ps {
		place := ""
		if p.File != "" {
			place = p.File + ":"
		}
		if p.Line > 0 {
			place += fmt.Sprintf("%d:%d:", p.Line, p.Column)
		}
		if place != "" {
			place += " "
		}
		fmt.Fprintf(w, "%s%s\n", harmless(place), harmless(p.Error))
		if p.Excerpt != "" {
			fmt.Fprintf(w, "%s\n", indent(harmlessLines(p.Excerpt), "    "))
		}
		if p.Hint != "" {
			fmt.Fprintf(w, "    hint: %s\n", harmless(p.Hint))
		}
	}
}

// fileFailure is the failure of an operation on a file.
func fileFailure(operation, path string, err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	hint := ""
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "use sudo"
	case errors.Is(err, fs.ErrNotExist):
		hint = "check the path"
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return failed(hint, "%s %s: %v", operation, path, err)
}
