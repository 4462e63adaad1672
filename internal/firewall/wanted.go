package firewall

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Want is one ban that should be in force.
type Want struct {
	Subject gate.Subject // an address or a prefix
	Until   time.Time    // wall time; zero = for good
	Scope   gate.Scope   // which part of its traffic
	Rule    string       // the watch; not used here
}

// never is the deadline of what stays for good.
const never time.Duration = math.MaxInt64

// wanted is the wanted set: all bans, by class. Deadlines are durations since
// the epoch of its owner, on the monotonic clock. About 30 bytes a ban.
type wanted struct {
	classes map[classKey]*class
	scopes  []*scope       // by number; the first is all traffic
	numbers map[string]int // of a scope, by its text
}

// scope is a part of a subject's traffic that bans are about.
type scope struct {
	number  int
	ports   gate.Ports // empty = all
	newOnly bool       // only new connections
}

// classKey says which bans share a set.
type classKey struct {
	scope   int
	newOnly bool // as its scope says
	v6      bool
	bits    int
}

// class is the bans of one scope and one prefix length.
type class struct {
	classKey
	name    string                // of its set, without the generation: v4-32, v6-64-s1
	lasting map[key]time.Duration // committed: when each ends
	fresh   map[key]placed        // not yet committed, or committed with another end
}

// placed is a ban that the ledger has not confirmed.
type placed struct {
	until int64         // Unix seconds of its wall time, by which it is recognised; 0 = for good
	ends  time.Duration // when it ends
	held  time.Duration // until when the kernel's fresh set holds it; 0 = it does not
	alien bool          // adopted at start: it lapses unless it is decided again
}

func newWanted() wanted {
	return wanted{classes: map[classKey]*class{}, scopes: []*scope{{}}, numbers: map[string]int{"": 0}}
}

// scopeOf returns the number of a scope. Scopes are few: they come from the
// configuration and from commands.
func (w *wanted) scopeOf(s gate.Scope) int {
	if s.Ports.IsEmpty() && !s.New {
		return 0
	}
	text := s.Ports.String()
	if s.New {
		text += " new"
	}
	n, ok := w.numbers[text]
	if !ok {
		n = len(w.scopes)
		w.numbers[text] = n
		w.scopes = append(w.scopes, &scope{number: n, ports: s.Ports, newOnly: s.New})
	}
	return n
}

// place returns the class and the key of a subject, making the class if need
// be; false for what is neither address nor prefix, for traffic towards it, and for
// requests behind a proxy.
func (w *wanted) place(s gate.Subject, sc gate.Scope) (*class, key, bool) {
	if !s.IsNet() || sc.Direction == gate.Out || sc.HTTP {
		return nil, key{}, false
	}
	p := s.Prefix()
	ck := classKey{w.scopeOf(sc), sc.New, p.Addr().Is6(), p.Bits()}
	c := w.classes[ck]
	if c == nil {
		c = &class{classKey: ck, name: ck.setName(), lasting: map[key]time.Duration{}, fresh: map[key]placed{}}
		w.classes[ck] = c
	}
	return c, keyOf(p.Addr()), true
}

// find calls fn for each class that holds the subject in this scope, or in any
// scope for the scope of everything.
func (w *wanted) find(s gate.Subject, sc gate.Scope, fn func(*class, key)) {
	if !s.IsNet() {
		return
	}
	p := s.Prefix()
	k := keyOf(p.Addr())
	one := w.scopeOf(sc)
	for n, s := range w.scopes {
		if one != 0 && n != one {
			continue
		}
		if c := w.classes[classKey{n, s.newOnly, p.Addr().Is6(), p.Bits()}]; c != nil && c.has(k) {
			fn(c, k)
		}
	}
}

// sorted returns the classes that hold something, in the order of their rules.
func (w *wanted) sorted() []*class {
	cs := slices.DeleteFunc(slices.Collect(maps.Values(w.classes)), (*class).empty)
	slices.SortFunc(cs, compareClasses)
	return cs
}

func compareClasses(a, b *class) int {
	return cmp.Or(cmp.Compare(a.scope, b.scope), strings.Compare(a.name[:2], b.name[:2]), -cmp.Compare(a.bits, b.bits))
}

func (c *class) has(k key) bool {
	if _, ok := c.lasting[k]; ok {
		return true
	}
	_, ok := c.fresh[k]
	return ok
}

