package report

import (
	"embed"
	"fmt"
	"html/template"
	"strings"
	text "text/template"
	"time"
	"unicode/utf8"
)

//go:embed digest.txt digest.html
var pages embed.FS

// blocks are the heights of a chart in text, and parts of a bar's last cell.
var (
	blocks = []rune(" ▁▂▃▄▅▆▇█")
	parts  = []rune(" ▏▎▍▌▋▊▉█")
)

// Spark draws the trend in text: a character a bucket, higher for more.
func (d *Digest) Spark() string {
	most := d.Most()
	var b strings.Builder
	for _, t := range d.Trend {
		i := 0
		if t.Bans > 0 {
			i = max(1, (t.Bans*8+most-1)/most)
		}
		b.WriteRune(blocks[i])
	}
	return b.String()
}

// Most is the number of bans of the busiest bucket, at least 1.
func (d *Digest) Most() int {
	most := 1
	for _, t := range d.Trend {
		most = max(most, t.Bans)
	}
	return most
}

// barCells is how many characters the longest bar of a list has.
const barCells = 20

// bar draws a number in text, in eighths of a character.
func bar(n, most int) string {
	eighths := 0
	if n > 0 && most > 0 {
		eighths = max(1, n*barCells*8/most)
	}
	s := strings.Repeat("█", eighths/8)
	if eighths%8 > 0 {
		s += string(parts[eighths%8])
	}
	return s
}

// Column is one column of the chart in a page.
type Column struct {
	X, Y, W, H float64
	Label      string // what it says where the pointer rests
}

// Measures of the chart in a page, in pixels.
const (
	chartWide = 560.0
	chartHigh = 96.0
)

// Columns returns the trend as columns of a chart.
func (d *Digest) Columns() []Column {
	if len(d.Trend) == 0 {
		return nil
	}
	most, slot := float64(d.Most()), chartWide/float64(len(d.Trend))
	form := "Mon 2 Jan"
	if d.Step == "hour" {
		form = "Mon 15:04"
	}
	out := make([]Column, 0, len(d.Trend))
	for i, t := range d.Trend {
		h := float64(t.Bans) / most * chartHigh
		if t.Bans > 0 {
			h = max(h, 2)
		}
		out = append(out, Column{X: float64(i)*slot + slot*0.1, Y: chartHigh - h, W: slot * 0.8, H: h, Label: t.From.Format(form) + ": " + plural(t.Bans, "ban")})
	}
	return out
}

// list is one list of a page.
type list struct {
	Title string
	Lines []line
}

type line struct {
	Tally
	Bar   string  // in text
	Share float64 // of the longest, in percent
}

// Lists returns the lists of the digest that have lines.
func (d *Digest) Lists() (out []list) {
	for _, l := range []struct {
		title string
		lines []Tally
	}{{"Offenders", d.Offenders}, {"Networks", d.Networks}, {"Countries", d.Countries}, {"Services", d.Services}} {
		if len(l.lines) == 0 {
			continue
		}
		v := list{Title: l.title}
		most := l.lines[0].Bans
		for _, t := range l.lines {
			v.Lines = append(v.Lines, line{t, bar(t.Bans, most), float64(t.Bans) * 100 / float64(max(1, most))})
		}
		out = append(out, v)
	}
	return out
}

// functions are what the pages call.
var functions = map[string]any{
	"grouped": grouped,
	"plural":  plural,
	"when":    func(t time.Time) string { return t.Format("Mon 2 Jan 2006 15:04 MST") },
	"day":     func(t time.Time) string { return t.Format("2 Jan") },
	"pad": func(n int, s string) string {
		if have := utf8.RuneCountInString(s); have < n {
			return s + strings.Repeat(" ", n-have)
		}
		return s
	},
	"px": func(f float64) string { return fmt.Sprintf("%.1f", f) },
}

// Text returns the digest as text, with charts of block characters.
func (d *Digest) Text() (string, error) {
	t, err := text.New("digest.txt").Funcs(functions).ParseFS(pages, "digest.txt")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return "", fmt.Errorf("write the digest: %w", err)
	}
	return b.String(), nil
}

// HTML returns the digest as a page of its own, with charts in SVG.
func (d *Digest) HTML() (string, error) {
	t, err := template.New("digest.html").Funcs(functions).ParseFS(pages, "digest.html")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	if err := t.Execute(&b, d); err != nil {
		return "", fmt.Errorf("write the digest: %w", err)
	}
	return b.String(), nil
}

// Title is the headline.
func (d *Digest) Title() string {
	return fmt.Sprintf("%s: %s in %s", d.Host, plural(d.Bans, "ban"), d.spanName())
}
