package hooks

import (
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// Run is one run of a hook that has ended.
type Run struct {
	Hook     string        `json:"hook"`
	Seq      uint64        `json:"seq"`      // of the record
	Delivery string        `json:"delivery"` // the same for each try
	Subject  gate.Subject  `json:"subject,omitzero"`
	Time     time.Time     `json:"time"` // when it ended
	Took     time.Duration `json:"took"` // of the last try
	Tries    int           `json:"tries"`
	Exit     int           `json:"exit"`
	Problem  string        `json:"problem,omitempty"` // "" = it ended well
	Output   string        `json:"output,omitempty"`  // the end of what it wrote; hostile
	Lost     int64         `json:"lost,omitempty"`    // bytes that it wrote besides
}

// How much is remembered of runs: enough to see what a hook does, little enough to
// live with each commit.
const (
	maxRuns   = 256
	maxOutput = 2 << 10 // bytes of each run's output
)

// Memory keeps small values over a restart.
type Memory interface {
	Put(name string, value []byte)
	All() (map[string][]byte, error)
}

// history is the latest runs of all hooks, in a ring. Safe for concurrent use.
type history struct {
	mu     sync.Mutex // guards what follows
	runs   []Run
	next   int
	memory Memory
}

// recall reads what an earlier process has kept.
func (h *history) recall() error {
	all, err := h.memory.All()
	if err != nil {
		return fmt.Errorf("read what is kept of hooks: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, b := range all {
		var r Run
		if json.Unmarshal(b, &r) == nil && len(h.runs) < maxRuns {
			h.runs = append(h.runs, r)
		}
	}
	slices.SortFunc(h.runs, func(a, b Run) int { return a.Time.Compare(b.Time) })
	h.next = len(h.runs) % maxRuns
	return nil
}

// add notes a run.
func (h *history) add(r Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.runs) < maxRuns {
		h.runs = append(h.runs, r)
	} else {
		h.runs[h.next] = r
	}
	if b, err := json.Marshal(r); err == nil { // texts, numbers and times: it cannot fail
		h.memory.Put(fmt.Sprintf("run-%03d", h.next), b)
	}
	h.next = (h.next + 1) % maxRuns
}

// of returns the runs that match, oldest first.
func (h *history) of(match func(*Run) bool) (out []Run) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.runs {
		if match(&h.runs[i]) {
			out = append(out, h.runs[i])
		}
	}
	slices.SortStableFunc(out, func(a, b Run) int { return a.Time.Compare(b.Time) })
	return out
}
