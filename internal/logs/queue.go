package logs

import "sync"

// queue holds the sources that have something to do, each at most once, first
// come first served. A source is run by one worker at a time; one that is woken
// meanwhile is run again. Safe for concurrent use.
type queue struct {
	mu     sync.Mutex
	some   sync.Cond
	ready  []*source
	jobs   map[*source]*job
	closed bool
}

// job is what a source has to do.
type job struct {
	running bool
	wanted  bool // is in ready, or will be when it has run
	look    bool // the path may lead to another file
}

func newQueue() *queue {
	q := &queue{jobs: map[*source]*job{}}
	q.some.L = &q.mu
	return q
}

// wake has s run, soon. With look, it also finds out which file its path leads
// to.
func (q *queue) wake(s *source, look bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.jobs[s]
	if j == nil {
		j = &job{}
		q.jobs[s] = j
	}
	j.look = j.look || look
	if j.wanted || q.closed {
		return
	}
	j.wanted = true
	if !j.running {
		q.ready = append(q.ready, s)
		q.some.Signal()
	}
}

// take waits for a source to run; nil when the queue was closed.
func (q *queue) take() (s *source, look bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.ready) == 0 && !q.closed {
		q.some.Wait()
	}
	if q.closed {
		return nil, false
	}
	s = q.ready[0]
	q.ready[0] = nil
	if q.ready = q.ready[1:]; len(q.ready) == 0 {
		q.ready = nil
	}
	j := q.jobs[s]
	look = j.look
	*j = job{running: true}
	return s, look
}

// done says that s has run, and whether it wants to run again at once.
func (q *queue) done(s *source, again bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	j := q.jobs[s]
	j.running = false
	if again || j.wanted {
		j.wanted = true
		q.ready = append(q.ready, s)
		q.some.Signal()
		return
	}
	delete(q.jobs, s)
}

// close lets all workers end.
func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.some.Broadcast()
}
