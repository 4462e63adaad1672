package emulate

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/ad2/emulator"
)

// Words lists what Say understands.
const Words = "open ZONE, close ZONE, key KEYS, mains on|off, battery low|good, check ZONE on|off, lobat ZONE on|off, " +
	"supervise, panic PARTITION, mute on|off, deaf N, boot, hang, noise, wait DURATION, quit"

// ErrQuit is what Say returns for quit.
var ErrQuit = fmt.Errorf("quit")

// Say does to the house what words say. Unknown ones are an error that lists all.
func (s *Stage) Say(line string) error {
	f := strings.Fields(line)
	if len(f) == 0 || strings.HasPrefix(f[0], "#") {
		return nil
	}
	arg := func(i int) string {
		if i < len(f) {
			return f[i]
		}
		return ""
	}
	n, _ := strconv.Atoi(arg(1)) // 0 is no zone and does nothing
	on := map[string]bool{"on": true, "low": true, "off": false, "good": false}
	var do func(h *emulator.House)
	switch f[0] {
	case "open":
		do = func(h *emulator.House) { h.Open(n) }
	case "close":
		do = func(h *emulator.House) { h.Close(n) }
	case "key", "keys":
		do = func(h *emulator.House) { s.say(h.Write([]byte(arg(1)))) }
	case "mains":
		do = func(h *emulator.House) { h.AC(arg(1) == "off") }
	case "battery":
		do = func(h *emulator.House) { h.Battery(on[arg(1)]) }
	case "check":
		do = func(h *emulator.House) { h.Check(n, on[arg(2)]) }
	case "lobat":
		do = func(h *emulator.House) { h.SensorBattery(n, on[arg(2)]) }
	case "supervise":
		do = func(h *emulator.House) { h.Supervise() }
	case "panic":
		do = func(h *emulator.House) { h.Help(max(n, 1)) }
	case "mute":
		do = func(h *emulator.House) { h.Mute(on[arg(1)]) }
	case "deaf":
		do = func(h *emulator.House) { h.Deaf(max(n, 1)) }
	case "boot":
		do = func(h *emulator.House) { s.say(h.Boot()) }
	case "hang":
		s.Hang()
		return nil
	case "noise":
		s.Raw([]byte("\x81\x9f[10000!!\xff\x00zz\r\n"))
		return nil
	case "wait":
		d, err := time.ParseDuration(arg(1))
		if err != nil {
			return fmt.Errorf("wait needs a duration, such as 2s")
		}
		t := time.NewTimer(d)
		defer t.Stop()
		select {
		case <-t.C:
		case <-s.ended:
		}
		return nil
	case "quit":
		return ErrQuit
	default:
		return fmt.Errorf("there is no %q; there are: %s", f[0], Words)
	}
	if !s.Do(do) {
		return ErrQuit
	}
	return nil
}
