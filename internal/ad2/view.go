package ad2

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// View is the state of a panel for people and programs.
type View struct {
	Make       string          `json:"make" enum:"ademco,dsc" doc:"make of the panel: ademco (Honeywell Vista and its kin) or dsc"`
	Heard      *time.Time      `json:"heard" doc:"when the panel last spoke; null = not since the start"`
	Silent     bool            `json:"silent" doc:"the panel says nothing"`
	ACLost     bool            `json:"ac_lost" doc:"mains power is lost"`
	BatteryLow bool            `json:"battery_low" doc:"the battery of the panel is low"`
	Troubles   []string        `json:"troubles" doc:"devices of the panel that are in trouble"`
	Partitions []PartitionView `json:"partitions" doc:"the partitions, ascending"`
	Relays     []RelayView     `json:"relays" doc:"relays of the panel"`
	Firmware   string          `json:"firmware,omitempty" doc:"firmware of the adapter"`
	Serial     string          `json:"serial,omitempty" doc:"serial number of the adapter"`
}

// RelayView is the state of one relay.
type RelayView struct {
	Address int  `json:"address" doc:"of the relay module"`
	Channel int  `json:"channel" doc:"of the module, from 1"`
	On      bool `json:"on" doc:"it is on"`
}

// PartitionView is the state of one partition.
type PartitionView struct {
	Partition  int        `json:"partition" doc:"number, 1 to 8"`
	Name       string     `json:"name,omitempty" doc:"as configured"`
	Mode       Mode       `json:"mode" enum:"unknown,disarmed,away,stay,night,instant,max" doc:"how it is armed"`
	Ready      bool       `json:"ready" doc:"it can be armed"`
	Exit       bool       `json:"exit" doc:"the exit delay runs"`
	Entry      bool       `json:"entry" doc:"the entry delay runs"`
	Left       int        `json:"left" doc:"seconds of the delay that are left; 0 = none, or unknown"`
	Alarm      bool       `json:"alarm" doc:"the siren sounds, or a reported alarm is not over"`
	AlarmZones []int      `json:"alarm_zones" doc:"zones of that alarm"`
	Memory     bool       `json:"memory" doc:"an alarm occurred and was not cleared yet"`
	Fire       bool       `json:"fire" doc:"fire"`
	Panic      bool       `json:"panic" doc:"someone called for help"`
	Chime      bool       `json:"chime" doc:"the chime is on"`
	Bypass     bool       `json:"bypass" doc:"a zone is bypassed"`
	Program    bool       `json:"programming" doc:"it is being programmed"`
	Display    string     `json:"display" doc:"what the keypads show: two lines of 16 characters"`
	Backlight  bool       `json:"backlight" doc:"the keypads are lit"`
	Cursor     int        `json:"cursor" doc:"column of the cursor on the display; -1 = none"`
	Beeps      int        `json:"beeps" doc:"how the keypads beep, 0 to 7"`
	Zones      []ZoneView `json:"zones" doc:"its zones that are configured or were heard of, ascending"`
}

// ZoneView is the state of one zone.
type ZoneView struct {
	Zone     int        `json:"zone" doc:"number, 1 to 999"`
	Name     string     `json:"name,omitempty" doc:"as configured, or as the panel spells it"`
	Type     string     `json:"type,omitempty" doc:"as configured: door, window, motion, smoke, ..."`
	Open     bool       `json:"open" doc:"it is open"`
	Since    *time.Time `json:"since" doc:"when it opened or closed; null = not since the start"`
	Stale    bool       `json:"stale" doc:"it was open when the partition was armed; the panel does not say any more"`
	Alarm    bool       `json:"alarm" doc:"it is in alarm"`
	Bypassed bool       `json:"bypassed" doc:"it is left out"`
	Trouble  bool       `json:"trouble" doc:"the panel reports trouble of it"`
	Tamper   bool       `json:"tamper" doc:"it was tampered with"`
	Battery  bool       `json:"battery_low" doc:"its battery is low"`
	Missing  bool       `json:"missing" doc:"the panel misses its sign of life"`
}

// View returns the state at now.
func (p *Panel) View(now time.Time) View {
	v := View{Make: "ademco", Silent: p.mute, ACLost: p.ac.Bad, BatteryLow: p.battery.Bad, Troubles: []string{}, Partitions: []PartitionView{}, Relays: []RelayView{}}
	if p.dsc {
		v.Make = "dsc"
	}
	if !p.heard.IsZero() {
		t := p.heard.UTC()
		v.Heard = &t
	}
	if p.Version != nil {
		v.Firmware, v.Serial = p.Version.Firmware, p.Version.Serial
	}
	for _, n := range slices.Sorted(maps.Keys(p.modules)) {
		v.Troubles = append(v.Troubles, "device "+itoa(n))
	}
	for k, on := range p.relays {
		v.Relays = append(v.Relays, RelayView{k[0], k[1], on})
	}
	slices.SortFunc(v.Relays, func(a, b RelayView) int { return 1000*(a.Address-b.Address) + a.Channel - b.Channel })
	for part := range p.all {
		v.Partitions = append(v.Partitions, p.viewOf(part, now))
	}
	return v
}

