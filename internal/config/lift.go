package config

import (
	"reflect"
	"slices"
)

// liftChannels makes a channel that stands under notify by its name what it means:
// an entry of channels.
//
//	notify: {mail: {mail: [you@example.org]}}
func liftChannels(root *node) {
	notify := root.get("notify")
	if notify == nil || notify.kind != mapping {
		return
	}
	own := keysOf(fieldsOf(reflect.TypeFor[Notify]()))
	named := func(e entry) bool { return e.value.kind == mapping && !slices.Contains(own, e.key.text) }
	var channels []*node
	for _, e := range notify.entries {
		if named(e) {
			name := *e.key
			name.kind = text
			key := &node{kind: text, line: e.key.line, col: e.key.col, text: "name"}
			c := *e.value
			c.entries = append([]entry{{key, &name}}, c.entries...)
			channels = append(channels, &c)
		}
	}
	if len(channels) == 0 {
		return
	}
	notify.entries = slices.DeleteFunc(notify.entries, named)
	if have := notify.get("channels"); have != nil && have.kind == list {
		have.items = append(have.items, channels...)
		return
	}
	at := channels[0]
	key := &node{kind: text, line: at.line, col: at.col, text: "channels"}
	notify.entries = append(notify.entries, entry{key, &node{kind: list, line: at.line, col: at.col, items: channels}})
}
