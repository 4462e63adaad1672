package policy

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// scene is a line of wishes and schedules, as the cases below write it:
//
//	close 22/tcp in           by command
//	open ssh=22/tcp in 30m    names the service, for a while
//	close 22/tcp in <192.0.2.0/24      from there only
//	reset 22/tcp in           takes back what was asked
//	night close 22/tcp in     a schedule that begins and lasts for 10h
//	+30m                      time passes
func scene(t *testing.T, p *Policy, now time.Time, line string) time.Time {
	t.Helper()
	var schedule []Scheduled
	for step := range strings.SplitSeq(line, "; ") {
		now = now.Add(time.Second)
		if d, ok := strings.CutPrefix(step, "+"); ok {
			long, _ := gate.ParseDuration(d)
			now = now.Add(long)
			p.Advance(now, gate.Host{})
			continue
		}
		words := strings.Fields(step)
		if words[0] == "night" {
			service, set := named(words[2])
			verdict := map[string]gate.Verdict{"close": gate.Close, "open": gate.Open}[words[1]]
			schedule = append(schedule, Scheduled{Name: fmt.Sprint("night", len(schedule)), Verdict: verdict, Ports: set, Service: service,
				Place: PortPlace{Direction: direction(words[3])}, Since: now, Until: now.Add(10 * time.Hour)})
			p.SetSchedule(schedule, now)
			continue
		}
		verdict := map[string]gate.Verdict{"close": gate.Close, "open": gate.Open, "reset": gate.Release}[words[0]]
		service, set := named(words[1])
		f := wishes(verdict, gate.PortSubject(set, direction(words[2])).String(), func(a *gate.Ask) {
			a.Name = service
			for _, w := range words[3:] {
				if from, ok := strings.CutPrefix(w, "<"); ok {
					a.From = gate.Subject.Prefix(sub(from))
				} else {
					a.For, _ = gate.ParseDuration(w)
				}
			}
		})
		p.Decide([]gate.Finding{f}, now, gate.Host{})
	}
	return now
}

func named(s string) (service string, set gate.Ports) {
	if name, p, ok := strings.Cut(s, "="); ok {
		return name, prts(p)
	}
	return "", prts(s)
}

func direction(s string) gate.Direction { d, _ := gate.ParseDirection(s); return d }

// kernel walks rules as the kernel does, at a time at which those that are over
// have gone.
func kernel(rules []PortRule, at time.Time, proto gate.Proto, port uint16, d gate.Direction, from netip.Addr) gate.Verdict {
	for _, r := range rules {
		if r.Direction == d && r.Ports.Contains(proto, port) && r.contains(from, netip.MustParseAddr("198.51.100.2")) && (r.Until.IsZero() || r.Until.After(at)) {
			return r.Verdict
		}
	}
	return gate.Open
}

