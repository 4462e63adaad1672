package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"gatehouse/internal/api"
	"gatehouse/internal/gate"
)

// Bounds of a list of addresses.
const (
	maxListLine = 64 << 10  // bytes of one line
	maxList     = 2_000_000 // addresses and prefixes
	maxBadLines = 10        // wrong lines that are named one by one
)

// readList reads addresses and prefixes, one a line, in canonical form and
// without doubles. When lines are wrong, the error names them, and nothing is
// returned.
func readList(name string, r io.Reader) ([]string, error) {
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 64<<10), maxListLine)
	var out []string
	var problems []api.Problem
	seen := map[gate.Subject]struct{}{}
	bad, number := 0, 0
	for sc.Scan() {
		number++
		s, err := listLine(sc.Text(), number == 1)
		if err != nil {
			if bad++; bad <= maxBadLines {
				problems = append(problems, api.Problem{File: name, Line: number, Column: 1, Error: err.Error()})
			}
			continue
		}
		if !s.IsValid() {
			continue
		}
		if _, again := seen[s]; again {
			continue
		}
		seen[s] = struct{}{}
		out = append(out, s.String())
		if len(out) > maxList {
			return nil, failed("cut it into parts", "%s: more than %s addresses and prefixes", name, grouped(maxList))
		}
	}
	if err := sc.Err(); errors.Is(err, bufio.ErrTooLong) {
		return nil, failed("write one address or prefix a line", "%s: line %d is longer than %s", name, number+1, size(maxListLine))
	} else if err != nil {
		return nil, fileFailure("read", name, err)
	}
	if bad > 0 {
		return nil, &api.Error{
			Message:  fmt.Sprintf("%s: %s wrong; nothing was changed", name, map[bool]string{true: "1 line is", false: grouped(bad) + " lines are"}[bad == 1]),
			Hint:     "write one address or prefix a line; what follows # or ; is a comment, and of CSV the first column counts",
			Problems: problems,
		}
	}
	return out, nil
}

// listLine reads one line of a list: an address or a prefix, then perhaps a
// comment behind # or ;, or further columns of CSV. It returns the zero Subject
// for an empty line, and for the head of a table in the first one.
func listLine(line string, first bool) (gate.Subject, error) {
	if first {
		line = strings.TrimPrefix(line, "\ufeff") // a byte order mark, as editors of Windows write it
	}
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		line = line[:i]
	}
	cell, _, table := strings.Cut(line, ",")
	cell = strings.TrimSpace(cell)
	if n := len(cell); n >= 2 && cell[0] == '"' && cell[n-1] == '"' {
		cell, table = strings.TrimSpace(cell[1:n-1]), true
	}
	if cell == "" {
		return gate.Subject{}, nil
	}
	s, err := api.ParseNet(cell)
	if err != nil && first && table && isHead(cell) {
		return gate.Subject{}, nil
	}
	return s, err
}

// isHead reports whether a cell is the name of a column rather than a broken
// address: letters, spaces and underscores only.
func isHead(cell string) bool {
	return strings.IndexFunc(cell, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != ' ' && r != '_'
	}) < 0
}
