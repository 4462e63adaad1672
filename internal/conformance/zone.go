package main

import (
	"bytes"
	"encoding/binary"
	"sync"
	"time"
)

// posixZone is the zone of fail2ban's tests.
const posixZone = "CET-01CEST-02,M3.5.0,M10.5.0"

// testZone returns it. The time package reads such rules only at the end of a
// file of zone information, so here is one.
var testZone = sync.OnceValue(func() *time.Location {
	var b bytes.Buffer
	put := func(v any) {
		if err := binary.Write(&b, binary.BigEndian, v); err != nil {
			panic(err) // a buffer takes everything
		}
	}
	header := func() {
		b.WriteString("TZif2")
		b.Write(make([]byte, 15))
		// No UT, standard or leap entries; one transition, one zone, its name.
		put([]uint32{0, 0, 0, 1, 1, 4})
	}
	zone := func() {
		b.WriteByte(0)
		put(int32(3600))
		b.Write([]byte{0, 0})
		b.WriteString("CET\x00")
	}
	header()
	put(int32(-1 << 31))
	zone()
	header()
	put(int64(-1 << 40))
	zone()
	b.WriteString("\n" + posixZone + "\n")
	loc, err := time.LoadLocationFromTZData("CET", b.Bytes())
	if err != nil {
		panic(err)
	}
	return loc
})
