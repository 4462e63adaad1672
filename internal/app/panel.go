package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/panel"
)

// keepPanel names this part, and the namespace of what it keeps.
const keepPanel = "panel"

// guarding is the running connection to the alarm panel, which a reload replaces
// whole when its section has changed.
type guarding struct {
	panel  *panel.Panel
	config config.Panel
	crew   *crew
	cancel context.CancelFunc
}

// startPanel connects to the alarm panel, if there is one.
func (d *daemon) startPanel(ctx context.Context, p *plan) {
	c := p.config.Panel
	for _, part := range []string{panel.PartPanel, panel.PartServer} {
		d.faults.report(part, "", "")
	}
	if c.Device == "" {
		return
	}
	ctx, cancel := context.WithCancel(ctx)
	made, err := panel.New(panelConfig(c), panel.Deps{
		Log: d.log, Keep: d.ledger.Keep(keepPanel), Fault: d.faults.report,
		Tell: func(e ad2.Event) { d.tellPanel(e) },
		Note: func(kind, sentence string, partition int) {
			d.tell(context.WithoutCancel(ctx), keepPanel, kind, gate.PartitionSubject(partition), sentence)
		},
	})
	if err != nil {
		cancel()
		hint := ""
		if e, ok := errors.AsType[*panel.Error](err); ok {
			hint = e.Hint
		}
		d.faults.report(panel.PartPanel, "it is off: "+err.Error(), hint+"; then: gatehouse reload")
		return
	}
	g := &guarding{panel: made, config: c, crew: newCrew(d.log, d.faults), cancel: cancel}
	g.crew.start(ctx, task{panel.PartPanel, made.Run})
	d.mu.Lock()
	d.guarding = g
	d.mu.Unlock()
}

// stopPanel ends the connection; what is known of the panel is kept.
func (d *daemon) stopPanel() {
	d.mu.Lock()
	g := d.guarding
	d.guarding = nil
	d.mu.Unlock()
	if g != nil {
		g.cancel()
		g.crew.wait()
	}
}

// reloadPanel connects anew where the section has changed: a connection that
// stays loses no event.
func (d *daemon) reloadPanel(p *plan) {
	d.mu.Lock()
	g := d.guarding
	d.mu.Unlock()
	if g != nil && samePanel(g.config, p.config.Panel) {
		return
	}
	d.stopPanel()
	d.startPanel(d.running, p)
}

// samePanel reports whether two sections say the same.
func samePanel(a, b config.Panel) bool {
	return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) // no secret is in it, only where one is
}

// tellPanel takes an event of the panel into the line.
func (d *daemon) tellPanel(e ad2.Event) {
	sentence := e.Sentence()
	ev := gate.Event{
		Time: e.Time, Origin: gate.Origin{Source: keepPanel, Epoch: d.spine.epoch, Offset: time.Now().UnixNano()}, Rule: keepPanel,
		Pattern: string(e.Kind), Subject: e.Subject(), Class: gate.ClassTell, Evidence: gate.Proven, Line: sentence[:min(len(sentence), gate.MaxLine)],
	}
	// Not with the context of the panel: what happened while it was stopped counts.
	if err := d.spine.Emit(context.Background(), gate.Batch{Source: keepPanel, Events: []gate.Event{ev}, Live: true}); err != nil && !errors.Is(err, errStopping) {
		d.log.Error("record what happened at the alarm panel", "err", err)
	}
}

