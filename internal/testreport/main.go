// Command testreport reads the stream of `go test -json` and writes what a person
// wants to know: a line a package, everything that failing tests said, why tests
// were skipped, and last how many there were.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is one line of the stream (go doc cmd/test2json).
type event struct {
	Action, Package, Test, Output string
	Elapsed                       float64
}

type test struct{ pkg, name string }

func main() {
	said := map[test][]string{}
	counts := map[string]int{}
	var skipped []test
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 16<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text()) // what the compiler says
			continue
		}
		t := test{e.Package, e.Test}
		switch e.Action {
		case "output", "build-output":
			if e.Action == "build-output" {
				fmt.Print(e.Output)
			}
			said[t] = append(said[t], e.Output)
		case "pass", "fail", "skip":
			if e.Test == "" {
				pkg(e, said[t])
				continue
			}
			counts[e.Action]++
			if e.Action == "skip" {
				skipped = append(skipped, t)
			}
			if e.Action == "fail" {
				fmt.Printf("\n%s %s failed:\n%s", e.Package, e.Test, strings.Join(said[t], ""))
			}
			if e.Action == "pass" {
				delete(said, t)
			}
		}
	}
	for _, t := range skipped {
		fmt.Printf("skipped %s %s: %s\n", t.pkg, t.name, reason(said[t]))
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", counts["pass"], counts["fail"], counts["skip"])
}

// pkg writes how a package fared; where it failed, what it said outside of tests.
func pkg(e event, said []string) {
	switch e.Action {
	case "pass":
		fmt.Printf("ok    %-36s %.1fs\n", e.Package, e.Elapsed)
	case "fail":
		fmt.Printf("FAIL  %-36s %.1fs\n%s", e.Package, e.Elapsed, strings.Join(said, ""))
	}
}

// reason is what a skipped test gave as its reason.
func reason(said []string) string {
	for _, s := range said {
		if s = strings.TrimSpace(s); s != "" && !strings.HasPrefix(s, "===") && !strings.HasPrefix(s, "---") {
			return s
		}
	}
	return "no reason given"
}
