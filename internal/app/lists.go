package app

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"reflect"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/lists"
	"gatehouse/internal/lists/formats"
	"gatehouse/internal/policy"
)

// listDesk is the running sensor of lists, and what keeps the kernel equal to what
// was decided about them.
type listDesk struct {
	d    *daemon
	wake chan struct{} // holds 1: something that lists depend on has changed

	mu      sync.Mutex // guards what follows
	sensor  *lists.Sensor
	crew    *crew
	cancel  context.CancelFunc
	config  lists.Config
	inForce map[string]*listed

	loadedMany bool // a large list was loaded since memory was last given back
}

// listed is one list that is in force.
type listed struct {
	want   policy.ListBan
	raw    *lists.Set     // as it was read
	spared []netip.Prefix // who must not be in it
	set    *lists.Set     // without these: what the kernel has
	cut    lists.Cut      // what was taken out
	failed bool           // the kernel did not take it
}

func newListDesk(d *daemon) *listDesk {
	return &listDesk{d: d, wake: make(chan struct{}, 1), inForce: map[string]*listed{}}
}

// maxAllowList is how many networks a list of who is never banned may name: each is
// an entry of the allow list.
const maxAllowList = 10_000

// listConfig maps the section of the configuration to the sensor's own.
func listConfig(c *config.Config, version string) lists.Config {
	out := lists.Config{Folder: filepath.Join(c.State, "lists"), Agent: "gatehouse/" + cmp.Or(version, "dev")}
	for _, l := range c.Lists {
		f, _ := formats.ParseFormat(l.Format) // the configuration has checked it
		v := lists.List{
			Name: l.Name, File: l.File, URL: l.URL, Format: f, Every: l.Every, Timeout: l.Timeout,
			Limits: lists.Limits{Size: int64(l.MaxSize) << 20}, Private: l.Private, SHA256: l.SHA256,
			Minisign: l.Minisign, Signature: l.Signature, Verdict: gate.Ban, Expire: l.Expire, Shrink: l.Shrink, Grow: l.Grow,
		}
		switch l.Direction {
		case "in":
			v.Direction = gate.In
		case "out":
			v.Direction = gate.Out
		}
		if l.Verdict == "allow" {
			v.Verdict, v.Direction, v.Limits.Entries = gate.Allow, gate.DirectionNone, maxAllowList
		}
		out.Lists = append(out.Lists, v)
	}
	return out
}

// start starts following the lists of a configuration. Lists that it no longer has
// go out of force first.
func (k *listDesk) start(ctx context.Context, c *config.Config) {
	ctx, cancel := context.WithCancel(ctx)
	conf := listConfig(c, k.d.o.Version)
	s := lists.New(conf, lists.Deps{
		Log: k.d.log, Offer: k.offer, Withdraw: k.withdraw, Tell: k.tell, Fault: k.fault,
	})
	crew := newCrew(k.d.log, k.d.faults)
	k.mu.Lock()
	k.sensor, k.crew, k.cancel, k.config = s, crew, cancel, conf
	k.mu.Unlock()
	names := s.Names()
	var wanted []policy.ListBan
	_ = k.d.spine.do(ctx, func() { wanted = k.d.spine.policy.Lists() }) // a stopping daemon has none
	for _, l := range wanted {
		if !slices.Contains(names, l.Subject.Name()) {
			_ = k.withdraw(ctx, l.Subject.Name(), l.Verdict, "the configuration no longer has it") // as above
			k.d.faults.report("list "+l.Subject.Name(), "", "")
		}
	}
	lists.NewStore(filepath.Join(c.State, "lists")).Forget(names)
	crew.start(ctx, task{"lists", s.Run})
}

// restart follows the lists of another configuration, where that says something else
// about them.
func (k *listDesk) restart(ctx context.Context, c *config.Config) {
	k.mu.Lock()
	same := reflect.DeepEqual(k.config, listConfig(c, k.d.o.Version))
	k.mu.Unlock()
	if !same {
		k.stop()
		k.start(ctx, c)
	}
}

// stop ends what start started, and waits for it.
func (k *listDesk) stop() {
	k.mu.Lock()
	crew, cancel := k.crew, k.cancel
	k.mu.Unlock()
	if cancel != nil {
		cancel()
		crew.wait()
	}
}