func (c *class) empty() bool { return len(c.lasting) == 0 && len(c.fresh) == 0 }

// ends returns until when the subject is banned; 0 if it is not.
func (c *class) ends(k key) time.Duration { return max(c.lasting[k], c.fresh[k].ends) }

// forgetHeld notes that the kernel holds nothing of the class any more.
func (c *class) forgetHeld() {
	for k, p := range c.fresh {
		p.held = 0
		c.fresh[k] = p
	}
}

// forgetLapsed drops bans that were over a while ago. Releases normally come
// first; this is for those that nobody releases.
func (c *class) forgetLapsed(now time.Duration) {
	maps.DeleteFunc(c.lasting, func(_ key, ends time.Duration) bool { return ends < now-keepTime })
	maps.DeleteFunc(c.fresh, func(_ key, p placed) bool { return p.ends < now-keepTime })
}

// lastsUntil walks over the committed bans.
func (c *class) lastsUntil(yield func(key, time.Duration) bool) {
	for k, ends := range c.lasting {
		if !yield(k, ends) {
			return
		}
	}
}

// heldUntil walks over what the kernel's fresh set holds.
func (c *class) heldUntil(yield func(key, time.Duration) bool) {
	for k, p := range c.fresh {
		if !yield(k, p.held) {
			return
		}
	}
}

func (c *class) spec() setSpec { return addressSet(c.v6, true) }

// addressSet is a set of addresses: a hash set with timeouts, or ranges.
func addressSet(v6, timeout bool) setSpec {
	s := setSpec{keyType: typeIPv4, keyLen: 4, timeout: timeout, interval: !timeout}
	if v6 {
		s.keyType, s.keyLen = typeIPv6, 16
	}
	return s
}

const freshSuffix = "-fresh"

// setName is read back by parseFresh: family, prefix length, and for another
// scope than all traffic its number behind s, or n where it is about new
// connections only.
func (k classKey) setName() string {
	s := "v4-"
	if k.v6 {
		s = "v6-"
	}
	s += strconv.Itoa(k.bits)
	switch {
	case k.newOnly:
		s += "-n" + strconv.Itoa(k.scope)
	case k.scope != 0:
		s += "-s" + strconv.Itoa(k.scope)
	}
	return s
}

// numbered adds the number of a generation to a name: v4-32.7.
func numbered(name string, n uint32) string { return name + "." + strconv.FormatUint(uint64(n), 10) }

// splitNumber takes the number of a generation off a name.
func splitNumber(s string) (name string, n uint32, ok bool) {
	i := strings.LastIndexByte(s, '.')
	if i < 0 {
		return s, 0, false
	}
	v, err := strconv.ParseUint(s[i+1:], 10, 32)
	return s[:i], uint32(v), err == nil
}

// parseFresh reads the name of a fresh set, without its number.
func parseFresh(name string) (k classKey, ok bool) {
	name, ok = strings.CutSuffix(name, freshSuffix)
	part := strings.Split(name, "-")
	if !ok || len(part) < 2 || len(part) > 3 {
		return k, false
	}
	k.v6 = part[0] == "v6"
	k.bits, _ = strconv.Atoi(part[1])
	if len(part) == 3 && part[2] != "" {
		k.newOnly = part[2][0] == 'n'
		k.scope, _ = strconv.Atoi(part[2][1:])
	}
	top := 32
	if k.v6 {
		top = 128
	}
	return k, k.bits >= 0 && k.bits <= top && k.scope >= 0 && k.setName() == name
}

// chain and sets of a scope that has ports.
func (s *scope) chain() string               { return fmt.Sprintf("ports-%d", s.number) }
func (s *scope) portSet(p gate.Proto) string { return fmt.Sprintf("ports-%d-%v", s.number, p) }

// protos returns the protocols that the scope has ports of.
func (s *scope) protos() (out []gate.Proto) {
	for _, p := range []gate.Proto{gate.TCP, gate.UDP} {
		if slices.ContainsFunc(s.ports.Ranges(), func(r gate.PortRange) bool { return r.Proto == p }) {
			out = append(out, p)
		}
	}
	return out
}

func (s *scope) gate() gate.Scope { return gate.Scope{Ports: s.ports, New: s.newOnly} }
