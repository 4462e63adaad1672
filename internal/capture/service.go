package main

import (
	"cmp"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"time"
)

// The addresses of the network. They never change, so that captured lines stay
// the same. Nobody on the network has a bystander's address: it stands only in
// what attackers say.
const (
	gate4, gate6           = "192.0.2.10", "2001:db8::10" // the service, gate.example.org
	attacker4, attacker6   = "192.0.2.66", "2001:db8::66" // no name
	other4, other6         = "192.0.2.77", "2001:db8::77" // mail.example.net, who knows passwords
	resolver4, resolver6   = "192.0.2.53", "2001:db8::53"
	bystander4, bystander6 = "198.51.100.77", "2001:db8:bad::77"
)

// Service describes one service as data: what to install, how to start it, where
// its log lines come from, and how it is attacked.
type Service struct {
	Name      string            // of the captured file, and on the command line
	Packages  []string          // of Debian; the version of the first stands in the file
	Debconf   []string          // answers to the packages' questions, lines of debconf-set-selections
	Files     map[string]string // path -> content, written before Prepare; folders are made
	Users     []User            // accounts of the system
	Prepare   string            // shell script (sh -eu) that runs before the start
	Command   []string          // runs in the foreground; nil = nothing runs (sudo, su)
	Env       []string          // further environment of Prepare and Command
	Ready     Ready             // the zero value: as soon as the process runs
	Logs      []Log             // nil = what comes to /dev/log
	Drop      []string          // regular expressions: lines that are not kept, noise of this arrangement
	Sometimes []string          // regular expressions: lines that come or not by chance; they are kept, and no reason to write the file again
	Volatile  []string          // regular expressions: parts of lines that differ each time, besides digits
	Attacks   []Attack          // in this order, one after the other
	Patience  time.Duration     // for all of it; 0 = 3 minutes
}

// User is an account of the system, with a home.
type User struct {
	Name, Password string
	Shell          string   // "" = /bin/sh
	Groups         []string // further ones
}

// Ready says how a service shows that it has started. All that is given must hold.
type Ready struct {
	TCP, UDP int    // it listens on this port
	Says     string // a line of a log or of its output contains this
	File     string // exists: a socket, a pid file
}

// Log is a source of log lines.
type Log struct {
	From string // "syslog": /dev/log; "output": standard output and error; else a file, or a glob of files
	As   string // "" = SERVICE.log, else SERVICE.AS.log
}

// Attack is one thing that clients do, named for a person; its lines stand
// together in the captured file.
type Attack struct {
	Name string
	Do   func(r *Run)
}

// catalogue has one exported method for each service, which returns its
// description. Services are found by that, so that adding one is one file and
// nothing else.
type catalogue struct{}

// services returns all services, sorted by name, or says what is wrong with them.
func services() ([]Service, error) {
	var all []Service
	var problems []error
	for m, value := range reflect.ValueOf(catalogue{}).Methods() {
		describe, ok := value.Interface().(func() Service)
		if !ok {
			problems = append(problems, fmt.Errorf("%s is no func() Service but %s", m.Name, value.Type()))
			continue
		}
		v := describe()
		if err := v.check(); err != nil {
			problems = append(problems, fmt.Errorf("service %q: %w", v.Name, err))
		}
		all = append(all, v)
	}
	slices.SortFunc(all, func(a, b Service) int { return cmp.Compare(a.Name, b.Name) })
	for i := 1; i < len(all); i++ {
		if all[i].Name == all[i-1].Name {
			problems = append(problems, fmt.Errorf("service %q is there twice", all[i].Name))
		}
	}
	return all, errors.Join(problems...)
}

// check says what is missing in a description.
func (v Service) check() error {
	switch {
	case !regexp.MustCompile(`^[a-z0-9][a-z0-9-]*$`).MatchString(v.Name):
		return errors.New("the name is to be of small letters, digits and hyphens")
	case len(v.Packages) == 0:
		return errors.New("no package")
	case len(v.Attacks) == 0:
		return errors.New("no attack")
	}
	for _, a := range v.Attacks {
		if a.Name == "" || a.Do == nil {
			return errors.New("an attack lacks its name or its function")
		}
	}
	for _, e := range slices.Concat(v.Drop, v.Sometimes, v.Volatile) {
		if _, err := regexp.Compile(e); err != nil {
			return err
		}
	}
	return nil
}

// logs returns the sources of a service.
func (v Service) logs() []Log {
	if len(v.Logs) == 0 {
		return []Log{{From: "syslog"}}
	}
	return v.Logs
}

// patience returns how long all of it may take.
func (v Service) patience() time.Duration {
	return cmp.Or(v.Patience, 3*time.Minute)
}

// daemon returns a Command for a service that goes to the background only (its
// log is elsewhere if it stays in the foreground): it starts it and ends with it.
func daemon(command, pidFile string) []string {
	return []string{"sh", "-c", command + `
end() { kill "$(cat ` + pidFile + `)"; while [ -e "/proc/$(cat ` + pidFile + `)" ]; do sleep 0.1; done; exit; }
trap end TERM
while :; do sleep 600 & wait; done`}
}
