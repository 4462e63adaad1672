package lists

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/gate"
)

// How a feed takes its time.
const (
	settle     = 100 * time.Millisecond // after a file changed, until it is read
	firstRetry = time.Minute            // after a failure; doubled each time, up to the list's own interval
	retell     = 6 * time.Hour          // a list that fails is told of no more often
)

// feed follows one list.
type feed struct {
	s        *Sensor
	list     List
	requests chan request  // unbuffered
	stirred  chan struct{} // holds 1: the file has changed

	mu      sync.Mutex // guards what follows
	mem     memory
	next    time.Time
	problem string // why the last look gave nothing; "" = it did

	// of run's goroutine
	failures int
	seen     stamp     // of the file that was last read
	told     bool      // that it fails
	toldAt   time.Time // when
}

// request is a person's wish.
type request struct {
	by   string     // who takes what is held back; "" = only look
	done chan error // holds 1
}

// stamp tells versions of a file apart.
type stamp struct {
	inode, size int64
	modified    time.Time
}

func newFeed(s *Sensor, l List) *feed {
	return &feed{s: s, list: l, requests: make(chan request), stirred: make(chan struct{}, 1)}
}

// stir says that the file may have changed.
func (f *feed) stir() {
	select {
	case f.stirred <- struct{}{}:
	default:
	}
}

// run looks at the source whenever it is time, until ctx ends.
func (f *feed) run(ctx context.Context) {
	f.resume(ctx)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		timer.Reset(max(0, f.wake().Sub(f.s.deps.Now())))
		select {
		case <-ctx.Done():
			return
		case <-f.stirred:
			f.setNext(f.s.deps.Now().Add(settle))
		case r := <-f.requests:
			r.done <- f.look(ctx, r.by, true)
		case <-timer.C:
			if !f.s.deps.Now().Before(f.due()) {
				_ = f.look(ctx, "", false) // noted in the status
			}
			f.age(ctx)
		}
	}
}

// resume goes on where the last run left off: what it kept is offered again, which
// changes nothing where it is in force.
func (f *feed) resume(ctx context.Context) {
	m, now := f.s.store.recall(f.list.Name), f.s.deps.Now()
	if m.Source != f.list.where() {
		m.Source, m.ETag, m.Modified, m.Checked, m.Held, m.HeldWhy, m.HeldSize = f.list.where(), "", "", time.Time{}, 0, "", 0
	}
	f.mu.Lock()
	f.mem, f.next = m, now
	if f.list.URL != "" && !m.Checked.IsZero() && m.Checked.Before(now) {
		f.next = m.Checked.Add(f.list.Every)
	}
	f.mu.Unlock()
	if m.Digest == 0 || m.Over {
		return
	}
	if _, err := os.Stat(f.s.store.path(f.list.Name, m.Digest)); err != nil {
		f.change(func(m *memory) { m.Digest, m.Prefixes, m.Address4, m.ETag, m.Modified = 0, 0, 0, "", "" })
		f.setNext(now)
		return
	}
	n := f.news(m.Digest, m.Prefixes, m.Address4)
	n.Was, n.WasCovers = n.Prefixes, n.Addresses
	if _, err := f.s.deps.Offer(ctx, f.list.Name, f.list.Verdict, n, ""); err != nil && ctx.Err() == nil {
		f.s.deps.Log.Error("offer a list", "list", f.list.Name, "err", err)
	}
}

// news is an offer of this content.
func (f *feed) news(d Digest, prefixes int, addresses uint64) gate.ListNews {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := gate.ListNews{
		Digest: uint64(d), Prefixes: prefixes, Addresses: addresses, Source: f.list.Source(),
		Direction: f.list.Direction, Shrink: f.list.Shrink, Grow: f.list.Grow,
	}
	if !f.mem.Over && f.mem.Digest != 0 {
		n.Was, n.WasCovers = f.mem.Prefixes, f.mem.Address4
	}
	return n
}

func (f *feed) due() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.next
}

func (f *feed) setNext(t time.Time) {
	f.mu.Lock()
	f.next = t
	f.mu.Unlock()
}

// wake is when there is something to do: a look, or the end of a list's life.
func (f *feed) wake() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if end := f.end(); !end.IsZero() && end.Before(f.next) {
		return end
	}
	return f.next
}

