package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"gatehouse/internal/ad2"
	"gatehouse/internal/gate"
)

// PanelState is how the alarm panel and the connection to it are.
type PanelState struct {
	Configured bool       `json:"configured" doc:"there is a panel: section with a device"`
	Connected  bool       `json:"connected" doc:"the adapter is connected"`
	Device     string     `json:"device" doc:"where the adapter is; empty = none was found yet"`
	Since      *time.Time `json:"since" doc:"since when it is connected or not; null = never was"`
	Why        string     `json:"why,omitempty" doc:"what is wrong"`
	Hint       string     `json:"hint,omitempty" doc:"what to do about it"`
	Messages   uint64     `json:"messages" doc:"messages since the start"`
	Invalid    uint64     `json:"invalid" doc:"lines that were none: noise"`
	Listen     string     `json:"listen,omitempty" doc:"where other programs connect"`
	Clients    int        `json:"clients" doc:"how many are connected"`
	Panel      ad2.View   `json:"panel" doc:"the state of the panel itself"`
}

// PanelOrder asks the panel for something.
type PanelOrder struct {
	Action    string `json:"action" enum:"arm away,arm stay,arm night,arm instant,arm max,disarm,chime,bypass,fire,police,medical,keys,settings" doc:"what is asked"`
	Partition int    `json:"partition,omitempty" minimum:"0" maximum:"8" doc:"of which partition; 0 = 1"`
	Zone      int    `json:"zone,omitempty" minimum:"0" maximum:"999" doc:"for bypass"`
	Code      string `json:"code,omitempty" maxLength:"6" doc:"four to six digits; empty = the configured one, where there is one, or the panel's way without a code. It is not stored"`
	Keys      string `json:"keys,omitempty" maxLength:"64" doc:"for keys: 0 to 9, *, #, and <S1> to <S8> for function keys"`
	Settings  string `json:"settings,omitempty" maxLength:"160" doc:"for settings: KEY=VALUE pairs with & between"`
	Confirm   string `json:"confirm,omitempty" maxLength:"16" doc:"for fire, police and medical: the same word again, because someone will come"`
}

// PanelOutcome is what became of an order.
type PanelOutcome struct {
	Done      bool               `json:"done" doc:"the panel's own state says so"`
	Said      string             `json:"said" doc:"what became of it, in a sentence"`
	Hint      string             `json:"hint,omitempty" doc:"what to do now"`
	Display   string             `json:"display" doc:"what the keypads show"`
	Partition *ad2.PartitionView `json:"partition,omitempty" doc:"the partition afterwards"`
	Settings  string             `json:"settings,omitempty" doc:"for settings: what the adapter has now"`
}

// PanelSettings are those of the adapter.
type PanelSettings struct {
	Firmware    string `json:"firmware" doc:"of the adapter"`
	Serial      string `json:"serial" doc:"its serial number"`
	Flags       string `json:"flags" doc:"what the firmware can do"`
	Mode        string `json:"mode" enum:"ademco,dsc" doc:"make of the panel"`
	Address     int    `json:"address" doc:"of the keypad that it plays; on DSC partition and slot"`
	Mask        string `json:"mask" doc:"keypads whose messages it hands on, hexadecimal"`
	Bits        string `json:"configbits" doc:"hexadecimal"`
	Zones       []bool `json:"emulate_zone" doc:"which of five zone expanders it plays"`
	Relays      []bool `json:"emulate_relay" doc:"which of four relay modules it plays"`
	LRR         bool   `json:"emulate_lrr" doc:"it plays a long-range radio: without it the panel reports nothing"`
	Deduplicate bool   `json:"deduplicate" doc:"it hands on only messages that differ"`
	Line        string `json:"line" doc:"the settings as the adapter takes them"`
}

// PanelItem is one thing that happens at the panel: an event, or a line of the
// adapter.
type PanelItem struct {
	Time      time.Time     `json:"time" doc:"when"`
	Event     string        `json:"event,omitempty" doc:"kind of happening: arm, disarm, alarm, fault, restore, ..."`
	Subject   *gate.Subject `json:"subject,omitempty" doc:"partition:N or zone:P/N; absent = the panel as a whole"`
	Partition int           `json:"partition,omitempty" doc:"number"`
	Zone      int           `json:"zone,omitempty" doc:"number"`
	Name      string        `json:"name,omitempty" doc:"of the zone, or of the partition"`
	Mode      string        `json:"mode,omitempty" doc:"how the partition is armed"`
	User      int           `json:"user,omitempty" doc:"who, by number, where the panel said"`
	Text      string        `json:"text,omitempty" doc:"the event in a sentence"`
	Raw       string        `json:"raw,omitempty" doc:"the adapter's line"`
}

