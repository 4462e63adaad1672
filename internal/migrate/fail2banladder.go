package migrate

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
)

// maxDoublings is how often fail2ban's own formula doubles a ban time at most.
const maxDoublings = 20

// longest is the longest step that is not for ever: longer ones are of no use.
const longest = 10 * 365 * gate.Day

// formula is how ban times grow by a formula of a known form: the step for the
// count of earlier bans, in units of the ban time.
type formula struct {
	form *regexp.Regexp // of the formula without blanks
	grow func(count, factor float64) float64
}

// formulas are the forms that fail2ban's documentation shows, and usual ones. They
// are recognised by their text and never evaluated.
var formulas = []formula{
	{regexp.MustCompile(`^ban\.Time\*\(1<<\(ban\.Countifban\.Count<20else20\)\)\*banFactor$`), doubling},
	{regexp.MustCompile(`^ban\.Time\*\(1<<ban\.Count\)\*banFactor$`), doubling},
	{regexp.MustCompile(`^ban\.Time\*banFactor\*\(1<<\(ban\.Countifban\.Count<20else20\)\)$`), doubling},
	{regexp.MustCompile(`^ban\.Time\*\(?(?:2\*\*|pow\(2,)\(?ban\.Count\)?\)?(?:\*banFactor)?$`), doubling},
	{regexp.MustCompile(`^ban\.Time\*math\.exp\(float\(ban\.Count\+1\)\*banFactor\)/math\.exp\(1\*banFactor\)$`),
		func(n, f float64) float64 { return math.Exp((n+1)*f) / math.Exp(f) }},
	{regexp.MustCompile(`^ban\.Time\*\(?ban\.Count\+1\)?(?:\*banFactor)?$`), func(n, f float64) float64 { return (n + 1) * f }},
	{regexp.MustCompile(`^ban\.Time\*ban\.Count(?:\*banFactor)?$`), func(n, f float64) float64 { return n * f }},
	{regexp.MustCompile(`^ban\.Time\*banFactor$`), func(_, f float64) float64 { return f }},
	{regexp.MustCompile(`^ban\.Time$`), func(_, _ float64) float64 { return 1 }},
}

func doubling(n, f float64) float64 { return math.Ldexp(1, int(min(n, maxDoublings))) * f }

// ladderOf returns for how long a jail bans: the first time, the second time, and
// so on. What is not recognised is told.
func ladderOf(j *fail2ban.Jail, remark func(text, hint string)) []time.Duration {
	first := j.BanTime
	if first == 0 {
		remark("bantime = 0 bans nobody", "a ban of at least 1s is written")
		first = time.Second
	}
	first = max(first, time.Second)
	in := j.Increment
	if first == gate.Forever || !in.Enabled {
		return []time.Duration{first}
	}
	if in.RandomTime > 0 {
		remark("bantime.rndtime adds a random time", "there is no need: nobody learns here when exactly a ban ends, and bans that end together cost nothing")
	}
	if !in.AllJails {
		remark("bantime.overalljails = false counts earlier bans by jail", "here an offence is an offence, whatever rule found it")
	}
	factor := in.Factor
	if factor == 0 {
		factor = 1
	}
	grow := doubling
	switch {
	case len(in.Multipliers) > 0:
		grow = func(n, _ float64) float64 { return in.Multipliers[min(int(n), len(in.Multipliers)-1)] }
	case in.Formula != "":
		text := strings.Join(strings.Fields(in.Formula), "")
		i := slices.IndexFunc(formulas, func(f formula) bool { return f.form.MatchString(text) })
		if i < 0 {
			remark(fmt.Sprintf("bantime.formula = %s is of no known form, and a formula is never run", in.Formula),
				"ban times that double are written; write your own ladder: ban: [10m, 1h, 1d]")
		} else {
			grow = formulas[i].grow
		}
	}
	return climb(first, factor, grow, in)
}

// climb works the steps out until they grow no more.
func climb(first time.Duration, factor float64, grow func(n, f float64) float64, in fail2ban.Increment) []time.Duration {
	steps := []time.Duration{first}
	most := in.MaxTime
	most = max(0, most)
	last := maxDoublings
	if n := len(in.Multipliers); n > 0 {
		last = n - 1
	}
	for n := 1; n <= last; n++ {
		d := longest + 1
		if v := first.Seconds() * grow(float64(n), factor); v < longest.Seconds() {
			d = time.Duration(v * float64(time.Second)).Round(time.Second)
		}
		if most > 0 && d >= most {
			return append(steps, max(most, steps[len(steps)-1]))
		}
		if d > longest {
			return append(steps, gate.Forever)
		}
		if d = max(d, steps[len(steps)-1]); d == steps[len(steps)-1] && len(in.Multipliers) == 0 && n > 1 {
			break
		}
		steps = append(steps, d)
	}
	for len(steps) > 1 && steps[len(steps)-1] == steps[len(steps)-2] {
		steps = steps[:len(steps)-1]
	}
	return steps
}

// ladderText returns a ladder as it is written.
func ladderText(steps []time.Duration) string {
	out := make([]string, len(steps))
	for i, d := range steps {
		out[i] = gate.FormatDuration(d)
	}
	return "[" + strings.Join(out, ", ") + "]"
}
