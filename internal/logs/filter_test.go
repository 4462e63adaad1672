package logs

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// filterNoon is when the lines of these tests are read.
var filterNoon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// installed loads a filter made of these lines of its definition.
func installed(t *testing.T, lines string) *fail2ban.Installed {
	t.Helper()
	in, err := fail2ban.Open(fstest.MapFS{"filter.d/app.conf": {Data: []byte("[Definition]\n" + lines + "\n")}}).Load("app")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// filtered reads a block by a filter, as a file or as the journal, and tells events.
func filteredEvents(t *testing.T, in *fail2ban.Installed, block string, entries bool, lookup func(context.Context, string) ([]netip.Addr, error)) ([]string, *filtering) {
	t.Helper()
	r := &readers{zone: time.UTC, lookups: newLookups(lookup)}
	all := r.filtered([]Watch{{Name: "w", Rule: in.Rule, Filter: in}}, entries, nil).(several)
	events, lines, _ := all.read([]byte(block), spot{origin: gate.Origin{Source: "file:/x", Offset: 100}, now: filterNoon, written: filterNoon, live: true})
	if want := strings.Count(block, "\n"); lines != want {
		t.Errorf("%d lines, want %d", lines, want)
	}
	var out []string
	for _, e := range events {
		out = append(out, fmt.Sprintf("%s %s %s %s@%d user=%s session=%v %s", e.Time.Format("15:04:05"), e.Subject, e.Evidence, e.Rule, e.Origin.Offset, e.Detail.User, e.Detail.Session != 0, e.Pattern))
	}
	return out, all[0].(*filtering)
}

// TestFilterEvents is a table of filters, lines and the events that come out.
func TestFilterEvents(t *testing.T) {
	lookup := func(_ context.Context, name string) ([]netip.Addr, error) {
		if name == "bad.example.org" {
			return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, nil
		}
		return nil, errors.New("no such host")
	}
	const user = `failregex = ^\s*\S+ app: no entry for <F-USER>\S+</F-USER> from <HOST>$`
	for _, c := range []struct {
		name, lines, block string
		entries            bool
		want               []string
		nameless           int
	}{
		{"a file", user, "Nov 21 11:59:50 host app: hello\nNov 21 11:59:58 host app: no entry for ann from 192.0.2.1\n", false,
			[]string{"11:59:58 192.0.2.1 proven w@132 user=ann session=false failregex-1"}, 0},
		{"the date is not believable", user, "Nov 21 03:00:00 host app: no entry for ann from 192.0.2.1\n", false,
			[]string{"12:00:00 192.0.2.1 proven w@100 user=ann session=false failregex-1"}, 0},
		{"the journal", user, "2026-11-21T11:59:57.000000Z host app: hello\n2026-11-21T11:59:58.000000Z host app: no entry for ann from 2001:db8::1\n", true,
			[]string{"11:59:58 2001:db8::1 proven w@144 user=ann session=false failregex-1"}, 0},
		{"a network", `failregex = ^app <SUBNET>$`, "app 192.0.2.0/24\n", false, []string{"12:00:00 192.0.2.0/24 proven w@100 user= session=false failregex-1"}, 0},
		{"a name counts for little", user, "host app: no entry for ann from bad.example.org\n", false,
			[]string{"12:00:00 192.0.2.7 forgeable w@100 user=ann session=false failregex-1", "12:00:00 2001:db8::7 forgeable w@100 user=ann session=false failregex-1"}, 0},
		{"a name without an address", user, "host app: no entry for ann from none.example.org\n", false, nil, 1},
		{"usedns no", user + "\nusedns = no", "host app: no entry for ann from bad.example.org\n", false, nil, 0},
		{"who is no address", `failregex = ^app <F-ID>\S+</F-ID>$`, "app ann\n", false, nil, 1},
		{"a session", "failregex = ^app\\[<F-MLFID>\\d+</F-MLFID>\\]: <F-NOFAIL>hello</F-NOFAIL> <ADDR>$\n  ^app\\[<F-MLFID>\\d+</F-MLFID>\\]: wrong$", "app[1]: hello 192.0.2.1\napp[2]: hello 192.0.2.2\napp[1]: wrong\n", false,
			[]string{"12:00:00 192.0.2.1 proven w@148 user= session=true failregex-2"}, 0},
	} {
		got, f := filteredEvents(t, installed(t, c.lines), c.block, c.entries, lookup)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %q\nwant %q", c.name, got, c.want)
		}
		if n, _ := f.strange(); n != c.nameless {
			t.Errorf("%s: %d nameless, want %d", c.name, n, c.nameless)
		}
	}
}

// TestFilterBesideRules: watches with and without a filter share a source, and two
// watches of one filter share its scanner.
func TestFilterBesideRules(t *testing.T) {
	in := installed(t, `failregex = ^app <ADDR>$`)
	r := &readers{zone: time.UTC, lookups: newLookups(nil)}
	l := r.open([]Watch{{Name: "a", Rule: in.Rule, Filter: in}, {Name: "sshd", Rule: rules.BuiltinNamed("sshd")[0]}, {Name: "b", Rule: in.Rule, Filter: in}}).(several)
	if len(l) != 2 {
		t.Errorf("%d readers, want 2", len(l))
	}
	events, _, _ := l.read([]byte("app 192.0.2.1\nNov 21 12:00:00 h sshd[1]: Failed password for root from 192.0.2.2 port 4 ssh2\n"), spot{now: filterNoon, written: filterNoon, live: true})
	var got []string
	for _, e := range events {
		got = append(got, e.Rule+" "+e.Subject.String())
	}
	if want := []string{"a 192.0.2.1", "b 192.0.2.1", "sshd 192.0.2.2"}; !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLookupsAreBounded: what takes long is asked for within the budget only, and an
// answer holds for a while.
func TestLookupsAreBounded(t *testing.T) {
	asked := 0
	l := newLookups(func(ctx context.Context, name string) ([]netip.Addr, error) {
		asked++
		if name == "slow" {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		return []netip.Addr{netip.MustParseAddr("192.0.2.1")}, nil
	})
	b := &lookupBudget{filterNoon, time.Millisecond}
	if l.addresses("slow", b) != nil || l.addresses("next", b) != nil || asked != 1 {
		t.Errorf("asked %d times beyond the budget", asked)
	}
	b = &lookupBudget{filterNoon, time.Minute}
	for range 3 {
		if len(l.addresses("next", b)) != 1 {
			t.Error("no answer")
		}
	}
	for i := range 3 * maxLookups {
		l.addresses(fmt.Sprint(i), b)
	}
	if asked > 2+3*maxLookups || len(l.known) > maxLookups {
		t.Errorf("asked %d times, %d answers kept", asked, len(l.known))
	}
}
