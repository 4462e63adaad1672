package main

import (
	"context"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
)

// fakePanel is an alarm panel with one partition, whose code is 1234 and whose
// zone 5 is open.
func (d *fakeDaemon) panel() api.PanelDesk {
	heard := d.now.Add(-3 * time.Second)
	state := func() api.PanelState {
		p := ad2.PartitionView{
			Partition: 1, Name: "House", Mode: d.armed, Display: "****DISARMED****Hit * for faults", AlarmZones: []int{},
			Zones: []ad2.ZoneView{{Zone: 3, Name: "Front door", Type: "door"}, {Zone: 5, Name: "Back\x1b[2Jdoor", Type: "door", Open: true}},
		}
		if d.armed == ad2.ModeUnknown {
			p.Mode = ad2.ModeDisarmed
		}
		return api.PanelState{
			Configured: true, Connected: true, Device: "/dev/ttyUSB0", Since: &heard, Messages: 7,
			Panel: ad2.View{Make: "ademco", Heard: &heard, Troubles: []string{}, Partitions: []ad2.PartitionView{p}, Relays: []ad2.RelayView{}},
		}
	}
	return api.PanelDesk{
		State: func(context.Context) (api.PanelState, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			return state(), nil
		},
		Order: func(_ context.Context, o api.PanelOrder, _, _ string) (api.PanelOutcome, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			out := api.PanelOutcome{Display: state().Panel.Partitions[0].Display}
			switch {
			case o.Action == "disarm" && o.Code != "1234":
				out.Said, out.Hint = "the panel did not do it; it shows: ARMED ***STAY***", "check the code"
			case o.Action == "disarm":
				d.armed, out.Done, out.Said = ad2.ModeDisarmed, true, "disarmed"
			case o.Action == "arm stay":
				d.armed, out.Done, out.Said = ad2.ModeStay, true, "armed stay"
			case o.Action == "settings":
				out.Done, out.Said, out.Settings = true, "the adapter has the new settings", o.Settings
			case o.Action == "keys", o.Action == "fire", o.Action == "bypass", o.Action == "chime":
				out.Done, out.Said = true, "the keys were delivered"
			default:
				return out, &api.Error{Status: 409, Message: "the panel is not ready: open: Back door (zone 5)", Hint: "close what is open"}
			}
			return out, nil
		},
		Settings: func(context.Context) (api.PanelSettings, error) {
			return api.PanelSettings{Firmware: "V2.2a.8.9b", Serial: "00aa01", Mode: "ademco", Address: 18, Mask: "ffffffff", Bits: "ff04", Zones: make([]bool, 5), Relays: make([]bool, 4), Line: "ADDRESS=18"}, nil
		},
		Follow: func(_ context.Context, raw bool, yield func(api.PanelItem) error) error {
			if raw {
				return yield(api.PanelItem{Time: d.now.UTC(), Raw: "!EXP:07,01,01"})
			}
			return yield(api.NewPanelItem(ad2.Event{Time: d.now, Kind: ad2.Alarm, Partition: 1, Zone: 3, Name: "Front door", Mode: ad2.ModeAway}))
		},
	}
}
