package logs

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// turn is how many blocks a source may read before others get their turn.
const turn = 64

// lineReader turns blocks of whole lines into events. One source has one; it
// is not used concurrently.
type lineReader interface {
	read(block []byte, at spot) (events []gate.Event, lines, skipped int)
}

// spot is what a lineReader needs to know about a block.
type spot struct {
	origin  gate.Origin // of the first byte
	now     time.Time   // when it was read
	written time.Time   // no later than now; when the file was last written to, for what is not live
	since   time.Time   // older lines do not count any more; zero = all count
	live    bool        // it was written just now
	dated   bool        // though it came just now, it is of the time that it tells, if any
}

// env is what all sources of a sensor share.
type env struct {
	log     *slog.Logger
	now     func() time.Time
	emit    func(context.Context, gate.Batch) error
	mark    func(source string) string
	reader  func([]Watch) lineReader
	back    time.Duration // how far a source without mark is read back
	times   timing
	claims  *claims
	names   *names
	folders *folders
	wake    func(s *source, look bool)
	settled func(s *source) // s was read to its end, or cannot be read
	leave   func(s *source) // s is not wanted any more and has nothing left to follow
}

// timing is how long things take that no event tells.
type timing struct {
	drain  time.Duration // a rotated file is followed on for its late writers
	linger time.Duration // the same, where nothing has taken its place
	rescan time.Duration // the safety net
	poll   time.Duration // look at what gives no events
	retry  time.Duration // after a read error
}

var defaultTiming = timing{
	drain: 5 * time.Second, linger: 5 * time.Minute,
	rescan: 30 * time.Second, poll: time.Second, retry: 5 * time.Second,
}

// source is one watched path: the file that it leads to, and those that it led
// to before and that are not yet done with.
//
// The worker that runs it owns it, but for what mu guards.
type source struct {
	env
	name string // "file:" and the path
	path string

	chain   []*follower // the oldest first; only the last may be live
	lines   lineReader
	primed  bool      // lines knows what went before
	mark    string    // of the last batch that was taken, or the one to start from
	begun   bool      // the mark was applied
	fresh   bool      // without a mark, what was written before counts too
	live    bool      // the end was met: what comes now is being written
	moved   bool      // the position is not where the mark says
	since   time.Time // see spot
	problem error     // why the file at the path is not read; nil = it is
	broken  bool      // problem arose while reading
	retired bool      // it is out of all lists, and does nothing any more
	past    []digest  // heads of files that were done with
	long    int       // lines skipped in files that were done with
	at      string    // where path led to when its file was opened, links resolved
	from    string    // the same before the file that is being opened
	beside  []fileID  // the files that were beside it, and itself, when that was last looked at
	link    bool      // path is a symbolic link

	mu       sync.Mutex
	status   SourceStatus
	short    uint64  // lines that were handed over and that the rules found too long
	watches  []Watch // that read it
	renewed  bool    // watches is news for lines
	exists   bool    // as the finder saw it: a regular file is there
	seen     fileID  // as the finder saw it: which one
	polled   bool    // no events come from where it lies
	unwanted bool    // no pattern leads to the path any more
}

// run reads what there is to read. With look, the path may lead to another file
// than before. It returns whether there is more, and otherwise how long after
// now it wants to be run again, 0 = when something happens. An error means that
// a batch was refused.
func (s *source) run(ctx context.Context, look bool, buf *buffer) (again bool, wait time.Duration, err error) {
	if s.retired {
		return false, 0, nil
	}
	unwanted, raced := s.renew(), false
	switch {
	case unwanted:
		s.rotate(s.current())
		s.problem = errUnwanted
	case look || !s.begun:
		err := s.look()
		if raced = errors.Is(err, errRaced); raced {
			s.wake(s, true)
		} else {
			s.problem, s.broken = err, false
		}
	}
	again, err = s.read(ctx, buf)
	if err == nil && !again {
		again, wait, err = s.letGo(ctx, buf, unwanted)
	}
	if err == nil && s.moved {
		err = s.hand(ctx, nil, nil, 0)
	}
	again = again || raced
	s.report(again)
	if err == nil && !again {
		s.live = s.live || len(s.chain) > 0
		s.since = time.Time{}
		s.settled(s)
		if s.broken {
			wait = shorter(wait, s.times.retry)
		}
		if unwanted && len(s.chain) == 0 {
			s.leave(s)
		}
	}
	return again, wait, err
}

// errUnwanted is the problem of a source that no pattern leads to any more.
var errUnwanted = errors.New("it is not watched any more")

// renew takes over what the finder set, and reports whether the path is not
// wanted any more.
func (s *source) renew() (unwanted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.renewed {
		s.lines, s.renewed, s.primed = s.reader(s.watches), false, false
	}
	return s.unwanted
}

// read takes turns with the files of the chain, the oldest first, until all are
// at their end, and reports whether it stopped before.
func (s *source) read(ctx context.Context, buf *buffer) (more bool, err error) {
	blocks := 0
	for i := 0; i < len(s.chain); {
		f := s.chain[i]
		block, at, what, err := f.next(buf)
		switch {
		case err != nil:
			if i = s.failed(i, err); i < 0 {
				return false, nil
			}
			continue
		case what == atEnd:
			i++
			continue
		case what == replaced || what == began:
			if i = s.refill(i, what == began); i < 0 {
				return true, nil
			}
			continue
		case what == gotOn:
			s.moved = true
		case what == gotLines:
			if !f.deadline.IsZero() {
				f.deadline = time.Now().Add(s.times.drain)
			}
			if err := s.hand(ctx, f, block, at); err != nil {
				return false, err
			}
			s.report(true)
		}
		if blocks++; blocks == turn || ctx.Err() != nil {
			return true, ctx.Err()
		}
	}
	return false, nil
}

// hand hands a block of f to the line, or without one the mark alone.
func (s *source) hand(ctx context.Context, f *follower, block []byte, at int64) error {
	b := gate.Batch{Source: s.name, Live: s.live}
	now := s.now()
	if f != nil {
		p := spot{origin: gate.Origin{Source: s.name, Epoch: f.epoch(), Offset: at}, now: now, live: s.live, since: s.since}
		if !s.live {
			p.written = f.written(now)
		}
		s.prime(f, at, now)
		var lines, skipped int
		b.Events, lines, skipped = s.lines.read(block, p)
		s.tally(lines, len(b.Events), skipped, p)
	}
	m := mark{at: now, places: make([]place, 0, len(s.chain))}
	for _, g := range s.chain {
		m.places = append(m.places, g.here())
	}
	b.Mark = m.String()
	if err := s.emit(ctx, b); err != nil {
		return err
	}
	s.mark, s.moved = b.Mark, false
	return nil
}

// failed deals with an error while reading file i of the chain and returns
// where to go on; -1 = the whole source starts again from its mark, later.
func (s *source) failed(i int, err error) int {
	f := s.chain[i]
	if f.sealed {
		s.log.Warn("the rest of a rotated log is lost", "path", s.path, "error", err)
		s.remove(i)
		return i
	}
	s.closeAll()
	s.begun, s.live = false, false
	s.problem, s.broken = err, true
	return -1
}

// closeAll lets go of all files as if they had never been read.
func (s *source) closeAll() {
	for _, f := range s.chain {
		_ = f.content.Close()
		s.claims.forget(f.real, s)
	}
	s.chain = nil
	s.names.set(s, leaving, nil)
}
