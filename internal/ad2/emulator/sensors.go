package emulator

import "fmt"

// Open opens a zone: a door, a window; a motion sensor or smoke detector notices
// something. A number that is none does nothing.
func (h *House) Open(n int) { h.move(n, true) }

// Close closes a zone.
func (h *House) Close(n int) { h.move(n, false) }

func (h *House) move(n int, open bool) {
	p, z := h.find(n)
	if z == nil || z.open == open {
		return
	}
	z.open = open
	value := 0
	if open {
		value = 1
	}
	if z.Expander != [2]int{} {
		h.say(fmt.Sprintf("!EXP:%02d,%02d,%02d", z.Expander[0], z.Expander[1], value))
	}
	if z.Serial != "" {
		h.say(fmt.Sprintf("!RFX:%s,%02x", z.Serial, 0x80*value))
	}
	if open {
		h.opened(p, z)
	}
	if h.c.DSC {
		if p.bell || p.mode == "" {
			h.changed(p)
		}
		return
	}
	if p.mode == "" && !p.bell {
		if open {
			p.newest = n
		} else if p.newest == n {
			p.newest = 0
		}
		if open || !h.anyOpen(p) {
			h.changed(p)
		}
	}
}

// opened does what a zone does when it opens.
func (h *House) opened(p *Partition, z *Zone) {
	if z.bypassed {
		return
	}
	inside := z.Style == Motion
	switch {
	case z.Style == Smoke:
		p.fire = true
		h.alarm(p, z.Number)
	case z.Style == Water:
		h.alarm(p, z.Number)
	case p.mode == "" || !p.exitEnds.IsZero():
	case inside && p.mode != "away" && p.mode != "max":
	case p.bell:
		h.alarm(p, z.Number)
	case z.Style == Door && p.mode != "instant" && p.mode != "max" && p.mode != "night",
		inside && !p.entry.IsZero():
		if p.entry.IsZero() {
			p.entry, p.noted = h.now.Add(p.Entry), z.Number
			h.changed(p)
		}
	case z.Style != Internal:
		h.alarm(p, z.Number)
	}
}

// alarm sets a zone off.
func (h *House) alarm(p *Partition, n int) {
	p.bell, p.memory = true, true
	p.entry = p.entry.Truncate(0)
	code := "CID_1130"
	for i := range p.Zones {
		z := &p.Zones[i]
		if z.Number != n {
			continue
		}
		z.alarm = true
		code = map[Style]string{Door: "CID_1134", Window: "CID_1131", Motion: "CID_1132", Smoke: "CID_1111", Water: "CID_1154"}[z.Style]
	}
	if code == "" {
		code = "CID_1130"
	}
	p.turn = 0
	p.newest = n
	h.changed(p)
	h.report(n, p, code)
}

func (h *House) anyOpen(p *Partition) bool {
	for _, z := range p.Zones {
		if z.open && !z.bypassed {
			return true
		}
	}
	return false
}

// AC takes mains power away, or gives it back. The report of it comes later.
func (h *House) AC(lost bool) {
	if h.acLost == lost {
		return
	}
	h.acLost = lost
	for _, p := range h.parts {
		h.changed(p)
	}
	if h.c.Reports {
		code := "CID_3301"
		if lost {
			code = "CID_1301"
		}
		h.serials = append(h.serials, pendingLine{h.now.Add(reportLate), "!LRR:000,0," + code + ",ff"})
	}
}

// Battery makes the battery of the panel low, or good.
func (h *House) Battery(low bool) {
	if h.battery == low {
		return
	}
	h.battery = low
	if low {
		h.changed(h.parts[0])
	}
	h.report(0, nil, map[bool]string{true: "CID_1302", false: "CID_3302"}[low])
}

// Check makes a zone report trouble, or end it.
func (h *House) Check(n int, trouble bool) {
	if p, z := h.find(n); z != nil && z.check != trouble {
		z.check = trouble
		if trouble {
			h.changed(p)
		}
	}
}

// SensorBattery makes the battery of a zone's sensor low, or good.
func (h *House) SensorBattery(n int, low bool) {
	p, z := h.find(n)
	if z == nil || z.battery == low {
		return
	}
	z.battery = low
	if z.Serial != "" {
		bits := 0
		if low {
			bits = 2
		}
		if z.open {
			bits |= 0x80
		}
		h.say(fmt.Sprintf("!RFX:%s,%02x", z.Serial, bits))
	}
	if low {
		h.changed(p)
	}
}

// Supervise makes every wireless sensor say that it is there.
func (h *House) Supervise() {
	for _, p := range h.parts {
		for _, z := range p.Zones {
			if z.Serial != "" {
				bits := 4
				if z.open {
					bits |= 0x80
				}
				if z.battery {
					bits |= 2
				}
				h.say(fmt.Sprintf("!RFX:%s,%02x", z.Serial, bits))
			}
		}
	}
}

// Help presses an emergency key of a partition: it is reported as a panic.
func (h *House) Help(partition int) {
	for _, p := range h.parts {
		if p.Number == partition {
			p.panicky = true
			h.report(99, p, "CID_1123")
		}
	}
}

// Mute makes the panel say nothing, or speak again.
func (h *House) Mute(on bool) { h.mute = on }

// Deaf makes the next n sendings of keys fail.
func (h *House) Deaf(n int) { h.deaf = n }
