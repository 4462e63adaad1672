package emulator

import (
	"fmt"
	"strings"
	"time"
)

// reportLate is how late loss of mains power is reported.
const reportLate = 20 * time.Minute

// line is one thing on the display.
type line struct {
	text string
	num  string
	zone bool // num is a zone
	fire bool
	bat  bool
	chk  bool
}

// display shows what is next in turn and sets when the following one is due.
func (h *House) display(p *Partition) {
	lines := h.lines(p)
	gap := cycleEvery
	if len(lines) == 1 {
		gap = idleEvery
	}
	if len(lines) == 1 && lines[0].zone {
		gap = cycleEvery
	}
	l := lines[p.turn%len(lines)]
	if p.newest != 0 {
		want := fmt.Sprintf("%03d", p.newest)
		for _, o := range lines {
			if o.zone && o.num == want {
				l = o
			}
		}
		p.newest, p.turn = 0, 0 // then from the start
	} else {
		p.turn = (p.turn + 1) % len(lines)
	}
	if left := p.exitEnds.Sub(h.now); !p.exitEnds.IsZero() && left > 0 {
		gap = 5 * time.Second
		if left <= 10*time.Second {
			gap = time.Second
		}
	}
	if !p.entry.IsZero() {
		gap = cycleEvery
	}
	p.due = h.now.Add(gap)
	h.say(h.frame(p, l))
	p.beeps = 0
}

// lines returns what a partition shows in turn.
func (h *House) lines(p *Partition) []line {
	if h.c.DSC {
		return []line{h.dscLine(p)}
	}
	if p.program {
		return []line{{text: "Installer Code  20", num: "020", zone: true}}
	}
	var out []line
	if p.mode != "" && !p.entry.IsZero() && !p.bell {
		return []line{{text: "DISARM SYSTEM   OR ALARM OCCURS ", num: "008"}}
	}
	if p.bell || p.memory {
		for _, z := range p.Zones {
			word := "ALARM"
			if z.Style == Smoke {
				word = "FIRE"
			}
			if z.alarm {
				out = append(out, line{text: fmt.Sprintf("%s %02d %s", word, z.Number, z.Name), num: fmt.Sprintf("%03d", z.Number), zone: true, fire: z.Style == Smoke && p.bell})
			}
		}
	}
	if p.mode == "" {
		if !p.bell {
			for _, z := range p.Zones {
				if z.open && !z.bypassed && (!h.c.HideFaults || p.shown) && !(z.alarm && p.memory) {
					out = append(out, line{text: fmt.Sprintf("FAULT %02d %s", z.Number, z.Name), num: fmt.Sprintf("%03d", z.Number), zone: true})
				}
			}
			for _, z := range p.Zones {
				if z.check {
					out = append(out, line{text: fmt.Sprintf("CHECK %02d %s", z.Number, z.Name), num: fmt.Sprintf("%03d", z.Number), zone: true, chk: true})
				}
				if z.battery {
					out = append(out, line{text: fmt.Sprintf("LOBAT %02d %s", z.Number, z.Name), num: fmt.Sprintf("%03d", z.Number), zone: true, bat: true})
				}
			}
		}
		if h.battery {
			out = append(out, line{text: "SYSTEM LO BAT", num: "008", bat: true})
		}
		switch {
		case !h.anyOpen(p) && !p.memory:
			out = append(out, line{text: h.ready(p), num: "008"})
		case h.c.HideFaults && !p.shown && !p.memory:
			out = append(out, line{text: "****DISARMED****Hit * for faults", num: "008"})
		case len(out) == 0:
			out = append(out, line{text: "****DISARMED****", num: "008"})
		}
		return out
	}
	if len(out) > 0 {
		return out
	}
	return []line{h.armedLine(p)}
}

// ready is the display of a partition that can be armed.
func (h *House) ready(p *Partition) string {
	switch {
	case h.bypassed(p):
		return "DISARMED BYPASS   Ready to Arm  "
	case p.chime:
		return " DISARMED CHIME   Ready to Arm  "
	}
	return "****DISARMED****  Ready to Arm  "
}

func (h *House) bypassed(p *Partition) bool {
	for _, z := range p.Zones {
		if z.bypassed {
			return true
		}
	}
	return false
}

