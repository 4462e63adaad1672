package enrich

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of a look-up.
const (
	lookTime   = 30 * time.Second // for everything
	maxWanted  = 256              // addresses that wait to be looked up; one more is not
	maxNamed   = 1024             // addresses whose names are remembered
	nameKeep   = time.Hour        // how long
	failedKeep = 10 * time.Minute // how long it is remembered that nobody knew
)

// Enricher tells who is behind an address. Make one with New; it is safe for
// concurrent use.
type Enricher struct {
	c      Config
	d      Deps
	inside bool // servers may be in our own networks
	base   *databases
	cache  *cache
	pace   *pace
	web    *web
	boot   *bootstrap

	wanted chan netip.Addr // holds maxWanted; where it is full, an address is not looked up

	mu     sync.Mutex // guards what follows
	named  map[netip.Addr]named
	failed map[netip.Addr]failure
	turn   map[netip.Addr]chan struct{} // being looked up; closed when done
}

type named struct {
	names []Name
	at    time.Time
}

type failure struct {
	why string
	at  time.Time
}

// New returns an Enricher that knows what earlier ones learned.
func New(c Config, d Deps) *Enricher {
	c.complete()
	if d.Log == nil {
		d.Log = slog.New(slog.DiscardHandler)
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	if d.Dial == nil {
		d.Dial = publicOnly(c.Bootstrap)
	}
	e := &Enricher{
		c: c, d: d, inside: isInside(c.Bootstrap), base: &databases{paths: c.Databases}, cache: newCache(d.Store, c.Keep, d.Log),
		pace: &pace{now: d.Now, every: askEvery, next: map[string]time.Time{}}, wanted: make(chan netip.Addr, maxWanted),
		named: map[netip.Addr]named{}, failed: map[netip.Addr]failure{}, turn: map[netip.Addr]chan struct{}{},
	}
	e.web = newWeb(d.Dial, e.pace)
	e.boot = &bootstrap{base: c.Bootstrap, get: e.web.get, now: d.Now, lists: map[string]*bootList{}}
	return e
}

// Known returns what is known of an address at once: from the databases of this
// machine and from earlier answers. It asks nobody.
func (e *Enricher) Known(addr netip.Addr) Facts {
	addr = addr.Unmap().WithZone("")
	now := e.d.Now()
	f := Facts{Addr: addr}
	f.Country, f.AS, f.Operator, f.Problems = e.base.find(addr, now)
	if r, ok := e.cache.get(addr, now); ok {
		f.hold(r)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if n, ok := e.named[addr]; ok && now.Sub(n.at) < nameKeep {
		f.Names = n.names
	}
	return f
}

// hold adds what a registry says.
func (f *Facts) hold(r Registration) {
	f.Held = r
	if f.Country == "" {
		f.Country = r.Country
	}
	if f.AS == 0 {
		f.AS = r.AS
	}
}

// Look returns what is known of an address, and asks name servers and registries
// for what is not; fresh asks them again. With look-ups off it is Known. It takes
// half a minute at most. What could not be learned is among the problems.
func (e *Enricher) Look(ctx context.Context, addr netip.Addr, fresh bool) Facts {
	addr = addr.Unmap().WithZone("")
	if e.c.Lookups == Off {
		f := e.Known(addr)
		f.Unregistered = []string{"nobody else is asked: enrich: lookups: off"}
		f.Problems = append(f.Problems, f.Unregistered...)
		return f
	}
	ctx, cancel := context.WithTimeout(ctx, lookTime)
	defer cancel()
	defer e.await(ctx, addr)()
	now := e.d.Now()
	f := e.Known(addr)
	var wg sync.WaitGroup
	var names []Name
	var why string
	if asked := f.Names == nil || fresh; asked {
		wg.Go(func() { names, why = namesOf(ctx, e.d.Resolver, addr) })
	}
	var held Registration
	var problems []string
	if f.Held.Source == "" || fresh {
		held, problems = e.register(ctx, addr, fresh)
	}
	wg.Wait()
	if names != nil {
		f.Names = names
		e.remember(addr, names, now)
	}
	if why != "" {
		f.Problems = append(f.Problems, why)
	}
	if held.Source != "" {
		f.hold(held)
	}
	if f.Held.Source == "" {
		f.Unregistered = problems
	}
	f.Problems = append(f.Problems, problems...)
	return f
}

// await waits until nobody else looks the same address up, so that its servers
// are asked once; what it returns ends our turn.
func (e *Enricher) await(ctx context.Context, addr netip.Addr) (end func()) {
	for {
		e.mu.Lock()
		other, busy := e.turn[addr]
		if !busy {
			mine := make(chan struct{})
			e.turn[addr] = mine
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.turn, addr)
				e.mu.Unlock()
				close(mine)
			}
		}
		e.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return func() {}
		}
	}
}

// register asks the registries: RDAP, and where that does not help whois.
func (e *Enricher) register(ctx context.Context, addr netip.Addr, fresh bool) (Registration, []string) {
	if !gate.IsPublic(addr) {
		return Registration{}, []string{"it is not a public address: no registry knows who holds it"}
	}
	e.mu.Lock()
	bad, known := e.failed[addr]
	e.mu.Unlock()
	if known && !fresh && e.d.Now().Sub(bad.at) < failedKeep {
		return Registration{}, []string{bad.why}
	}
	r, err := e.rdap(ctx, addr)
	var problems []string
	if err != nil {
		problems = append(problems, "RDAP: "+err.Error())
		var werr error
		if r, werr = e.whois(ctx, addr); werr != nil {
			problems = append(problems, werr.Error())
			if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
				e.fail(addr, problems)
			}
			return Registration{}, problems
		}
	}
	r.At = e.d.Now().UTC().Truncate(time.Second)
	e.cache.put(addr, r)
	return r, problems
}

// fail remembers that nobody knew.
func (e *Enricher) fail(addr netip.Addr, problems []string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.failed) >= maxNamed {
		clear(e.failed)
	}
	why := "not asked again yet; before: " + strings.Join(problems, "; ")
	e.failed[addr] = failure{why, e.d.Now()}
}

// remember keeps the names of an address for a while.
func (e *Enricher) remember(addr netip.Addr, names []Name, now time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.named) >= maxNamed {
		for a, n := range e.named {
			if now.Sub(n.at) >= nameKeep {
				delete(e.named, a)
			}
		}
		if len(e.named) >= maxNamed {
			clear(e.named)
		}
	}
	e.named[addr] = named{names, now}
}

// Want asks for an address to be looked up soon, where the configuration has it
// that bans are told with who it is. It never waits: when much is wanted at once,
// the rest is not looked up.
func (e *Enricher) Want(addr netip.Addr) {
	if e.c.Lookups != Told || !gate.IsPublic(addr) {
		return
	}
	select {
	case e.wanted <- addr.Unmap():
	default:
	}
}

// Run looks up what is wanted, one after the other and within the limit, until
// ctx ends.
func (e *Enricher) Run(ctx context.Context) error {
	defer e.base.close()
	var free time.Time // when the limit admits one with a full burst behind it
	interval := e.c.Limit.Within / time.Duration(max(1, e.c.Limit.Count))
	for {
		select {
		case <-ctx.Done():
			return nil
		case addr := <-e.wanted:
			now := e.d.Now()
			if f := e.Known(addr); f.Held.Source != "" && len(f.Names) > 0 {
				continue
			}
			if free.Before(now) {
				free = now
			}
			if free.Add(interval-e.c.Limit.Within).After(now) || e.c.Limit.Count == 0 {
				continue
			}
			free = free.Add(interval)
			e.Look(ctx, addr, false)
		}
	}
}