// TestPortPrecedence is the table of docs/ports.md.
func TestPortPrecedence(t *testing.T) {
	for _, c := range []struct{ rule, scene, closed, open string }{
		// the latest of one kind
		{"the latest wish wins", "close 22/tcp in; open 22/tcp in", "", "22"},
		{"the latest wish wins", "open 22/tcp in; close 22/tcp in", "22", ""},
		{"a part of a closed range opens", "close 8000-8500/tcp in; open 8080/tcp in", "8000 8079 8081 8500", "8080 7999 8501"},
		{"a range that was closed one by one opens", "close 80/tcp in; close 81/tcp in; close 82/tcp in; open 80-82/tcp in", "", "80 81 82"},
		{"a part that was opened closes with the range", "close 80-90/tcp in; open 85/tcp in; close 80-90/tcp in", "80 85 90", ""},
		{"what lies below comes back", "close 80/tcp in; open 80/tcp in 30m", "", "80"},
		{"what lies below comes back", "close 80/tcp in; open 80/tcp in 30m; +31m", "80", ""},
		{"what lies below comes back", "close 80/tcp in 30m; +31m", "", "80"},
		{"the last that was asked for decides, longer or not", "close 80/tcp in 1h; open 80/tcp in 30m", "", "80"},
		{"the last that was asked for decides, longer or not", "close 80/tcp in 1h; open 80/tcp in 30m; +31m", "80", ""},
		{"an opening without an end ends closings that end", "close 80/tcp in 1h; open 80/tcp in", "", "80"},
		{"asked again, the newest says how long", "close 80/tcp in 1h; close 80/tcp in 10m; +11m", "", "80"},
		{"directions do not meet", "close 80/tcp out; open 80/tcp in", "", "80"},
		{"protocols do not meet", "close 80/udp in", "", "80"},
		// close beats open, between kinds
		{"a schedule's closing beats an opening by number", "night close 22/tcp in; open 22/tcp in", "22", ""},
		{"a wish to close beats a schedule's opening", "night open 22/tcp in; close 22/tcp in", "22", ""},
		{"a wish to close beats a schedule's opening", "close 22/tcp in; night open 22/tcp in", "22", ""},
		{"a resting state is not opened by number", "open 51820/tcp in", "51820", ""},
		{"a resting state is not opened by number", "open 51000-52000/tcp in", "51820", "51819"},
		// an opening that names the service
		{"named, it opens what rests", "open vpn=51820/tcp in", "", "51820"},
		{"named, it opens what rests, for a while", "open vpn=51820/tcp in 30m; +31m", "51820", ""},
		{"named, it beats an earlier closing of another kind", "night close 22/tcp in; open ssh=22/tcp in", "", "22"},
		{"but not a later one", "open ssh=22/tcp in; night close 22/tcp in", "22", ""},
		{"a schedule that names it, too", "close ssh=22/tcp in; night open ssh=22/tcp in", "", "22"},
		{"and a wish that closes again", "open vpn=51820/tcp in; close vpn=51820/tcp in", "51820", ""},
		{"schedules that meet: the later", "night close 22/tcp in; night open 22/tcp in", "", "22"},
		// narrower beats wider
		{"from there only", "close 22/tcp in; open 22/tcp in <203.0.113.0/24", "22", "<22"},
		{"narrower, though earlier", "close 22/tcp in; open 22/tcp in <203.0.113.0/24; close 22/tcp in", "22", "<22"},
		{"narrower, though by number", "open 51820/tcp in <203.0.113.0/24", "51820", "<51820"},
		{"narrower closes", "close 22/tcp in <203.0.113.0/24", "<22", "22"},
		{"narrower closes, though earlier", "close 22/tcp in <203.0.113.0/24; open ssh=22/tcp in", "<22", "22"},
		{"the narrowest of several", "close 22/tcp in; open 22/tcp in <203.0.0.0/16; close 22/tcp in <203.0.113.0/24", "22 <22", ""},
		// taking back
		{"what was asked is taken back", "close 22/tcp in; reset 22/tcp in", "", "22"},
		{"at all places", "close 22/tcp in; open 22/tcp in <203.0.113.0/24; reset 22/tcp in; close 22/tcp in", "22 <22", ""},
		{"and what rests stays", "open vpn=51820/tcp in; reset 51820/tcp in", "51820", ""},
		{"a part", "close 80-90/tcp in; reset 85/tcp in", "80 90", "85"},
	} {
		p := New(Config{Services: []Service{{Name: "vpn", Ports: prts("51820/tcp"), Rest: gate.Close}, {Name: "ssh", Ports: prts("22/tcp")}}}, nil)
		now := scene(t, p, t0, c.scene)
		rules := p.PortRules(now)
		check := func(list string, want gate.Verdict) {
			for w := range strings.FieldsSeq(list) {
				from := netip.MustParseAddr("192.0.2.7")
				if strings.HasPrefix(w, "<") {
					from, w = netip.MustParseAddr("203.0.113.7"), w[1:]
				}
				var port uint16
				fmt.Sscan(w, &port)
				if got := kernel(rules, now, gate.TCP, port, gate.In, from); got != want {
					t.Errorf("%s: %s: %d from %v is %v, want %v\n%+v", c.rule, c.scene, port, from, got, want, rules)
				}
			}
		}
		check(c.closed, gate.Close)
		check(c.open, gate.Open)
	}
}

// What was asked of ports, one port, one place and one moment at a time: the slow
// model. Nothing is ever folded, cut or forgotten.
type modelWish struct {
	op    PortIntent
	order int
}

