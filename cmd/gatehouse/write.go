package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// document writes one JSON document, indented.
func (e *env) document(v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	var doc strings.Builder
	if err := indentJSON(&doc, b); err != nil {
		return err
	}
	_, err = io.WriteString(e.out, doc.String())
	return err
}

func indentJSON(w *strings.Builder, b []byte) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(json.RawMessage(b))
}

// marshal returns the JSON of v in one line, harmless on a terminal.
func marshal(v any) ([]byte, error) {
	var w strings.Builder
	enc := json.NewEncoder(&w)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write JSON: %w", err)
	}
	return harmlessJSON([]byte(strings.TrimSuffix(w.String(), "\n"))), nil
}

// array writes a JSON array, one element a line, without holding it in memory.
type array struct {
	w   *bufio.Writer
	any bool // an element was written
}

func newArray(w io.Writer) *array { return &array{w: bufio.NewWriterSize(w, 64<<10)} }

// add writes one element.
func (a *array) add(v any) error {
	b, err := marshal(v)
	if err != nil {
		return err
	}
	sep := ",\n  "
	if !a.any {
		sep, a.any = "[\n  ", true
	}
	_, _ = a.w.WriteString(sep) // a write error sticks to the writer and comes back below
	_, err = a.w.Write(b)
	return err
}

// end writes the rest.
func (a *array) end() error {
	if !a.any {
		_, _ = a.w.WriteString("[]\n") // as above: Flush returns it
	} else {
		_, _ = a.w.WriteString("\n]\n")
	}
	return a.w.Flush()
}

// writeArray writes a list as one JSON array.
func writeArray[T any](w io.Writer, list []T) error {
	a := newArray(w)
	for _, v := range list {
		if err := a.add(v); err != nil {
			return err
		}
	}
	return a.end()
}

// table is rows of cells, written in aligned columns. The last column is not
// padded; on a terminal it is cut where the line would wrap.
type table struct {
	head []string // in capitals; nil = none
	rows [][]string
}

func (t *table) add(cells ...string) { t.rows = append(t.rows, cells) }

// columns writes the table; all cells are made harmless.
func (e *env) columns(t table) error {
	var widths []int
	measure := func(row []string) {
		for i, c := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			if i < len(row)-1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(c))
			}
		}
	}
	for _, row := range t.rows {
		for i, c := range row {
			row[i] = harmless(c)
		}
		measure(row)
	}
	if t.head != nil {
		measure(t.head)
	}
	w := bufio.NewWriter(e.out)
	if t.head != nil {
		e.row(w, t.head, widths, bold)
	}
	for _, row := range t.rows {
		e.row(w, row, widths, plain)
	}
	return w.Flush()
}

func (e *env) row(w *bufio.Writer, row []string, widths []int, style style) {
	var b strings.Builder
	used := 0
	for i, c := range row {
		if i == len(row)-1 {
			if e.width > 0 {
				c = cut(c, e.width-used)
			}
			b.WriteString(c)
			break
		}
		pad := widths[i] - utf8.RuneCountInString(c) + 2
		used += widths[i] + 2
		b.WriteString(c + strings.Repeat(" ", pad))
	}
	fmt.Fprintln(w, e.paint(style, strings.TrimRight(b.String(), " ")))
}

// cut shortens s to n columns, with an ellipsis; n below 16 leaves it as it is:
// a line that wraps is better than nothing.
func cut(s string, n int) string {
	if n < 16 || utf8.RuneCountInString(s) <= n {
		return s
	}
	r := []rune(s)
	return string(r[:n-1]) + "…"
}

// style is how text looks on a terminal with colours.
type style string

// The styles, as parameters of SGR (ECMA-48 section 8.3.117).
const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31"
	green  style = "32"
	yellow style = "33"
)

// paint returns s in this style where colours are welcome.
func (e *env) paint(st style, s string) string {
	if !e.colour || st == plain || s == "" {
		return s
	}
	return "\x1b[" + string(st) + "m" + s + "\x1b[0m"
}