// PanelDesk is what the daemon can be asked about the alarm panel.
type PanelDesk struct {
	// State returns how things are.
	State func(ctx context.Context) (PanelState, error)
	// Order carries an order out and returns when it is known what became of it.
	// by and from say who asks, and from where.
	Order func(ctx context.Context, o PanelOrder, by, from string) (PanelOutcome, error)
	// Settings asks the adapter for its settings.
	Settings func(ctx context.Context) (PanelSettings, error)
	// Follow calls yield for each event, or for each line of the adapter.
	Follow func(ctx context.Context, raw bool, yield func(PanelItem) error) error
}

// NewPanelItem returns an event as a document.
func NewPanelItem(e ad2.Event) PanelItem {
	it := PanelItem{Time: e.Time.UTC(), Event: string(e.Kind), Partition: e.Partition, Zone: e.Zone, Name: e.Name, User: e.User, Text: e.Sentence()}
	if s := e.Subject(); s.IsValid() {
		it.Subject = &s
	}
	if e.Mode != ad2.ModeUnknown {
		it.Mode = e.Mode.String()
	}
	return it
}

func (s *Server) panelState(ctx context.Context, _ *nothing) (PanelState, error) {
	return s.backend.Panel.State(ctx)
}

func (s *Server) panelOrder(ctx context.Context, in *struct{ Body PanelOrder }) (PanelOutcome, error) {
	o := in.Body
	if (o.Action == string(ad2.PressFire) || o.Action == string(ad2.PressHelp) || o.Action == string(ad2.PressMedic)) && o.Confirm != o.Action {
		return PanelOutcome{}, &Error{Status: http.StatusUnprocessableEntity, Message: o.Action + " calls for help and must be confirmed", Hint: `send "confirm": "` + o.Action + `" as well`}
	}
	return s.backend.Panel.Order(ctx, o, callerOf(ctx).By(), "socket")
}

func (s *Server) panelSettings(ctx context.Context, _ *nothing) (PanelSettings, error) {
	return s.backend.Panel.Settings(ctx)
}

type panelFollowInput struct {
	Raw bool `query:"raw" doc:"lines of the adapter in place of events"`
}

func (s *Server) panelFollow(ctx context.Context, in *panelFollowInput, out *lines) error {
	if err := out.flush(); err != nil {
		return err
	}
	defer s.whenStopping(&ctx)()
	err := s.backend.Panel.Follow(ctx, in.Raw, func(it PanelItem) error {
		if err := out.add(it); err != nil {
			return err
		}
		return out.flush()
	})
	if errors.Is(err, context.Canceled) {
		return nil // the reader left, or the daemon stops: that is how following ends
	}
	return err
}

// Panel returns how the alarm panel is.
func (c *Client) Panel(ctx context.Context) (PanelState, error) {
	var out PanelState
	return out, c.call(ctx, "GET", "/v1/panel", nil, &out)
}

// PanelOrder asks the alarm panel for something, and waits for what becomes of it.
func (c *Client) PanelOrder(ctx context.Context, o PanelOrder) (PanelOutcome, error) {
	var out PanelOutcome
	return out, c.call(ctx, "POST", "/v1/panel", o, &out)
}

// PanelSettings returns the settings of the adapter.
func (c *Client) PanelSettings(ctx context.Context) (PanelSettings, error) {
	var out PanelSettings
	return out, c.call(ctx, "GET", "/v1/panel/settings", nil, &out)
}

// PanelFollow yields events, or lines of the adapter, until ctx ends or the daemon
// does.
func (c *Client) PanelFollow(ctx context.Context, raw bool, yield func(PanelItem) error) error {
	path := "/v1/panel/follow"
	if raw {
		path += "?raw=true"
	}
	return streamOf(ctx, c, path, yield)
}
