package app

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/config"
)

// TestPanelConfig maps the section of the configuration to the part's own.
func TestPanelConfig(t *testing.T) {
	c := panelConfig(config.Panel{
		Device: "auto", FaultDelay: time.Minute, Suppress: true, Quiet: []string{"fault", "ac"},
		Partitions: []config.PanelPartition{{Partition: 2, Name: "Shop", Keypads: []int{20}, Address: 21}},
		Zones:      []config.PanelZone{{Zone: 33, Partition: 2, Name: "Door", Type: "door", Relay: "12/3"}},
		Server:     config.PanelServer{Listen: "127.0.0.1:1", Keys: true},
	})
	switch {
	case c.Addresses[2] != 21 || c.Delay != time.Minute || !c.Suppress || c.Server.Listen == "" || !c.Server.Keys || c.Server.Functions:
		t.Errorf("%+v", c)
	case !c.Quiet[ad2.Fault] || c.Quiet[ad2.Restore] || !c.Quiet[ad2.AC] || !c.Quiet[ad2.AC.Over()]:
		t.Errorf("quiet: %v", c.Quiet)
	case c.Panel.Partitions[0].Name != "Shop" || c.Panel.Zones[0].Relay != [2]int{12, 3}:
		t.Errorf("%+v", c.Panel)
	}
}

// TestHouseState says a partition in Home Assistant's words.
func TestHouseState(t *testing.T) {
	for want, p := range map[string]ad2.PartitionView{
		"disarmed": {Mode: ad2.ModeDisarmed}, "armed_away": {Mode: ad2.ModeAway}, "armed_home": {Mode: ad2.ModeStay}, "armed_night": {Mode: ad2.ModeNight},
		"armed_vacation": {Mode: ad2.ModeMax}, "arming": {Mode: ad2.ModeAway, Exit: true}, "pending": {Mode: ad2.ModeAway, Entry: true},
		"triggered": {Mode: ad2.ModeAway, Alarm: true}, "": {},
	} {
		if got := houseStateOf(p); got != want {
			t.Errorf("%+v: %q, want %q", p, got, want)
		}
	}
}

// TestHouseRights: what the broker may not do is refused before the panel hears of
// it, and disarming needs a code of its own.
func TestHouseRights(t *testing.T) {
	d := &daemon{} // without a panel
	for _, c := range []struct{ rights, payload, want string }{
		{"", `{"action":"ARM_AWAY","code":"1234"}`, "does not allow to arm"},
		{"arm", `{"action":"DISARM","code":"1234"}`, "does not allow to disarm"},
		{"arm disarm", `{"action":"DISARM","code":""}`, "needs a code"},
		{"arm disarm", `{"action":"DISARM","code":"None"}`, "needs a code"},
		{"arm disarm", `DISARM`, "needs a code"},
		{"arm disarm", `{"action":"TRIGGER"}`, "no such action"},
		{"arm disarm", `1234`, "no such action"},
		{"arm", `ARM_NIGHT`, "no alarm panel is configured"},
		{"arm disarm", `{"action":"DISARM","code":"1234"}`, "no alarm panel is configured"},
	} {
		err := panelHouse{d, strings.Fields(c.rights)}.command(t.Context(), 1, c.payload)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "1234") {
			t.Errorf("%s by %q: %v, want %q", c.payload, c.rights, err, c.want)
		}
	}
}
