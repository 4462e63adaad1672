package ledger

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// fileName is the database's name in the state folder. SQLite keeps two more
// beside it, with -wal and -shm behind the name.
const fileName = "gatehouse.db"

// Options is what a Ledger needs to know; the zero value works.
type Options struct {
	Log     *slog.Logger     // nil = none
	Now     func() time.Time // wall clock; nil = time.Now
	Boot    string           // identifies this boot of the machine (/proc/sys/kernel/random/boot_id); "" = unknown
	Forget  time.Duration    // how long an offence counts for Past; 0 = for ever
	Changed func(Health)     // called when the health changes, by Open or on the writer's goroutine; must neither block nor call the ledger
}

// Ledger is the open database. All methods are safe for concurrent use.
type Ledger struct {
	dir, path string
	o         Options
	boot      int64 // o.Boot as it is stored
	sql       []string
	lock      *os.File
	forget    atomic.Int64  // ns; Options.Forget
	wake      chan struct{} // one token: there is something for the writer to do
	jobs      chan job      // unbuffered: work that needs the writer, one slice each
	suspected atomic.Bool   // a reader met damage
	stale     atomic.Bool   // query is all there is: the database can be read, but not opened for writing

	owner sync.Mutex // held by whoever acts as the writer: Open, Run or Close
	w     writer     // belongs to the owner

	files sync.RWMutex // held while the file is opened, or set aside and made anew

	query connection // for everything that answers people
	quick connection // for Past and Known alone, which must not wait for a long query

	mu       sync.Mutex // guards what is below
	closed   bool
	queue    []item        // not yet taken by the writer
	queued   int           // decisions in memory only: in queue, under way, in the backlog
	recent   recent        // their offences
	dirty    state         // Keep's changes that are not yet taken by the writer
	flying   state         // those that it is writing
	news     chan struct{} // closed and replaced at each commit with records
	newest   uint64        // number of the newest record
	restored uint64        // number of the newest record when the ledger was opened
	health   Health
}

// connection is one connection that several goroutines share.
type connection struct {
	mu sync.Mutex
	c  *conn // nil while there is no database to read
}

// Open opens the ledger in the state folder dir, which is made if it is missing.
//
// Errors are an *Error where a person can do something: another daemon uses the
// folder, there is no permission, or the database is newer than the program. A
// damaged database is no error: it is set aside (see Health). Neither is a disk
// that is full or cannot be written: then the ledger is degraded from the start.
func Open(dir string, o Options) (_ *Ledger, err error) {
	if dir, err = filepath.Abs(dir); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	l := &Ledger{
		dir: dir, path: filepath.Join(dir, fileName), o: o, boot: bootNumber(o.Boot),
		wake: make(chan struct{}, 1), jobs: make(chan job), news: make(chan struct{}),
		recent: recent{}, dirty: state{}, flying: state{},
	}
	l.SetForget(o.Forget)
	if l.sql, err = loadSteps(steps); err != nil {
		return nil, err
	}
	if err := makeFolder(dir); err != nil {
		return nil, err
	}
	if l.lock, err = takeLock(dir); err != nil {
		return nil, err
	}
	l.owner.Lock()
	defer l.owner.Unlock()
	switch err := l.connect(nil); {
	case err == nil:
	case isFatal(err):
		l.lock.Close()
		return nil, l.explain(err)
	default:
		l.degrade(err)
		l.w.retry()
		l.readStale()
	}
	l.restored = l.newest
	return l, nil
}

// isFatal reports whether opening failed for a reason that trying again does not
// cure.
func isFatal(err error) bool {
	_, told := errors.AsType[*Error](err)
	return told || errors.Is(err, fs.ErrPermission) || errors.Is(err, unix.EISDIR)
}

// explain makes an error of opening one that a person can act on.
func (l *Ledger) explain(err error) error {
	if _, told := errors.AsType[*Error](err); told {
		return err
	}
	if errors.Is(err, unix.EISDIR) {
		return &Error{l.path + " is to be the database, but is a folder", "move it away", nil}
	}
	return &Error{"no permission to open " + l.path, "run as root, or see who owns the folder: ls -l " + l.dir, nil}
}

