package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// What the house of the show is.
const (
	housePort  = "127.0.0.1:10000" // of the emulated panel, on the gate
	houseSpeed = "20"              // its clock: an exit delay of a minute takes three seconds
	houseCode  = "1234"
	houseLimit = 20 * time.Second // for one thing to happen
	window     = "2"              // the zone that is broken into
)

// houseSettings is the part of the daemon's configuration that is about the house;
// %s are the panel's address and the show's folder.
const houseSettings = `panel:
  device: "tcp://%s"
  zones: [{zone: 2, name: Kitchen window, type: window}]
notify:
  channels: [{name: phone, syslog: "unix://%s/phone", wait: 1s}]
  routes:
    - {kinds: [panel.alarm], to: [phone]}
    - {to: []}
`

// house is the alarm panel behind the gate, and its owner's phone.
type house struct {
	in      io.WriteCloser // commands to the emulated panel
	phone   *net.UnixConn
	records chan gate.Record // of the panel; holds a whole scene, more are dropped
	code    string           // file
	told    time.Duration    // from the break-in to the phone
	played  bool
}

// buildHouse starts the emulated panel on the gate, and the phone.
func buildHouse(c *netlab.Crew, h *netlab.Host, program, dir string) (*house, error) {
	hs := &house{records: make(chan gate.Record, 64), code: filepath.Join(dir, "code")}
	if err := os.WriteFile(hs.code, []byte(houseCode+"\n"), 0o600); err != nil {
		return nil, err
	}
	phone, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(dir, "phone"), Net: "unixgram"})
	if err != nil {
		return nil, fmt.Errorf("make the phone: %w", err)
	}
	hs.phone = phone
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	hs.in = w
	cmd := h.Command(program, "--config", filepath.Join(dir, "gatehouse.yaml"), "panel", "emulate", "--listen", housePort, "--speed", houseSpeed)
	cmd.Stdin = r
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the emulated panel: %w", err)
	}
	c.Cleanup(func() {
		phone.Close()
		w.Close()
		cmd.Process.Kill() // it may have ended
		cmd.Wait()
	})
	return hs, nil
}

// saw takes a record of the panel.
func (h *house) saw(r gate.Record) {
	select {
	case h.records <- r:
	default:
	}
}

// await waits for a kind of record.
func (h *house) await(ctx context.Context, kind string) (gate.Record, error) {
	for {
		select {
		case r := <-h.records:
			if r.Kind() == "panel."+kind {
				return r, nil
			}
		case <-ctx.Done():
			return gate.Record{}, fmt.Errorf("the guard recorded no panel.%s within %s", kind, houseLimit)
		}
	}
}

// atHome plays the scene at the house: armed, broken into, told, disarmed.
func (s *show) atHome(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, houseLimit)
	defer cancel()
	h := s.house
	s.heading("Meanwhile, at the house: an alarm panel (emulated) behind the same guard")
	s.event("owner", green, "leaves: gatehouse panel arm away")
	if err := s.guard.panel(ctx, "arm", "away", "--code-file", h.code); err != nil {
		return err
	}
	r, err := h.await(ctx, "arm")
	if err != nil {
		return err
	}
	s.event("gatehouse", blue, r.Why)
	if err := s.guard.left(ctx); err != nil {
		return err
	}
	s.rest(ctx, breath)
	begin := time.Now()
	s.event("burglar", red, "opens the kitchen window")
	if _, err := io.WriteString(h.in, "open "+window+"\n"); err != nil {
		return err
	}
	if r, err = h.await(ctx, "alarm"); err != nil {
		return err
	}
	s.event("siren", red, s.paint(bold, "sounds")+" · "+r.Why)
	if deadline, ok := ctx.Deadline(); ok {
		_ = h.phone.SetReadDeadline(deadline) // a socket of ours: cannot fail
	}
	buf := make([]byte, 2048)
	n, err := h.phone.Read(buf)
	if err != nil {
		return fmt.Errorf("no message reached the phone: %w", err)
	}
	h.told = time.Since(begin)
	if !strings.Contains(string(buf[:n]), "Kitchen window") {
		return fmt.Errorf("the message does not say where: %q", buf[:n])
	}
	s.event("phone", blue, fmt.Sprintf("has the message, %s after the window", short(h.told)))
	s.rest(ctx, breath)
	if _, err := io.WriteString(h.in, "close "+window+"\n"); err != nil {
		return err
	}
	s.event("owner", green, "is back: gatehouse panel disarm")
	if err := s.guard.panel(ctx, "disarm", "--code-file", h.code); err != nil {
		return err
	}
	if r, err = h.await(ctx, "disarm"); err != nil {
		return err
	}
	s.event("gatehouse", blue, r.Why)
	h.played = true
	return nil
}

// panel runs a command of the panel.
func (d *daemon) panel(ctx context.Context, args ...string) error {
	if _, err := d.ask(ctx, append([]string{"panel"}, args...)...).Output(); err != nil {
		return fmt.Errorf("gatehouse panel %s: %w", args[0], withStderr(err))
	}
	return nil
}

// left waits until the exit delay is over.
func (d *daemon) left(ctx context.Context) error {
	for ctx.Err() == nil {
		b, err := d.ask(ctx, "--json", "panel", "status").Output()
		if err != nil {
			return fmt.Errorf("gatehouse panel status: %w", withStderr(err))
		}
		var st struct {
			Panel struct {
				Partitions []struct {
					Exit bool `json:"exit"`
				} `json:"partitions"`
			} `json:"panel"`
		}
		if err := json.Unmarshal(b, &st); err != nil {
			return fmt.Errorf("gatehouse panel status: %w", err)
		}
		if len(st.Panel.Partitions) > 0 && !st.Panel.Partitions[0].Exit {
			return nil
		}
		pause(ctx, 200*time.Millisecond)
	}
	return errors.New("the exit delay does not end")
}
