package notify

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/golden anew, to be read before it is committed")

// TestGolden: each kind of record in full, as text and as a page, alone and as a
// wave.
func TestGolden(t *testing.T) {
	texts, err := loadTemplates("", "mail", "mail", time.UTC)
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range Kinds() {
		one := SampleMessage(kind, noon, "gate.example.org")
		golden(t, texts, kind, one)
		if kind == "ban" || kind == "panel.alarm" {
			wave := many(one)
			wave.Note = "for the channel mail, which has failed since Sat 08:12"
			golden(t, texts, kind+"-wave", wave)
		}
	}
	for _, form := range []string{"sms", "voice", "push", "webhook", "syslog"} {
		ts, err := loadTemplates("", form, form, time.UTC)
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, m := range []*Message{SampleMessage("ban", noon, "gate"), many(SampleMessage("ban", noon, "gate")), SampleMessage("panel.alarm", noon, "gate")} {
			for _, ext := range forms[form] {
				text, err := ts.write(ext, m)
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString(text + "\n")
			}
		}
		same(t, "form-"+form+".txt", b.String())
	}
}

func golden(t *testing.T, ts *templates, name string, m *Message) {
	t.Helper()
	name = strings.ReplaceAll(name, "*", "any")
	subject, err := ts.line("subject", m)
	if err != nil {
		t.Fatal(err)
	}
	text, err := ts.write("txt", m)
	if err != nil {
		t.Fatal(err)
	}
	page, err := ts.write("html", m)
	if err != nil {
		t.Fatal(err)
	}
	same(t, name+".txt", "Subject: "+subject+"\n\n"+text)
	same(t, name+".html", page)
}

func same(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "golden", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s: got\n%s\nwant\n%s", name, got, want)
	}
}

// TestTemplates: what is wrong with an operator's template is told with its file
// and line, and the built-in one tells all the same.
func TestTemplates(t *testing.T) {
	for _, c := range []struct {
		name, file, text, want string
		line                   int
	}{
		{"syntax", "mail.txt", "a\nb\n{{if}}\n", "missing value for if", 3},
		{"unknown field", "mail.txt", "a\n{{.Nobody}}\n", "can't evaluate field Nobody", 2},
		{"unknown function", "mail.html", "{{shout .Title}}", `function "shout" not defined`, 1},
		{"only some kinds", "mail.txt", "a\n{{if eq .Kind \"release\"}}{{.Nobody}}{{end}}\n", "can't evaluate field Nobody", 2},
		{"out of range", "mail.subject", "{{index .Items 5}}", "index", 1},
		{"of one channel", "post.txt", "{{.Nobody}}", "can't evaluate field Nobody", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			folder := t.TempDir()
			if err := os.WriteFile(filepath.Join(folder, c.file), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			found := CheckTemplates(Channel{Name: "post", Mail: []string{"ann@example.org"}}, folder)
			if len(found) == 0 || found[0].File != filepath.Join(folder, c.file) || found[0].Line != c.line || !strings.Contains(found[0].What, c.want) {
				for _, e := range found {
					t.Errorf("%v", e)
				}
				t.Errorf("%d problems", len(found))
			}
		})
	}
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "hook.json"), []byte(`{"text": "{{.Title}}", {{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := CheckTemplates(Channel{Name: "hook", Webhook: Secret{Text: "http://127.0.0.1/"}}, folder); len(found) != 1 {
		t.Errorf("%v", found)
	}
	if err := os.WriteFile(filepath.Join(folder, "hook.json"), []byte(`{"text": {{.Title}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := CheckTemplates(Channel{Name: "hook", Webhook: Secret{Text: "http://127.0.0.1/"}}, folder); len(found) != 1 || !strings.Contains(found[0].What, "not JSON") {
		t.Errorf("%v", found)
	}

	if err := os.WriteFile(filepath.Join(folder, "mail.txt"), []byte("{{.Nobody}}"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := &postOffice{}
	s, err := NewSender(Channel{Name: "mail", Mail: []string{"ann@example.org"}, Server: p.serve(t, nil, false), TLS: "none"}, folder, time.UTC, noWorld(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Send(t.Context(), SampleMessage("ban", noon, "gate")); err != nil {
		t.Fatal(err)
	}
	if _, plain, _ := opened(t, p.mails[0].data); !strings.Contains(plain, "your template was not used: "+folder) || !strings.Contains(plain, "192.0.2.7") {
		t.Error(plain)
	}
	endless := filepath.Join(folder, "mail.txt")
	if err := os.WriteFile(endless, []byte(`{{range .Items}}{{printf "%2000000d" 1}}{{end}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if found := CheckTemplates(Channel{Name: "mail", Mail: []string{"a@b.c"}}, folder); len(found) == 0 || !strings.Contains(found[0].What, "more than 1 MB") {
		t.Errorf("%v", found)
	}
}
