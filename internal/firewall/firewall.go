package firewall

import (
	"errors"
	"io"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Firewall is the follower. All methods may be called from any goroutine; New
// makes one, Close ends it.
type Firewall struct {
	config  Config
	log     *slog.Logger
	now     func() time.Time
	epoch   time.Time // deadlines count from here
	changed func(Health)
	kernel  kernel        // nil when observing
	monitor monitor       // nil when observing
	grumble sync.Once     // about an emergency file that cannot be looked at
	wake    chan struct{} // capacity 1: Run should look at fault; a second wake while one waits adds nothing

	// next is held while one waits for mu in lock: who loads many elements in
	// small steps cannot take mu again before those that came meanwhile.
	next   sync.Mutex
	mu     sync.Mutex // above all that follows; held while the kernel is written
	want   wanted
	exempt exempt
	gen    *generation // what the kernel has; nil = nothing of ours, as far as is known
	serial uint32      // the last number given to a generation or to exempt sets
	renews knowledge   // whether adding an element again renews its timeout
	reject bool        // answer instead of dropping: asked for, and the kernel can

	health   Health
	fault    error // what the kernel has may not be what is wanted: Run tries again
	open     bool
	removed  bool
	handsOff time.Time // until when; zero = not
	heals    int
	lastHeal time.Time
	loaded   bool // Load was called

	adopted []Want
	covered uint32 // revision of the kernel's rules that the last rebuild started from

	drops  [len(baseCounters)]odometer
	traps  *traps
	knocks *knocks
	parts  []part // in the order of their rules at one place
	lists  *lists
	gates  *gates
}

// knowledge is what was found out about the kernel.
type knowledge uint8

const (
	unknown knowledge = iota
	yes
	no
)

// New opens the way to the kernel, in the network namespace of the calling
// thread, and writes nothing. Errors wrap ErrNoPermission or ErrUnavailable
// where that is what they mean; an *Error carries a hint. With Config.Observe
// the kernel is not even opened.
func New(c Config, d Deps) (*Firewall, error) {
	if c.Table == "" {
		c.Table = DefaultTable
	}
	if c.Observe {
		return newFirewall(c, d, nil, nil), nil
	}
	s, err := dialKernel(c.Table)
	if err != nil {
		return nil, err
	}
	m, err := dialMonitor(c.Table, s.port)
	if err != nil {
		s.Close()
		return nil, err
	}
	return newFirewall(c, d, s, m), nil
}

func newFirewall(c Config, d Deps, k kernel, m monitor) *Firewall {
	f := &Firewall{
		config: c, log: d.Log, now: d.Now, changed: d.Changed, kernel: k, monitor: m,
		want: newWanted(), reject: c.Verdict == Reject, wake: make(chan struct{}, 1),
	}
	if f.log == nil {
		f.log = slog.New(slog.DiscardHandler)
	}
	if f.now == nil {
		f.now = time.Now
	}
	f.epoch = f.now()
	f.lists, f.gates = newLists(), newGates(f.clock)
	f.traps = &traps{}
	f.knocks = &knocks{}
	f.parts = append(f.parts, f.lists, f.gates, f.traps, f.knocks)
	f.refresh()
	return f
}

// Close ends the connection to the kernel. The table stays as it is and bans
// lapse by themselves; see Remove.
func (f *Firewall) Close() error {
	f.mu.Lock()
	defer f.unlock()
	var errs []error
	for _, x := range []any{f.kernel, f.monitor} {
		if c, ok := x.(io.Closer); ok {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// lock is mu.Lock in turn: for what may not wait longer than one step of a load,
// and for these steps.
func (f *Firewall) lock() {
	f.next.Lock()
	f.mu.Lock()
	f.next.Unlock()
}

// unlock ends a section under the mutex and tells of a new mode.
func (f *Firewall) unlock() {
	changed, h := f.refresh(), f.health
	f.mu.Unlock()
	if changed && f.changed != nil {
		f.changed(h)
	}
}

// clock returns the time since the epoch, which steps of the wall clock do not
// touch.
func (f *Firewall) clock() time.Duration { return f.now().Sub(f.epoch) }

// deadline translates the wall time of a ban's end.
func (f *Firewall) deadline(until time.Time) time.Duration {
	if until.IsZero() {
		return never
	}
	now := f.now()
	life := until.Sub(now)
	if life > longest {
		return never
	}
	return now.Sub(f.epoch) + life
}

// life is what the kernel is told of a deadline; 0 = it stays.
func life(ends, now time.Duration) time.Duration {
	if ends == never {
		return 0
	}
	return max(ends-now, time.Millisecond)
}

// writable reports whether changes go to the kernel at once.
func (f *Firewall) writable() bool {
	return f.kernel != nil && f.gen != nil && !f.open && !f.removed && f.handsOff.IsZero()
}

// fail notes that the kernel may not have what is wanted, and wakes Run.
func (f *Firewall) fail(doing string, err error) {
	err = explain(doing, err)
	if f.fault == nil {
		f.log.Warn("the firewall could not be written; building it anew", "err", err)
	}
	f.fault = err
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// Remove takes the table away, with all bans, and keeps it away until the next
// Load. Nothing to remove is no error.
func (f *Firewall) Remove() error {
	f.mu.Lock()
	defer f.unlock()
	if f.kernel == nil {
		return nil
	}
	f.removed = true
	return f.deleteTable()
}

func (f *Firewall) deleteTable() error {
	f.readDrops()
	f.gen, f.fault = nil, nil
	for _, c := range f.want.classes {
		c.forgetHeld()
	}
	for _, p := range f.parts {
		p.gone()
	}
	err := f.kernel.commit([]op{{verb: deleteTable}})
	if errors.Is(err, unix.ENOENT) {
		return nil
	}
	if err != nil {
		return explain("remove table inet "+f.config.Table, err)
	}
	return nil
}

// SetExempt replaces the prefixes that no ban touches: never by the guard
// against locking out, allow by wish. They may overlap, and their order does
// not matter.
func (f *Firewall) SetExempt(never, allow []netip.Prefix) {
	f.mu.Lock()
	defer f.unlock()
	e := newExempt(never, allow)
	if e.equal(&f.exempt) {
		return
	}
	f.exempt = e
	if !f.writable() {
		return
	}
	if err := f.swapExempt(); err != nil {
		f.fail("change who is exempt", err)
	}
}

// swapExempt fills new sets, lets the rules look at them, and drops the old.
func (f *Firewall) swapExempt() error {
	g, old := f.gen, f.gen.exempt
	f.serial++
	if err := f.commitParts(g.newExempt(f.serial, &f.exempt)); err != nil {
		return err
	}
	ops := g.rules(g.chains())
	for _, x := range exemptSets {
		ops = append(ops, op{verb: deleteSet, name: numbered(x.name, old)})
	}
	return f.kernel.commit(ops)
}

// commitParts commits operations that need not happen at once, in transactions
// of at most maxElements elements and maxOps operations.
func (f *Firewall) commitParts(ops []op) error {
	for len(ops) > 0 {
		n, sum := 0, 0
		for n < len(ops) && n < maxOps && (n == 0 || sum+len(ops[n].elems) <= maxElements) {
			sum += len(ops[n].elems)
			n++
		}
		if err := f.kernel.commit(ops[:n]); err != nil {
			return err
		}
		ops = ops[n:]
	}
	return nil
}

func newExempt(never, allow []netip.Prefix) (e exempt) {
	for i, x := range exemptSets {
		ps := never
		if i >= 2 {
			ps = allow
		}
		e[i] = spans(ps, x.v6)
	}
	return e
}

// SetVerdict changes what banned packets meet, from one to the other by a new
// generation of the table. What the kernel refuses is shown by Status and tried
// again by Run.
func (f *Firewall) SetVerdict(v Verdict) {
	f.mu.Lock()
	defer f.unlock()
	if f.config.Verdict == v {
		return
	}
	f.config.Verdict, f.reject = v, v == Reject
	if f.gen == nil || !f.writable() {
		return
	}
	if err := f.rebuild(); err != nil {
		f.fail("change the verdict", err)
	}
}
