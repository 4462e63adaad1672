package main

import (
	"errors"
	"io/fs"
	"os"

	"gatehouse/internal/api"
	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/notify"
)

// configPath returns the path of the configuration file.
func (e *env) configPath() string {
	if e.config != "" {
		return e.config
	}
	return config.Path
}

// settings reads the configuration. Without a file at the default path it is
// that of an empty file.
func (e *env) settings() (*config.Config, error) {
	o := config.Options{UID: os.Geteuid(), Env: os.Getenv, RuleExists: ruleExists, PortsProblems: app.PortsProblems, FilterProblems: e.filterProblems,
		PushURLProblem: notify.CheckPushURL, KindExists: notify.KnownKind, SecretProblem: e.secrets, CommandProblem: e.commandProblem}
	c, err := config.Load(e.configPath(), o)
	if e.config == "" && errors.Is(err, fs.ErrNotExist) {
		return config.Default(o)
	}
	return c, err
}

// socketPath returns where the daemon listens: as told, else as configured. A
// broken configuration at the default path does not keep anybody from asking
// the daemon that runs.
func (e *env) socketPath() (string, error) {
	if e.socket != "" {
		return e.socket, nil
	}
	system := "/run/gatehouse/gatehouse.sock"
	c, err := e.settings()
	if err != nil {
		if e.config != "" {
			return "", settingsFailure(e.config, err)
		}
		return system, nil
	}
	_, own := config.DefaultPaths(os.Geteuid(), os.Getenv)
	if c.Socket == own && !exists(own) && exists(system) {
		return system, nil // a user without a daemon of his own asks that of the system
	}
	return c.Socket, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// settingsFailure turns the problems of a configuration into the error that is
// told.
func settingsFailure(path string, err error) error {
	ps := problemsOf(err)
	if ps == nil {
		return err
	}
	return &api.Error{Message: path + ": " + counted(len(ps), "error") + " in the configuration", Problems: ps, Hint: "correct it, then: gatehouse check"}
}

// problemsOf returns the problems of a configuration that an error carries.
func problemsOf(err error) []api.Problem {
	list, ok := errors.AsType[config.Problems](err)
	if !ok {
		return nil
	}
	out := make([]api.Problem, len(list))
	for i, p := range list {
		out[i] = api.Problem{File: p.File, Line: p.Line, Column: p.Column, Error: p.What, Excerpt: p.Excerpt, Hint: p.Hint}
	}
	return out
}
