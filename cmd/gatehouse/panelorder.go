package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
)

// panelFlags are the flags of commands for the panel.
type panelFlags struct {
	partition int
	codeFile  string
	noCode    bool
}

// add adds the flags to a command; with code those about codes, too.
func (f *panelFlags) add(c *cobra.Command, code bool) {
	c.Flags().IntVar(&f.partition, "partition", 1, "`NUMBER` of the partition, 1 to 8")
	if code {
		c.Flags().StringVar(&f.codeFile, "code-file", "", "read the code from the first line of `FILE` (- = standard input) in place of asking")
		c.Flags().BoolVar(&f.noCode, "no-code", false, "send no code of yours: the configured one is used, or the panel's way without one")
	}
}

// code returns the code to send: from a file, from the terminal, or none. On a
// terminal it is not shown; nothing keeps it.
func (e *env) code(c *cobra.Command, f panelFlags) (string, error) {
	name := called(c)
	switch {
	case f.noCode:
		return "", nil
	case f.codeFile == "-":
		return readCode(name, io.LimitReader(e.stdin(c.Context()), 4096))
	case f.codeFile != "":
		file, err := os.Open(f.codeFile)
		if err != nil {
			return "", fileFailure("read", f.codeFile, err)
		}
		defer file.Close()
		return readCode(name, io.LimitReader(file, 4096))
	}
	in, ok := e.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		return "", nil // the daemon's own code, if it has one
	}
	fmt.Fprint(e.err, "code (empty: the configured one): ")
	b, err := term.ReadPassword(int(in.Fd()))
	fmt.Fprintln(e.err)
	if err != nil {
		return "", failed("name a file with --code-file", "%s: read the code: %v", name, err)
	}
	return checkedCode(name, string(bytes.TrimSpace(b)))
}

func readCode(name string, r io.Reader) (string, error) {
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil && err != io.EOF {
		return "", failed("", "%s: read the code: %v", name, err)
	}
	line = strings.TrimSpace(line)
	if line == "" {
		return "", failed("write the code into its first line", "%s: there is no code", name)
	}
	return checkedCode(name, line)
}

func checkedCode(name, code string) (string, error) {
	if err := ad2.CheckCode(code); err != nil {
		return "", misused("it is the one that is keyed in at a keypad", "%s: %v", name, err)
	}
	return code, nil
}

// noDigits refuses an argument that looks like a code: it would stand in the
// history of the shell and in the list of processes.
func noDigits(c *cobra.Command, args []string) error {
	for _, a := range args {
		if len(a) >= 4 && strings.Trim(a, "0123456789") == "" {
			return misused("leave it out: the code is asked for, or read from --code-file; change it if others saw it", "%s: a code must not be an argument", called(c))
		}
	}
	return nil
}

// orderPanel asks the daemon, and writes what became of it.
func (e *env) orderPanel(c *cobra.Command, o api.PanelOrder) error {
	return e.ask(c, func(ctx context.Context, d *api.Client) error {
		out, err := d.PanelOrder(ctx, o)
		if err != nil {
			return err
		}
		if e.json {
			if err := e.document(out); err != nil {
				return err
			}
			if !out.Done {
				return failed(out.Hint, "%s: %s", called(c), out.Said)
			}
			return nil
		}
		if !out.Done {
			return failed(out.Hint, "%s: %s", called(c), out.Said)
		}
		fmt.Fprintln(e.out, harmless(out.Said))
		if out.Hint != "" {
			fmt.Fprintln(e.out, "hint: "+harmless(out.Hint))
		}
		return nil
	})
}

// panelArmCommand arms.
func panelArmCommand(e *env) *cobra.Command {
	var f panelFlags
	modes := []string{"away", "stay", "night", "instant", "max"}
	c := &cobra.Command{
		Use:   "arm away|stay|night|instant|max [--partition NUMBER]",
		Short: "arm the alarm panel",
		Long: "Arms a partition, and returns when the panel shows it. away watches everything, stay only doors and windows, " +
			"night is stay as the panel knows it for the night, instant is stay and max is away without entry delay. " +
			"Where a zone is open it says which one.",
		Example:   "gatehouse panel arm away\ngatehouse panel arm stay --partition 2 --code-file /etc/gatehouse/panel.code",
		ValidArgs: modes,
		Args:      cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := noDigits(c, args); err != nil {
				return err
			}
			if len(args) != 1 || !slices.Contains(modes, args[0]) {
				return misused("usage: "+useLine(c), "panel arm: say how: %s", strings.Join(modes, ", "))
			}
			code, err := e.code(c, f)
			if err != nil {
				return err
			}
			return e.orderPanel(c, api.PanelOrder{Action: "arm " + args[0], Partition: f.partition, Code: code})
		},
	}
	f.add(c, true)
	return c
}

// panelDisarmCommand disarms.
func panelDisarmCommand(e *env) *cobra.Command {
	var f panelFlags
	c := &cobra.Command{
		Use:   "disarm [--partition NUMBER]",
		Short: "disarm the alarm panel",
		Long: "Disarms a partition, and returns when the panel shows it. After an alarm a second time clears its memory. " +
			"After two wrong codes within a minute the next one is held back.",
		Args: cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			if err := noDigits(c, args); err != nil {
				return err
			}
			if err := takes(0, 0)(c, args); err != nil {
				return err
			}
			code, err := e.code(c, f)
			if err != nil {
				return err
			}
			return e.orderPanel(c, api.PanelOrder{Action: string(ad2.Disarm), Partition: f.partition, Code: code})
		},
	}
	f.add(c, true)
	return c
}