// armedLine is the display of an armed partition.
func (h *House) armedLine(p *Partition) line {
	title := map[string]string{"away": "ARMED ***AWAY***", "stay": "ARMED ***STAY***", "instant": "ARMED *INSTANT* ", "max": "ARMED *MAXIMUM* ", "night": "ARMED NIGHT-STAY"}[p.mode]
	if p.exitEnds.IsZero() {
		return line{text: title, num: "008"}
	}
	left := int((p.exitEnds.Sub(h.now) + time.Second - 1) / time.Second)
	if p.mode == "away" || p.mode == "max" {
		return line{text: title + "You may exit now", num: fmt.Sprintf("%03d", left), zone: true}
	}
	return line{text: fmt.Sprintf("%sMay Exit Now  %02d", title, min(left, 99)), num: fmt.Sprintf("%03d", left)}
}

// dscLine is the display of a DSC panel.
func (h *House) dscLine(p *Partition) line {
	text := "System Is       Ready To Arm    "
	switch {
	case p.bell:
		text = "System Is       In Alarm        "
	case p.mode != "" && !p.exitEnds.IsZero():
		text = "Exit Delay      In Progress     "
	case p.mode != "" && !p.entry.IsZero():
		text = "Entry In ProgressEnter Your Code"[:32]
	case p.mode == "away":
		text = "System Armed    In Away Mode    "
	case p.mode != "":
		text = "System Armed    In Stay Mode    "
	case h.anyOpen(p):
		text = "Secure System   Before Arming  <>"[:32]
	}
	return line{text: text, num: "000"}
}

// frame builds a message of the bus. Bits and bytes are those of the protocol's
// table; see the comments.
func (h *House) frame(p *Partition, l line) string {
	bit := func(b bool) byte {
		if b {
			return '1'
		}
		return '0'
	}
	armed := p.mode != ""
	away := p.mode == "away" || p.mode == "max"
	instant := p.mode == "instant" || p.mode == "max"
	night := p.mode == "night"
	ready := !armed && !h.anyOpen(p) && !p.memory && !p.program && !l.zone && !h.c.DSC || h.c.DSC && !armed && !h.anyOpen(p)
	lit := h.now.Before(p.lit)
	beeps := p.beeps
	switch {
	case l.chk:
		beeps = 4
	case !p.entry.IsZero():
		beeps = 5
	}
	bypassed := h.bypassed(p)
	bits := []byte{
		bit(ready), bit(away), bit(armed && !away), bit(lit), bit(p.program), byte('0' + beeps), bit(bypassed), bit(!h.acLost), bit(p.chime),
		bit(p.memory), bit(p.bell), bit(l.bat), bit(instant), bit(l.fire), bit(l.chk), bit(night),
	}
	system := byte(3)
	if l.zone {
		system = 0
	}
	kind := byte('A')
	if h.c.DSC {
		kind, system = 'D', 0
	}
	flag := func(b bool, v byte) byte {
		if b {
			return v
		}
		return 0
	}
	mask := make([]byte, 4)
	for _, a := range p.Keypads {
		mask[a/8&3] |= 1 << (a % 8)
	}
	head := byte(0xf7)
	if h.c.DSC {
		head, mask = 0, []byte{1 << p.Number, 0, 0, 0}
	}
	data := []byte{
		head, mask[0], mask[1], mask[2], mask[3],
		0, // the number, below
		byte(beeps&7) | flag(night, 0x10),
		flag(armed && !away, 0x80) | flag(l.bat, 0x40) | flag(p.bell, 0x20) | flag(ready, 0x10) | system<<2 | flag(l.chk, 2) | flag(l.fire, 1),
		flag(instant, 0x80) | flag(p.program, 0x40) | flag(p.chime, 0x20) | flag(bypassed, 0x10) | flag(!h.acLost, 8) | flag(away, 4) | flag(p.memory, 2) | flag(p.bell, 1),
		2, 0, 0, 0, 0, 0,
	}
	var low int
	_, _ = fmt.Sscanf(l.num[1:], "%x", &low) // digits only
	data[5] = byte(low)
	text := l.text + strings.Repeat(" ", max(0, 32-len(l.text)))
	return fmt.Sprintf("[%s%x%c--],%s,[%x],\"%s\"", bits, system, kind, l.num, data, text[:32])
}
