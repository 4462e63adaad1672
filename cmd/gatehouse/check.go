package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"gatehouse/internal/app"
	"gatehouse/internal/config"
	"gatehouse/internal/runner"
)

// checkCommand tells every error of the configuration.
func checkCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "check [FILE]",
		Short: "tell every error of the configuration",
		Long: "Reads the configuration and tells every error in it, each with its place, the line, and what to do. " +
			"Own rule files and the filters of fail2ban that it names are checked, too. Nothing is changed; exit 1 if there is an error. " +
			"With --json standard output is an array of {file, line, column, error, excerpt, hint}.",
		Example: "gatehouse check\ngatehouse check ./gatehouse.yaml",
		Args:    takes(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				e.config = args[0]
			}
			path := e.configPath()
			e.filterProblems = app.FilterProblems
			e.commandProblem = runner.CheckCommand
			e.secrets = secretProblem(os.Getenv)
			c, err := e.settings()
			problems := problemsOf(err)
			if err != nil && problems == nil {
				return err
			}
			if c != nil {
				problems = append(problems, ownRuleProblems(c.Rules)...)
				more, remarks := portProblems(path, c)
				problems = append(problems, more...)
				for _, r := range remarks {
					fmt.Fprintln(e.err, "note: "+harmless(r))
				}
				problems = append(problems, templateProblems(c)...)
				problems = append(problems, reportProblems(c)...)
			}
			if e.json {
				if err := writeArray(e.out, problems); err != nil {
					return err
				}
			} else if len(problems) > 0 {
				writeProblems(e.err, problems)
			}
			if len(problems) > 0 {
				return failed("", "check %s: %s", path, counted(len(problems), "error"))
			}
			if !e.json {
				fmt.Fprintln(e.out, harmless(fineWords(e, path)))
				e.writeScanNotes(c)
			}
			return nil
		},
	}
}

// fineWords says that there is no error, and when there is not even a file.
func fineWords(e *env, path string) string {
	if e.config == "" {
		if _, err := config.Load(path, config.Options{}); errors.Is(err, fs.ErrNotExist) {
			return path + ": there is no such file; the defaults guard this machine"
		}
	}
	return path + ": no error"
}

// configCommand prints what can be configured.
func configCommand(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "config reference|schema",
		Short: "print the whole configuration with comments, or its JSON Schema",
		Long:  "Prints what can be configured. The reference is itself a configuration: that of an empty file.",
		Args:  cobra.ArbitraryArgs,
		RunE:  subcommandMissing,
	}
	c.AddCommand(&cobra.Command{
		Use:     "reference",
		Short:   "print the whole configuration with comments and defaults",
		Example: "gatehouse config reference > gatehouse.yaml",
		Args:    takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			if e.json {
				return e.document(struct {
					YAML string `json:"yaml"`
				}{string(config.Reference())})
			}
			_, err := e.out.Write(config.Reference())
			return err
		},
	}, &cobra.Command{
		Use:   "schema",
		Short: "print the JSON Schema (2020-12) of the configuration, for editors",
		Args:  takes(0, 0),
		RunE: func(*cobra.Command, []string) error {
			_, err := e.out.Write(config.Schema())
			return err
		},
	})
	return c
}
