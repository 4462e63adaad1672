package logs

import "sync"

// maxDone is how many files that were let go are remembered: far more than one
// rotation leaves behind, few enough to keep.
const maxDone = 1024

// claims says which source reads which file, so that a file that two paths
// lead to is read once: a hard link, a rotated file whose new name a pattern
// matches too. Safe for concurrent use.
type claims struct {
	mu      sync.Mutex
	holder  map[fileID]*source
	done    map[fileID]place   // how far files were read that nobody reads any more
	order   []fileID           // of done, the oldest first
	waiting map[*source]fileID // sources that were refused, and which file
}

func newClaims() *claims {
	return &claims{holder: map[fileID]*source{}, done: map[fileID]place{}, waiting: map[*source]fileID{}}
}

// take gives the file to s. Where another source reads it, that one is
// returned, and s is among those that drop returns later. Where the file was
// read before, seen is how far.
func (c *claims) take(id fileID, s *source) (other *source, seen place, known bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if h := c.holder[id]; h != nil {
		if h != s {
			c.waiting[s] = id
		}
		return h, place{}, false
	}
	c.holder[id] = s
	seen, known = c.done[id]
	return nil, seen, known
}

// heirs returns the sources that wait for the file.
func (c *claims) heirs(id fileID) (all []*source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for s, w := range c.waiting {
		if w == id {
			all = append(all, s)
		}
	}
	return all
}

// drop takes the file back and remembers how far it was read. It returns the
// sources that waited for a file.
func (c *claims) drop(id fileID, p place) []*source {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.holder, id)
	if _, ok := c.done[id]; !ok {
		if len(c.order) == maxDone {
			delete(c.done, c.order[0])
			c.order = c.order[1:]
		}
		c.order = append(c.order, id)
	}
	c.done[id] = p
	var all []*source
	for s := range c.waiting {
		all = append(all, s)
	}
	clear(c.waiting)
	return all
}

// forget takes the file back as if s had never read it.
func (c *claims) forget(id fileID, s *source) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.holder[id] == s {
		delete(c.holder, id)
	}
}

// names maps the path of each file that events are awaited for to the sources
// that await them. Safe for concurrent use.
type names struct {
	mu   sync.Mutex
	of   map[string]map[*source]bool
	each map[*source][2][]string
}

// The two lists of names of a source: those that lead to its path, set by the
// finder, and those of files rotated away, set by the source.
const (
	leading = iota
	leaving
)

func newNames() *names {
	return &names{of: map[string]map[*source]bool{}, each: map[*source][2][]string{}}
}

// set replaces one list of names of s.
func (n *names) set(s *source, list int, paths []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	lists := n.each[s]
	for _, l := range lists {
		for _, p := range l {
			delete(n.of[p], s)
			if len(n.of[p]) == 0 {
				delete(n.of, p)
			}
		}
	}
	lists[list] = paths
	if len(lists[leading])+len(lists[leaving]) == 0 {
		delete(n.each, s)
		return
	}
	n.each[s] = lists
	for _, l := range lists {
		for _, p := range l {
			if n.of[p] == nil {
				n.of[p] = map[*source]bool{}
			}
			n.of[p][s] = true
		}
	}
}

// awaiting calls yield for each source that awaits events of path.
func (n *names) awaiting(path string, yield func(*source)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for s := range n.of[path] {
		yield(s)
	}
}
