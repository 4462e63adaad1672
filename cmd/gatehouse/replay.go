package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/policy"
	"gatehouse/internal/replay"
)

// replayOptions are the flags of replay.
type replayOptions struct {
	rules             []string
	history, releases bool
	against           string
	fail2ban          string                               // its database, to compare with
	wrap              func(*replay.Course) replay.Listener // what hears the lines in place of the course; nil = it does
}

// replayCommand tells what the policy would have decided on logs of the past.
func replayCommand(e *env) *cobra.Command {
	var o replayOptions
	c := &cobra.Command{
		Use:   "replay LOG...|- [--history] [--rule R]... [--releases] [--compare-fail2ban DB]",
		Short: "tell what would have been decided on logs of the past",
		Long: "Reads logs, plain or compressed with gzip, and tells each decision that the policy would have taken when they " +
			"were written; of several logs the lines are merged by the logs' own time. Last comes a summary: who, when, and " +
			"how many lines of the logs the bans would have kept away. No daemon is needed. Nothing is banned, written or resolved: host names of the " +
			"allow list count for nobody, and what is true of this machine today (its addresses, who is logged in) is not looked at.\n\n" +
			"On each log those watches of the configuration run that name it, a rotated one like the log itself, in another folder by its last name; where " +
			"none does, the rules that know its first lines. With --rule these rules run on every log.\n\n" +
			"With --against FILE the logs run twice, by the present configuration and by that of FILE, and only what they decide otherwise is told: " +
			"- what only the present one decides, + what only FILE does. Last come both summaries, side by side.\n\n" +
			"With --compare-fail2ban it tells, in place of the decisions, whom both banned, whom only Gatehouse, whom only fail2ban, and why; " +
			"with --json as {\"comparison\": {both, earlier, later, median_seconds, only_gatehouse, only_fail2ban, differences}}.\n\n" +
			"With --json each decision is one line, {time, verdict, subject, ports, until, rule, offence, why, log}, and the last line is " +
			"{\"summary\": {lines, logs, first, last, decisions, bans, released, banned, kept_away, logins_kept_away, offenders, effects}}: " +
			"effects are the bans that would have kept most away, each with its number. With --against each line has a side, present or against, too, and " +
			"the summary has both. Exit 1 if no log could be read.",
		Example: "gatehouse replay /var/log/auth.log*\n" +
			"gatehouse --config new.yaml replay /var/log/auth.log --history\n" +
			"gatehouse replay /var/log/auth.log* --compare-fail2ban /var/lib/fail2ban/fail2ban.sqlite3\n" +
			"journalctl -u ssh | gatehouse --json replay - --rule sshd",
		Args: takes(1, -1),
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return nil, cobra.ShellCompDirectiveDefault
		},
		RunE: func(c *cobra.Command, args []string) error {
			return e.replay(c.Context(), args, o)
		},
	}
	c.Flags().BoolVar(&o.history, "history", false, "take the offences that the ledger knows of into account, those before the first line")
	c.Flags().StringArrayVar(&o.rules, "rule", nil, "only this `RULE`, a name or a file, on every log; may be repeated")
	c.Flags().StringVar(&o.against, "against", "", "tell what the configuration in `FILE` would decide otherwise")
	c.Flags().BoolVar(&o.releases, "releases", false, "also tell when a ban would have been over, and what it would have kept away")
	c.Flags().StringVar(&o.fail2ban, "compare-fail2ban", "", "in place of the decisions, tell how they differ from those in fail2ban's database `DB`")
	_ = c.RegisterFlagCompletionFunc("rule", e.completeRules(-1)) // it fails only for a flag that is not there
	return c
}

// replay runs the logs through the policy.
func (e *env) replay(ctx context.Context, args []string, o replayOptions) error {
	c, err := e.settings()
	if err != nil {
		return settingsFailure(e.configPath(), err)
	}
	if o.against != "" {
		return e.replayAgainst(ctx, args, o, c)
	}
	if o.fail2ban != "" {
		return e.replayCompared(ctx, args, o, c)
	}
	out := newReplayOutput(e, o)
	accounts, sum, err := e.course(ctx, args, o, c, out.decided)
	if err != nil {
		return err
	}
	return out.summary(accounts, sum)
}