// stir says that the kernel may have to be told something else.
func (k *listDesk) stir() {
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// offer carries a list down the line and returns what was decided.
func (k *listDesk) offer(ctx context.Context, name string, v gate.Verdict, n gate.ListNews, by string) (gate.Answer, error) {
	return k.ask(ctx, name, &gate.Ask{Verdict: v, List: &n, By: by})
}

// withdraw takes a list out of force.
func (k *listDesk) withdraw(ctx context.Context, name string, v gate.Verdict, why string) error {
	back := gate.Release
	if v == gate.Allow {
		back = gate.Disallow
	}
	_, err := k.ask(ctx, name, &gate.Ask{Verdict: back, Reason: why})
	return err
}

func (k *listDesk) ask(ctx context.Context, name string, a *gate.Ask) (ans gate.Answer, err error) {
	now := time.Now()
	e := gate.Event{
		Time: now, Origin: gate.Origin{Source: "list:" + name, Offset: now.UnixNano()}, Rule: "list",
		Subject: gate.ListSubject(name), Class: gate.ClassAsk, Evidence: gate.Proven, Ask: a,
	}
	err = k.d.spine.do(ctx, func() { ans = k.d.spine.wish(e) })
	k.stir()
	return ans, err
}

// wish carries one wish that no person is waiting for.
func (s *spine) wish(e gate.Event) gate.Answer {
	now := time.Now()
	findings := s.detect.Observe([]gate.Event{e}, now, nil)
	decisions, answers := s.policy.Decide(findings, now, s.here(now))
	s.carry(decisions, nil)
	if len(answers) == 0 {
		return gate.Answer{Subject: e.Subject}
	}
	return answers[0]
}

// tell records what happened to a list.
func (k *listDesk) tell(ctx context.Context, name, kind, sentence string) {
	k.d.tell(ctx, "list", kind, gate.ListSubject(name), sentence)
}

// tell records something that needs no counting and no decision.
func (d *daemon) tell(ctx context.Context, part, kind string, s gate.Subject, sentence string) {
	now := time.Now()
	e := gate.Event{
		Time: now, Origin: gate.Origin{Source: part, Epoch: d.spine.epoch, Offset: now.UnixNano()}, Rule: part, Pattern: kind,
		Subject: s, Class: gate.ClassTell, Evidence: gate.Proven, Line: sentence[:min(len(sentence), gate.MaxLine)],
	}
	if err := d.spine.Emit(ctx, gate.Batch{Source: part, Events: []gate.Event{e}, Live: true}); err != nil && ctx.Err() == nil && !errors.Is(err, errStopping) {
		d.log.Error("record what happened", "part", part, "err", err)
	}
}

// fault notes what is wrong with a list.
func (k *listDesk) fault(name, why, hint string) { k.d.faults.report("list "+name, why, hint) }

// Run keeps the kernel equal to what was decided about lists, until ctx ends.
func (k *listDesk) Run(ctx context.Context) error {
	retry := time.NewTimer(0) // at once: what the last run left is put in force
	defer retry.Stop()
	calm := time.NewTimer(settleAfter)
	defer calm.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-calm.C:
			k.giveBack()
			continue
		case <-k.wake:
			calm.Reset(settleAfter)
		case <-retry.C:
		}
		if !k.settle(ctx) {
			retry.Reset(listRetry)
		}
	}
}

// manyNetworks is how many networks a list must have for its loading to need memory
// that is worth giving back.
const manyNetworks = 50_000

// giveBack returns the memory that only reading and loading a large list needed: many
// times what stays of it, and long before the next one.
func (k *listDesk) giveBack() {
	k.mu.Lock()
	used := k.loadedMany
	k.loadedMany = false
	k.mu.Unlock()
	if used {
		debug.FreeOSMemory()
	}
}

// listRetry is when a list that the kernel did not take is tried again.
const listRetry = 5 * time.Second

