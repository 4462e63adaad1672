package ad2

import "time"

// Config is what is known about the panel beforehand. The zero value finds out
// all of it by itself.
type Config struct {
	Partitions []PartitionConfig // empty: told apart by the keypads that are addressed
	Zones      []ZoneConfig      // names, types and sources of their own
	Silence    time.Duration     // without a message of the panel that is an event; 0 = 45 s
	EntryDelay time.Duration     // for the countdown; 0 = 30 s
}

// PartitionConfig says which keypads belong to a partition.
type PartitionConfig struct {
	Number  int    // 1 to 8
	Name    string // may be ""
	Keypads []int  // addresses 0 to 31; empty: found out
}

// ZoneConfig says what is known about a zone.
type ZoneConfig struct {
	Partition int    // 1 to 8; 0 = 1
	Zone      int    // 1 to 999
	Name      string // may be ""
	Type      string // door, window, motion, smoke, ...; may be ""
	Serial    string // of its wireless sensor, seven digits; "" = it has none
	Loop      int    // of the wireless sensor, 1 to 4; 0 = 1
	Relay     [2]int // address and channel of a relay that shows it; zero = none
}

// Defaults of Config.
const (
	DefaultSilence    = 45 * time.Second // the panel speaks every ten seconds at least
	DefaultEntryDelay = 30 * time.Second
)
