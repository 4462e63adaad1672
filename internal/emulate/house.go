package emulate

import "gatehouse/internal/ad2/emulator"

// Villa is a house with two partitions, a zone expander and wireless sensors, for
// people without a panel. Its codes are 1234 (user 2) and 4321 (user 3).
func Villa(dsc bool) emulator.Config {
	return emulator.Config{
		Partitions: []emulator.Partition{
			{Number: 1, Keypads: []int{1, 16, 18}, Zones: []emulator.Zone{
				{Number: 1, Name: "HALL MOTION", Style: emulator.Motion},
				{Number: 2, Name: "KITCHEN WINDOW", Style: emulator.Window},
				{Number: 3, Name: "FRONT DOOR", Style: emulator.Door},
				{Number: 4, Name: "SMOKE", Style: emulator.Smoke},
				{Number: 5, Name: "BACK DOOR", Style: emulator.Door},
				{Number: 9, Name: "CELLAR WINDOW", Style: emulator.Window, Expander: [2]int{7, 1}},
				{Number: 10, Name: "CELLAR WATER", Style: emulator.Water, Expander: [2]int{7, 2}},
				{Number: 23, Name: "BEDROOM WINDOW", Style: emulator.Window, Serial: "0180036"},
				{Number: 24, Name: "STUDY WINDOW", Style: emulator.Window, Serial: "0717496"},
			}},
			{Number: 2, Keypads: []int{2, 20}, Zones: []emulator.Zone{
				{Number: 33, Name: "WORKSHOP DOOR", Style: emulator.Door},
				{Number: 34, Name: "WORKSHOP MOTION", Style: emulator.Motion},
			}},
		},
		Codes: map[string]int{"1234": 2, "4321": 3}, Reports: true, DSC: dsc,
	}
}
