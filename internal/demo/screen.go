package demo

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// style is an ANSI colour or weight (ECMA-48, SGR).
type style string

const (
	plain  style = ""
	bold   style = "1"
	faint  style = "2"
	red    style = "31;1"
	green  style = "32"
	yellow style = "33"
	blue   style = "36"
)

// screen draws the show. It may be used by several goroutines at once.
type screen struct {
	colour, live bool
	width        int
	begin        time.Time

	mu     sync.Mutex
	w      io.Writer
	status string // the line at the bottom; "" = none
}

func newScreen(w io.Writer, o Options, begin time.Time) *screen {
	s := &screen{colour: o.Colour, live: o.Live, width: o.Width, begin: begin, w: w}
	if s.width <= 0 {
		s.width = 80
	}
	return s
}

// paint colours text if colours are wanted.
func (s *screen) paint(st style, text string) string {
	if !s.colour || st == plain {
		return text
	}
	return "\x1b[" + string(st) + "m" + text + "\x1b[0m"
}

// line writes one line above the status line.
func (s *screen) line(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	fmt.Fprintln(s.w, text) // an error ends the show soon enough: nobody watches
	s.draw()
}

// event writes what somebody did: the time, who, and what.
func (s *screen) event(who string, st style, text string) {
	at := fmt.Sprintf("%5.1fs", time.Since(s.begin).Seconds())
	s.line(" " + s.paint(faint, at) + "  " + s.paint(st, fmt.Sprintf("%-10s", who)) + " " + text)
}

// more writes a further line of an event, below its text.
func (s *screen) more(text string) { s.line(strings.Repeat(" ", 20) + s.paint(faint, text)) }

// heading writes the title of a part.
func (s *screen) heading(text string) { s.line("\n" + s.paint(bold, text)) }

// mark writes a line of the check list.
func (s *screen) mark(ok bool, text string) {
	if ok {
		s.line(" " + s.paint(green, "✓") + " " + text)
	} else {
		s.line(" " + s.paint(red, "✗") + " " + text)
	}
}

// setStatus changes the line at the bottom of a terminal; "" takes it away.
func (s *screen) setStatus(text string) {
	if !s.live {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wipe()
	s.status = text
	s.draw()
}

func (s *screen) wipe() {
	if s.live && s.status != "" {
		io.WriteString(s.w, "\r\x1b[K")
	}
}

func (s *screen) draw() {
	if s.live && s.status != "" {
		io.WriteString(s.w, s.paint(faint, cut(s.status, s.width-1)))
	}
}

// cut shortens text to at most n characters.
func cut(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	return string([]rune(text)[:max(0, n-1)]) + "…"
}

// closing ends the show.
func (s *screen) closing() {
	s.line(fmt.Sprintf("\n%s, in %.0f seconds. To guard this machine: %s",
		s.paint(green, "All of it happened"), time.Since(s.begin).Seconds(), s.paint(bold, "sudo gatehouse run")))
}
