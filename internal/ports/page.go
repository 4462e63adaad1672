package ports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html/template"
	"os"
	"path/filepath"
	"time"
)

// PageService is the state of one service as people see it.
type PageService struct {
	Name  string     `json:"name"`
	State string     `json:"state"` // `open`, `closed`, or `limited`: open to some
	Until *time.Time `json:"until"` // null = no end is known
}

// The states of a service on the page.
const (
	StateOpen    = "open"
	StateClosed  = "closed"
	StateLimited = "limited"
)

// Page is the status page: it names services and times, and nothing else, for
// everybody may see it.
type Page struct {
	Title    string        `json:"title"`
	Updated  time.Time     `json:"updated"`
	Services []PageService `json:"services"`
}

// pageHTML needs no script, no style sheet and no picture from elsewhere.
var pageHTML = template.Must(template.New("page").Funcs(template.FuncMap{
	"clock": func(t time.Time) string { return t.Format("2006-01-02 15:04 MST") },
	"iso":   func(t time.Time) string { return t.UTC().Format(time.RFC3339) },
}).Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="60">
<title>{{.Title}}</title>
<style>
body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color: #222; background: #fff }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .5rem; border-bottom: 1px solid #ccc }
.open { color: #060 } .closed { color: #900 } .limited { color: #850 }
footer { margin-top: 2rem; color: #555; font-size: .9rem }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #161616 } .open { color: #6d6 } .closed { color: #f77 } .limited { color: #fc6 } footer { color: #999 } }
</style>
</head>
<body>
<h1>{{.Title}}</h1>
<table>
<thead><tr><th scope="col">Service</th><th scope="col">State</th><th scope="col">Until</th></tr></thead>
<tbody>
{{range .Services}}<tr><th scope="row">{{.Name}}</th><td class="{{.State}}">{{if eq .State "limited"}}open to some{{else}}{{.State}}{{end}}</td><td>{{with .Until}}<time datetime="{{iso .}}">{{clock .}}</time>{{end}}</td></tr>
{{else}}<tr><td colspan="3">There is no service to tell of.</td></tr>
{{end}}</tbody>
</table>
<footer>As of <time datetime="{{iso .Updated}}">{{clock .Updated}}</time></footer>
</body>
</html>
`))

// HTML returns the page for a browser.
func (p Page) HTML() ([]byte, error) {
	var b bytes.Buffer
	if err := pageHTML.Execute(&b, p); err != nil {
		return nil, fmt.Errorf("write the status page: %w", err)
	}
	return b.Bytes(), nil
}

// JSON returns the page for programs.
func (p Page) JSON() ([]byte, error) {
	p.Updated = p.Updated.UTC()
	if p.Services == nil {
		p.Services = []PageService{}
	}
	b, err := json.MarshalIndent(p, "", "  ")
	return append(b, '\n'), err
}

// WriteFile puts a file in its place at once, readable for everybody: whoever
// reads it has the old one or the new one, whole. A link that lies there is
// replaced, never followed.
func WriteFile(path string, content []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if _, err = f.Write(content); err != nil {
		return err
	}
	if err = f.Chmod(0o644); err != nil {
		return err
	}
	if err = f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// CheckPlace reports what keeps a file from being written at a path, without
// leaving anything there.
func CheckPlace(path string) error {
	info, err := os.Stat(filepath.Dir(path))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is not a folder", filepath.Dir(path))
	}
	if i, err := os.Stat(path); err == nil && i.IsDir() {
		return fmt.Errorf("%s is a folder", path)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}
