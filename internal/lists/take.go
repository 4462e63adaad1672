package lists

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
)

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
	f.mu.Lock()
	f.fresh, f.freshIs = c.Set, d
	f.mu.Unlock()
	ans, err := f.s.deps.Offer(ctx, f.list.Name, f.list.Verdict, n, by)
	if err != nil {
		return err
	}
	now := f.s.deps.Now()
	if ans.Refused != "" || !ans.Changed {
		f.mu.Lock()
		f.fresh = nil // nobody will ask for it
		f.mu.Unlock()
	}
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
