package emulator

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxPending bounds a command that does not end, in bytes.
const maxPending = 256

// Write takes bytes from the host: keys and commands of the adapter, whole or in
// part. It returns what the house says to them.
func (h *House) Write(b []byte) []byte {
	if h.booting.After(h.now) {
		return nil
	}
	keys, address := 0, -1
	for _, c := range b {
		if len(h.pending) > 0 {
			h.command(c, &address)
			continue
		}
		switch {
		case strings.IndexByte("VCLKAE", c) >= 0:
			h.pending = append(h.pending, c)
		case c == '=':
			h.boot()
			return h.take()
		case c == '!':
			h.say("!>")
		case c >= '0' && c <= '9' || c == '*' || c == '#' || c >= 1 && c <= 8:
			if keys++; keys == 1 && h.deaf > 0 {
				h.deaf--
				h.say("!Sending.....done")
				return h.take()
			} else if keys == 1 {
				h.say("!Sending.done")
			}
			h.key(h.keypad(address), c)
		}
	}
	return h.take()
}

// command takes a byte of a command; K and its address apply to the keys behind.
func (h *House) command(c byte, address *int) {
	h.pending = append(h.pending, c)
	if h.pending[0] == 'K' {
		if len(h.pending) == 3 {
			if n, err := strconv.Atoi(string(h.pending[1:])); err == nil {
				*address = n
			}
			h.pending = h.pending[:0]
		}
		return
	}
	if c != '\r' && c != '\n' && len(h.pending) < maxPending {
		return
	}
	line := strings.TrimRight(string(h.pending), "\r\n")
	h.pending = h.pending[:0]
	switch {
	case line == "V":
		h.say("!VER:" + h.c.Firmware)
	case line == "E":
		h.say("!ERR:0,0,0")
	case line == "C":
		h.say("!CONFIG>" + h.config())
	case line != "" && line[0] == 'C':
		for pair := range strings.SplitSeq(line[1:], "&") {
			if key, value, ok := strings.Cut(pair, "="); ok && h.settings[key] != "" && len(value) <= 16 {
				h.settings[key] = value
				h.say("!>" + pair)
			}
		}
		if n, err := strconv.Atoi(h.settings["ADDRESS"]); err == nil {
			h.address = n
		}
		h.say("!CONFIG>" + h.config())
	case len(line) == 4 && line[0] == 'L':
		n, _ := strconv.Atoi(line[1:3])
		h.move(n, line[3] == '1')
	}
}

func (h *House) config() string {
	var pairs []string
	for _, k := range []string{"MODE", "CONFIGBITS", "ADDRESS", "LRR", "COM", "EXP", "REL", "MASK", "DEDUPLICATE"} {
		pairs = append(pairs, k+"="+h.settings[k])
	}
	return strings.Join(pairs, "&")
}

// boot restarts the adapter.
func (h *House) boot() {
	h.say("!boot.....done")
	h.booting = h.now.Add(bootFor)
	h.serials = append(h.serials, pendingLine{h.booting, "!Ready"})
}

// Boot restarts the adapter, as when its power failed for a moment.
func (h *House) Boot() []byte {
	h.boot()
	return h.take()
}

// keypad returns the partition of a keypad; -1 is the adapter's own.
func (h *House) keypad(address int) *Partition {
	if address < 0 {
		address = h.address
	}
	for _, p := range h.parts {
		if h.c.DSC && address/10 == p.Number || !h.c.DSC && slices.Contains(p.Keypads, address) {
			return p
		}
	}
	return h.parts[0]
}

// key takes one key.
func (h *House) key(p *Partition, c byte) {
	if h.now.Before(p.locked) {
		return
	}
	if h.now.Sub(p.keyed) > keyWithin {
		p.keys = ""
	}
	p.keyed = h.now
	p.lit = h.now.Add(litFor)
	p.keys += string(rune(c))
	if len(p.keys) > 12 {
		p.keys = p.keys[len(p.keys)-12:]
	}
	if c <= 8 {
		if strings.HasSuffix(p.keys, strings.Repeat(string(rune(c)), 3)) {
			p.keys = ""
			h.function(p, int(c))
		}
		return
	}
	if h.c.DSC {
		h.dscKeys(p)
		return
	}
	h.sequence(p)
}

// function is a function key.
func (h *House) function(p *Partition, n int) {
	if !h.c.DSC || n <= 3 {
		switch n {
		case 1:
			p.fire = true
			h.report(95, p, "CID_1110")
		case 2:
			h.report(99, p, "CID_1123")
		case 3:
			h.report(96, p, "CID_1100")
		}
		return
	}
	switch n {
	case 4:
		h.arm(p, "stay", 0)
	case 5:
		h.arm(p, "away", 0)
	case 6:
		p.chime = !p.chime
		h.changed(p)
	}
}

// user returns whose code is at the start of keys, 0 = nobody's.
func (h *House) user(keys string) int {
	if len(keys) < 4 {
		return 0
	}
	return h.c.Codes[keys[:4]]
}

