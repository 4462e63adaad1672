package notify

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// CheckTemplates reads the operator's templates of a channel and writes a message
// of every kind of record with them, single and as a wave. It returns what is
// wrong, as TemplateErrors.
func CheckTemplates(c Channel, folder string) []*TemplateError {
	form := c.Form()
	if form == "" {
		return nil
	}
	t, err := loadTemplates(folder, c.Name, form, time.UTC)
	if err != nil {
		return templateErrors(err)
	}
	var found []*TemplateError
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	for _, kind := range Kinds() {
		one := SampleMessage(kind, now, "host")
		for _, m := range []*Message{one, many(one)} {
			for _, ext := range forms[form] {
				text, err := t.write(ext, m)
				if err == nil && ext == "json" && (c.Type == "" || c.Type == "application/json") && !json.Valid([]byte(text)) {
					err = &TemplateError{File: t.files[ext], What: "what it writes is not JSON, for a record of kind " + kind}
				}
				for _, e := range templateErrors(err) {
					if !slices.ContainsFunc(found, func(o *TemplateError) bool { return o.File == e.File && o.Line == e.Line }) {
						found = append(found, e)
					}
				}
			}
		}
	}
	return found
}

// many returns a message of a wave of what m tells.
func many(m *Message) *Message {
	w := *m
	w.Count, w.More, w.Items = 327, 325, slices.Concat(m.Items, m.Items)
	w.Rules = []Tally{{"sshd", 300}, {"nginx", 27}}
	w.Title = titleOf(&w)
	return &w
}

func templateErrors(err error) []*TemplateError {
	if err == nil {
		return nil
	}
	if e, ok := err.(*TemplateError); ok {
		return []*TemplateError{e}
	}
	return []*TemplateError{{What: fmt.Sprint(err)}}
}