// panelConfig maps the section of the configuration to the part's own.
func panelConfig(c config.Panel) panel.Config {
	out := panel.Config{
		Device: c.Device, Baud: c.Baud, CA: c.CA, Cert: c.Cert, Key: c.Key,
		Panel:     ad2.Config{Silence: c.Silence, EntryDelay: c.EntryDelay},
		Addresses: map[int]int{}, Delay: c.FaultDelay, Suppress: c.Suppress, Quiet: map[ad2.Kind]bool{},
		Server: panel.Server{
			Listen: c.Server.Listen, AllowFrom: c.Server.AllowFrom, Cert: c.Server.Cert, Key: c.Server.Key, ClientCA: c.Server.ClientCA,
			Revoked: c.Server.Revoked, Keys: c.Server.Keys, Functions: c.Server.Functions, Configure: c.Server.Configure,
		},
	}
	for _, k := range c.Quiet {
		kind := ad2.Kind(k)
		out.Quiet[kind] = true
		if kind != ad2.Fault { // that a zone closes has a name of its own
			out.Quiet[kind.Over()] = true
		}
	}
	for _, v := range c.Partitions {
		out.Panel.Partitions = append(out.Panel.Partitions, ad2.PartitionConfig{Number: v.Partition, Name: v.Name, Keypads: v.Keypads})
		if v.Address > 0 {
			out.Addresses[v.Partition] = v.Address
		}
	}
	for _, v := range c.Zones {
		z := ad2.ZoneConfig{Partition: v.Partition, Zone: v.Zone, Name: v.Name, Type: v.Type, Serial: v.Serial, Loop: v.Loop}
		if module, channel, ok := config.ParseRelay(v.Relay); ok {
			z.Relay = [2]int{module, channel}
		}
		out.Panel.Zones = append(out.Panel.Zones, z)
	}
	return out
}

// atPanel returns the running connection; an error where there is none.
func (d *daemon) atPanel() (*guarding, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.guarding == nil {
		return nil, &api.Error{Status: http.StatusConflict, Message: "no alarm panel is configured", Hint: "add panel: {device: auto} to the configuration; docs/panel.md tells more"}
	}
	return d.guarding, nil
}

// panelDesk is what the API can ask about the panel.
func (d *daemon) panelDesk() api.PanelDesk {
	return api.PanelDesk{State: d.panelState, Order: d.panelOrder, Settings: d.panelSettings, Follow: d.panelFollow}
}

// panelWords says how the panel is, for the status; "" where there is none.
func (d *daemon) panelWords() string {
	g, err := d.atPanel()
	if err != nil {
		return ""
	}
	ctx, cancel := context.WithTimeout(context.Background(), shortly)
	defer cancel()
	s, err := g.panel.Status(ctx)
	switch {
	case err != nil:
		return "starting"
	case !s.Up:
		return "not connected: " + s.Why
	case s.View.Heard == nil:
		return "connected by " + s.Place + ", not heard yet"
	}
	words := []string{"connected by " + s.Place}
	for _, p := range s.View.Partitions {
		state := p.Mode.String()
		switch {
		case p.Fire:
			state += ", FIRE"
		case p.Alarm:
			state += ", ALARM"
		case p.Panic:
			state += ", CALL FOR HELP"
		}
		words = append(words, fmt.Sprintf("partition %d %s", p.Partition, state))
	}
	return strings.Join(words, "; ")
}

// panelState is how the panel is.
func (d *daemon) panelState(ctx context.Context) (api.PanelState, error) {
	g, err := d.atPanel()
	if err != nil {
		return api.PanelState{Panel: ad2.New(ad2.Config{}).View(time.Now())}, nil
	}
	s, err := g.panel.Status(ctx)
	if err != nil {
		return api.PanelState{}, err
	}
	out := api.PanelState{
		Configured: true, Connected: s.Up, Device: s.Place, Since: api.TimeOf(s.Since), Why: s.Why, Hint: s.Hint,
		Messages: s.Valid, Invalid: s.Invalid, Listen: s.Listen, Clients: s.Clients, Panel: s.View,
	}
	return out, nil
}

