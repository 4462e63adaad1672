package main

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/spf13/cobra"
)

// build is what is known about this program.
type build struct {
	Version  string `json:"version"`          // as released, or `devel`
	Commit   string `json:"commit,omitempty"` // revision of the source
	Time     string `json:"time,omitempty"`   // of that revision, RFC 3339
	Modified bool   `json:"modified"`         // the source was changed since that revision
	Go       string `json:"go"`               // compiler
	Platform string `json:"platform"`         // operating system and processor
}

// thisBuild reads what the linker left in the program.
func thisBuild() build {
	b := build{Version: version, Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH}
	info, ok := debug.ReadBuildInfo()
	if ok {
		for _, s := range info.Settings {
			switch s.Key {
			case "vcs.revision":
				b.Commit = s.Value
			case "vcs.time":
				b.Time = s.Value
			case "vcs.modified":
				b.Modified = s.Value == "true"
			}
		}
		if b.Version == "" && info.Main.Version != "(devel)" {
			b.Version = info.Main.Version
		}
	}
	if b.Version == "" {
		b.Version = "devel"
	}
	return b
}

// String returns it in one line.
func (b build) String() string {
	s := "gatehouse " + b.Version
	if b.Commit != "" {
		s += " (" + b.Commit[:min(12, len(b.Commit))]
		if b.Modified {
			s += ", modified"
		}
		s += ")"
	}
	return s + " " + b.Go + " " + b.Platform
}

// versionCommand tells which program this is.
func versionCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "tell version and build",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			b := thisBuild()
			if e.json {
				return e.document(b)
			}
			_, err := fmt.Fprintln(e.out, b)
			return err
		},
	}
}
