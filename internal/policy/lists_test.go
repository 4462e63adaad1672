package policy

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// listAsk is the finding of a list that is now this.
func listAsk(name string, n *gate.ListNews, by string) gate.Finding {
	s := gate.ListSubject(name)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return gate.Finding{
		Time: now, Rule: "list", Subject: s, Origin: gate.Origin{Source: "list:" + name, Offset: 1}, Evidence: gate.Proven,
		Ask: &gate.Ask{Verdict: gate.Ban, List: n, By: by},
	}
}

// TestListBounds is a line a change: what a list was and is, and why a person has to
// look at it first.
func TestListBounds(t *testing.T) {
	for _, c := range []struct {
		name     string
		n        gate.ListNews
		held     string // a part of the reason; "" = taken
		accepted bool
	}{
		{"the first", gate.ListNews{Digest: 1, Prefixes: 1000}, "", false},
		{"a little more", gate.ListNews{Digest: 1, Prefixes: 1010, Was: 1000}, "", false},
		{"twice as much", gate.ListNews{Digest: 1, Prefixes: 2000, Was: 1000}, "", false},
		{"more than twice", gate.ListNews{Digest: 1, Prefixes: 2001, Was: 1000}, "it has grown by more than 100 %: 2,001 networks now, 1,000 before", false},
		{"half", gate.ListNews{Digest: 1, Prefixes: 500, Was: 1000}, "", false},
		{"less than half", gate.ListNews{Digest: 1, Prefixes: 499, Was: 1000}, "it has shrunk by more than 50 %", false},
		{"its own bounds", gate.ListNews{Digest: 1, Prefixes: 899, Was: 1000, Shrink: 10}, "it has shrunk by more than 10 %", false},
		{"its own bounds, upwards", gate.ListNews{Digest: 1, Prefixes: 1101, Was: 1000, Grow: 10}, "it has grown by more than 10 %", false},
		{"small ones change much", gate.ListNews{Digest: 1, Prefixes: 20, Was: 2}, "", false},
		{"empty", gate.ListNews{Digest: 1, Prefixes: 0, Was: 5}, "it is empty now, and had 5 networks before", false},
		{"empty, as may be", gate.ListNews{Digest: 1, Prefixes: 0, Was: 5, Shrink: 100}, "", false},
		{"as many, but wide", gate.ListNews{Digest: 1, Prefixes: 1000, Addresses: 1 << 24, Was: 1000, WasCovers: 1000}, "it covers more than 100 % more addresses", false},
		{"everything", gate.ListNews{Digest: 1, Prefixes: 200, Addresses: 1<<30 + 1}, "more than a quarter of all IPv4 addresses", false},
		{"accepted", gate.ListNews{Digest: 1, Prefixes: 9999, Was: 10, Accepted: true}, "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(Config{}, nil)
			by := ""
			if c.accepted {
				by = "root"
			}
			ds, as := p.Decide([]gate.Finding{listAsk("l", &c.n, by)}, time.Now(), gate.Host{})
			if len(as) != 1 || (as[0].Refused != "") != (c.held != "") || !strings.Contains(as[0].Refused, c.held) || len(ds) != 1 {
				t.Fatalf("%+v %+v", ds, as)
			}
			if c.held == "" && (ds[0].Verdict != gate.Ban || len(p.Lists()) != 1 || ds[0].Origin.Epoch != 1) {
				t.Errorf("%+v", ds[0])
			}
			if c.held != "" && (ds[0].Kind() != "list.held" || len(p.Lists()) != 0 || as[0].Hint == "") {
				t.Errorf("%+v", ds[0])
			}
		})
	}
}

// TestListLife is a list from its first content to its end: nothing is decided twice.
func TestListLife(t *testing.T) {
	p, h, now := New(Config{}, nil), gate.Host{}, time.Now()
	ask := func(n gate.ListNews) ([]gate.Decision, gate.Answer) {
		ds, as := p.Decide([]gate.Finding{listAsk("drop", &n, "")}, now, h)
		return ds, as[0]
	}
	first := gate.ListNews{Digest: 7, Prefixes: 100, Source: "https://lists.example.org/drop.txt", Direction: gate.In}
	ds, a := ask(first)
	if len(ds) != 1 || !a.Changed || ds[0].Why != "list drop from https://lists.example.org/drop.txt names 100 networks" || ds[0].Scope.Direction != gate.In {
		t.Fatalf("%+v %+v", ds, a)
	}
	kept := gate.Record{Seq: 1, Decision: ds[0]}
	if ds, a = ask(first); len(ds) != 0 || a.Changed || a.Refused != "" {
		t.Errorf("the same again: %+v %+v", ds, a)
	}
	huge := gate.ListNews{Digest: 8, Prefixes: 1000, Was: 100, Source: "x", Direction: gate.In}
	if ds, a = ask(huge); len(ds) != 1 || ds[0].Kind() != "list.held" || a.Refused == "" {
		t.Errorf("held back: %+v %+v", ds, a)
	}
	if ds, a = ask(huge); len(ds) != 0 || a.Refused == "" {
		t.Errorf("held back again: %+v %+v", ds, a)
	}
	if ls := p.Lists(); len(ls) != 1 || ls[0].Digest != 7 {
		t.Errorf("%+v", ls)
	}
	out := first
	out.Direction = gate.Out
	if ds, _ = ask(out); len(ds) != 2 || ds[0].Verdict != gate.Release || ds[0].Scope.Direction != gate.In || ds[1].Verdict != gate.Ban || ds[1].Scope.Direction != gate.Out {
		t.Errorf("another direction: %+v", ds)
	}
	again := New(Config{}, nil)
	again.Restore(kept, true)
	if ls := again.Lists(); len(ls) != 1 || ls[0].Digest != 7 || ls[0].Direction != gate.In {
		t.Errorf("after a restart: %+v", ls)
	}
	end := listAsk("drop", nil, "")
	end.Ask = &gate.Ask{Verdict: gate.Release, Reason: "the configuration no longer has it"}
	if ds, as := p.Decide([]gate.Finding{end}, now, h); len(ds) != 1 || ds[0].Verdict != gate.Release || !as[0].Changed || len(p.Lists()) != 0 {
		t.Errorf("its end: %+v %+v", ds, as)
	}
	if ds, as := p.Decide([]gate.Finding{end}, now, h); len(ds) != 0 || as[0].Changed {
		t.Errorf("its end again: %+v %+v", ds, as)
	}
	person := listAsk("drop", nil, "root")
	if _, as := p.Decide([]gate.Finding{person}, now, h); as[0].Refused == "" || as[0].Hint == "" {
		t.Errorf("by hand: %+v", as)
	}
}

// TestAllowedList is a list of who is never banned.
func TestAllowedList(t *testing.T) {
	p := New(Config{}, nil)
	f := listAsk("friends", &gate.ListNews{Digest: 3, Prefixes: 2, Source: "f"}, "")
	f.Ask.Verdict = gate.Allow
	ds, _ := p.Decide([]gate.Finding{f}, time.Now(), gate.Host{})
	if len(ds) != 1 || ds[0].Verdict != gate.Allow || p.Lists()[0].Verdict != gate.Allow || p.Len() != 0 {
		t.Fatalf("%+v", ds)
	}
	f.Ask = &gate.Ask{Verdict: gate.Disallow}
	if ds, _ = p.Decide([]gate.Finding{f}, time.Now(), gate.Host{}); len(ds) != 1 || ds[0].Verdict != gate.Disallow || len(p.Lists()) != 0 {
		t.Errorf("%+v", ds)
	}
}