// panelOrder carries an order out.
func (d *daemon) panelOrder(ctx context.Context, o api.PanelOrder, by, from string) (api.PanelOutcome, error) {
	g, err := d.atPanel()
	if err != nil {
		return api.PanelOutcome{}, err
	}
	order := panel.Order{Action: ad2.Action(o.Action), Partition: o.Partition, Zone: o.Zone, Code: o.Code, By: by, From: from}
	switch o.Action {
	case "keys":
		order.Action = ""
		if order.Keys, err = ad2.ParseKeys(o.Keys); err != nil {
			return api.PanelOutcome{}, &api.Error{Status: http.StatusUnprocessableEntity, Message: err.Error(), Hint: "keys are 0 to 9, *, # and <S1> to <S8>"}
		}
	case "settings":
		order.Action, order.Settings = "", o.Settings
		if err := panel.CheckSettings(o.Settings); err != nil {
			return api.PanelOutcome{}, &api.Error{Status: http.StatusUnprocessableEntity, Message: err.Error(), Hint: "gatehouse panel config shows the present ones"}
		}
	default:
		if order.Code == "" {
			if order.Code, err = d.panelCode(g.config.Code); err != nil {
				return api.PanelOutcome{}, err
			}
		}
		if err := ad2.CheckCode(order.Code); err != nil {
			return api.PanelOutcome{}, &api.Error{Status: http.StatusUnprocessableEntity, Message: err.Error(), Hint: "it is the one that is keyed in at a keypad"}
		}
	}
	out, err := g.panel.Do(ctx, order)
	if err != nil {
		return api.PanelOutcome{}, panelError(err)
	}
	state := out.State
	answer := api.PanelOutcome{Done: out.Done, Said: out.Said, Hint: out.Hint, Display: out.Display, Settings: out.Settings}
	if order.Settings == "" {
		answer.Partition = &state
	}
	return answer, nil
}

// panelError gives an error of the panel the form of the API.
func panelError(err error) error {
	if e, ok := errors.AsType[*panel.Error](err); ok {
		return &api.Error{Status: http.StatusConflict, Message: e.What, Hint: e.Hint}
	}
	return err
}

// panelCode reads the configured code, "" where none is. It is read for each
// command and kept nowhere.
func (d *daemon) panelCode(s config.Secret) (string, error) {
	if s == (config.Secret{}) {
		return "", nil
	}
	code, err := secret(s).Read(d.o.Getenv)
	if err != nil {
		return "", &api.Error{Status: http.StatusConflict, Message: "the code of the panel cannot be read: " + err.Error(), Hint: "check code: in panel:, and that the daemon may read it"}
	}
	return code, nil
}

// panelSettings asks the adapter.
func (d *daemon) panelSettings(ctx context.Context) (api.PanelSettings, error) {
	g, err := d.atPanel()
	if err != nil {
		return api.PanelSettings{}, err
	}
	v, s, err := g.panel.Settings(ctx)
	if err != nil {
		return api.PanelSettings{}, panelError(err)
	}
	if s == nil {
		return api.PanelSettings{}, &api.Error{Message: "the adapter does not answer", Hint: "gatehouse panel status says how the connection is"}
	}
	out := api.PanelSettings{
		Mode: "ademco", Address: s.Address, Mask: fmt.Sprintf("%08x", s.Mask), Bits: fmt.Sprintf("%04x", s.Bits), Zones: s.Zones[:], Relays: s.Relays[:],
		LRR: s.LRR, Deduplicate: s.Deduplicate, Line: s.String(),
	}
	if s.DSC {
		out.Mode = "dsc"
	}
	if v != nil {
		out.Firmware, out.Serial, out.Flags = v.Firmware, v.Serial, v.Flags
	}
	return out, nil
}

// panelFollow hands on what happens.
func (d *daemon) panelFollow(ctx context.Context, raw bool, yield func(api.PanelItem) error) error {
	g, err := d.atPanel()
	if err != nil {
		return err
	}
	return panelError(g.panel.Follow(ctx, raw, func(it panel.Item) error {
		if it.Event != nil {
			return yield(api.NewPanelItem(*it.Event))
		}
		return yield(api.PanelItem{Time: it.Time.UTC(), Raw: strings.ToValidUTF8(it.Raw, "\ufffd")})
	}))
}
