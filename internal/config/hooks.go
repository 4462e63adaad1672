package config

import (
	"net/netip"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Hook is one entry of hooks: a command of the operator's.
type Hook struct {
	Name     string         `key:"name" example:"tell-router" check:"word" doc:"What the hook is called in records and status. Default: the name of its command."`
	On       []string       `key:"on" required:"true" example:"[ban, release]" check:"filled happening" doc:"What it is run for: ban, release, close, open, allow, disallow; scan (bans and news of the port scan sensor), port (ports closed and opened), list.held, list.failed, degraded, restored, panel.alarm, and other kinds of record; panel stands for all that begin with panel. One may be written without brackets."`
	Run      []string       `key:"run" required:"true" example:"[/etc/gatehouse/on-ban, \"{subject}\", \"{rule}\"]" check:"filled hookCommand" doc:"The command: a list of its absolute path and its arguments, run without a shell. {subject}, {rule} and other words in braces are replaced, within an argument as well; docs/hooks.md has them all. The record comes as JSON on standard input."`
	Rules    []string       `key:"rules" example:"[sshd]" check:"filled word" doc:"Only for records of these rules. Default: all."`
	Match    []netip.Prefix `key:"match" example:"[203.0.113.0/24]" check:"filled" doc:"Only for subjects within these networks. Default: all."`
	Timeout  time.Duration  `key:"timeout" default:"30s" example:"10s" check:"positive" doc:"How long it may run; then it is killed with all that it started."`
	Parallel int            `key:"parallel" default:"1" min:"1" max:"32" example:"4" doc:"How many runs of it there may be at once. With 1 they keep the order of the records."`
	Retries  int            `key:"retries" default:"0" min:"0" max:"10" example:"3" doc:"How often it is run again when it fails, after 1s, 2s, 4s and so on."`
	Late     time.Duration  `key:"late" default:"1h" example:"10m" check:"positive" doc:"A record that is older than this when its turn comes is passed over, and counted. forever runs all."`
	User     string         `key:"user" example:"nobody" check:"account" doc:"User whose rights it runs with. Default: the daemon's own."`
}

// hookWords are the words in braces that the arguments of a hook may have.
var hookWords = []string{"subject", "address", "prefix", "family", "list", "rule", "kind", "verdict", "until", "seconds", "ports", "direction", "offence", "why", "seq", "delivery", "time"}

// HookWords returns the words in braces that the arguments of a hook may have.
func HookWords() []string { return slices.Clone(hookWords) }

var braces = regexp.MustCompile(`\{([a-z_]*)\}`)

// liftHooks makes `on: ban` what it means: `on: [ban]`.
func liftHooks(root *node) {
	hooks := root.get("hooks")
	if hooks == nil || hooks.kind != list {
		return
	}
	for _, h := range hooks.items {
		if on := h.get("on"); on != nil && on.kind == text {
			item := *on
			*on = node{kind: list, line: on.line, col: on.col, items: []*node{&item}}
		}
	}
}

// checkHooks checks what no entry can know by itself.
func (c *Config) checkHooks(d *decoder, n *node) {
	uniqueNames(d, n.get("hooks"), "hook")
	hooks := n.get("hooks")
	if hooks == nil || hooks.kind != list {
		return
	}
	for _, h := range hooks.items {
		d.hookKinds(h.get("on"))
	}
	if d.o.CommandProblem == nil {
		return
	}
	for _, h := range hooks.items {
		if run := h.get("run"); run != nil && run.kind == list && len(run.items) > 0 && filepath.IsAbs(run.items[0].text) {
			argv := make([]string, len(run.items))
			for i, item := range run.items {
				argv[i] = item.text
			}
			if why, hint := d.o.CommandProblem(argv); why != "" {
				d.problem(run.items[0], hint, "%s", why)
			}
		}
	}
}

// hookParts are what on may say besides kinds of record.
var hookParts = []string{"scan", "port", "degraded", "restored"}

// hookKinds wants that something can happen for which the hook runs.
func (d *decoder) hookKinds(on *node) {
	if on == nil || on.kind != list || d.o.KindExists == nil {
		return
	}
	for _, k := range on.items {
		if k.kind != text || happening(reflect.ValueOf(k.text)) != nil || slices.Contains(hookParts, k.text) ||
			d.o.KindExists(k.text) || d.o.KindExists(k.text+".*") {
			continue
		}
		like := nearest(k.text, append([]string{"ban", "release", "close", "open", "allow", "disallow", "list", "panel"}, hookParts...))
		d.problem(k, didYouMean(like, "docs/hooks.md lists the kinds; panel stands for all that begin with panel"), "no record is of kind %s", gate.Quote(k.text, 64))
	}
}

// hookCommand wants a command with an absolute path, and known words in braces.
func hookCommand(v reflect.Value) error {
	if err := command(v); err != nil {
		return err
	}
	for _, m := range braces.FindAllStringSubmatch(v.String(), -1) {
		if !slices.Contains(hookWords, m[1]) {
			return wrong(gate.Quote(m[0], 64)+" stands for nothing", didYouMean(nearest(m[1], hookWords), "the words are "+strings.Join(hookWords, ", ")))
		}
	}
	return nil
}

// check holds what spans several keys of an entry.
func (h *Hook) check(d *decoder, n *node) {
	run := n.get("run")
	if run == nil || run.kind != list || len(run.items) == 0 {
		return
	}
	if first := run.items[0]; first.kind == text && !filepath.IsAbs(first.text) {
		hint := "write its whole path: /usr/local/bin/" + first.text
		if strings.ContainsAny(first.text, "{ $") || strings.Contains(first.text, "/") {
			hint = "write the whole path of a program, without words in braces"
		}
		d.problem(first, hint, "%s is not the absolute path of a command", gate.Quote(first.text, 64))
	}
}

// happening wants a kind of record.
func happening(v reflect.Value) error {
	if s := v.String(); !regexp.MustCompile(`^[a-z][a-z0-9_-]*(\.[a-z0-9_*-]+)?$`).MatchString(s) {
		return wrong(gate.Quote(s, 64)+" is not a kind of record", "write ban, release, scan, list.held, degraded or panel.alarm")
	}
	return nil
}

// account wants the name of a user.
func account(v reflect.Value) error {
	if s := v.String(); !regexp.MustCompile(`^[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,63}$`).MatchString(s) {
		return wrong(gate.Quote(s, 64)+" cannot be the name of a user", "write a name as in /etc/passwd: nobody")
	}
	return nil
}