func modelVerdict(rest, schedule []PortIntent, wishes []modelWish, port uint16, d gate.Direction, from netip.Addr, at time.Time) gate.Verdict {
	var all []PortIntent
	all = append(append(all, rest...), schedule...)
	var spots []PortPlace
	for _, w := range wishes {
		dead := false
		for _, o := range wishes { // taken back, or said again
			if o.order <= w.order || o.op.PortPlace != w.op.PortPlace || !o.op.Ports.Contains(gate.TCP, port) {
				continue
			}
			dead = dead || o.op.Until.IsZero() || !w.op.Until.IsZero() && o.op.Verdict == w.op.Verdict && o.op.Ports.Equal(w.op.Ports)
		}
		if !dead && w.op.Verdict != gate.Release {
			i := w.op
			i.Kind, i.serial = PortWish, uint64(w.order+1)
			all = append(all, i)
		}
	}
	var here []PortIntent
	for _, i := range all {
		if i.Direction == d && i.Ports.Contains(gate.TCP, port) && (!i.From.IsValid() || i.From.Contains(from)) && (i.Until.IsZero() || i.Until.After(at)) {
			here = append(here, i)
			spots = append(spots, i.PortPlace)
		}
	}
	if len(here) == 0 {
		return gate.Open
	}
	narrow := slices.MinFunc(spots, func(a, b PortPlace) int { return b.From.Bits() - a.From.Bits() }) // the zero Prefix has -1 bits
	last := map[PortKind]PortIntent{}
	for _, i := range here {
		if i.PortPlace != narrow {
			continue
		}
		o, ok := last[i.Kind]
		if !ok || i.serial > o.serial || i.serial == o.serial && i.Since.After(o.Since) {
			last[i.Kind] = i
		}
	}
	verdict, closedAt := gate.Open, time.Time{}
	for _, i := range last {
		if i.Verdict == gate.Close {
			verdict = gate.Close
			if i.Since.After(closedAt) {
				closedAt = i.Since
			}
		}
	}
	for _, i := range last {
		if i.Verdict == gate.Open && i.Service != "" && i.Since.After(closedAt) {
			verdict = gate.Open
		}
	}
	return verdict
}

// TestPortRulesMatchModel pins that the ordered rules, walked as the kernel walks
// them at any time from now on, say what the slow model says, though nobody asks
// policy again.
func TestPortRulesMatchModel(t *testing.T) {
	froms := []string{"", "203.0.113.0/24", "203.0.0.0/16", "203.0.113.7/32"}
	services := map[string]string{"": "", "a": "10", "b": "12-14"}
	rapid.Check(t, func(rt *rapid.T) {
		c := Config{}
		for _, name := range []string{"a", "b"} {
			if rapid.Bool().Draw(rt, "rests closed") {
				c.Services = append(c.Services, Service{Name: name, Ports: prts(services[name]), Rest: gate.Close})
			}
		}
		p, now := New(c, nil), t0
		var list []modelWish
		var schedule []Scheduled
		for n := range rapid.IntRange(1, 14).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(1, 40).Draw(rt, "pass")) * time.Minute)
			p.Advance(now, gate.Host{})
			name := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(rt, "service")
			set := services[name]
			if name == "" {
				lo := rapid.IntRange(8, 16).Draw(rt, "lo")
				set = fmt.Sprintf("%d-%d/tcp", lo, rapid.IntRange(lo, 16).Draw(rt, "hi"))
			}
			verdict := rapid.SampledFrom([]gate.Verdict{gate.Close, gate.Close, gate.Open, gate.Open, gate.Release}).Draw(rt, "verdict")
			place := PortPlace{Direction: gate.In}
			if f := rapid.SampledFrom(froms).Draw(rt, "from"); f != "" {
				place.From = netip.MustParsePrefix(f)
			}
			long := time.Duration(rapid.SampledFrom([]int{0, 0, 5, 30, 90, 300}).Draw(rt, "for")) * time.Minute
			if rapid.IntRange(0, 4).Draw(rt, "schedule") == 0 && verdict != gate.Release {
				place.From = netip.Prefix{}
				schedule = append(schedule, Scheduled{Name: fmt.Sprint(n), Verdict: verdict, Ports: prts(set), Service: name, Place: place, Since: now, Until: now.Add(long + time.Minute)})
				p.SetSchedule(schedule, now)
				continue
			}
			if verdict == gate.Release {
				long = 0
			}
			op := PortIntent{PortPlace: place, Kind: PortWish, Verdict: verdict, Ports: prts(set), Service: name, Since: now, life: gate.Forever}
			if long > 0 {
				op.Until = now.Add(long)
			}
			p.ports.do(op)
			list = append(list, modelWish{op, n})
		}
		var sched []PortIntent
		for _, s := range schedule {
			sched = append(sched, s.intent())
		}
		rules := p.PortRules(now)
		for _, later := range []int{0, 3, 17, 45, 100, 400} {
			at := now.Add(time.Duration(later) * time.Minute)
			for port := uint16(7); port <= 17; port++ {
				for _, from := range []string{"192.0.2.1", "203.0.113.7", "203.0.113.8", "203.0.5.5"} {
					a := netip.MustParseAddr(from)
					want := modelVerdict(p.ports.rest, sched, list, port, gate.In, a, at)
					if got := kernel(rules, at, gate.TCP, port, gate.In, a); got != want {
						rt.Fatalf("%d from %s in %dm: the rules say %v, the model %v\n%+v\n%+v", port, from, later, got, want, rules, list)
					}
				}
			}
		}
	})
}

