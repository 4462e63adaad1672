package config

import (
	"net/url"
	"reflect"
	"strings"

	"gatehouse/internal/gate"
)

// MQTT is the section of the same name; without a server it is off.
type MQTT struct {
	Server    string   `key:"server" example:"mqtt://192.0.2.9:1883" check:"broker" doc:"The MQTT broker: mqtt://HOST:PORT, or mqtts://HOST:PORT with TLS. Without it this part is off."`
	User      string   `key:"user" example:"gatehouse" doc:"Name to log in with."`
	Password  Secret   `key:"password" example:"{file: /etc/gatehouse/mqtt.password}" check:"hidden" doc:"Where the password is: {file: PATH}, {env: NAME} or {credential: NAME}."`
	CA        string   `key:"ca" example:"/etc/gatehouse/ca.pem" check:"path" doc:"Certificates in PEM that are trusted besides those of the system."`
	Topic     string   `key:"topic" default:"gatehouse" check:"topic" doc:"What all topics of Gatehouse begin with. The name of the machine follows."`
	Discovery string   `key:"discovery" default:"homeassistant" check:"topic" doc:"What the topics begin with by which Home Assistant finds devices."`
	Commands  []string `key:"commands" default:"[]" enum:"ban unban ports arm disarm" example:"[ban, unban]" doc:"What whoever may write to the broker may command: ban and unban addresses, open and close ports of services, arm the alarm panel, disarm it with its code. Nothing by default: a broker often lets every device of the house write."`
}

// check holds what spans several keys.
func (m *MQTT) check(d *decoder, n *node) {
	if v := n.get("password"); v != nil && v.kind != nothing && m.User == "" {
		d.problem(v, "add user: gatehouse", "password without user")
		d.problems[len(d.problems)-1].Excerpt = ""
	}
	if v := n.get("commands"); v != nil && len(m.Commands) > 0 && m.Server == "" {
		d.problem(v, "add server: mqtt://192.0.2.9:1883", "commands without server")
	}
}

// broker wants the address of an MQTT broker.
func broker(v reflect.Value) error {
	u, err := url.Parse(v.String())
	const hint = "write mqtt://192.0.2.9:1883, or mqtts://broker.example.org:8883 with TLS"
	switch {
	case err != nil, u.Scheme != "mqtt" && u.Scheme != "mqtts", u.Hostname() == "", u.Path != "" && u.Path != "/", u.RawQuery != "":
		return wrong("this is not the address of an MQTT broker", hint)
	case u.User != nil:
		return wrong("a user name in the address of the broker", "write user: and password: of their own")
	}
	return nil
}

// topic wants levels of a topic without wildcards.
func topic(v reflect.Value) error {
	for level := range strings.SplitSeq(v.String(), "/") {
		if !gate.IsName(level) {
			return wrong(gate.Quote(v.String(), 64)+" is not a topic to begin with", "use letters, digits, - and _, and / between levels")
		}
	}
	return nil
}
