package config

import (
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// check is a test of a value beyond its type.
type check struct {
	whole bool // of a list as a whole, where false means each of its items
	run   func(v reflect.Value) error
}

// checks are the tests that a tag can name.
var checks = map[string]check{
	"account":       {run: account},
	"aboutwhom":     {run: aboutWhom},
	"adapter":       {run: adapter},
	"door":          {run: door},
	"label":         {run: label},
	"relay":         {run: relay},
	"rfserial":      {run: rfserial},
	"silence":       {run: silence},
	"happening":     {run: happening},
	"hookCommand":   {run: hookCommand},
	"minisign":      {run: minisignKey},
	"serve":         {run: serve},
	"sum":           {run: sum},
	"listURL":       {run: listURL},
	"listURLOrPath": {run: listURLOrPath},
	"broker":        {run: broker},
	"clock":         {run: clock},
	"command":       {run: command},
	"filled":        {whole: true, run: filled},
	"glob":          {run: glob},
	"half":          {run: half},
	"hidden":        {run: hidden},
	"confirm":       {run: confirm},
	"https":         {run: https},
	"often":         {run: often},
	"ladder":        {whole: true, run: ladder},
	"listen":        {run: listen},
	"logto":         {run: logto},
	"mailbox":       {run: mailbox},
	"name":          {run: name},
	"path":          {run: absolute},
	"phone":         {run: phone},
	"proxy":         {run: proxy},
	"positive":      {run: positive},
	"server":        {run: server},
	"socket":        {run: socket},
	"distinct":      {run: distinct},
	"hold":          {run: hold},
	"tarpit":        {run: tarpit},
	"topic":         {run: topic},
	"unit":          {run: unit},
	"webaddress":    {run: webAddress},
	"word":          {run: word},
	"zone":          {run: zone},
}

// runChecks runs those checks of a field that concern lists, or those that
// concern single values.
func runChecks(f field, v reflect.Value, whole bool) error {
	for _, c := range f.checks {
		if checks[c].whole != whole {
			continue
		}
		if err := checks[c].run(v); err != nil {
			return err
		}
	}
	return nil
}

// filled wants a list with something in it.
func filled(v reflect.Value) error {
	if v.Len() == 0 {
		return wrong("the list is empty", "remove the key to get the default")
	}
	return nil
}

// absolute wants an absolute path, and stores it without superfluous parts.
func absolute(v reflect.Value) error {
	s := v.String()
	if filepath.IsAbs(s) {
		v.SetString(filepath.Clean(s))
		return nil
	}
	hint := "paths start with /"
	if strings.HasPrefix(s, "~") || strings.Contains(s, "$") {
		hint += "; ~ and $VARIABLES are not expanded"
	}
	return wrong(gate.Quote(s, 64)+" is not an absolute path", hint)
}

// maxSocket is the longest path of a Unix socket in bytes: sun_path of
// unix(7) has 108, one of them for the final NUL.
const maxSocket = 107

// socket wants an absolute path that fits into an address of a Unix socket.
func socket(v reflect.Value) error {
	if err := absolute(v); err != nil {
		return err
	}
	if n := len(v.String()); n > maxSocket {
		return wrong("the path of a socket has at most "+itoa(maxSocket)+" bytes, this one has "+itoa(n), "choose a shorter path, such as /run/gatehouse/gatehouse.sock")
	}
	return nil
}

// glob wants an absolute pattern in the syntax of filepath.Match.
func glob(v reflect.Value) error {
	s := v.String()
	if _, err := filepath.Match(s, "/"); err != nil {
		return wrong(gate.Quote(s, 64)+" is not a pattern for files", "close the [ or quote it with \\; * and ? match within one folder")
	}
	if strings.Contains(s, "**") {
		return wrong(gate.Quote(s, 64)+" has **, which no path matches here", "* matches within one folder: write /var/log/*/*.log for the folders below /var/log")
	}
	return absolute(v)
}

// name wants the name of a rule.
func name(v reflect.Value) error {
	if s := v.String(); !gate.IsName(s) {
		return wrong(gate.Quote(s, 64)+" cannot be the name of a rule", "use letters, digits, -, _ and dots; a rule file goes by its name without folder and .yaml")
	}
	return nil
}

// word wants what can name a thing of the operator's.
func word(v reflect.Value) error {
	if s := v.String(); !gate.IsName(s) {
		return wrong(gate.Quote(s, 64)+" cannot be a name", "use letters, digits, -, _ and dots, at most 64")
	}
	return nil
}

// positive wants a duration of more than nothing.
func positive(v reflect.Value) error {
	if v.Int() <= 0 {
		return wrong("the duration must be more than 0", "write forever for no end")
	}
	return nil
}

// half wants a duration in which something halves.
func half(v reflect.Value) error {
	if d := time.Duration(v.Int()); d < time.Second || d == gate.Forever {
		return wrong("points do not halve in "+gate.FormatDuration(d), "write a duration from 1s on, such as 1h")
	}
	return nil
}

// ladder wants the steps of a ban: at least one, none shorter than the one
// before it or than a second, and nothing behind forever.
func ladder(v reflect.Value) error {
	steps := v.Interface().([]time.Duration)
	if len(steps) == 0 {
		return wrong("a ladder without a step", "write one duration at least, such as [10m]; remove the key to get the default")
	}
	if i := slices.IndexFunc(steps, func(d time.Duration) bool { return d < time.Second }); i >= 0 {
		return wrong("a step of the ladder that is shorter than 1s", "write 10m or more: shorter bans stop nobody").at(i)
	}
	if i := slices.Index(steps, gate.Forever); i >= 0 && i < len(steps)-1 {
		return wrong("forever is not the last step of the ladder", "put it at the end: what follows would never be reached").at(i)
	}
	for i := 1; i < len(steps); i++ {
		if steps[i] < steps[i-1] {
			sorted := slices.Sorted(slices.Values(steps))
			return wrong("the ladder descends from "+gate.FormatDuration(steps[i-1])+" to "+gate.FormatDuration(steps[i]),
				"write ["+joinDurations(sorted)+"]: who comes back is banned for longer").at(i)
		}
	}
	return nil
}

func joinDurations(ds []time.Duration) string {
	s := make([]string, len(ds))
	for i, d := range ds {
		s[i] = gate.FormatDuration(d)
	}
	return strings.Join(s, ", ")
}