// answer asks for one thing and returns what the asker is told.
func answerOf(p *Policy, now time.Time, h gate.Host, verdict gate.Verdict, subject string, change func(*gate.Ask)) (gate.Answer, []gate.Decision) {
	ds, as := p.Decide([]gate.Finding{wishes(verdict, subject, change)}, now, h)
	return as[0], ds
}

func TestPortAnswers(t *testing.T) {
	from := func(s string) func(*gate.Ask) {
		return func(a *gate.Ask) { a.From = sub(s).Prefix() }
	}
	const c, o, r = gate.Close, gate.Open, gate.Release
	for _, k := range []struct {
		name, before string
		verdict      gate.Verdict
		subject      string
		change       func(*gate.Ask)
		want         string
	}{
		{"closing", "", c, "port:80/tcp/in", nil, "changed"},
		{"closing again", "close 80/tcp in", c, "port:80/tcp/in", nil, "note: it is closed already"},
		{"closing for good what closes for a while", "close 80/tcp in 1h", c, "port:80/tcp/in", nil, "changed"},
		{"opening what nothing closes", "", o, "port:80/tcp/in", nil, "note: nothing here closes it"},
		{"opening for some what nothing closes", "", o, "port:80/tcp/in", from("192.0.2.1"), "changed"},
		{"and again", "open 80/tcp in <192.0.2.1", o, "port:80/tcp/in", from("192.0.2.1"), "note: it is open already"},
		{"opening a part", "close 80-90/tcp in", o, "port:85/tcp/in", nil, "changed"},
		{"opening what rests", "", o, "port:51820/tcp/in", nil, "refused: 51820/tcp stays closed: the configuration lets vpn rest closed; hint: name the service: gatehouse port open vpn"},
		{"opening more than what rests", "close 51821/tcp in", o, "port:51820-51821/tcp/in", nil, "changed; note: 51820/tcp of it stays closed: the configuration lets vpn rest closed"},
		{"closing with an exception", "close 22/tcp in; open 22/tcp in <192.0.2.1; reset 80/tcp in; open 22/tcp in; close 23/tcp in", c, "port:22/tcp/in", nil, "changed; note: 22/tcp stays open from 192.0.2.1"},
		{"opening with an exception", "close 22/tcp in; close 22/tcp in <192.0.2.1", o, "port:22/tcp/in", nil, "changed; note: 22/tcp stays closed from 192.0.2.1"},
		{"taking back nothing", "", r, "port:80/tcp/in", nil, "note: nobody asked for anything about it"},
		{"taking back", "close 80/tcp in", r, "port:80/tcp/in", nil, "changed"},
		{"two families", "", c, "port:80/tcp/in", func(a *gate.Ask) {
			a.From, a.To = sub("192.0.2.1").Prefix(), sub("2001:db8::1").Prefix()
		}, "refused: no connection comes from 192.0.2.1/32 and goes to 2001:db8::1/128; hint: write prefixes of one family"},
		{"less than no time", "", c, "port:80/tcp/in", func(a *gate.Ask) { a.For = -1 }, "refused: no closing lasts less than no time; hint: write a duration such as 90s, 30m, 2h or forever"},
		{"banning a port", "", gate.Ban, "port:80/tcp/in", nil, "refused: only an address or a prefix can be banned or allowed; hint: write it as 192.0.2.1 or 2001:db8::/64"},
	} {
		p := New(Config{Services: []Service{{Name: "vpn", Ports: prts("51820/tcp"), Rest: gate.Close}}}, nil)
		now := t0
		if k.before != "" {
			now = scene(t, p, t0, k.before)
		}
		a, ds := answerOf(p, now.Add(time.Second), gate.Host{}, k.verdict, k.subject, k.change)
		got := ""
		if a.Changed {
			got = "; changed"
		}
		for _, s := range [][2]string{{"refused: ", a.Refused}, {"hint: ", a.Hint}, {"note: ", a.Note}} {
			if s[1] != "" {
				got += "; " + s[0] + s[1]
			}
		}
		if got = strings.TrimPrefix(got, "; "); got != k.want {
			t.Errorf("%s:\n got %s\nwant %s", k.name, got, k.want)
		}
		if a.Changed != (len(ds) > 0) {
			t.Errorf("%s: changed %v, %d decisions", k.name, a.Changed, len(ds))
		}
	}
}