// end is when the list becomes too old; zero = never, or it is already.
func (f *feed) end() time.Time {
	if f.list.Expire <= 0 || f.list.Expire == gate.Forever || f.mem.Digest == 0 || f.mem.Over || f.mem.Checked.IsZero() {
		return time.Time{}
	}
	return f.mem.Checked.Add(f.list.Expire)
}

// age takes a list out of force that is too old.
func (f *feed) age(ctx context.Context) {
	f.mu.Lock()
	end := f.end()
	f.mu.Unlock()
	if now := f.s.deps.Now(); end.IsZero() || now.Before(end) {
		return
	}
	why := fmt.Sprintf("its source %s has given nothing for %s", f.list.Source(), gate.FormatDuration(f.list.Expire))
	if err := f.s.deps.Withdraw(ctx, f.list.Name, f.list.Verdict, why); err != nil {
		return // the daemon is stopping
	}
	f.change(func(m *memory) { m.Over = true })
}

// change changes what is kept of the list.
func (f *feed) change(edit func(*memory)) {
	f.mu.Lock()
	edit(&f.mem)
	m := f.mem
	f.mu.Unlock()
	if err := f.s.store.remember(f.list.Name, m); err != nil {
		f.s.deps.Log.Error("keep what is known of a list", "list", f.list.Name, "err", err)
	}
}

// look asks the source once and makes of it what can be made. forced looks even where
// nothing seems to have changed.
func (f *feed) look(ctx context.Context, by string, forced bool) error {
	err := f.take(ctx, by, forced)
	if ctx.Err() != nil {
		return err
	}
	now := f.s.deps.Now()
	pause := f.list.Every
	if err != nil {
		pause = min(pause, firstRetry<<min(f.failures, 10))
		if l, ok := errors.AsType[*later](err); ok {
			pause = max(pause, l.after)
		}
		f.failures++
	} else {
		f.failures = 0
	}
	if f.list.URL != "" {
		pause += time.Duration(rand.Int64N(int64(pause)/20 + 1)) // many machines must not ask at the same moment
	}
	f.setNext(now.Add(pause))
	f.note(ctx, err, now)
	return err
}

// note keeps and tells how the look went.
func (f *feed) note(ctx context.Context, err error, now time.Time) {
	name, problem := f.list.Name, ""
	if err != nil {
		problem = err.Error()
	}
	f.mu.Lock()
	f.problem = problem
	held, in := f.mem.Held != 0, f.mem.Prefixes
	f.mu.Unlock()
	if held {
		return // said by what held it back
	}
	hint := "what was good last stays in force; look at the source, then: gatehouse lists refresh " + name
	f.s.deps.Fault(name, problem, hint)
	switch {
	case err != nil && !f.told && now.Sub(f.toldAt) >= retell:
		f.told, f.toldAt = true, now
		stays := "nothing of it is in force"
		if in > 0 {
			stays = "what was good last stays in force"
		}
		f.s.deps.Tell(ctx, name, "failed", fmt.Sprintf("list %s could not be read from %s: %s; %s", name, f.list.Source(), problem, stays))
	case err == nil && f.told:
		f.told = false
		f.s.deps.Tell(ctx, name, "recovered", fmt.Sprintf("list %s is read again from %s", name, f.list.Source()))
	}
}

// take fetches, reads and offers.
func (f *feed) take(ctx context.Context, by string, forced bool) error {
	select {
	case f.s.busy <- struct{}{}:
		defer func() { <-f.s.busy }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, f.list.Timeout)
	defer cancel()
	if by != "" {
		if taken, err := f.takeHeld(ctx, by); taken || err != nil {
			return err
		}
	}
	file, same, err := f.open(ctx, forced)
	if err != nil {
		return err
	}
	if same {
		f.same()
		return nil
	}
	defer file.close()
	if err := f.list.verify(ctx, f.s.client, f.s.agent, f.s.store.folder, file.file); err != nil {
		return err
	}
	c, err := Read(file.file, f.list.Format, f.list.Private, f.list.Limits, f.s.deps.Now())
	if err != nil {
		return err
	}
	return f.offer(ctx, c, file, by)
}

// open fetches the content; same says that it is what is in force.
func (f *feed) open(ctx context.Context, forced bool) (r *reply, same bool, err error) {
	if f.list.File != "" {
		return f.openFile(forced)
	}
	f.mu.Lock()
	etag, modified := f.mem.ETag, f.mem.Modified
	if f.mem.Digest == 0 || f.mem.Over || f.mem.Held != 0 {
		etag, modified = "", ""
	}
	f.mu.Unlock()
	got, err := fetch(ctx, f.s.client, f.s.agent, f.list.URL, etag, modified, f.s.store.folder, f.list.Limits.Size)
	return &got, err == nil && got.file == nil, err
}