// sequence looks whether the keys make a command of an Ademco panel.
func (h *House) sequence(p *Partition) {
	k := p.keys
	switch {
	case k == "*":
		p.keys, p.shown = "", true
		h.changed(p)
		return
	case p.program:
		if k == "*99" || strings.HasSuffix(k, "*99") {
			p.keys, p.program = "", false
			h.changed(p)
		}
		return
	case k[0] == '#' && len(k) == 2:
		p.keys = ""
		h.command1(p, k[1:], 0)
		return
	case k[0] == '#':
		return
	case len(k) < 5:
		return
	}
	user := h.user(k)
	if user == 0 {
		p.keys = ""
		h.wrongCode(p)
		return
	}
	rest := k[4:]
	if rest[0] == '8' { // 800: programming
		if len(rest) == 3 {
			p.keys = ""
			if rest == "800" {
				p.program = true
				h.changed(p)
			}
		}
		return
	}
	if rest[0] == '6' {
		if rest == "6#" {
			p.keys = ""
			for i := range p.Zones {
				if p.Zones[i].open {
					h.bypass(p, &p.Zones[i])
				}
			}
			return
		}
		if len(rest) == 3 {
			p.keys = ""
			if n, err := strconv.Atoi(rest[1:]); err == nil {
				if q, z := h.find(n); q == p {
					h.bypass(p, z)
				}
			}
		}
		return
	}
	if rest == "3" { // 33 is night-stay: decided when the next key or its time comes
		p.keys = k[:4] + "3"
		h.command1(p, "3", user)
		return
	}
	if len(rest) == 2 && rest[0] == '3' {
		p.keys = ""
		switch {
		case rest[1] != '3': // the beginning of something else
			p.keys = rest[1:]
			h.sequence(p)
		case p.mode == "stay":
			p.mode = "night"
			h.changed(p)
		}
		return
	}
	p.keys = ""
	h.command1(p, rest[:1], user)
}

// wrongCode answers a code that nobody has.
func (h *House) wrongCode(p *Partition) {
	p.beeps = 2
	p.wrong = append(slices.DeleteFunc(p.wrong, func(t time.Time) bool { return h.now.Sub(t) > time.Minute }), h.now)
	if len(p.wrong) >= lockAfter {
		p.locked, p.wrong = h.now.Add(lockFor), nil
	}
	h.changed(p)
}

// command1 is a digit behind a code, or behind # (user 0).
func (h *House) command1(p *Partition, digit string, user int) {
	switch digit {
	case "1":
		if user > 0 {
			h.disarm(p, user)
		}
	case "2":
		h.arm(p, "away", user)
	case "3":
		h.arm(p, "stay", user)
	case "4":
		h.arm(p, "max", user)
	case "7":
		h.arm(p, "instant", user)
	case "9":
		p.chime = !p.chime
		h.changed(p)
	}
}

// arm arms a partition that is ready.
func (h *House) arm(p *Partition, mode string, user int) {
	if h.anyOpen(p) || p.memory || p.mode != "" {
		p.beeps = 2
		h.changed(p)
		return
	}
	p.mode, p.by, p.exitEnds, p.beeps = mode, user, h.now.Add(p.Exit), 3
	if mode == "instant" || mode == "max" {
		p.exitEnds = h.now.Add(p.Exit)
	}
	p.shown, p.turn = false, 0
	h.changed(p)
}

// disarm disarms; the second time it clears the memory of an alarm.
func (h *House) disarm(p *Partition, user int) {
	was, bell := p.mode, p.bell
	p.mode, p.exitEnds, p.entry, p.bell, p.fire, p.panicky = "", time.Time{}, time.Time{}, false, false, false
	p.shown, p.turn, p.beeps = false, 0, 1
	if was == "" && !bell {
		var cleared []int
		for i := range p.Zones {
			z := &p.Zones[i]
			if z.alarm {
				cleared = append(cleared, z.Number)
			}
			z.alarm, z.bypassed = false, false
		}
		p.memory = false
		h.changed(p)
		for _, n := range cleared {
			h.report(n, p, "CID_3134")
		}
		return
	}
	if was != "" {
		for i := range p.Zones {
			p.Zones[i].bypassed = false
		}
	}
	h.changed(p)
	if bell {
		h.report(user, p, "CID_1406")
	}
	if was != "" {
		h.report(user, p, "CID_1401")
	}
}

// bypass leaves a zone out.
func (h *House) bypass(p *Partition, z *Zone) {
	z.bypassed = true
	p.lit = h.now.Add(litFor)
	h.say(h.frame(p, line{text: fmt.Sprintf("BYPAS %02d %s", z.Number, z.Name), num: fmt.Sprintf("%03d", z.Number), zone: true}))
	h.report(z.Number, p, "CID_1570")
	p.due = h.now.Add(cycleEvery)
}

// dscKeys takes keys of a DSC: a code arms or disarms, *1zz# bypasses.
func (h *House) dscKeys(p *Partition) {
	k := p.keys
	switch {
	case strings.HasPrefix(k, "*1"):
		if len(k) == 5 {
			if n, err := strconv.Atoi(k[2:4]); err == nil && k[4] == '#' {
				if q, z := h.find(n); q == p {
					z.bypassed = !z.bypassed
					h.changed(p)
				}
			}
			p.keys = ""
		}
	case strings.HasPrefix(k, "*9"):
		if len(k) == 6 {
			p.keys = ""
			if user := h.user(k[2:]); user > 0 {
				h.arm(p, "stay", user)
			} else {
				h.wrongCode(p)
			}
		}
	case len(k) == 4:
		p.keys = ""
		user := h.user(k)
		switch {
		case user == 0:
			h.wrongCode(p)
		case p.mode != "" || p.bell:
			h.disarm(p, user)
			p.memory = false
			for i := range p.Zones {
				p.Zones[i].alarm = false
			}
			h.changed(p)
		default:
			h.arm(p, "away", user)
		}
	}
}
