package app

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/policy"
)

// keepNames is the namespace in which the ledger keeps host names: those that
// commands allowed, and the last good addresses of all.
const keepNames = "allow"

// allowList composes the allow list: prefixes and names of the configuration,
// and names of commands. Prefixes of commands are policy's own. The zero value is
// ready; it belongs to the spine's goroutine.
type allowList struct {
	keep     *ledger.Keep
	log      *slog.Logger
	prefixes []netip.Prefix // of the configuration
	proxies  []netip.Prefix // of the configuration: they speak for others
	byConfig []string       // names of the configuration
	byHand   []string       // names of commands
	good     map[string][]netip.Addr
	lists    map[string][]netip.Prefix // of lists of who is never banned, by name
}

// remember takes in what an earlier run kept.
func (a *allowList) remember(k *ledger.Keep, log *slog.Logger) {
	a.keep, a.log, a.good = k, log, map[string][]netip.Addr{}
	for name, v := range map[string]any{"names": &a.byHand, "addresses": &a.good} {
		b, found, err := k.Get(name)
		if err == nil && found {
			err = json.Unmarshal(b, v)
		}
		if err != nil {
			log.Warn("what was kept of the allow list cannot be read", "err", err)
		}
	}
}

// config takes the entries of a configuration.
func (a *allowList) config(c *config.Config) {
	a.prefixes, a.byConfig, a.proxies = nil, nil, c.AllProxies()
	for _, e := range c.Allow {
		if e.Name != "" {
			a.byConfig = append(a.byConfig, e.Name)
		} else {
			a.prefixes = append(a.prefixes, e.Prefix)
		}
	}
}

// names returns all host names, sorted and without doubles.
func (a *allowList) names() []string {
	all := slices.Concat(a.byConfig, a.byHand)
	slices.Sort(all)
	return slices.Compact(all)
}

// lastGood returns the last good addresses of each name.
func (a *allowList) lastGood() map[string][]netip.Addr { return a.good }

// learn takes in the addresses that the names have now.
func (a *allowList) learn(addrs map[string][]netip.Addr) {
	a.good = addrs
	a.put("addresses", addrs)
}

func (a *allowList) put(name string, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		a.log.Error("keep the allow list", "err", err)
		return
	}
	a.keep.Put(name, b)
}

// entries returns what policy is to allow besides its own.
func (a *allowList) entries() (list []policy.AllowEntry) {
	for _, p := range a.prefixes {
		list = append(list, policy.AllowEntry{Prefix: p, Text: gate.PrefixSubject(p).String(), Origin: policy.FromConfig})
	}
	for _, p := range a.proxies {
		list = append(list, policy.AllowEntry{Prefix: p, Text: "proxies", Origin: policy.FromConfig})
	}
	for _, name := range a.names() {
		for _, addr := range a.good[name] {
			list = append(list, policy.AllowEntry{Prefix: netip.PrefixFrom(addr, addr.BitLen()), Text: name, Origin: a.origin(name)})
		}
	}
	for name, ps := range a.lists {
		for _, p := range ps {
			list = append(list, policy.AllowEntry{Prefix: p, Text: "list:" + name, Origin: policy.FromConfig})
		}
	}
	return list
}

func (a *allowList) origin(name string) string {
	if slices.Contains(a.byConfig, name) {
		return policy.FromConfig
	}
	return policy.FromCommand
}

// grant adds or removes a host name by command.
func (a *allowList) grant(f gate.Ask) (ans gate.Answer, changed bool) {
	i := slices.Index(a.byHand, f.Name)
	if f.Verdict == gate.Allow {
		if i >= 0 || slices.Contains(a.byConfig, f.Name) {
			return gate.Answer{Note: f.Name + " is on the allow list already"}, false
		}
		a.byHand = append(a.byHand, f.Name)
	} else {
		if i < 0 {
			if slices.Contains(a.byConfig, f.Name) {
				return gate.Answer{Refused: "the configuration allows " + f.Name, Hint: "take it out of allow: in the configuration, then gatehouse reload"}, false
			}
			return gate.Answer{}, false
		}
		a.byHand = slices.Delete(a.byHand, i, i+1)
	}
	a.put("names", a.byHand)
	return gate.Answer{Changed: true}, true
}

// setAllow puts the allow list in force after any part of it changed.
func (s *spine) setAllow() {
	if addrs := s.names.addresses(); len(addrs) > 0 {
		s.allow.learn(addrs)
	}
	s.carry(s.policy.SetAllow(s.allow.entries(), time.Now(), s.host.Snapshot()), nil)
	s.exempt()
}

// exempt tells the firewall whom no ban may touch.
func (s *spine) exempt() {
	s.firewall.SetExempt(s.host.Snapshot().Never(), s.policy.Allowed())
	if s.exempted != nil {
		s.exempted()
	}
}

// allowName answers the wish to allow a host name, or no longer to.
func (s *spine) allowName(f gate.Event) gate.Answer {
	ans, changed := s.allow.grant(*f.Ask)
	if !changed {
		return ans
	}
	s.names.set(s.allow.names(), nil)
	s.setAllow()
	doing := map[gate.Verdict]string{gate.Allow: "allowed", gate.Disallow: "no longer allowed"}[f.Ask.Verdict]
	s.log.Info("allow list", "subject", f.Ask.Name, "why", fmt.Sprintf("%s by %s", doing, f.Ask.By))
	return ans
}
