package firewall

import (
	"time"
)

// edits is what is to change in the sets: of each element only the last word.
type edits struct {
	list  []*edit
	total int // an upper bound of the elements that change
}

// edit is what is to change in one set.
type edit struct {
	class *class
	fresh bool
	todo  map[key]change
}

// change is what becomes of one element.
type change struct {
	kind changeKind
	life time.Duration // 0 = it stays
}

type changeKind uint8

const (
	changeAdd   changeKind = iota // it is not there
	changeRenew                   // it is there, with another life
	changeDrop                    // it is there, unless it has just lapsed
)

// of returns the edit of one of a class's two sets.
func (e *edits) of(c *class, fresh bool) *edit {
	for _, x := range e.list {
		if x.class == c && x.fresh == fresh {
			return x
		}
	}
	x := &edit{class: c, fresh: fresh, todo: map[key]change{}}
	e.list = append(e.list, x)
	return x
}

// put says that an element is to be there; there is whether it already was
// before all these edits.
func (x *edit) put(k key, life time.Duration, there bool) {
	kind := changeAdd
	if old, ok := x.todo[k]; ok {
		there = old.kind != changeAdd
	}
	if there {
		kind = changeRenew
	}
	x.todo[k] = change{kind, life}
}

// drop says that an element that is there, or was just put, is to go.
func (x *edit) drop(k key) {
	if old, ok := x.todo[k]; ok && old.kind == changeAdd {
		delete(x.todo, k)
		return
	}
	x.todo[k] = change{kind: changeDrop}
}

// elements returns the elements of one kind of change.
func (x *edit) elements(kind changeKind) (out []element) {
	for k, c := range x.todo {
		if c.kind == kind {
			out = append(out, element{key: k, life: c.life})
		}
	}
	return out
}