func (p *Panel) viewOf(part *partition, now time.Time) PartitionView {
	v := PartitionView{
		Partition: part.Number, Name: p.name(part.Number, 0), Mode: part.Mode, Ready: part.Ready, Exit: part.Exit, Entry: part.Entry,
		Alarm: part.Alarm, AlarmZones: []int{}, Memory: part.Memory, Fire: part.Fire, Panic: part.Panic, Chime: part.Chime, Bypass: part.Bypass,
		Program: part.Program, Display: part.Text, Backlight: part.Light, Cursor: part.Cursor, Beeps: part.Beeps, Zones: []ZoneView{},
	}
	ends := part.ExitUntil
	if part.Entry {
		ends = part.EntryEnds
	}
	if (part.Exit || part.Entry) && ends.After(now) {
		v.Left = int((ends.Sub(now) + time.Second - 1) / time.Second)
	}
	for _, n := range part.Told {
		if n > 0 {
			v.AlarmZones = append(v.AlarmZones, n)
		}
	}
	numbers := part.numbers()
	for _, c := range p.c.Zones {
		if max(c.Partition, 1) == part.Number && !slices.Contains(numbers, c.Zone) {
			numbers = append(numbers, c.Zone)
		}
	}
	slices.Sort(numbers)
	for _, n := range numbers {
		zv := ZoneView{Zone: n, Name: p.name(part.Number, n)}
		if c := p.zoneConfig(part.Number, n); c != nil {
			zv.Type = c.Type
		}
		if z := part.Zones[n]; z != nil {
			zv.Open, zv.Bypassed, zv.Trouble, zv.Tamper, zv.Battery, zv.Missing = z.Open, z.Bypassed, z.Check, z.Tamper, z.Battery, z.Missing
			zv.Alarm = part.Alarm && slices.Contains(part.Told, n)
			zv.Stale = z.Open && part.Mode.Armed() && z.Direct.IsZero() && !zv.Alarm
			if !z.Since.IsZero() {
				t := z.Since.UTC()
				zv.Since = &t
			}
		}
		v.Zones = append(v.Zones, zv)
	}
	return v
}

// Partition returns the state of one partition, and whether it is known.
func (p *Panel) Partition(n int, now time.Time) (PartitionView, bool) {
	if n < 1 || n > maxPartition || p.parts[n] == nil {
		return PartitionView{}, false
	}
	return p.viewOf(p.parts[n], now), true
}

// DSC reports whether the panel is a DSC.
func (p *Panel) DSC() bool { return p.dsc }

// snapshot is what a restart has to know.
type snapshot struct {
	Version    int
	DSC        bool
	AC         supply
	Battery    supply
	Reports    time.Time
	Modules    map[int]time.Time
	Partitions []*partition
}

// snapshotVersion is raised when a field changes its meaning.
const snapshotVersion = 1

// Snapshot returns what is known of the panel, for Restore. No key is in it.
func (p *Panel) Snapshot() ([]byte, error) {
	s := snapshot{Version: snapshotVersion, DSC: p.dsc, AC: p.ac, Battery: p.battery, Reports: p.reports, Modules: p.modules}
	for part := range p.all {
		s.Partitions = append(s.Partitions, part)
	}
	return json.Marshal(s)
}

// maxSnapshot bounds what Restore reads: eight partitions with every zone there
// can be.
const maxSnapshot = 4 << 20

// Restore takes back what Snapshot returned, into a Panel that has heard nothing
// yet. What changed since then becomes events when the panel speaks. Damaged
// data is an error and changes nothing.
func (p *Panel) Restore(data []byte) error {
	var s snapshot
	if len(data) > maxSnapshot {
		return fmt.Errorf("restore the state of the panel: %d bytes are too many", len(data))
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return fmt.Errorf("restore the state of the panel: %w", err)
	}
	if s.Version != snapshotVersion {
		return fmt.Errorf("restore the state of the panel: it is of version %d, not %d", s.Version, snapshotVersion)
	}
	seen := map[int]bool{}
	for _, part := range s.Partitions {
		if part == nil || part.Number < 1 || part.Number > maxPartition || seen[part.Number] || part.Mode > ModeMax || len(part.Zones) > maxZone || len(part.Told) > maxZone || len(part.Reports) > maxReports {
			return fmt.Errorf("restore the state of the panel: a partition makes no sense")
		}
		seen[part.Number] = true
		for n, z := range part.Zones {
			if z == nil || z.Number != n || n < 1 || n > maxZone || len(z.Name) > screen {
				return fmt.Errorf("restore the state of the panel: a zone makes no sense")
			}
		}
	}
	if len(s.Modules) > maxModules {
		return fmt.Errorf("restore the state of the panel: too many devices")
	}
	p.dsc, p.ac, p.battery, p.reports = s.DSC, s.AC, s.Battery, s.Reports
	if s.Modules != nil {
		p.modules = s.Modules
	}
	for _, part := range s.Partitions {
		configured := p.parts[part.Number] != nil && p.parts[part.Number].Mask != 0
		mask := part.Mask
		if configured {
			mask = p.parts[part.Number].Mask
		}
		if part.Zones == nil {
			part.Zones = map[int]*zone{}
		}
		part.Mask, part.Text, part.Exit, part.Entry = mask, strings.ToValidUTF8(part.Text, ""), false, false
		p.parts[part.Number] = part
	}
	p.begun = time.Time{}
	return nil
}

// rebase counts what is held as if it had been shown just now: while nobody
// listened, nothing was over because it was not heard.
func (p *Panel) rebase(now time.Time) {
	up := func(ts ...*time.Time) {
		for _, t := range ts {
			if !t.IsZero() {
				*t = now
			}
		}
	}
	up(&p.battery.ShownAt)
	for n := range p.modules {
		p.modules[n] = now
	}
	for part := range p.all {
		up(&part.BellAt, &part.FireAt)
		for _, z := range part.Zones {
			up(&z.CheckAt, &z.BatAt)
		}
	}
}
