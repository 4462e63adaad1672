package mqtt

import (
	"context"
	"strconv"
	"time"

	"gatehouse/internal/gate"
)

// State is what the guard looks like from outside.
type State struct {
	Mode     string    // guarding, observing, ...
	Problem  string    // what does not work; "" = all does
	Bans     int       // in force
	Recent   []Ban     // the newest first, at most recentBans
	Services []Service // ports that have a name
}

// recentBans is how many bans an attribute lists.
const recentBans = 10

// Ban is a ban as an attribute shows it.
type Ban struct {
	Subject string    `json:"subject"`
	Since   time.Time `json:"since"`
	Until   string    `json:"until"` // RFC 3339, or forever
	Rule    string    `json:"rule"`
	Why     string    `json:"why"`
}

// Service is a set of ports with a name.
type Service struct {
	Name  string // as gate.IsName wants it
	Ports string
	Open  bool
}

// entities are those of the guard itself.
func (f *Follower) entities() []Entity {
	s := f.d.State()
	problem := "OFF"
	if s.Problem != "" {
		problem = "ON"
	}
	last, bans := "", s.Recent[:min(len(s.Recent), recentBans)]
	if bans == nil {
		bans = []Ban{}
	}
	var lastBan any = map[string]any{}
	if len(bans) > 0 {
		last, lastBan = bans[0].Subject, bans[0]
	}
	list := []Entity{
		{Component: "sensor", ID: "mode", Name: "Mode", State: s.Mode, More: map[string]any{"icon": "mdi:shield-home"}},
		{Component: "binary_sensor", ID: "problem", Name: "Problem", State: problem, Attributes: map[string]any{"why": s.Problem},
			More: map[string]any{"device_class": "problem", "entity_category": "diagnostic"}},
		{Component: "sensor", ID: "bans", Name: "Bans", State: strconv.Itoa(s.Bans), Attributes: map[string]any{"recent": bans},
			More: map[string]any{"icon": "mdi:cancel", "state_class": "measurement", "unit_of_measurement": "bans"}},
		{Component: "sensor", ID: "last_ban", Name: "Last ban", State: last, Attributes: lastBan, More: map[string]any{"icon": "mdi:account-cancel"}},
	}
	for _, v := range s.Services {
		list = append(list, f.service(v))
	}
	for _, verb := range []string{"ban", "unban"} {
		if f.may(verb) {
			list = append(list, Entity{Component: "text", ID: verb, Name: map[string]string{"ban": "Ban", "unban": "Unban"}[verb] + " address",
				More: map[string]any{"icon": "mdi:shield-edit", "max": 64},
				Command: func(ctx context.Context, payload string) error {
					return f.obey(ctx, Command{Command: verb, Subject: payload})
				}})
		}
	}
	return list
}

// service shows a service: as a switch where it may be switched.
func (f *Follower) service(v Service) Entity {
	e := Entity{Component: "binary_sensor", ID: "service_" + nodeOf(v.Name), Name: "Service " + v.Name, State: onOff(v.Open),
		Attributes: map[string]any{"ports": v.Ports}, More: map[string]any{"device_class": "opening"}}
	if !f.may("ports") {
		return e
	}
	e.Component, e.More = "switch", map[string]any{"icon": "mdi:door"}
	e.Command = func(ctx context.Context, payload string) error {
		verb := map[string]string{"ON": "open", "OFF": "close"}[payload]
		return f.obey(ctx, Command{Command: verb, Subject: v.Name})
	}
	return e
}

func onOff(on bool) string {
	if on {
		return "ON"
	}
	return "OFF"
}

// short bounds a text that came from outside.
func short(s string) string { return gate.Quote(s, 64) }