// panelBypassCommand leaves a zone out.
func panelBypassCommand(e *env) *cobra.Command {
	var f panelFlags
	c := &cobra.Command{
		Use:     "bypass ZONE [--partition NUMBER]",
		Short:   "leave a zone out until the panel is disarmed",
		Long:    "Leaves a zone out, so that the partition can be armed while it is open. Disarming takes it in again.",
		Example: "gatehouse panel bypass 5",
		Args:    takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			n, err := strconv.Atoi(args[0])
			if err != nil || n < 1 || n > 99 {
				return misused("gatehouse panel zones lists them", "panel bypass: %q is not the number of a zone, 1 to 99", args[0])
			}
			code, err := e.code(c, f)
			if err != nil {
				return err
			}
			return e.orderPanel(c, api.PanelOrder{Action: string(ad2.LeaveOut), Partition: f.partition, Zone: n, Code: code})
		},
	}
	f.add(c, true)
	return c
}

// panelChimeCommand switches the chime.
func panelChimeCommand(e *env) *cobra.Command {
	var f panelFlags
	c := &cobra.Command{
		Use:   "chime [--partition NUMBER]",
		Short: "switch the chime on or off",
		Long:  "Switches the chime that sounds when a door opens: on if it is off, off if it is on.",
		Args:  takes(0, 0),
		RunE: func(c *cobra.Command, _ []string) error {
			code, err := e.code(c, f)
			if err != nil {
				return err
			}
			return e.orderPanel(c, api.PanelOrder{Action: string(ad2.ToggleBell), Partition: f.partition, Code: code})
		},
	}
	f.add(c, true)
	return c
}

// panelPanicCommand calls for help.
func panelPanicCommand(e *env) *cobra.Command {
	var f panelFlags
	var sure string
	kinds := []string{string(ad2.PressFire), string(ad2.PressHelp), string(ad2.PressMedic)}
	c := &cobra.Command{
		Use:   "panic fire|police|medical [--partition NUMBER]",
		Short: "call for help by the alarm panel",
		Long: "Presses an emergency key of the panel. Where the panel reports to a receiving centre, someone will come. " +
			"It is asked twice: on a terminal by typing the word again, elsewhere by --confirm with the same word.",
		Example:   "gatehouse panel panic fire",
		ValidArgs: kinds,
		Args:      takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			if !slices.Contains(kinds, args[0]) {
				return misused("usage: "+useLine(c), "panel panic: say for what: %s", strings.Join(kinds, ", "))
			}
			if sure == "" {
				in, ok := e.in.(*os.File)
				if !ok || !term.IsTerminal(int(in.Fd())) {
					return misused("add --confirm "+args[0], "panel panic: it calls for help and must be confirmed")
				}
				fmt.Fprintf(e.err, "This calls for help. Type %s again to go on: ", args[0])
				line, err := bufio.NewReader(io.LimitReader(e.stdin(c.Context()), 64)).ReadString('\n')
				if err != nil && err != io.EOF {
					return failed("", "panel panic: %v", err)
				}
				sure = strings.TrimSpace(line)
			}
			if sure != args[0] {
				return failed("nobody was called", "panel panic: %q is not %q", sure, args[0])
			}
			return e.orderPanel(c, api.PanelOrder{Action: args[0], Partition: f.partition, Confirm: sure})
		},
	}
	f.add(c, false)
	c.Flags().StringVar(&sure, "confirm", "", "the same `WORD` again, where there is no terminal to ask on")
	return c
}

// panelKeysCommand presses keys.
func panelKeysCommand(e *env) *cobra.Command {
	var f panelFlags
	c := &cobra.Command{
		Use:   "keys [KEYS|-] [--partition NUMBER]",
		Short: "press keys as on a keypad",
		Long: "Presses keys and shows what the display says to that: 0 to 9, *, # and <S1> to <S8> for function keys. " +
			"Keys that may hold a code, four digits in a row, are no argument: without one they are asked for, or read from standard input.",
		Example: "gatehouse panel keys '*'\ngatehouse panel keys",
		Args:    takes(0, 1),
		RunE: func(c *cobra.Command, args []string) error {
			text := ""
			switch {
			case len(args) == 1 && args[0] != "-":
				text = args[0]
				if keys, err := ad2.ParseKeys(text); err == nil && strings.Contains(ad2.Masked(keys), "****") {
					return misused("leave them out: they are asked for; change the code if others saw it", "panel keys: a code must not be an argument")
				}
			default:
				in, ok := e.in.(*os.File)
				if len(args) == 0 && ok && term.IsTerminal(int(in.Fd())) {
					fmt.Fprint(e.err, "keys: ")
					b, err := term.ReadPassword(int(in.Fd()))
					fmt.Fprintln(e.err)
					if err != nil {
						return failed("", "panel keys: %v", err)
					}
					text = string(b)
				} else {
					line, err := bufio.NewReader(io.LimitReader(e.stdin(c.Context()), 256)).ReadString('\n')
					if err != nil && err != io.EOF {
						return failed("", "panel keys: %v", err)
					}
					text = line
				}
			}
			text = strings.TrimSpace(text)
			if _, err := ad2.ParseKeys(text); err != nil {
				return misused("usage: "+useLine(c), "panel keys: %v", err)
			}
			return e.ask(c, func(ctx context.Context, d *api.Client) error {
				out, err := d.PanelOrder(ctx, api.PanelOrder{Action: "keys", Partition: f.partition, Keys: text})
				switch {
				case err != nil:
					return err
				case e.json:
					return e.document(out)
				case !out.Done:
					return failed(out.Hint, "panel keys: %s", out.Said)
				}
				fmt.Fprintln(e.out, harmless(out.Display[:min(16, len(out.Display))]))
				fmt.Fprintln(e.out, harmless(out.Display[min(16, len(out.Display)):]))
				return nil
			})
		},
	}
	f.add(c, false)
	return c
}
