package main

import (
	"bytes"
	"context"
	"io"
	"iter"
	"os/exec"
	"slices"
	"strings"

	"gatehouse/internal/rules"
)

// openJournal returns what the journal has of some units, as lines: those behind
// `journal:`, with commas between them, or those that the rules name.
func (e *env) openJournal(ctx context.Context, arg string, rs []*rules.Rule) (string, io.ReadCloser, error) {
	var units []string
	if _, list, ok := strings.Cut(arg, ":"); ok {
		units = strings.Split(list, ",")
	} else {
		for _, r := range rs {
			for _, u := range r.Sources.Journal {
				if !slices.Contains(units, u) {
					units = append(units, u)
				}
			}
		}
	}
	for _, u := range units {
		if u == "" || strings.HasPrefix(u, "-") || strings.ContainsAny(u, "/ \x00") {
			return "", nil, misused("write journal:ssh.service, or journal for the units that the rule names", "match: %q is not the name of a unit", u)
		}
	}
	args := []string{"--no-pager", "--quiet", "--output=short-iso"}
	for _, u := range units {
		args = append(args, "--unit="+u)
	}
	program, err := exec.LookPath("journalctl")
	if err != nil {
		return "", nil, failed("name a file, or pipe the journal of another machine in: journalctl | gatehouse match RULE -", "match: there is no journalctl here")
	}
	ctx, cancel := context.WithCancel(ctx)
	child := exec.CommandContext(ctx, program, args...)
	var said bytes.Buffer
	child.Stderr = &limited{w: &said, left: 4 << 10}
	out, err := child.StdoutPipe()
	if err == nil {
		err = child.Start()
	}
	if err != nil {
		cancel()
		return "", nil, failed("run it by hand", "match: start journalctl: %v", err)
	}
	return "journal", &journalOutput{out, child, cancel, &said}, nil
}

// journalOutput is the output of journalctl. Its end tells whether that failed.
type journalOutput struct {
	io.Reader
	child  *exec.Cmd
	cancel context.CancelFunc
	said   *bytes.Buffer
}

// Read implements io.Reader.
func (j *journalOutput) Read(b []byte) (int, error) {
	n, err := j.Reader.Read(b)
	if err == io.EOF && j.child != nil {
		child := j.child
		j.child = nil
		if waited := child.Wait(); waited != nil {
			text, _, _ := strings.Cut(strings.TrimSpace(j.said.String()), "\n")
			return n, failed("run journalctl by hand, perhaps as root", "journalctl: %v: %s", waited, text)
		}
	}
	return n, err
}

// Close ends journalctl.
func (j *journalOutput) Close() error {
	j.cancel()
	if j.child != nil {
		_ = j.child.Wait() // it was stopped
	}
	return nil
}

// limited is a writer that keeps the beginning and drops the rest.
type limited struct {
	w    io.Writer
	left int
}

// Write implements io.Writer.
func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	_, err := l.w.Write(b[:n])
	return len(b), err
}

// linesOf yields the lines of a block without their ends.
func linesOf(block []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for line := range bytes.Lines(block) {
			if !yield(bytes.TrimRight(line, "\r\n")) {
				return
			}
		}
	}
}
