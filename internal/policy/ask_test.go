package policy

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func answerText(a gate.Answer) string {
	var parts []string
	if a.Changed {
		parts = append(parts, "changed")
	}
	if !a.Until.IsZero() {
		parts = append(parts, "until "+stamp(a.Until))
	}
	if a.Refused != "" {
		parts = append(parts, "refused: "+a.Refused)
	}
	if a.Hint != "" {
		parts = append(parts, "hint: "+a.Hint)
	}
	if a.Note != "" {
		parts = append(parts, "note: "+a.Note)
	}
	return strings.Join(parts, "; ")
}

// request is one wish in a story, with the answer and the decisions.
type request struct {
	f      gate.Finding
	answer string
	want   []string
}

func for_(d time.Duration) func(*gate.Ask) { return func(a *gate.Ask) { a.For = d } }

func ask(v gate.Verdict, subject string, change func(*gate.Ask), answer string, want ...string) request {
	return request{wishes(v, subject, change), answer, want}
}

func TestAsks(t *testing.T) {
	ban, release, allow, disallow := gate.Ban, gate.Release, gate.Allow, gate.Disallow
	for _, c := range []struct {
		name  string
		steps []request
	}{
		{"a ban is forever unless it says otherwise", []request{
			ask(ban, "192.0.2.7", nil, "changed", "ban 192.0.2.7 all forever: root asked for a ban forever"),
			ask(ban, "192.0.2.8", for_(time.Hour), "changed; until 2026-11-21T09:00:00Z", "ban 192.0.2.8 all 1h: root asked for a ban of 1h"),
			ask(ban, "192.0.2.9", for_(200*365*gate.Day), "changed", "ban 192.0.2.9 all forever: root asked for a ban forever"),
			ask(ban, "192.0.2.9", for_(-1), "refused: a ban cannot last less than no time; hint: write a duration such as 90s, 10m, 7d or forever"),
		}},
		{"the asker's words are quoted", []request{
			ask(ban, "192.0.2.7", func(a *gate.Ask) {
				a.By, a.Reason, a.Ports, a.For = "uid 1000", "he said \"no\"\n\x1b[31m", prts("22/tcp"), gate.Week
			}, "changed; until 2026-11-28T08:00:00Z", `ban 192.0.2.7 22/tcp 1w: uid 1000 asked for a ban of 1w on 22/tcp: "he said \"no\"\n\x1b[31m"`),
			ask(ban, "192.0.2.8", func(a *gate.Ask) { a.By = "evil\n\x1b" }, "changed", `ban 192.0.2.8 all forever: "evil\n\x1b" asked for a ban forever`),
			ask(ban, "192.0.2.9", func(a *gate.Ask) { a.By = "" }, "changed", `ban 192.0.2.9 all forever: somebody asked for a ban forever`),
		}},
		{"again: extends, never shortens", []request{
			ask(ban, "192.0.2.7", for_(time.Hour), "changed; until 2026-11-21T09:00:00Z", "ban 192.0.2.7 all 1h: root asked for a ban of 1h"),
			ask(ban, "192.0.2.7", for_(time.Minute), "until 2026-11-21T09:00:00Z; note: it is banned until 2026-11-21T09:00:00Z already"),
			ask(ban, "192.0.2.7", for_(time.Hour), "until 2026-11-21T09:00:00Z; note: it is banned until 2026-11-21T09:00:00Z already"),
			ask(ban, "192.0.2.7", for_(2*time.Hour), "changed; until 2026-11-21T10:00:00Z", "ban 192.0.2.7 all 2h: root asked for a ban of 2h, which extends the one until 2026-11-21T09:00:00Z"),
			ask(ban, "192.0.2.7", nil, "changed", "ban 192.0.2.7 all forever: root asked for a ban forever, which extends the one until 2026-11-21T10:00:00Z"),
			ask(ban, "192.0.2.7", nil, "note: it is banned forever already"),
			ask(ban, "192.0.2.7", func(a *gate.Ask) { a.Ports = prts("22") }, "note: it is banned forever already"),
		}},
		{"inside a banned prefix", []request{
			ask(ban, "192.0.2.0/24", for_(gate.Day), "changed; until 2026-11-22T08:00:00Z", "ban 192.0.2.0/24 all 1d: root asked for a ban of 1d"),
			ask(ban, "192.0.2.7", for_(time.Hour), "until 2026-11-22T08:00:00Z; note: it lies in 192.0.2.0/24, which is banned until 2026-11-22T08:00:00Z"),
			ask(release, "192.0.2.7", nil, "refused: 192.0.2.7 lies in 192.0.2.0/24, which is banned; hint: lift 192.0.2.0/24, or allow 192.0.2.7"),
			ask(ban, "192.0.2.7", nil, "changed", "ban 192.0.2.7 all forever: root asked for a ban forever"),
			ask(release, "192.0.2.7", nil, "changed; note: 192.0.2.0/24 is banned too and covers it", "release 192.0.2.7 all -: root lifted it"),
			ask(release, "192.0.0.0/16", nil, "note: it is not banned as a whole; 1 ban within it stays"),
		}},
		{"ports", []request{
			ask(ban, "192.0.2.7", func(a *gate.Ask) { a.Ports, a.For = prts("22/tcp"), gate.Day }, "changed; until 2026-11-22T08:00:00Z", "ban 192.0.2.7 22/tcp 1d: root asked for a ban of 1d on 22/tcp"),
			ask(ban, "192.0.2.7", func(a *gate.Ask) { a.Ports, a.For = prts("22,80/tcp"), time.Hour }, "changed; until 2026-11-21T09:00:00Z", "ban 192.0.2.7 22,80/tcp 1h: root asked for a ban of 1h on 22,80/tcp"),
			ask(release, "192.0.2.7", func(a *gate.Ask) { a.Ports = prts("443") }, "note: it is not banned on 443"),
			ask(release, "192.0.2.7", func(a *gate.Ask) { a.Ports = prts("22/tcp") }, "changed", "release 192.0.2.7 22/tcp -: root lifted it"),
			ask(ban, "192.0.2.7", for_(time.Hour), "changed; until 2026-11-21T09:00:00Z", "ban 192.0.2.7 all 1h: root asked for a ban of 1h"),
			ask(release, "192.0.2.7", func(a *gate.Ask) { a.Reason = "mistake" }, "changed", `release 192.0.2.7 all -: root lifted it: "mistake"`, `release 192.0.2.7 22,80/tcp -: root lifted it: "mistake"`),
			ask(release, "192.0.2.7", nil, "note: it is not banned"),
		}},
		{"all at once", []request{
			ask(ban, "192.0.2.7", nil, "changed", "ban 192.0.2.7 all forever: root asked for a ban forever"),
			ask(ban, "2001:db8:7::/48", nil, "changed", "ban 2001:db8:7::/48 all forever: root asked for a ban forever"),
			ask(release, "", func(a *gate.Ask) { a.All = true }, "changed; note: 2 bans lifted", "release 192.0.2.7 all -: root lifted every ban", "release 2001:db8:7::/48 all -: root lifted every ban"),
			ask(release, "", func(a *gate.Ask) { a.All = true }, "note: nothing is banned"),
		}},
		{"own and guarded", []request{
			ask(ban, "198.51.100.2", nil, "refused: 198.51.100.2 cannot be banned: it is an address of this machine; hint: such an address is never banned, so that nobody locks the machine out"),
			ask(ban, "203.0.113.9", nil, `refused: 203.0.113.9 cannot be banned: the SSH session of "root" comes from it; hint: such an address is never banned, so that nobody locks the machine out`),
			ask(ban, "203.0.113.0/24", nil, `refused: 203.0.113.0/24 cannot be banned: 203.0.113.9 lies in it and the SSH session of "root" comes from it; hint: ban smaller prefixes that leave it out`),
			ask(ban, "0.0.0.0/0", nil, "refused: 0.0.0.0/0 cannot be banned: 198.51.100.1 lies in it and is a gateway of this machine; hint: ban smaller prefixes that leave it out"),
			ask(ban, "126.0.0.0/7", nil, "refused: 126.0.0.0/7 cannot be banned: it contains loopback; hint: ban smaller prefixes that leave it out"),
			ask(ban, "2001:db8:53::/64", nil, "refused: 2001:db8:53::/64 cannot be banned: 2001:db8:53::53 lies in it and is a name server of this machine; hint: ban smaller prefixes that leave it out"),
			ask(ban, "224.0.0.1", nil, "refused: 224.0.0.1 cannot be banned: it is not the address of one host; hint: such an address is never banned, so that nobody locks the machine out"),
		}},
		{"the allow list", []request{
			ask(ban, "10.9.9.9", nil, "refused: 10.9.9.9 is allowed by 10.9.0.0/16; hint: take 10.9.0.0/16 out of `allow` in the configuration and reload"),
			ask(ban, "10.0.0.0/8", nil, "changed; note: 10.9.0.0/16 in it stays allowed", "ban 10.0.0.0/8 all forever: root asked for a ban forever"),
			ask(allow, "10.1.2.3", nil, "changed; note: 10.0.0.0/8 stays banned, except for it", "allow 10.1.2.3 all -: root allowed 10.1.2.3"),
			ask(allow, "10.1.2.3", nil, "note: it is allowed already"),
			ask(ban, "10.1.2.3", nil, "refused: 10.1.2.3 is allowed; hint: take it back first: gatehouse allow remove 10.1.2.3"),
			ask(allow, "10.9.0.0/16", nil, "note: it is allowed already"),
			ask(allow, "10.9.1.1", nil, "changed; note: 10.0.0.0/8 stays banned, except for it", "allow 10.9.1.1 all -: root allowed 10.9.1.1"),
			ask(disallow, "10.9.0.0/16", nil, "refused: 10.9.0.0/16 is allowed by the configuration; hint: take 10.9.0.0/16 out of `allow` in the configuration and reload"),
			ask(disallow, "10.9.1.1", nil, "changed", "disallow 10.9.1.1 all -: root no longer allows 10.9.1.1"),
			ask(disallow, "10.9.1.1", nil, "refused: 10.9.1.1 is allowed by 10.9.0.0/16; hint: take 10.9.0.0/16 out of `allow` in the configuration and reload"),
			ask(disallow, "192.0.2.1", nil, "note: it is not on the allow list"),
		}},
		{"allowing lifts what lies inside", []request{
			ask(ban, "192.0.2.7", nil, "changed", "ban 192.0.2.7 all forever: root asked for a ban forever"),
			ask(ban, "192.0.2.8", func(a *gate.Ask) { a.Ports = prts("22/tcp") }, "changed", "ban 192.0.2.8 22/tcp forever: root asked for a ban forever on 22/tcp"),
			ask(ban, "192.0.3.8", nil, "changed", "ban 192.0.3.8 all forever: root asked for a ban forever"),
			ask(allow, "192.0.2.0/24", func(a *gate.Ask) { a.Reason = "the office" }, "changed; note: 2 bans lifted", `allow 192.0.2.0/24 all -: root allowed 192.0.2.0/24: "the office"`,
				"release 192.0.2.7 all -: root allowed 192.0.2.0/24", "release 192.0.2.8 22/tcp -: root allowed 192.0.2.0/24"),
		}},
		{"names", []request{
			ask(allow, "192.0.2.7", func(a *gate.Ask) { a.Name = "admin.example.org" }, "changed", "allow 192.0.2.7 all -: root allowed admin.example.org"),
			ask(allow, "2001:db8::7", func(a *gate.Ask) { a.Name = "admin.example.org" }, "changed", "allow 2001:db8::7 all -: root allowed admin.example.org"),
			ask(ban, "192.0.2.7", nil, "refused: 192.0.2.7 is allowed by admin.example.org; hint: take it back first: gatehouse allow remove admin.example.org"),
			ask(disallow, "", func(a *gate.Ask) { a.Name = "admin.example.org" }, "changed", "disallow 192.0.2.7 all -: root no longer allows admin.example.org", "disallow 2001:db8::7 all -: root no longer allows admin.example.org"),
			ask(disallow, "", func(a *gate.Ask) { a.Name = "admin.example.org" }, "note: it is not on the allow list"),
		}},
		{"what cannot be asked", []request{
			ask(ban, "port:22/tcp/in", nil, "refused: only an address or a prefix can be banned or allowed; hint: write it as 192.0.2.1 or 2001:db8::/64"),
			ask(gate.Close, "192.0.2.7", nil, "refused: nothing here can close 192.0.2.7"),
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := New(config(), nil)
			p.SetAllow([]AllowEntry{{Prefix: netip.MustParsePrefix("10.9.0.0/16")}}, t0, host())
			for i, s := range c.steps {
				ds, as := p.Decide([]gate.Finding{s.f}, t0, host())
				if len(as) != 1 || answerText(as[0]) != s.answer {
					t.Errorf("step %d: answer\n got %s\nwant %s", i+1, answerText(as[0]), s.answer)
				}
				var got []string
				for _, d := range ds {
					got = append(got, text(d))
					if d.Rule != "command" {
						t.Errorf("step %d: rule %q", i+1, d.Rule)
					}
				}
				if strings.Join(got, "\n") != strings.Join(s.want, "\n") {
					t.Errorf("step %d: decisions\n got %s\nwant %s", i+1, strings.Join(got, "\n     "), strings.Join(s.want, "\n     "))
				}
				distinct(t, ds)
			}
		})
	}
}

// distinct fails where two decisions would be taken for one.
func distinct(t *testing.T, ds []gate.Decision) {
	t.Helper()
	type id struct {
		o gate.Origin
		v gate.Verdict
		s gate.Subject
	}
	seen := map[id]bool{}
	for _, d := range ds {
		k := id{d.Origin, d.Verdict, d.Subject}
		if seen[k] && d.Origin != (gate.Origin{}) {
			t.Errorf("two decisions with one identity: %+v", d)
		}
		seen[k] = true
	}
}

// An answer comes for each ask, in their order, with findings in between.
func TestAnswersInOrder(t *testing.T) {
	p := New(config(), nil)
	ds, as := p.Decide([]gate.Finding{
		wishes(gate.Ban, "192.0.2.1", nil), finding("sshd", "192.0.2.9", t0), wishes(gate.Ban, "198.51.100.1", nil), wishes(gate.Release, "192.0.2.1", nil),
	}, t0, host())
	if len(ds) != 3 || len(as) != 3 || !as[0].Changed || as[1].Refused == "" || !as[2].Changed {
		t.Fatalf("%+v\n%+v", ds, as)
	}
}
