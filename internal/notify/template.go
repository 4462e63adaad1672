package notify

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	text "text/template"
	"time"

	"gatehouse/internal/gate"
)

//go:embed templates
var builtin embed.FS

// Bounds of templates in bytes.
const (
	maxTemplate = 256 << 10 // of a file
	maxWritten  = 1 << 20   // of what it writes
)

// forms are the templates of each kind of channel. The operator's folder may hold
// a file CHANNEL.EXTENSION, for one channel, or FORM.EXTENSION, for all of a kind.
var forms = map[string][]string{
	"mail":    {"subject", "txt", "html"},
	"sms":     {"txt"},
	"voice":   {"txt"},
	"push":    {"title", "txt"},
	"webhook": {"json"},
	"syslog":  {"txt"},
}

// writer is a template of either package.
type writer interface {
	Execute(w io.Writer, data any) error
}

// templates write the messages of one channel.
type templates struct {
	form  string
	parts map[string]writer // by extension
	files map[string]string // where each comes from
	own   bool              // one of them is the operator's
}

// TemplateError is what is wrong with a template of the operator's.
type TemplateError struct {
	File string
	Line int // from 1; 0 where the whole file is meant
	What string
}

// Error implements error.
func (e *TemplateError) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.What
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.What)
}

// loadTemplates reads the templates of a channel: those of the operator's folder
// where there are some, and the built-in ones for the rest.
func loadTemplates(folder, channel, form string, zone *time.Location) (*templates, error) {
	t := &templates{form: form, parts: map[string]writer{}, files: map[string]string{}}
	for _, ext := range forms[form] {
		file, src, err := findTemplate(folder, []string{channel + "." + ext, form + "." + ext})
		if err != nil {
			return nil, err
		}
		t.own = t.own || !strings.HasPrefix(file, builtinPrefix)
		if t.parts[ext], err = parseTemplate(file, src, ext == "html", zone); err != nil {
			return nil, err
		}
		t.files[ext] = file
	}
	return t, nil
}

// builtinPrefix stands before the name of a built-in template.
const builtinPrefix = "built-in "

// findTemplate returns the first of these files of a folder, else the built-in
// one with the last of the names.
func findTemplate(folder string, names []string) (file string, src []byte, err error) {
	for _, name := range names {
		if folder == "" {
			break
		}
		file = filepath.Join(folder, name)
		info, err := os.Stat(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && (!info.Mode().IsRegular() || info.Size() > maxTemplate) {
			err = errors.New("not a regular file of at most 256 kB")
		}
		if err == nil {
			src, err = os.ReadFile(file)
		}
		if err != nil {
			return "", nil, &TemplateError{File: file, What: err.Error()}
		}
		return file, src, nil
	}
	name := names[len(names)-1]
	src, err = builtin.ReadFile("templates/" + name)
	return builtinPrefix + name, src, err
}

// parseTemplate reads one template.
func parseTemplate(file string, src []byte, html bool, zone *time.Location) (writer, error) {
	var w writer
	var err error
	if html {
		w, err = template.New("t").Option("missingkey=error").Funcs(functions(zone)).Parse(string(src))
	} else {
		w, err = text.New("t").Option("missingkey=error").Funcs(functions(zone)).Parse(string(src))
	}
	if err != nil {
		return nil, templateError(file, err)
	}
	return w, nil
}

// inTemplate is how the libraries say where an error is.
var inTemplate = regexp.MustCompile(`^(?:html/template|template):\s?(?:t:)?(\d*):?(?:\d+:)? ?(.*)$`)

// templateError gives an error of the libraries its file and line.
func templateError(file string, err error) error {
	what, _, _ := strings.Cut(err.Error(), "\n")
	line := 0
	if m := inTemplate.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = m[2]
	}
	what = strings.TrimPrefix(what, `executing "t" at `)
	return &TemplateError{File: file, Line: line, What: Clean(what, maxWhy)}
}

// functions are what templates can call besides those of Go.
func functions(zone *time.Location) map[string]any {
	if zone == nil {
		zone = time.Local
	}
	return map[string]any{
		"when":     func(t time.Time) string { return t.In(zone).Format("Mon 2 Jan 2006 15:04:05 MST") },
		"clock":    func(t time.Time) string { return t.In(zone).Format("15:04:05") },
		"stamp":    func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
		"duration": func(d time.Duration) string { return gate.FormatDuration(d.Round(time.Second)) },
		"life":     lasting,
		"json":     asJSON,
		"query":    url.QueryEscape,
		"chat":     ForChat,
		"sms":      ForSMS,
		"short":    Clean,
		"upper":    strings.ToUpper,
		"first":    func(n int, list []Item) []Item { return list[:max(0, min(n, len(list)))] },
		"beyond":   func(n int, m *Message) int { return m.Count - max(0, min(n, len(m.Items))) },
	}
}

// asJSON writes any value as JSON, without what HTML would act on.
func asJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	return string(b), err
}

// errTooLong is what a template gets that writes without end.
var errTooLong = errors.New("it writes more than 1 MB")

// bounded refuses more than a number of bytes.
type bounded struct {
	bytes.Buffer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errTooLong
	}
	return b.Buffer.Write(p)
}

// write fills in one template.
func (t *templates) write(ext string, m *Message) (string, error) {
	w := bounded{left: maxWritten}
	if err := t.parts[ext].Execute(&w, m); err != nil {
		return "", templateError(t.files[ext], err)
	}
	return w.String(), nil
}

// line fills in a template whose result is one line: a subject, a title.
func (t *templates) line(ext string, m *Message) (string, error) {
	s, err := t.write(ext, m)
	return Clean(s, maxTitle), err
}

// maxTitle bounds a headline in bytes.
const maxTitle = 200