// openFile opens a list that lies on this machine.
func (f *feed) openFile(forced bool) (r *reply, same bool, err error) {
	file, err := openRegular(f.list.File)
	if err != nil {
		return nil, false, err
	}
	defer file.Close()
	is, err := stampOf(file)
	if err != nil {
		return nil, false, err
	}
	f.mu.Lock()
	known := f.mem.Digest != 0 && !f.mem.Over && f.problem == ""
	f.mu.Unlock()
	if is == f.seen && known && !forced {
		return nil, true, nil
	}
	if is.size > f.list.Limits.Size {
		return nil, false, fmt.Errorf("it is larger than %s", megabytes(f.list.Limits.Size))
	}
	// A copy, so that whoever writes to it while it is read cannot have it checked and
	// read differently.
	copied, err := spool(&limited{r: file, left: f.list.Limits.Size, what: "it is larger than"}, f.s.store.folder)
	if err != nil {
		return nil, false, err
	}
	if after, err := stampOf(file); err != nil || after != is {
		(&reply{file: copied}).close()
		return nil, false, errors.New("it changed while it was read")
	}
	f.seen = is
	return &reply{file: copied}, false, nil
}

// openRegular opens a file that is not a device or a pipe.
func openRegular(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if pe, ok := errors.AsType[*os.PathError](err); ok {
		return nil, fmt.Errorf("%s: %w", path, pe.Err)
	}
	if err != nil {
		return nil, err
	}
	if fi, err := file.Stat(); err != nil || !fi.Mode().IsRegular() {
		_ = file.Close() // it was only looked at
		return nil, fmt.Errorf("%s is not a regular file", path)
	}
	return file, nil
}

func stampOf(f *os.File) (stamp, error) {
	fi, err := f.Stat()
	if err != nil {
		return stamp{}, err
	}
	s := stamp{size: fi.Size(), modified: fi.ModTime()}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok {
		s.inode = int64(st.Ino)
	}
	return s, nil
}

// same notes that the source says what is in force already.
func (f *feed) same() {
	f.change(func(m *memory) { m.Checked = f.s.deps.Now() })
}

// takeHeld offers again what is held back; false if nothing is.
func (f *feed) takeHeld(ctx context.Context, by string) (bool, error) {
	f.mu.Lock()
	held := f.mem.Held
	f.mu.Unlock()
	if held == 0 {
		return false, errors.New("nothing of it is held back")
	}
	set, err := f.s.store.Load(f.list.Name, held)
	if err != nil {
		return false, nil // it is read from its source again
	}
	return true, f.offer(ctx, Content{Set: set}, &reply{}, by)
}

// offer asks that a content be put in force.
func (f *feed) offer(ctx context.Context, c Content, r *reply, by string) error {
	d, err := f.s.store.save(f.list.Name, c.Set)
	if err != nil {
		return err
	}
	n := f.news(d, c.Set.Len(), c.Set.Addresses())
	n.Accepted = by != ""
	ans, err := f.s.deps.Offer(ctx, f.list.Name, f.list.Verdict, n, by)
	if err != nil {
		return err
	}
	now := f.s.deps.Now()
	if ans.Refused != "" {
		f.change(func(m *memory) { m.Held, m.HeldWhy, m.HeldSize = d, ans.Refused, n.Prefixes })
		f.s.deps.Fault(f.list.Name, ans.Refused, ans.Hint)
		f.clean()
		return nil
	}
	f.change(func(m *memory) {
		if m.Digest != d || m.Over {
			m.Changed = now
		}
		if r.file != nil || f.list.File != "" {
			m.Checked, m.Remark = now, c.Remark
		}
		if c.Summary.Entries > 0 || r.file != nil {
			m.Entries = c.Summary.Entries
		}
		m.Digest, m.Prefixes, m.Address4, m.Over = d, n.Prefixes, n.Addresses, false
		m.ETag, m.Modified, m.Held, m.HeldWhy, m.HeldSize = r.etag, r.modified, 0, "", 0
	})
	f.clean()
	return nil
}

// clean removes copies that nobody needs any more.
func (f *feed) clean() {
	f.mu.Lock()
	digest, held := f.mem.Digest, f.mem.Held
	f.mu.Unlock()
	f.s.store.prune(f.list.Name, digest, held)
}
