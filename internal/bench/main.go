// Command bench measures the built program against its budgets and prints a
// table: the budget, this run's figure, and the best known elsewhere. It measures
// on real components, in namespaces of its own; nothing on the machine changes.
//
//	go run ./internal/bench [-bin build/gatehouse] [name ...]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/netlab"
)

// budget is one line of the table. measure returns the figure as text and
// whether the budget is met.
type budget struct {
	name    string
	want    string
	others  string // the best of the peers, measured on a like machine
	measure func(*bench) (string, bool)
}

var budgets = []budget{
	{"sshd rule, 1M lines of auth.log", "4M lines/CPU-s", "862k / 38k (sshguard, fail2ban)", matchSSHD},
	{"50 rules on the same", "3M lines/CPU-s, towards 5M", "4.5M (ripgrep, 20 literals)", match50},
	{"web rules, 1M lines of access.log", "3M lines/CPU-s", "61k (fail2ban, one filter)", matchWeb},
	{"flood, every line a failure, 100k addresses", "700k lines/CPU-s", "10k (fail2ban)", matchFlood},
	{"100 more rules that do not match", "at most 30 %", "", matchManyRules},
	{"fail2ban's sshd filter, 1M lines of auth.log", "1.5M lines/CPU-s", "38k (fail2ban)", filterSSHD},
	{"every stock filter of fail2ban", "20x fail2ban-regex", "", filterRatios},
	{"counting: events from 100k addresses", "700k/CPU-s, 60 MB", "10k, 179 MB (fail2ban)", countFlood},
	{"line written to packets dropped, 200 bans", "p50 1 ms, p95 5 ms", "263 / 1291 ms (fail2ban)", latency},
	{"ban 100k addresses by one `ban -`", "2 s", "22 min (fail2ban)", bulkBan},
	{"one more ban with 100k loaded", "1 ms in the kernel", "3-4 s (CrowdSec's bouncer)", oneMore},
	{"restart with 100k bans: ready, packets passed", "0.3 s, 0 packets", "19-33 min, open meanwhile", restart},
	{"idle memory, daemon and children", "25 MB", "38 MB (fail2ban)", idle},
}

func main() {
	if netlab.Hook() {
		return
	}
	bin := flag.String("bin", "build/gatehouse", "the finished program")
	flag.Parse()
	if !netlab.Staged() {
		code, err := netlab.Reexec(context.Background(), os.Args[1:])
		if err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			code = 1
		}
		os.Exit(code)
	}
	path, err := filepath.Abs(*bin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	fmt.Printf("%-50s %-30s %-34s %s\n", "what", "budget", "this run", "elsewhere")
	missed := 0
	for _, row := range budgets {
		if args := flag.Args(); len(args) > 0 && !slices.ContainsFunc(args, func(a string) bool { return strings.Contains(row.name, a) }) {
			continue
		}
		got, ok := run(row, path)
		mark := "✓"
		if !ok {
			mark, missed = "✗", missed+1
		}
		fmt.Printf("%-50s %-30s %s %-32s %s\n", row.name, row.want, mark, got, row.others)
	}
	if missed > 0 {
		fmt.Printf("%d missed: see docs/budgets.md\n", missed)
	}
}

// bench is what one measurement needs: the built program, and a crew that ends it
// when something cannot be built.
type bench struct {
	netlab.Crew
	bin string
}

func run(row budget, bin string) (got string, ok bool) {
	b := &bench{bin: bin}
	if err := b.Perform(func() error { got, ok = row.measure(b); return nil }); err != nil {
		return "failed: " + err.Error(), false
	}
	return got, ok
}

// quantile returns the q-th of sorted durations.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

// ms writes a duration in milliseconds.
func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
