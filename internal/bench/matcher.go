package main

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"math"
	"time"

	"gatehouse/internal/rules"
	"gatehouse/internal/rules/corpus"
)

// matchLines is how many lines the matcher is measured on.
const matchLines = 1_000_000

// matchDay is when the logs of package corpus are read.
var matchDay = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// scanned is what one reading of a log gave.
type scanned struct {
	hits int
	sum  uint64 // over rule, pattern, place, address, user and time of each hit
	took time.Duration
}

// scan reads a log in blocks of 256 KB, as a sensor does. Only where check is
// set the sum is worked out, for that takes time.
func scan(rs []*rules.Rule, log []byte, o rules.Options, check bool) (out scanned) {
	s := rules.NewMatcher(rs, o).Scanner(rules.SourceOptions{Zone: time.UTC})
	h := fnv.New64a()
	base := 0
	emit := func(hit *rules.Hit) {
		out.hits++
		if check {
			fmt.Fprint(h, hit.Rule.Name, hit.Pattern.Name, base+hit.Offset, hit.Addr, hit.User, hit.Port, hit.Session, hit.Time.UnixNano(), hit.Evidence)
		}
	}
	from := cpu()
	for base < len(log) {
		size := min(256<<10, len(log)-base)
		size = bytes.LastIndexByte(log[base:base+size], '\n') + 1
		s.Scan(log[base:base+size], matchDay, emit)
		base += size
	}
	out.took, out.sum = cpu()-from, h.Sum64()
	return out
}

// equalsOracle reads a log with the matcher and with the oracle, and says
// whether the hits are the same.
func equalsOracle(b *bench, rs []*rules.Rule, log []byte) {
	fast, slow := scan(rs, log, rules.Options{}, true), scan(rs, log, rules.Options{Naive: true}, true)
	if fast.hits != slow.hits || fast.sum != slow.sum {
		b.Fatalf("%d hits with sum %x, the oracle has %d with %x", fast.hits, fast.sum, slow.hits, slow.sum)
	}
}

// rate returns the best of three readings, in lines a CPU-second.
func rate(rs []*rules.Rule, log []byte) (best float64, hits int) {
	lines := float64(bytes.Count(log, []byte("\n")))
	for range 3 {
		r := scan(rs, log, rules.Options{}, false)
		best, hits = math.Max(best, lines/r.took.Seconds()), r.hits
	}
	return best, hits
}

func parseRules(b *bench, srcs []string) (rs []*rules.Rule) {
	for _, src := range srcs {
		r, err := rules.Parse("corpus.yaml", []byte(src))
		if err != nil {
			b.Fatalf("%v", err)
		}
		rs = append(rs, r)
	}
	return rs
}

// match50 has 50 rules that read auth.log, and 1M lines of which a tenth hits.
func match50(b *bench) (string, bool) {
	rs, log := parseRules(b, corpus.AuthRules()), corpus.AuthLog(matchLines)
	equalsOracle(b, rs, log)
	best, hits := rate(rs, log)
	return fmt.Sprintf("%.2fM lines/CPU-s, %dk hits", best/1e6, hits/1000), best >= 3e6
}

// matchWeb has 46 conditions on 1M lines of an access log, a tenth of them
// probes and refusals. The oracle reads a tenth of the log: it takes long.
func matchWeb(b *bench) (string, bool) {
	rs, log := parseRules(b, corpus.WebRules()), corpus.AccessLog(matchLines)
	equalsOracle(b, rs, log[:bytes.LastIndexByte(log[:len(log)/10], '\n')+1])
	best, hits := rate(rs, log)
	return fmt.Sprintf("%.2fM lines/CPU-s, %dk hits", best/1e6, hits/1000), best >= 3e6
}

// matchFlood has nothing but refused attempts at sshd, from 100k addresses.
func matchFlood(b *bench) (string, bool) {
	rs, log := []*rules.Rule{sshdRule(b)}, corpus.SSHLog(matchLines, 100_000)
	equalsOracle(b, rs, log)
	best, hits := rate(rs, log)
	return fmt.Sprintf("%.2fM lines/CPU-s, %dk hits", best/1e6, hits/1000), best >= 700e3 && hits == matchLines
}

// matchManyRules adds 100 rules that hit nothing to the 50, and says what they
// cost.
func matchManyRules(b *bench) (string, bool) {
	few, log := parseRules(b, corpus.AuthRules()), corpus.AuthLog(matchLines)
	many := append(parseRules(b, corpus.IdleRules(100)), few...)
	equalsOracle(b, many, log[:bytes.LastIndexByte(log[:len(log)/10], '\n')+1])
	alone, hits := rate(few, log)
	together, same := rate(many, log)
	if hits != same {
		b.Fatalf("%d hits with more rules, %d without", same, hits)
	}
	more := alone/together - 1
	return fmt.Sprintf("%+.0f %%: %.2fM, %.2fM lines/CPU-s", 100*more, alone/1e6, together/1e6), more <= 0.30
}