// What cuts the asker's own session is in force in front of everything until it is
// confirmed, and is gone afterwards if it is not, whoever lives.
func TestPortConfirm(t *testing.T) {
	peer := netip.MustParseAddr("203.0.113.9")
	h := gate.Host{Sessions: []gate.Session{{Peer: peer, Port: 2222, User: "ann"}}}
	mine := func(a *gate.Ask) { a.Peer = peer }
	fresh := func() *Policy { return New(Config{Confirm: time.Minute}, nil) }

	p := fresh()
	if a, _ := answerOf(p, t0, h, gate.Close, "port:22/tcp/in", mine); !a.Confirm.IsZero() {
		t.Errorf("another port than that of the session waits: %+v", a)
	}
	if a, _ := answerOf(p, t0, h, gate.Close, "port:2222/tcp/in", func(a *gate.Ask) { a.Peer = peer; a.From = netip.MustParsePrefix("198.51.100.0/24") }); !a.Confirm.IsZero() {
		t.Errorf("a closing for others waits: %+v", a)
	}
	if a, _ := answerOf(p, t0, h, gate.Close, "port:2222/tcp/out", mine); !a.Confirm.IsZero() {
		t.Errorf("an outbound closing waits: %+v", a)
	}
	// Somebody below an SSH server whose address is not known may be anybody who is
	// logged in.
	somebody := func(a *gate.Ask) { a.Peer = netip.IPv6Unspecified() }
	for _, ports := range []string{"port:2222/tcp/in", "port:22/tcp/in"} {
		if a, _ := answerOf(fresh(), t0, h, gate.Close, ports, somebody); a.Confirm.IsZero() {
			t.Errorf("%s, asked by somebody over SSH, does not wait: %+v", ports, a)
		}
	}
	if a, _ := answerOf(fresh(), t0, h, gate.Close, "port:80/tcp/in", somebody); !a.Confirm.IsZero() {
		t.Errorf("a port of nobody's session waits: %+v", a)
	}
	a, ds := answerOf(p, t0, h, gate.Close, "port:2000-3000/tcp/in", mine)
	if !a.Confirm.Equal(t0.Add(time.Minute)) || len(ds) != 1 || ds[0].Verdict != gate.Tell || ds[0].Topic != "port.pending" {
		t.Fatalf("%+v %+v", a, ds)
	}
	rules := p.PortRules(t0)
	if !rules[0].Pending || kernel(rules, t0, gate.TCP, 2222, gate.In, peer) != gate.Close || kernel(rules, t0.Add(time.Minute), gate.TCP, 2222, gate.In, peer) != gate.Open {
		t.Errorf("in force: %+v", rules)
	}
	if kernel(rules, t0, gate.TCP, 22, gate.In, peer) != gate.Close {
		t.Error("what was closed before is open while something waits")
	}
	q := fresh()
	q.ports = *p.ports.clone()
	ds = q.Advance(t0.Add(time.Minute), h)
	if len(ds) != 1 || ds[0].Topic != "port.rollback" || kernel(q.PortRules(t0.Add(time.Minute)), t0.Add(time.Minute), gate.TCP, 2222, gate.In, peer) != gate.Open {
		t.Errorf("nobody confirmed: %+v", ds)
	}
	ds, n := p.ConfirmPorts("root", t0.Add(30*time.Second))
	if n != 1 || len(ds) != 1 || ds[0].Verdict != gate.Close || kernel(p.PortRules(t0.Add(time.Hour)), t0.Add(time.Hour), gate.TCP, 2222, gate.In, peer) != gate.Close {
		t.Errorf("confirmed: %d %+v", n, ds)
	}
	if ds, n := p.ConfirmPorts("root", t0.Add(31*time.Second)); n != 0 || len(ds) != 0 {
		t.Errorf("confirmed twice: %d %+v", n, ds)
	}
	sure := fresh()
	if a, ds := answerOf(sure, t0, h, gate.Close, "port:2222/tcp/in", func(a *gate.Ask) { a.Peer, a.Sure = peer, true }); !a.Confirm.IsZero() || len(ds) != 1 || ds[0].Verdict != gate.Close {
		t.Errorf("sure: %+v %+v", a, ds)
	}
	rest := []Service{{Name: "ssh", Ports: prts("2222/tcp"), Rest: gate.Close}}
	if cut := fresh().PortsWouldCut(rest, t0, h); cut.Peer != peer {
		t.Errorf("a reload that cuts: %+v", cut)
	}
	kept := fresh()
	answerOf(kept, t0, h, gate.Open, "port:2222/tcp/in", func(a *gate.Ask) { a.From = netip.PrefixFrom(peer, 32) })
	if cut := kept.PortsWouldCut(rest, t0, h); cut.Peer.IsValid() {
		t.Errorf("a reload that does not cut, for the way is kept open: %+v", cut)
	}
}

