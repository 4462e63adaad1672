package notify

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Bounds of a wave. A letter shows so many records at most; the others count.
const (
	headItems = 10 // the first ones
	tailItems = 5  // the last ones
	maxRules  = 24 // rules that are counted by name; the rest counts as "others"
	maxWaves  = 24 // kinds that gather for one channel; the rest gathers as kind "others"
)

// others is the kind, and the rule, of what is beyond the bounds.
const others = "others"

// wave is what gathers for one channel: records of one kind.
type wave struct {
	Channel  string         `json:"channel"`
	Kind     string         `json:"kind"`
	Severity Severity       `json:"severity"`
	Opened   time.Time      `json:"opened"` // when its first record came to us
	First    uint64         `json:"first"`  // number of its first record
	Last     uint64         `json:"last"`   // number of its last record: with the channel, the identity of its letter
	Count    int            `json:"count"`  // how many records
	From     time.Time      `json:"from"`   // when its first record was decided
	To       time.Time      `json:"to"`     // when its last record was
	Rules    map[string]int `json:"rules,omitempty"`
	Head     []Item         `json:"head"`
	Tail     []Item         `json:"tail,omitempty"`
}

// add counts a record in.
func (w *wave) add(it Item, seq uint64, now time.Time) {
	if w.Count == 0 {
		w.Opened, w.First, w.From = now, seq, it.Time
	}
	w.Count++
	w.Last, w.To = seq, it.Time
	if w.Rules == nil {
		w.Rules = map[string]int{}
	}
	rule := it.Rule
	if _, known := w.Rules[rule]; !known && len(w.Rules) >= maxRules {
		rule = others
	}
	w.Rules[rule]++
	if len(w.Head) < headItems {
		w.Head = append(w.Head, it)
		return
	}
	if len(w.Tail) == tailItems {
		copy(w.Tail, w.Tail[1:])
		w.Tail = w.Tail[:tailItems-1]
	}
	w.Tail = append(w.Tail, it)
}

// tallies returns the rules by how often they occur.
func (w *wave) tallies() []Tally {
	var list []Tally
	for _, name := range slices.Sorted(maps.Keys(w.Rules)) {
		if name != "" {
			list = append(list, Tally{name, w.Rules[name]})
		}
	}
	slices.SortStableFunc(list, func(a, b Tally) int { return cmp.Compare(b.Count, a.Count) })
	return list
}

// letter is a wave on its way: stored until it is delivered.
type letter struct {
	ID    string    `json:"id"`    // seq/channel
	Wave  wave      `json:"wave"`  // what it tells
	Born  time.Time `json:"born"`  // when it was closed
	Tries int       `json:"tries"` // how often it was tried
	Error string    `json:"error,omitempty"`
	Note  string    `json:"note,omitempty"` // for its reader
	Next  time.Time `json:"next,omitzero"`  // not to be tried before, whatever its channel does

	durable bool // it is on disk
}

// idOf is the delivery identifier of a wave.
func idOf(w *wave) string { return formatUint(w.Last) + "/" + w.Channel }

// asRecord is a record that exists only to be shown, for tests of channels and
// checks of templates.
func asRecord(seq uint64, d gate.Decision) *gate.Record { return &gate.Record{Seq: seq, Decision: d} }

// sentence bounds an error to a line for status and the queue.
func sentence(err error) string { return Clean(strings.TrimSpace(err.Error()), maxWhy) }
