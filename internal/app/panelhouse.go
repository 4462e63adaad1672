package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
	"gatehouse/internal/mqtt"
)

// panelHouse shows the alarm panel to Home Assistant, and takes commands for it.
type panelHouse struct {
	d      *daemon
	rights []string // arm, disarm
}

// Changed implements mqtt.Source.
func (h panelHouse) Changed() <-chan struct{} {
	g, err := h.d.atPanel()
	if err != nil {
		return nil // never
	}
	return g.panel.Changed()
}

// shortly bounds how long the broker waits for the panel's connection to answer.
const shortly = 2 * time.Second

// Entities implements mqtt.Source.
func (h panelHouse) Entities() []mqtt.Entity {
	g, err := h.d.atPanel()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), shortly)
	defer cancel()
	s, err := g.panel.Status(ctx)
	if err != nil {
		return nil
	}
	list := []mqtt.Entity{
		sensor("panel_connected", "Alarm panel connection", "connectivity", s.Up && !s.View.Silent, nil),
		sensor("panel_mains", "Alarm panel mains power", "power", !s.View.ACLost, nil),
		sensor("panel_battery", "Alarm panel battery", "battery", s.View.BatteryLow, nil),
	}
	for _, p := range s.View.Partitions {
		list = append(list, h.partition(p))
		for _, z := range p.Zones {
			name := z.Name
			if name == "" {
				name = fmt.Sprintf("Zone %d", z.Zone)
			}
			list = append(list, sensor(fmt.Sprintf("panel_zone_%d_%d", p.Partition, z.Zone), name, classOf(z.Type), z.Open || z.Alarm, z))
		}
	}
	return list
}

// sensor is one binary sensor.
func sensor(id, name, class string, on bool, attributes any) mqtt.Entity {
	e := mqtt.Entity{Component: "binary_sensor", ID: id, Name: name, State: "OFF", Attributes: attributes, More: map[string]any{"device_class": class}}
	if on {
		e.State = "ON"
	}
	return e
}

// classOf returns Home Assistant's word for the type of a zone.
func classOf(kind string) string {
	switch kind {
	case "door", "window", "motion", "smoke", "gas", "tamper":
		return kind
	case "water":
		return "moisture"
	case "glass":
		return "vibration"
	case "panic":
		return "safety"
	}
	return "opening"
}

// partition is the alarm_control_panel of one partition.
func (h panelHouse) partition(p ad2.PartitionView) mqtt.Entity {
	name := p.Name
	if name == "" {
		name = fmt.Sprintf("Alarm partition %d", p.Partition)
	}
	return mqtt.Entity{
		Component: "alarm_control_panel", ID: fmt.Sprintf("panel_partition_%d", p.Partition), Name: name, State: houseStateOf(p),
		Attributes: map[string]any{"ready": p.Ready, "alarm_zones": p.AlarmZones, "memory": p.Memory, "fire": p.Fire, "chime": p.Chime, "bypass": p.Bypass, "display": p.Display, "seconds_left": p.Left},
		More: map[string]any{
			"supported_features": []string{"arm_home", "arm_away", "arm_night", "arm_vacation"},
			"code":               "REMOTE_CODE", "code_arm_required": false, "code_disarm_required": true, "code_trigger_required": false,
			"command_template": `{"action":"{{ action }}","code":"{{ code }}"}`,
		},
		Command: func(ctx context.Context, payload string) error { return h.command(ctx, p.Partition, payload) },
	}
}

// houseStateOf is the state in Home Assistant's words.
func houseStateOf(p ad2.PartitionView) string {
	switch {
	case p.Alarm || p.Fire || p.Panic:
		return "triggered"
	case p.Entry:
		return "pending"
	case p.Exit && p.Mode.Armed():
		return "arming"
	}
	return map[ad2.Mode]string{
		ad2.ModeDisarmed: "disarmed", ad2.ModeAway: "armed_away", ad2.ModeStay: "armed_home", ad2.ModeInstant: "armed_home", ad2.ModeNight: "armed_night", ad2.ModeMax: "armed_vacation",
	}[p.Mode]
}

// houseActions are Home Assistant's actions.
var houseActions = map[string]ad2.Action{
	"ARM_AWAY": ad2.ArmAway, "ARM_HOME": ad2.ArmStay, "ARM_NIGHT": ad2.ArmNight, "ARM_VACATION": ad2.ArmMax, "DISARM": ad2.Disarm,
}

// command carries out what the broker brought: an action, with its code if need
// be. Its errors hold no code.
func (h panelHouse) command(ctx context.Context, partition int, payload string) error {
	var in struct {
		Action string `json:"action"`
		Code   string `json:"code"`
	}
	if err := json.Unmarshal([]byte(payload), &in); err != nil {
		in.Action = payload // the action alone
	}
	action, known := houseActions[strings.ToUpper(strings.TrimSpace(in.Action))]
	right := "arm"
	if action == ad2.Disarm {
		right = "disarm"
	}
	switch {
	case !known:
		return errors.New("there is no such action: ARM_AWAY, ARM_HOME, ARM_NIGHT, ARM_VACATION and DISARM")
	case !slices.Contains(h.rights, right):
		return fmt.Errorf("commands: in mqtt: does not allow to %s", right)
	case right == "disarm" && (in.Code == "" || in.Code == "None"): // what a template makes of no code
		return errors.New("disarming over the broker needs a code") // the configured one would let in whoever reaches the broker
	}
	if in.Code == "None" {
		in.Code = ""
	}
	out, err := h.d.panelOrder(ctx, api.PanelOrder{Action: string(action), Partition: partition, Code: in.Code}, "mqtt", "mqtt")
	if err == nil && !out.Done {
		err = errors.New(out.Said)
	}
	return err
}
