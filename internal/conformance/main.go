// Command conformance runs the sample logs that come with fail2ban through our
// reading of its filters, and says where the two differ.
//
//	conformance DIR
//	conformance -rules DIR
//
// DIR is a source tree of fail2ban (DIR/config/filter.d with
// DIR/fail2ban/tests/files/logs), Debian's package unpacked (DIR/etc/fail2ban
// with DIR/usr/lib/python3/dist-packages/fail2ban), or the installed Python
// package (DIR/tests/files/logs with /etc/fail2ban). The last line of output is
// `N of M evaluations agree`; an evaluation is one sample line under one set of
// options. The exit code is 1 where some do not agree that are not known to be
// fail2ban's own mistakes, 2 where there is nothing to run. For make
// conformance and for a test; the program itself does not use it.
//
// With -rules it is the other way round: our built-in rules run over the same
// samples, each over those of the filter that it stands for, and what they miss
// and what they make up is printed, each with its reason where one is known. The
// exit code is 1 where less than 98 % are seen or explained, or any is false.
package main

import (
	"fmt"
	"io"
	"os"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "-rules" {
		os.Exit(ours(os.Args[2], os.Stdout, os.Stderr))
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: conformance [-rules] DIR   (a source tree of fail2ban, or its package unpacked)")
		os.Exit(2)
	}
	os.Exit(run(os.Args[1], os.Stdout, os.Stderr))
}

// run checks everything below dir and prints the differences.
func run(dir string, out, errs io.Writer) int {
	suites, err := findSuites(dir)
	if err != nil {
		fmt.Fprintf(errs, "conformance: %v\n", err)
		return 2
	}
	total := result{}
	for _, s := range suites {
		r := s.check(func(d string) { fmt.Fprintln(out, d) })
		total.agree += r.agree
		total.all += r.all
		total.known += r.known
	}
	if total.known > 0 {
		fmt.Fprintf(out, "%d differences are fail2ban's own mistakes, see above\n", total.known)
	}
	fmt.Fprintf(out, "%d of %d evaluations agree\n", total.agree, total.all)
	if total.all == 0 {
		return 2
	}
	if total.agree+total.known < total.all {
		return 1
	}
	return 0
}