// course runs the logs through the policy of one configuration.
func (e *env) course(ctx context.Context, args []string, o replayOptions, c *config.Config, decided func(*replay.Decision) error) ([]replay.Account, replay.Summary, error) {
	plan, err := e.replayPlan(c, o.rules)
	if err != nil {
		return nil, replay.Summary{}, err
	}
	logs, err := e.openLogs(ctx, args, plan)
	defer logs.close()
	if err != nil {
		return nil, replay.Summary{}, err
	}
	conf := replay.Config{Detect: plan.detect, Policy: plan.policy, Allow: e.replayAllow(c), Decided: decided}
	if o.history {
		conf.History = func(until time.Time) policy.Past { return e.replayHistory(ctx, c, until) }
	}
	course := replay.NewCourse(conf)
	var to replay.Listener = course
	if o.wrap != nil {
		to = o.wrap(course)
	}
	bar := e.progress("reading", logs.size)
	logs.watch(bar)
	accounts, err := replay.Run(ctx, logs.list, replay.Options{Now: e.now(), Zone: time.Local, Proxies: c.AllProxies()}, to)
	bar.end()
	if err == nil {
		err = e.accountFor(accounts)
	}
	return accounts, course.Summary(), err
}

// replayAllow returns the allow list of the configuration, and says which of it is
// left out.
func (e *env) replayAllow(c *config.Config) (out []policy.AllowEntry) {
	names := 0
	for _, a := range c.Allow {
		if a.Prefix.IsValid() {
			out = append(out, policy.AllowEntry{Prefix: a.Prefix, Text: a.String(), Origin: policy.FromConfig})
		} else {
			names++
		}
	}
	for _, p := range c.AllProxies() {
		out = append(out, policy.AllowEntry{Prefix: p, Text: "proxies", Origin: policy.FromConfig})
	}
	if names > 0 {
		e.remark("%s of the allow list %s not looked up", counted(names, "host name"), map[bool]string{true: "is", false: "are"}[names == 1])
	}
	return out
}

// accountFor tells which logs could not be read to their end; the error says that
// none could be read at all.
func (e *env) accountFor(accounts []replay.Account) error {
	bad := 0
	for _, a := range accounts {
		if a.Err != nil {
			e.report(fileFailure("read", a.Name, a.Err))
			if a.Lines == 0 {
				bad++
			}
		}
		if a.Skipped > 0 {
			e.remark("%s: %s too long to be looked at", a.Name, counted(a.Skipped, "line"))
		}
		if a.Odd > 0 {
			e.remark("%s: %s not of the format that a rule reads", a.Name, counted(a.Odd, "line"))
		}
		if a.Bare > 0 {
			e.remark("%s: %s without the header that says who wrote it: anybody may have, so bans are short and of new connections only",
				a.Name, counted(a.Bare, "line"))
		}
	}
	if bad == len(accounts) {
		return failed("name logs that are text, or compressed with gzip", "replay: none of the logs could be read")
	}
	return nil
}

// remark tells on standard error what a person should know who reads the result.
func (e *env) remark(format string, a ...any) {
	text := fmt.Sprintf(format, a...)
	if e.json {
		b, err := marshal(map[string]string{"remark": text})
		if err == nil {
			fmt.Fprintf(e.err, "%s\n", b)
		}
		return
	}
	fmt.Fprintf(e.err, "%s\n", harmless(text))
}

// timeOrNull returns nil for the zero time.
func timeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return new(t.UTC())
}

// replayDecision is the document of one decision.
type replayDecision struct {
	Time     time.Time    `json:"time"`
	Verdict  gate.Verdict `json:"verdict"`
	Subject  gate.Subject `json:"subject"`
	Ports    gate.Ports   `json:"ports,omitzero"`
	Until    *time.Time   `json:"until"` // null = for ever, or no ban
	Rule     string       `json:"rule"`
	Offence  int          `json:"offence,omitempty"`
	Why      string       `json:"why"`
	Log      string       `json:"log,omitempty"`       // which log led to it; "" for what time alone did
	KeptAway *int         `json:"kept_away,omitempty"` // of a release: lines
}