// connect opens the database for writing and reading. One that is damaged, as
// the error says or as it shows now, is set aside first. Only the owner calls it,
// while nothing is open.
func (l *Ledger) connect(damage error) error {
	l.files.Lock()
	defer l.files.Unlock()
	var c *conn
	var old *wreck
	err := damage
	if damage == nil {
		c, err = openWriter(l.path, l.sql)
	}
	if isUnusable(err) {
		if old, err = l.setAside(err); err == nil {
			c, err = openWriter(l.path, l.sql)
		}
	}
	if err != nil {
		return err
	}
	newest, err := c.number("SELECT max(ifnull((SELECT max(seq) FROM records),0),ifnull((SELECT max(seq) FROM live),0))")
	if err == nil {
		err = l.openReaders()
	}
	if err != nil {
		return errors.Join(err, c.close())
	}
	l.w.c = c
	l.setNewest(uint64(newest))
	if old != nil {
		l.salvage(old)
	}
	return nil
}

// setNewest notes the number of the newest record.
func (l *Ledger) setNewest(seq uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.newest = max(l.newest, seq)
	l.w.next = l.newest + 1
}

// openReaders gives the readers their connections.
func (l *Ledger) openReaders() error {
	for _, r := range []*connection{&l.query, &l.quick} {
		c, err := openReader(l.path)
		if err != nil {
			return err
		}
		if err := r.swap(c); err != nil {
			return err
		}
	}
	l.stale.Store(false)
	return nil
}

// readStale lets readers see what the file holds although it cannot be written.
func (l *Ledger) readStale() {
	c, err := openStale(l.path)
	if err != nil {
		return // there is nothing to read; Health says why
	}
	if err := l.query.swap(c); err != nil {
		l.o.Log.Warn("close a connection to the ledger", "err", err)
	}
	l.stale.Store(true)
	if n, err := c.number("SELECT max(seq) FROM records"); err == nil {
		l.setNewest(uint64(n))
	}
}

// swap replaces the connection, by none if c is nil.
func (r *connection) swap(c *conn) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	old := r.c
	r.c = c
	return old.close()
}

// disconnect closes everything.
func (l *Ledger) disconnect() error {
	err := errors.Join(l.query.swap(nil), l.quick.swap(nil), l.w.c.close())
	l.w.c = nil
	return err
}

// read runs f with a connection, for reading; ErrDegraded if there is none. It
// notes damage that f met.
func (l *Ledger) read(r *connection, f func(c *conn) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.c == nil {
		return ErrDegraded
	}
	err := f(r.c)
	l.suspect(err)
	return err
}

// suspect has the writer look at the file if err says that it is damaged.
func (l *Ledger) suspect(err error) {
	if isDamage(err) {
		l.suspected.Store(true)
		l.nudge()
	}
}

// Path returns the path of the database.
func (l *Ledger) Path() string { return l.path }

// Newest returns the number of the newest record; 0 if there is none.
func (l *Ledger) Newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.newest
}

// SetForget changes how long an offence counts; 0 and gate.Forever mean for ever.
func (l *Ledger) SetForget(d time.Duration) {
	if d <= 0 {
		d = gate.Forever
	}
	l.forget.Store(int64(d))
}

// Close writes what is queued, if Run did not, and closes the database. Whatever
// is appended later gets ErrClosed. It waits until Run has returned.
func (l *Ledger) Close() error {
	l.owner.Lock()
	defer l.owner.Unlock()
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	l.mu.Unlock()
	l.drain()
	for _, it := range l.take() {
		if it.Done != nil {
			it.Done(nil, ErrClosed)
		}
	}
	l.w.wreck.close()
	err := l.disconnect()
	return errors.Join(err, l.lock.Close())
}

// Run is the writer. It returns nil when ctx ends, with everything written that
// was appended before.
func (l *Ledger) Run(ctx context.Context) error {
	l.owner.Lock()
	defer l.owner.Unlock()
	return l.loop(ctx)
}