// A restart and a jump of the clock change nothing of what holds.
func TestPortsRestoreAndShift(t *testing.T) {
	p := New(Config{}, nil)
	var said []gate.Decision
	now := t0
	for _, step := range []struct {
		verdict gate.Verdict
		subject string
		long    time.Duration
	}{{gate.Close, "port:80-90/tcp/in", 0}, {gate.Open, "port:85/tcp/in", 0}, {gate.Open, "port:80/tcp/in", time.Hour}, {gate.Close, "port:25/out", 2 * time.Hour}, {gate.Release, "port:90/tcp/in", 0}} {
		now = now.Add(time.Minute)
		_, ds := answerOf(p, now, gate.Host{}, step.verdict, step.subject, func(a *gate.Ask) { a.For = step.long })
		said = append(said, ds...)
	}
	again := New(Config{}, nil)
	for _, d := range said {
		again.Restore(gate.Record{Decision: d}, true)
	}
	same := func(what string, a, b []PortRule) {
		t.Helper()
		text := func(list []PortRule) (out []string) {
			for _, r := range list {
				out = append(out, fmt.Sprint(r.Direction, r.Verdict, r.Ports, r.Until.Unix()))
			}
			return out
		}
		if !slices.Equal(text(a), text(b)) {
			t.Errorf("%s:\n%v\n%v", what, text(a), text(b))
		}
	}
	same("after a restart", p.PortRules(now), again.PortRules(now))
	jump := 36 * time.Hour
	p.Shift(jump)
	moved := p.PortRules(now.Add(jump))
	for i := range moved {
		if !moved[i].Until.IsZero() {
			moved[i].Until = moved[i].Until.Add(-jump)
		}
	}
	same("after the clock was set", moved, again.PortRules(now))
	p.Advance(now.Add(jump+3*time.Hour), gate.Host{})
	if v := p.PortsNow(now.Add(jump + 3*time.Hour)); len(v) != 1 || v[0].Ports.String() != "80-84,86-89/tcp" {
		t.Errorf("when all that ends is over: %+v", v)
	}
}
