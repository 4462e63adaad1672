package ledger

import (
	"bytes"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"slices"
)

// state is changes of the small state of other parts: nil takes a value away.
type state map[place][]byte

type place struct{ namespace, name string }

// Keep is the small durable state of one part: values by name, a few hundred of
// them, a few kB each. A change is seen at once and written with the next commit;
// who must know that it is durable calls Flush. While the ledger is degraded
// changes live in memory. Safe for concurrent use.
type Keep struct {
	l         *Ledger
	namespace string
}

// Keep returns the state of the part with this name.
func (l *Ledger) Keep(namespace string) *Keep { return &Keep{l, namespace} }

// Get returns the value with this name; false if there is none. The error is
// that of reading the database.
func (k *Keep) Get(name string) (value []byte, found bool, err error) {
	at := place{k.namespace, name}
	if v, changed := k.l.changed(at); changed {
		return bytes.Clone(v), v != nil, nil
	}
	err = k.l.read(&k.l.query, func(c *conn) error {
		return c.each("SELECT value FROM keep WHERE namespace=? AND name=?", func(v []driver.Value) bool {
			value, found = v[0].([]byte)
			return false
		}, at.namespace, at.name)
	})
	if err != nil {
		return nil, false, fmt.Errorf("read %s of %s: %w", name, k.namespace, err)
	}
	return value, found, nil
}

// All returns all values by their names.
func (k *Keep) All() (map[string][]byte, error) {
	// First what is only in memory: what leaves it meanwhile is in the database.
	fresh := k.l.allChanged(k.namespace)
	all := map[string][]byte{}
	err := k.l.read(&k.l.query, func(c *conn) error {
		return c.each("SELECT name, value FROM keep WHERE namespace=?", func(v []driver.Value) bool {
			name, _ := v[0].(string)
			all[name], _ = v[1].([]byte)
			return true
		}, k.namespace)
	})
	if err != nil {
		return nil, fmt.Errorf("read the state of %s: %w", k.namespace, err)
	}
	for name, v := range fresh {
		if v == nil {
			delete(all, name)
		} else {
			all[name] = bytes.Clone(v)
		}
	}
	return all, nil
}

// Put sets the value with this name; nil is the empty value.
func (k *Keep) Put(name string, value []byte) {
	k.l.change(place{k.namespace, name}, append([]byte{}, value...))
}

// Delete takes the value with this name away.
func (k *Keep) Delete(name string) { k.l.change(place{k.namespace, name}, nil) }

func (l *Ledger) change(at place, value []byte) {
	l.mu.Lock()
	l.dirty[at] = value
	l.mu.Unlock()
	l.nudge()
}

// changed returns a change that is only in memory; nil is a deletion.
func (l *Ledger) changed(at place) (value []byte, changed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if value, changed = l.dirty[at]; !changed {
		value, changed = l.flying[at]
	}
	return value, changed
}

// allChanged returns the changes of a namespace that are only in memory.
func (l *Ledger) allChanged(namespace string) map[string][]byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := map[string][]byte{}
	for _, s := range []state{l.flying, l.dirty} {
		for at, v := range s {
			if at.namespace == namespace {
				all[at.name] = v
			}
		}
	}
	return all
}

func (l *Ledger) hasDirty() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.dirty) > 0
}

// takeDirty hands the changes over to a commit.
func (l *Ledger) takeDirty() state {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.flying, l.dirty = l.dirty, state{}
	return l.flying
}

// keepDirty takes the changes back from a commit that failed.
func (l *Ledger) keepDirty() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, v := range l.flying {
		if _, newer := l.dirty[at]; !newer {
			l.dirty[at] = v
		}
	}
	l.flying = state{}
}

// cursors is the namespace of the followers' cursors.
const cursors = "cursor"

// Cursor returns the number of the last record that the follower with this name
// has dealt with; 0 if it has dealt with none. Records that were lost with a
// damaged file do not count: it is never beyond the newest record.
func (l *Ledger) Cursor(follower string) (uint64, error) {
	b, found, err := l.Keep(cursors).Get(follower)
	if err != nil || !found {
		return 0, err
	}
	seq, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, fmt.Errorf("the cursor of %s is damaged", follower)
	}
	return min(seq, l.Newest()), nil
}

// SetCursor notes that a follower has dealt with all records up to seq. It is
// durable with the next commit, so after a crash a follower sees some records
// again.
func (l *Ledger) SetCursor(follower string, seq uint64) {
	l.Keep(cursors).Put(follower, slices.Clip(binary.AppendUvarint(nil, seq)))
}
