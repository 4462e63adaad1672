package mqtt

import (
	"context"
	"encoding/json"
	"maps"
	"strings"
)

// Entity is one thing that the house sees: a sensor, a switch, an alarm panel.
type Entity struct {
	Component  string         // kind of entity in Home Assistant: sensor, binary_sensor, switch, text, alarm_control_panel
	ID         string         // unique on this machine: letters, digits and _
	Name       string         // for people
	State      string         // what its state topic holds
	Attributes any            // what its attributes topic holds, as JSON; nil = it has none
	More       map[string]any // further keys of its discovery document, such as icon or device_class
	// Command is called with what somebody wrote to its command topic, at most
	// maxCommand bytes; nil = it takes no commands. Its error is published and must
	// hold nothing secret.
	Command func(ctx context.Context, payload string) error
}

// Source has entities to show. Entities returns all of them as they are now; it
// is called again after Changed, which returns a channel that is closed at the next
// change. Both are safe for concurrent use and return at once.
type Source interface {
	Entities() []Entity
	Changed() <-chan struct{}
}

// discovery is where the document of an entity lies, and the document.
func (f *Follower) discovery(e *Entity) (topic string, doc []byte, err error) {
	base := f.base + "/" + e.ID
	m := map[string]any{
		"name": e.Name, "unique_id": f.node + "_" + e.ID, "object_id": f.node + "_" + e.ID,
		"state_topic":        base + "/state",
		"availability_topic": f.base + "/availability",
		"device": map[string]any{
			"identifiers": []string{"gatehouse_" + f.node}, "name": "Gatehouse on " + f.c.Host, "manufacturer": "Gatehouse", "sw_version": f.c.Version,
		},
		"origin": map[string]any{"name": "gatehouse", "sw_version": f.c.Version},
	}
	if e.Attributes != nil {
		m["json_attributes_topic"] = base + "/attributes"
	}
	if e.Command != nil {
		m["command_topic"] = base + "/set"
	}
	maps.Copy(m, e.More)
	doc, err = json.Marshal(m)
	return f.c.Discovery + "/" + e.Component + "/" + f.node + "/" + e.ID + "/config", doc, err
}

// nodeOf turns the name of a machine into one level of a topic.
func nodeOf(host string) string {
	s := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r == '.':
			return '_'
		}
		return -1
	}, host)
	if s == "" {
		return "gatehouse"
	}
	return s[:min(len(s), 64)]
}
