package main

import (
	"errors"
	"io/fs"
	"os"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/ports"
)

// portProblems finds what is wrong with schedules together, and with the files
// that the sections of ports name on this machine; remarks are no errors.
func portProblems(path string, c *config.Config) (problems []api.Problem, remarks []string) {
	contrary, remarks := app.PortsOverlaps(c)
	for _, p := range contrary {
		problems = append(problems, api.Problem{File: path, Error: p.What, Hint: p.Hint})
	}
	for _, place := range []string{c.Ports.Page.HTML, c.Ports.Page.JSON} {
		if place == "" {
			continue
		}
		if err := ports.CheckPlace(place); err != nil && (os.Geteuid() == 0 || !errors.Is(err, fs.ErrPermission)) {
			problems = append(problems, api.Problem{File: path, Error: "the status page cannot be written: " + err.Error(),
				Hint: "make the folder, or name another under ports: page"})
		}
	}
	for _, key := range []string{c.Ports.Remote.Key, c.Ports.Remote.CA, c.Ports.Knock.Key} {
		if key == "" {
			continue
		}
		if _, err := os.Stat(key); errors.Is(err, fs.ErrNotExist) {
			problems = append(problems, api.Problem{File: path, Error: "the file " + key + " is not there", Hint: "docs/ports.md tells how to make it"})
		}
	}
	return problems, remarks
}
