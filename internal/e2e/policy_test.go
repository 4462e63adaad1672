package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// The offenders of a network become one ban of it, in the kernel and in the ledger;
// crashes lose none, and when the reason lapses it is undone.
func TestAggregateOverCrashes(t *testing.T) {
	y := newYard(t, "")
	const rest = "aggregate: {ipv4: {prefix: 24, offenders: 3}}\nnetworks: [{name: near, match: [10.9.0.0/16], ban: [2s]}]\n"
	y.daemon.Configure(watchLog(y.log, "threshold: 2 in 1d, ban: [1d]") + rest)
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	var nets, singles []string
	for i := range 40 {
		for k := range 3 + i%3 { // what comes of the fourth and the fifth is part of the ban
			failures(t, y.log, fmt.Sprintf("10.1.%d.%d", i, k+1), 2)
		}
		for k := range 2 {
			a := fmt.Sprintf("10.2.%d.%d", i, k+1)
			failures(t, y.log, a, 2)
			singles = append(singles, a)
		}
		nets = append(nets, fmt.Sprintf("10.1.%d.0/24", i))
		if i%8 == 7 {
			time.Sleep(time.Duration(rand.IntN(100)) * time.Millisecond) // the random moment
			y.daemon.Kill()
			y.daemon.Start()
		}
	}
	next := y.daemon.Follow()
	for _, s := range []string{nets[len(nets)-1], singles[len(singles)-1]} {
		if _, err := next(isBan(s)); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
	var bans []ban
	y.daemon.JSON(&bans, "bans")
	var got []string
	for _, b := range bans {
		got = append(got, b.Subject)
		if !b.Enforced {
			t.Errorf("%s is not enforced", b.Subject)
		}
	}
	want := slices.Concat(nets, singles)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("banned are %v, want %v", got, want)
	}
	if r := y.daemon.CLI("unban", "10.1.0.1"); r.Code != 1 || !strings.Contains(r.Err, "10.1.0.0/24") {
		t.Errorf("unban one of them: exit %d, %s", r.Code, r.Err)
	}
	if out := y.daemon.Must("why", "10.1.0.77"); !strings.Contains(out, "3 offenders in 10.1.0.0/24 are banned") {
		t.Errorf("why: %s", out)
	}
	if out := y.daemon.Must("why", "10.2.0.9", "--what-if"); !strings.Contains(out, "ban 10.2.0.0/24") {
		t.Errorf("what if: %s", out)
	}
	y.daemon.Must("allow", "add", "10.1.0.1") // its network is not banned as a whole any more
	if out := y.daemon.Must("why", "10.1.0.77"); !strings.Contains(out, "not banned") {
		t.Errorf("beside one that is allowed: %s", out)
	}
	if out := y.daemon.Must("why", "10.1.0.2"); !strings.Contains(out, "is banned") {
		t.Errorf("an offender beside one that is allowed: %s", out)
	}

	// In a network with short bans all of it is over soon, by itself.
	for k := range 3 {
		failures(t, y.log, fmt.Sprintf("10.9.0.%d", k+1), 2)
	}
	if _, err := next(isRelease("10.9.0.0/24")); err != nil {
		t.Fatal(err)
	}
	for k := range 3 {
		if out := y.daemon.Must("why", fmt.Sprintf("10.9.0.%d", k+1)); !strings.Contains(out, "is not banned") {
			t.Errorf("after its time: %s", out)
		}
	}
}
