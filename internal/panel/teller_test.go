package panel

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ad2"
)

// TestDelay tells an open zone later, or not at all where it closes before.
func TestDelay(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		delay    time.Duration
		suppress bool
		happens  string // seconds, kind, zone
		want     string
	}{
		{0, false, "0 fault 3, 5 restore 3", "0 fault 3, 5 restore 3"},
		{10 * time.Second, false, "0 fault 3, 5 restore 3", "5 fault 3, 5 restore 3"},
		{10 * time.Second, true, "0 fault 3, 5 restore 3", ""},
		{10 * time.Second, true, "0 fault 3, 15 restore 3", "10 fault 3, 15 restore 3"},
		{10 * time.Second, true, "0 fault 3, 1 fault 4, 5 restore 3, 20 restore 4", "11 fault 4, 20 restore 4"},
		{10 * time.Second, true, "0 fault 3, 2 alarm 3, 3 restore 3", "2 alarm 3"}, // alarms never wait
		{10 * time.Second, true, "0 restore 3", "0 restore 3"},
		{0, false, "0 ready 0, 1 chime 0, 2 exit 0, 3 entry 0, 4 arm 0", "4 arm 0"},
	} {
		now := noon
		var got []string
		tl := newTeller(Config{Delay: c.delay, Suppress: c.suppress}, func(e ad2.Event) {
			got = append(got, fmt.Sprintf("%d %s %d", int(now.Sub(noon).Seconds()), e.Kind, e.Zone))
		})
		for _, h := range strings.Split(c.happens, ", ") {
			var at, zone int
			var kind string
			if _, err := fmt.Sscan(h, &at, &kind, &zone); err != nil {
				t.Fatal(err)
			}
			to := noon.Add(time.Duration(at) * time.Second)
			for next := tl.next(); !next.IsZero() && !next.After(to); next = tl.next() {
				now = next
				tl.advance(now)
			}
			now = to
			tl.take(ad2.Event{Time: now, Kind: ad2.Kind(kind), Partition: 1, Zone: zone})
		}
		if text := strings.Join(got, ", "); text != c.want {
			t.Errorf("%v %v %q: %q, want %q", c.delay, c.suppress, c.happens, text, c.want)
		}
	}
}

// TestThinning: a sensor that is broken does not fill the ledger, and alarms get
// through all the same.
func TestThinning(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	told := map[ad2.Kind]int{}
	tl := newTeller(Config{}, func(e ad2.Event) { told[e.Kind]++ })
	for i := range 24 * 3600 {
		kind := ad2.Fault
		if i%2 == 1 {
			kind = ad2.Restore
		}
		tl.take(ad2.Event{Time: now, Kind: kind, Partition: 1, Zone: 3})
		now = now.Add(time.Second)
	}
	tl.take(ad2.Event{Time: now, Kind: ad2.Alarm, Partition: 1, Zone: 3})
	if n := told[ad2.Fault] + told[ad2.Restore]; n < 10_000 || n > 16_000 || told[ad2.Alarm] != 1 || told[ad2.Trouble] == 0 {
		t.Errorf("%v", told)
	}
}

// TestLimits holds back by user and source, for longer each time.
func TestLimits(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	l := newLimits(&memory{})
	try := func(id string, at time.Duration) error { return l.allow(id, now.Add(at)) }
	wrong := func(id string, at time.Duration) time.Duration { return l.wrong(id, now.Add(at)) }
	if held := wrong("a", 0); held != 0 || try("a", time.Second) != nil {
		t.Error("after one wrong code", held)
	}
	if held := wrong("a", 10*time.Second); held != time.Minute || try("a", 11*time.Second) == nil || try("b", 11*time.Second) != nil {
		t.Error("after two", held)
	}
	if try("a", 71*time.Second) != nil {
		t.Error("the hold does not end")
	}
	if held := wrong("a", 72*time.Second); held != 2*time.Minute {
		t.Error("the next hold", held)
	}
	l.right("a")
	if try("a", 73*time.Second) != nil {
		t.Error("a right code is not forgiven")
	}
	if held := wrong("c", 0); held != 0 || wrong("c", 2*time.Minute) != 0 {
		t.Error("two wrong codes far apart are held back")
	}
	for i := range 20 {
		wrong(fmt.Sprint("many", i), 3*time.Minute)
	}
	if try("nobody", 3*time.Minute) == nil || try("nobody", 14*time.Minute) != nil {
		t.Error("all together are not limited")
	}
	for i := range maxAskers + 50 {
		wrong(fmt.Sprint("flood", i), time.Hour)
	}
	if len(l.askers) > maxAskers {
		t.Error("it grows")
	}
}

// TestCandidates finds the adapter among the serial devices, each once, those that
// name themselves first.
func TestCandidates(t *testing.T) {
	dev := t.TempDir()
	byID := filepath.Join(dev, "serial", "by-id")
	if err := os.MkdirAll(byID, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ttyUSB0", "ttyUSB1", "ttyUSB2", "ttyACM0", "ttyS0"} {
		if err := os.WriteFile(filepath.Join(dev, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"usb-FTDI_FT232R-if00": "ttyUSB0", "usb-NuTech_AlarmDecoder_AD2USB-if00": "ttyUSB2", "usb-Modem-if00": "ttyACM0", "gone": "ttyUSB9"} {
		if err := os.Symlink(filepath.Join(dev, to), filepath.Join(byID, link)); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, p := range candidates(dev) {
		got = append(got, filepath.Base(p))
	}
	if want := []string{"usb-NuTech_AlarmDecoder_AD2USB-if00", "usb-FTDI_FT232R-if00", "ttyUSB1", "ttyACM0"}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if n := len(places(Config{Device: "/dev/x"})); n != len(rates) {
		t.Errorf("%d places of a device without a speed", n)
	}
	if n := len(places(Config{Device: "/dev/x", Baud: 19200})); n != 1 {
		t.Errorf("%d places of a device with one", n)
	}
}

// TestNoise says that a wrong speed is one.
func TestNoise(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		for range 50 {
			fmt.Fprint(conn, "\x81\x9f\x03[\x7f\xffzz\r\n")
		}
		fmt.Fprint(conn, strings.Repeat("y", 5000))
	}()
	l := newLab(t, "tcp://"+ln.Addr().String(), nil)
	l.until("noise", func() bool { return strings.Contains(l.faults[PartPanel], "only noise comes from") })
}

// TestDSC arms and disarms a DSC panel.
func TestDSC(t *testing.T) {
	t.Parallel()
	stage, device := newStageOf(t, true)
	l := newLab(t, device, func(c *Config) { c.Panel, c.Addresses = ad2.Config{}, nil })
	l.known(stage)
	l.do(order(ad2.ArmAway, "1234"))
	l.do(order(ad2.Disarm, "1234"))
	if out := l.do(order(ad2.Disarm, "1234")); !strings.Contains(out.Said, "no key was pressed") { // the code would arm it
		t.Errorf("%+v", out)
	}
	l.do(Order{Action: ad2.ArmStay, Partition: 2, By: "tester"})
	l.do(Order{Action: ad2.Disarm, Code: "4321", Partition: 2, By: "tester"})
}
