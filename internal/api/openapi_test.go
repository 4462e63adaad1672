package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"log/slog"
	"os"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// The description is what other programs are made from: it changes only on
// purpose.
func TestOpenAPI(t *testing.T) {
	s := New(Config{Version: "test"}, (&fake{}).backend(), quietLog())
	got, err := json.MarshalIndent(s.openAPI, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	const golden = "testdata/openapi.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("the description has changed (%v); if that is meant: go test ./internal/api -run OpenAPI -update", err)
	}
}

// Every line of the list of routes is in the description, with what it answers.
func TestEveryRouteIsDescribed(t *testing.T) {
	src, err := os.ReadFile("routes.go")
	if err != nil {
		t.Fatal(err)
	}
	listed := regexp.MustCompile(`(?:route|stream)\(h, "([A-Z]+) (/[^"]*)"`).FindAllStringSubmatch(string(src), -1)
	if len(listed) < 11 {
		t.Fatalf("found %d routes in the list", len(listed))
	}
	s := New(Config{}, (&fake{}).backend(), quietLog())
	described := 0
	for _, item := range s.openAPI.Paths {
		for _, op := range []any{item.Get, item.Post, item.Put, item.Delete} {
			if b, _ := json.Marshal(op); string(b) != "null" {
				described++
			}
		}
	}
	if described != len(listed) {
		t.Errorf("%d routes in the list, %d in the description", len(listed), described)
	}
	for _, l := range listed {
		method, path := l[1], l[2]
		item := s.openAPI.Paths[path]
		if item == nil {
			t.Errorf("%s %s is not described", method, path)
			continue
		}
		op := item.Get
		right := "read"
		if method == "POST" {
			op, right = item.Post, "write"
		}
		if op == nil || op.Summary == "" || !strings.Contains(op.Description, right) {
			t.Errorf("%s %s: %+v", method, path, op)
			continue
		}
		ok, failed := op.Responses["200"], op.Responses["default"]
		if ok == nil || len(ok.Content) != 1 || failed == nil || failed.Content["application/json"].Schema.Ref != "#/components/schemas/Error" {
			t.Errorf("%s %s: its answers are not described", method, path)
		}
	}
}
