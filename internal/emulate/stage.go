package emulate

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"gatehouse/internal/ad2/emulator"
)

// Stage runs a house and connects it. Make one with New, connect it with Listen
// or Terminal, then Run it.
type Stage struct {
	house *emulator.House
	calls chan func() // unbuffered: run on the loop's goroutine
	ended chan struct{}
	speed float64 // of its clock

	mu    sync.Mutex // guards what follows
	ends  map[*end]struct{}
	close []func() error
}

// end is one connection: lines has room for a burst, and who falls behind loses
// the connection.
type end struct {
	conn  io.ReadWriteCloser
	lines chan []byte
}

// New returns a stage for a house. Its clock goes speed times as fast as ours; 0
// is as fast.
func New(c emulator.Config, speed float64) *Stage {
	if speed <= 0 {
		speed = 1
	}
	return &Stage{house: emulator.New(c, time.Now()), calls: make(chan func()), ended: make(chan struct{}), speed: speed, ends: map[*end]struct{}{}}
}

// Listen takes connections on an address and returns it. They end with Run.
func (s *Stage) Listen(address string) (net.Addr, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.close = append(s.close, l.Close)
	s.mu.Unlock()
	go func() { // ends when Run closes the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.join(conn)
		}
	}()
	return l.Addr(), nil
}

// join connects one end.
func (s *Stage) join(conn io.ReadWriteCloser) {
	e := &end{conn: conn, lines: make(chan []byte, 256)}
	s.mu.Lock()
	s.ends[e] = struct{}{}
	s.mu.Unlock()
	go func() { // ends when the connection does
		for b := range e.lines {
			if _, err := conn.Write(b); err != nil {
				s.leave(e)
			}
		}
	}()
	go func() { // as above
		defer s.leave(e)
		buf := make([]byte, 512)
		for {
			n, err := conn.Read(buf)
			if n > 0 {
				b := append([]byte(nil), buf[:n]...)
				s.Do(func(h *emulator.House) { s.say(h.Write(b)) })
			}
			if err != nil {
				return
			}
		}
	}()
}

// leave disconnects one end.
func (s *Stage) leave(e *end) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, there := s.ends[e]; there {
		delete(s.ends, e)
		close(e.lines)
		_ = e.conn.Close() // nobody is there any more
	}
}

// say sends bytes to every end.
func (s *Stage) say(b []byte) {
	if len(b) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for e := range s.ends {
		select {
		case e.lines <- b:
		default:
			delete(s.ends, e)
			close(e.lines)
			_ = e.conn.Close() // it reads too slowly
		}
	}
}

// Do runs f with the house, and sends what it says to that. It returns false when
// the stage has ended.
func (s *Stage) Do(f func(h *emulator.House)) bool {
	done := make(chan struct{})
	select {
	case s.calls <- func() { defer close(done); f(s.house) }:
		<-done
		return true
	case <-s.ended:
		return false
	}
}

// Hang ends all connections, as when the adapter is pulled out.
func (s *Stage) Hang() {
	s.mu.Lock()
	var all []*end
	for e := range s.ends {
		all = append(all, e)
	}
	s.mu.Unlock()
	for _, e := range all {
		s.leave(e)
	}
}

// Raw sends bytes as they are, whatever the house thinks: noise, damage.
func (s *Stage) Raw(b []byte) { s.say(b) }

// Run moves the house's clock until ctx ends, and then disconnects everybody.
func (s *Stage) Run(ctx context.Context) error {
	defer func() {
		close(s.ended)
		s.mu.Lock()
		closers := s.close
		s.mu.Unlock()
		var errs []error
		for _, c := range closers {
			errs = append(errs, c())
		}
		_ = errors.Join(errs...) // they are closed or gone
		s.Hang()
	}()
	begun := time.Now()
	now := func() time.Time { return begun.Add(time.Duration(float64(time.Since(begun)) * s.speed)) }
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case call := <-s.calls:
			s.say(s.house.Advance(now()))
			call()
		case <-timer.C:
		}
		s.say(s.house.Advance(now()))
		timer.Reset(max(time.Millisecond, time.Duration(float64(s.house.Next().Sub(now()))/s.speed)))
	}
}
