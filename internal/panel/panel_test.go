package panel

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/ad2/emulator"
)

// TestStory arms a house, breaks into it and disarms it, as a person would.
func TestStory(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	if out := l.do(order(ad2.ArmStay, "1234")); out.Said != "armed stay" || out.State.Mode != ad2.ModeStay {
		t.Errorf("%+v", out)
	}
	stage.Do(func(h *emulator.House) { h.Open(2) }) // during the exit delay it is let pass
	stage.Do(func(h *emulator.House) { h.Close(2) })
	l.do(Order{Action: ad2.ArmAway, Code: "4321", Partition: 2, By: "tester"})
	l.do(Order{Action: ad2.Disarm, Code: "4321", Partition: 2, By: "tester"})
	l.do(order(ad2.Disarm, "1234"))
	l.saw(ad2.Armed, 0)
	l.saw(ad2.Disarmed, 0)
	stage.Do(func(h *emulator.House) { h.Open(4) }) // smoke, always watched
	l.saw(ad2.Fire, 4)
	l.saw(ad2.Alarm, 4)
	stage.Do(func(h *emulator.House) { h.Close(4) })
	l.do(order(ad2.Disarm, "1234"))
	l.saw(ad2.Alarm.Over(), 4)
	if out := l.do(order(ad2.Disarm, "1234")); out.State.Memory {
		t.Errorf("the memory is not cleared: %+v", out)
	}
	if out := l.do(order(ad2.Disarm, "1234")); !strings.Contains(out.Said, "no key was pressed") {
		t.Errorf("disarmed twice: %+v", out)
	}
	l.do(order(ad2.ToggleBell, "1234"))
	l.do(Order{Action: ad2.LeaveOut, Zone: 5, Code: "1234", By: "tester"})
	l.saw(ad2.Bypass, 5)
	l.do(order(ad2.PressHelp, ""))
	l.saw(ad2.Panic, 99)
	l.stop()
	for _, n := range l.notes {
		if strings.Contains(n, "1234") || strings.Contains(n, "4321") {
			t.Errorf("a code in a record: %s", n)
		}
	}
}

// TestRefusals are orders that must not reach the panel, or that it does not obey.
func TestRefusals(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	stage.Do(func(h *emulator.House) { h.Open(3) })
	l.saw(ad2.Fault, 3)
	for _, c := range []struct {
		o    Order
		want string
	}{
		{order(ad2.ArmAway, "1234"), "open: Front door (zone 3)"},
		{order(ad2.Disarm, ""), "no key was pressed"},
		{order(ad2.ArmAway, "12"), "a code has four to six digits"},
		{order(ad2.LeaveOut, ""), "needs a code"},
		{Order{Action: ad2.LeaveOut, Zone: 100, Code: "1234", By: "x"}, "1 to 99"},
		{Order{Action: ad2.ArmAway, Partition: 9, By: "x"}, "no such partition"},
		{Order{Action: ad2.ArmAway, Partition: 4, By: "x"}, "has not said"},
		{Order{Settings: "ADDRESS=1", By: "x"}, "ADDRESS has no value"},
		{Order{Settings: "FIRMWARE=1", By: "x"}, "no setting"},
	} {
		out, err := l.panel.Do(context.Background(), c.o)
		text := out.Said
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, c.want) {
			t.Errorf("%s: %q, want %q", c.o, text, c.want)
		}
	}
	stage.Do(func(h *emulator.House) { h.Close(3); h.Deaf(1) })
	l.saw(ad2.Restore, 3)
	out, err := l.panel.Do(context.Background(), order(ad2.ArmAway, "1234"))
	if err != nil || out.Done || !strings.Contains(out.Said, "could not deliver") {
		t.Errorf("undelivered keys: %+v, %v", out, err)
	}
	l.saw(ad2.Undelivered, 0)
}

// TestWrongCode says what the panel shows, and holds the third code back without
// sending it.
func TestWrongCode(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	l.do(order(ad2.ArmStay, "1234"))
	for range 2 {
		out, err := l.panel.Do(context.Background(), order(ad2.Disarm, "9876"))
		if err != nil || out.Done || !strings.Contains(out.Said, "ARMED ***STAY***") {
			t.Fatalf("%+v, %v", out, err)
		}
	}
	if _, err := l.panel.Do(context.Background(), order(ad2.Disarm, "1234")); err == nil || !strings.Contains(err.Error(), "held back") {
		t.Errorf("the third within a minute: %v", err)
	}
	l.until("a record", func() bool {
		for _, n := range l.notes {
			if strings.HasPrefix(n, "held: tester") {
				return true
			}
		}
		return false
	})
	// Somebody else, and the same person from elsewhere, are not held back.
	other := order(ad2.Disarm, "1234")
	other.By = "another"
	l.do(other)
	// A restart does not forget who is held back.
	l.stop()
	again := newLabKeeping(t, device, nil, l.keep)
	again.known(stage)
	again.do(func() Order { o := order(ad2.ArmStay, "1234"); o.By = "another"; return o }())
	if _, err := again.panel.Do(context.Background(), order(ad2.Disarm, "1234")); err == nil || !strings.Contains(err.Error(), "held back") {
		t.Errorf("after a restart: %v", err)
	}
}

