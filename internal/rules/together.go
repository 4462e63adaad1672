package rules

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// abreast is how many samples are woven into each other.
const abreast = 16

// TestTogether runs the samples of all rules as one log, their lines woven into each
// other, and compares what each line gives there with what it gives alone: what
// went before, what stands beside it and which other rules there are may change
// nothing. It returns what differs, by the name of the rule.
func TestTogether(rs []*Rule) map[string][]Failure {
	m := NewMatcher(rs, Options{})
	log, places := weave(rs)
	got := map[int][]string{} // by offset of the line
	m.Scanner(SourceOptions{Zone: time.UTC}).Scan([]byte(log), sampleNow, func(h *Hit) { got[h.Offset] = append(got[h.Offset], tellHit(h)) })
	out := map[string][]Failure{}
	for _, p := range places {
		r, s := rs[p.rule], rs[p.rule].Samples[p.sample]
		var want []string
		from := lastLine(s.Line)
		m.Scanner(SourceOptions{Zone: time.UTC}).Scan([]byte(s.Line), sampleNow, func(h *Hit) {
			if h.Offset >= from {
				want = append(want, tellHit(h))
			}
		})
		if !slices.Equal(got[p.at], want) {
			out[r.Name] = append(out[r.Name], Failure{p.sample, "", fmt.Sprintf("among the lines of others it gives %s, alone %s: %s", tellHits(got[p.at]), tellHits(want), gate.Quote(s.Line, 200))})
		}
	}
	return out
}

// placed is where the last line of a sample lies in the log.
type placed struct{ rule, sample, at int }

// weave makes a log of all samples. Those whose lines belong together stay so; of
// the others, abreast at a time, the first lines come first, then the second ones.
func weave(rs []*Rule) (string, []placed) {
	type strand struct {
		lines        []string
		rule, sample int
	}
	var strands []strand
	longest := 0
	for _, r := range rs {
		longest = max(longest, len(r.Samples))
	}
	for i := range longest { // the rules take turns
		for ri, r := range rs {
			if i < len(r.Samples) {
				lines := strings.Split(strings.TrimSuffix(r.Samples[i].Line, "\n"), "\n")
				if r.Continues {
					lines = []string{strings.Join(lines, "\n")}
				}
				strands = append(strands, strand{lines, ri, i})
			}
		}
	}
	var b strings.Builder
	var places []placed
	for len(strands) > 0 {
		n := min(abreast, len(strands))
		for turn, more := 0, true; more; turn++ {
			more = false
			for _, s := range strands[:n] {
				if turn >= len(s.lines) {
					continue
				}
				if turn == len(s.lines)-1 {
					places = append(places, placed{s.rule, s.sample, b.Len() + lastLine(s.lines[turn])})
				}
				more = more || turn+1 < len(s.lines)
				b.WriteString(s.lines[turn] + "\n")
			}
		}
		strands = strands[n:]
	}
	return b.String(), places
}

// lastLine returns where the last of some lines begins.
func lastLine(lines string) int {
	return strings.LastIndexByte(strings.TrimSuffix(lines, "\n"), '\n') + 1
}

// tellHit says what a hit is, but for its date: where lines continue others that
// may be another one.
func tellHit(h *Hit) string {
	return fmt.Sprintf("%s/%s %s user %q port %d session %d times %d", h.Rule.Name, h.Pattern.Name, h.Addr, h.User, h.Port, h.Session, h.Repeat)
}

func tellHits(hits []string) string {
	if len(hits) == 0 {
		return "nothing"
	}
	return strings.Join(hits, " and ")
}