// settle makes the kernel equal to what is wanted; false if something did not work.
func (k *listDesk) settle(ctx context.Context) bool {
	var wanted []policy.ListBan
	var spared []netip.Prefix
	err := k.d.spine.do(ctx, func() {
		wanted = k.d.spine.policy.Lists()
		spared = append(k.d.spine.policy.Allowed(), ownPrefixes(k.d.host.Snapshot())...)
	})
	if err != nil {
		return true // the daemon is stopping
	}
	fine := true
	allowed := map[string][]netip.Prefix{}
	for _, w := range wanted {
		l := k.loaded(ctx, w)
		if l == nil {
			fine = false
			continue
		}
		if w.Verdict == gate.Allow {
			allowed[w.Subject.Name()] = l.raw.Prefixes()
			continue
		}
		fine = k.enforce(ctx, l, spared) && fine
	}
	k.drop(wanted)
	_ = k.d.spine.do(ctx, func() { k.d.spine.allowLists(allowed) }) // as above
	return fine
}

// ownPrefixes are the addresses that a list must not name, as long as they are ours.
// Who is logged in is exempt in the kernel and comes and goes too often.
func ownPrefixes(h gate.Host) []netip.Prefix {
	h.Sessions = nil
	return h.Never()
}

// loaded returns what is wanted of a list with its content; nil where there is none.
func (k *listDesk) loaded(ctx context.Context, w policy.ListBan) *listed {
	name := w.Subject.Name()
	k.mu.Lock()
	s, l := k.sensor, k.inForce[name]
	k.mu.Unlock()
	if l != nil && l.want == w {
		return l
	}
	raw, err := s.Load(name, lists.Digest(w.Digest))
	if err != nil {
		k.d.faults.report("the copy of list "+name, err.Error(), "it is fetched again by: gatehouse lists refresh "+name)
		return nil
	}
	k.d.faults.report("the copy of list "+name, "", "")
	next := &listed{want: w, raw: raw}
	many := raw.Len() >= manyNetworks
	if l != nil && l.want.Verdict == w.Verdict && l.want.Direction == w.Direction {
		next.set = l.set
	}
	k.mu.Lock()
	k.inForce[name] = next
	k.loadedMany = k.loadedMany || many
	k.mu.Unlock()
	return next
}

// enforce puts a list into the kernel, without those who are spared.
func (k *listDesk) enforce(ctx context.Context, l *listed, spared []netip.Prefix) bool {
	k.mu.Lock()
	done := l.spared != nil && !l.failed && slices.Equal(l.spared, spared)
	k.mu.Unlock()
	if done {
		return true
	}
	name := l.want.Subject.Name()
	set, cut := l.raw.Without(spared)
	err := k.d.setList(ctx, name, l.want.Direction, set.Prefixes())
	k.mu.Lock()
	l.failed = err != nil
	if err == nil {
		l.spared, l.set, l.cut = append(spared[:0:0], spared...), set, cut
	}
	k.mu.Unlock()
	if ctx.Err() != nil {
		return true
	}
	why := ""
	if err != nil {
		why = err.Error()
		k.d.log.Error("put a list in force", "list", name, "err", err)
	}
	k.d.faults.report("list "+name+" in the kernel", why, "it is tried again every few seconds")
	return err == nil
}

// drop takes lists out of the kernel that are no longer wanted.
func (k *listDesk) drop(wanted []policy.ListBan) {
	k.mu.Lock()
	var gone []string
	for name, l := range k.inForce {
		i := slices.IndexFunc(wanted, func(w policy.ListBan) bool { return w.Subject.Name() == name && w.Verdict == l.want.Verdict })
		if i < 0 {
			gone = append(gone, name)
			delete(k.inForce, name)
		}
	}
	for _, l := range k.d.firewall.Lists() { // what an earlier run has left there
		wanted := slices.ContainsFunc(wanted, func(w policy.ListBan) bool { return w.Verdict == gate.Ban && w.Subject.Name() == l.Name })
		if !wanted && !slices.Contains(gone, l.Name) {
			gone = append(gone, l.Name)
		}
	}
	k.mu.Unlock()
	for _, name := range gone {
		if err := k.d.dropList(name); err != nil {
			k.d.log.Error("take a list out of the kernel", "list", name, "err", err)
		}
		k.d.faults.report("list "+name+" in the kernel", "", "")
	}
}

// allowLists puts the networks of lists on the allow list.
func (s *spine) allowLists(by map[string][]netip.Prefix) {
	same := len(by) == len(s.allow.lists)
	for name, ps := range by {
		same = same && slices.Equal(ps, s.allow.lists[name])
	}
	if !same {
		s.allow.lists = by
		s.setAllow()
	}
}

// current is the sensor that runs now.
func (k *listDesk) current() *lists.Sensor {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.sensor
}