// TestKeysWithCodes counts codes that are pressed as plain keys, too.
func TestKeysWithCodes(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	press := func(keys string) error {
		_, err := l.panel.Do(context.Background(), Order{Keys: keys, By: "tester"})
		return err
	}
	if err := press("12349"); err != nil { // the chime: a right code
		t.Fatal(err)
	}
	if press("98761") != nil || press("98762") != nil {
		t.Fatal("a wrong code was not tried")
	}
	if err := press("98763"); err == nil || !strings.Contains(err.Error(), "held back") {
		t.Errorf("the third: %v", err)
	}
	if err := press("*"); err != nil {
		t.Errorf("keys that are no code: %v", err)
	}
}

// TestRestart knows the state again, and tells what changed meanwhile.
func TestRestart(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	stage.Do(func(h *emulator.House) { h.Open(9) }) // an expander's zone: it is not said again
	l.saw(ad2.Fault, 9)
	l.do(Order{Action: ad2.ArmStay, Code: "4321", Partition: 2, By: "tester"})
	l.stop()
	again := newLabKeeping(t, device, nil, l.keep)
	s, err := again.panel.Status(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	open := false
	for _, z := range s.View.Partitions[0].Zones {
		open = open || z.Zone == 9 && z.Open
	}
	if !open || s.View.Partitions[1].Mode != ad2.ModeStay {
		t.Errorf("after a restart: %+v", s.View.Partitions)
	}
	again.stop()
	stage.Do(func(h *emulator.House) { h.Write([]byte("K2043211")) }) // while nobody listens
	third := newLabKeeping(t, device, nil, l.keep)
	third.known(stage)
	third.saw(ad2.Disarmed, 0)
}

// TestReconnect notices a connection that ends within a second, and comes back.
func TestReconnect(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	begun := time.Now()
	stage.Hang()
	l.saw(ad2.Lost, 0)
	if d := time.Since(begun); d > time.Second {
		t.Errorf("noticed after %v", d)
	}
	l.saw(ad2.Lost.Over(), 0)
	wake(stage)
	l.until("no fault", func() bool { return l.faults[PartPanel] == "" })
	l.do(order(ad2.ArmStay, "1234"))
}

// TestNoAdapter says in plain words what is wrong with a device, and goes on
// trying.
func TestNoAdapter(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for device, want := range map[string]string{
		dir:                        "it is a folder",
		file:                       "it is no serial device",
		filepath.Join(dir, "none"): "there is no such device",
		"/dev/null":                "it is no serial device",
		"tcp://127.0.0.1:1":        "connection refused",
	} {
		l := newLab(t, device, nil)
		l.until(device, func() bool { return strings.Contains(l.faults[PartPanel], want) })
		if _, err := l.panel.Do(context.Background(), order(ad2.ArmStay, "1234")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: an order got %v", device, err)
		}
		l.stop()
		if n := l.count(ad2.Lost); n != 1 {
			t.Errorf("%s: %d events", device, n)
		}
	}
}

// TestSettings reads and changes the adapter's configuration.
func TestSettings(t *testing.T) {
	t.Parallel()
	_, device := newStage(t)
	l := newLab(t, device, nil)
	v, s, err := l.panel.Settings(context.Background())
	if err != nil || v == nil || s == nil || v.Firmware != "V2.2a.8.9b-306" || s.Address != 18 || s.LRR {
		t.Fatalf("%+v %+v %v", v, s, err)
	}
	out, err := l.panel.Do(context.Background(), Order{Settings: "ADDRESS=20&LRR=Y&EXP=YNNNN", By: "tester"})
	if err != nil || !out.Done || !strings.Contains(out.Settings, "ADDRESS=20") || !strings.Contains(out.Settings, "EXP=YNNNN") {
		t.Errorf("%+v %v", out, err)
	}
}

// TestFollow hands events and lines to those who follow.
func TestFollow(t *testing.T) {
	t.Parallel()
	stage, device := newStage(t)
	l := newLab(t, device, nil)
	l.known(stage)
	for _, raw := range []bool{false, true} {
		ctx, cancel := context.WithCancel(context.Background())
		enough := errors.New("enough")
		got := make(chan Item, 1)
		ended := make(chan error, 1)
		go func() {
			ended <- l.panel.Follow(ctx, raw, func(it Item) error { got <- it; return enough })
		}()
		if ok, _ := l.panel.await(ctx, 5*time.Second, func() bool { return len(l.panel.follow) == 1 }); !ok {
			// await looks again with each message: wake the panel
			wake(stage)
		}
		stage.Do(func(h *emulator.House) { h.Open(9); h.Close(9) })
		it := <-got
		if raw != (it.Raw != "") || !raw && it.Event == nil {
			t.Errorf("%+v", it)
		}
		if err := <-ended; !errors.Is(err, enough) {
			t.Error(err)
		}
		cancel()
	}
}
