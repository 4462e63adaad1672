package config

import (
	"net"
	"net/netip"
	"net/url"
	"path"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Panel is the section of the same name; without a device it is off.
type Panel struct {
	Device     string           `key:"device" example:"auto" check:"adapter" doc:"The AlarmDecoder adapter of an alarm panel: auto looks for it among the serial devices, /dev/serial/by-id/... or /dev/ttyUSB0 names it, tcp://HOST:PORT is a ser2sock server or the adapter's own network port, tls://HOST:PORT the same with TLS. Without it this part is off."`
	Baud       int              `key:"baud" default:"0" min:"0" max:"921600" example:"115200" doc:"Speed of a serial device. 0 tries 115200, then 19200."`
	CA         string           `key:"ca" instead:"device" example:"/etc/gatehouse/panel-ca.pem" check:"path" doc:"For tls://: certificates in PEM of which one must have signed that of the server. Default: those of the system."`
	Cert       string           `key:"cert" instead:"device" example:"/etc/gatehouse/panel.crt" check:"path" doc:"For tls://: our own certificate in PEM, where the server wants one."`
	Key        string           `key:"key" instead:"device" example:"/etc/gatehouse/panel.key" check:"path" doc:"For tls://: its private key in PEM."`
	Code       Secret           `key:"code" example:"{credential: panel}" check:"hidden" doc:"Where the code is with which commands arm and disarm that bring none: {file: PATH}, {env: NAME} or {credential: NAME}. Without it each command asks for the code, and nothing stores it."`
	Silence    time.Duration    `key:"silence" default:"45s" check:"silence" doc:"How long the panel may say nothing before that is an alarm of its own. A panel speaks every ten seconds at least."`
	EntryDelay time.Duration    `key:"entry_delay" default:"30s" check:"positive" doc:"How long the entry delay lasts, for the countdown: panels do not say it."`
	FaultDelay time.Duration    `key:"fault_delay" default:"0s" example:"2m" doc:"How much later it is recorded, and told, that a zone is open. Alarms never wait."`
	Suppress   bool             `key:"suppress_restored" default:"false" example:"true" doc:"true leaves out a zone that closed again within fault_delay, its closing included."`
	Quiet      []string         `key:"quiet" default:"[]" enum:"arm disarm trouble fault restore ac battery bypass supervision program reboot undelivered report" example:"[fault, restore]" doc:"Kinds that are not recorded. What is recorded can be told by notify and hooks as panel.KIND, such as panel.fault; the end of it is panel.KIND-restored, that of a fault panel.restore."`
	Partitions []PanelPartition `key:"partitions" default:"[]" doc:"The partitions of the panel. Without any they are told apart by the keypads that the panel addresses, and numbered as they are heard of: a house with one partition needs no entry, one with several should have them."`
	Zones      []PanelZone      `key:"zones" default:"[]" doc:"Names, types and wireless sensors of zones. Zones without an entry go by what the panel calls them."`
	Server     PanelServer      `key:"server" doc:"Lets other programs use the adapter as if it were a ser2sock server: Home Assistant, alarmdecoder-webapp, scripts. Off without listen."`
}

// PanelPartition is one entry of panel.partitions.
type PanelPartition struct {
	Partition int    `key:"partition" required:"true" min:"1" max:"8" example:"1" doc:"Its number."`
	Name      string `key:"name" example:"House" check:"label" doc:"What it is called in sentences."`
	Keypads   []int  `key:"keypads" min:"0" max:"31" example:"[16, 17]" doc:"Addresses of its keypads, by which its messages are known. Default: found out."`
	Address   int    `key:"address" default:"0" min:"0" max:"99" example:"18" doc:"The keypad address from which keys for it are pressed: one that the panel knows and no keypad has. On DSC partition and slot, such as 18. 0 is that of the adapter."`
}

// PanelZone is one entry of panel.zones.
type PanelZone struct {
	Zone      int    `key:"zone" required:"true" min:"1" max:"999" example:"3" doc:"Its number."`
	Partition int    `key:"partition" default:"1" min:"1" max:"8" example:"1" doc:"The partition it belongs to."`
	Name      string `key:"name" example:"Front door" check:"label" doc:"What it is called in sentences."`
	Type      string `key:"type" enum:"door window motion smoke gas water glass tamper panic other" example:"door" doc:"What it is, for those who show it, such as Home Assistant."`
	Serial    string `key:"serial" example:"\"0180036\"" check:"rfserial" doc:"Serial number of its wireless sensor, seven digits in quotes: then the sensor's own signals count, at once."`
	Loop      int    `key:"loop" default:"1" min:"1" max:"4" example:"1" doc:"Which loop of the wireless sensor it is."`
	Relay     string `key:"relay" example:"12/1" check:"relay" doc:"Module and channel of a relay of the panel that follows it."`
}

// PanelServer is the section of the same name in panel.
type PanelServer struct {
	Listen    string         `key:"listen" example:"127.0.0.1:10000" check:"door" doc:"ADDRESS:PORT to listen on. Without it the server is off."`
	AllowFrom []netip.Prefix `key:"allow_from" default:"[]" example:"[192.0.2.7]" doc:"Who may connect: addresses and prefixes. Must be there unless the address is a loopback one."`
	Cert      string         `key:"cert" example:"/etc/gatehouse/ser2sock.crt" check:"path" doc:"Certificate in PEM: then TLS 1.2 and later is spoken, and nothing else."`
	Key       string         `key:"key" example:"/etc/gatehouse/ser2sock.key" check:"path" doc:"Its private key in PEM."`
	ClientCA  string         `key:"client_ca" example:"/etc/gatehouse/clients.crt" check:"path" doc:"Certificates in PEM of which one must have signed that of each client."`
	Revoked   string         `key:"revoked" example:"/etc/gatehouse/clients.crl" check:"path" doc:"Revocation list in PEM of that authority. Whoever is on it does not get in; with a list that is out of date nobody does."`
	Keys      bool           `key:"keys" default:"false" example:"true" doc:"true lets clients press digits, * and #; otherwise they only read. Whoever may press keys may try codes."`
	Functions bool           `key:"functions" default:"false" example:"false" doc:"true lets clients press function keys, too: fire, police, medical."`
	Configure bool           `key:"configure" default:"false" example:"false" doc:"true lets clients change settings of the adapter, choose the keypad that they press keys on, and restart it."`
}

// check holds what spans several keys.
func (p *Panel) check(d *decoder, n *node) {
	has := func(k string) *node {
		if v := n.get(k); v != nil && v.kind != nothing {
			return v
		}
		return nil
	}
	if at := has("server"); at != nil && p.Server.Listen != "" && has("device") == nil {
		d.problem(at, "add device: auto", "server without device")
	}
	for _, k := range []string{"ca", "cert", "key"} {
		if at := has(k); at != nil && has("device") != nil && p.Device != "" && !strings.HasPrefix(p.Device, "tls://") {
			d.problem(at, "remove it, or write device: tls://HOST:PORT", "%s without tls://", k)
		}
	}
	if at := has("suppress_restored"); at != nil && p.Suppress && p.FaultDelay == 0 {
		d.problem(at, "say for how long: fault_delay: 2m", "suppress_restored without fault_delay")
	}
	p.checkTwice(d, n)
}

// checkTwice finds partitions, keypads, zones and sensors that stand there twice.
func (p *Panel) checkTwice(d *decoder, n *node) {
	if list := n.get("partitions"); list != nil && len(list.items) == len(p.Partitions) {
		seen, pads := map[int]bool{}, map[int]int{}
		for i, v := range p.Partitions {
			if seen[v.Partition] {
				d.problem(list.items[i], "give each partition one entry", "partition %d is there twice", v.Partition)
			}
			seen[v.Partition] = true
			for _, k := range v.Keypads {
				if other, taken := pads[k]; taken {
					d.problem(list.items[i], "a keypad belongs to one partition", "keypad %d is in partitions %d and %d", k, other, v.Partition)
				}
				pads[k] = v.Partition
			}
		}
	}
	if list := n.get("zones"); list != nil && len(list.items) == len(p.Zones) {
		zones, sensors := map[int]bool{}, map[string]bool{}
		for i, v := range p.Zones {
			if zones[v.Zone] {
				d.problem(list.items[i], "a panel numbers its zones across partitions: each has one entry", "zone %d is there twice", v.Zone)
			}
			zones[v.Zone] = true
			id := v.Serial + "/" + strconv.Itoa(v.Loop)
			if v.Serial != "" && sensors[id] {
				d.problem(list.items[i], "each loop of a sensor is one zone", "loop %d of sensor %s is there twice", v.Loop, v.Serial)
			}
			sensors[id] = true
		}
	}
}

// check holds what spans several keys of the server.
func (s *PanelServer) check(d *decoder, n *node) {
	has := func(k string) *node {
		if v := n.get(k); v != nil && v.kind != nothing {
			return v
		}
		return nil
	}
	if a, err := netip.ParseAddrPort(s.Listen); err == nil && !a.Addr().IsLoopback() && len(s.AllowFrom) == 0 {
		d.problem(has("listen"), "say who may: allow_from: [192.0.2.7]", "nobody is allowed to connect to %s", s.Listen)
	}
	cert, key := has("cert"), has("key")
	switch {
	case cert != nil && key == nil:
		d.problem(cert, "add key: with its private key", "cert without key")
	case key != nil && cert == nil:
		d.problem(key, "add cert: with its certificate", "key without cert")
	}
	if at := has("client_ca"); at != nil && cert == nil {
		d.problem(at, "add cert: and key: of the server", "client_ca without cert")
	}
	if at := has("revoked"); at != nil && has("client_ca") == nil {
		d.problem(at, "add client_ca: with the authority that the list is of", "revoked without client_ca")
	}
}

// adapter wants the place of an AlarmDecoder.
func adapter(v reflect.Value) error {
	s := v.String()
	const hint = "write auto, /dev/ttyUSB0, tcp://192.0.2.5:10000 or tls://192.0.2.5:10000"
	if s == "auto" {
		return nil
	}
	if filepath.IsAbs(s) {
		v.SetString(filepath.Clean(s))
		return nil
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "tcp" && u.Scheme != "tls" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return wrong(gate.Quote(s, 64)+" is no place of an adapter", hint)
	}
	if host, port, err := net.SplitHostPort(u.Host); err != nil || host == "" || !isPort(port) {
		return wrong(gate.Quote(s, 64)+" has no host and port", "write "+u.Scheme+"://192.0.2.5:10000")
	}
	return nil
}

func isPort(s string) bool {
	n, err := strconv.ParseUint(s, 10, 16)
	return err == nil && n > 0
}

// door wants an address and a port to listen on.
func door(v reflect.Value) error {
	a, err := netip.ParseAddrPort(v.String())
	if err != nil || a.Port() == 0 || a.Addr().Zone() != "" {
		return wrong(gate.Quote(v.String(), 64)+" is not an address with a port", "write 127.0.0.1:10000, or [::1]:10000")
	}
	return nil
}

// label wants a name for people.
func label(v reflect.Value) error {
	s := v.String()
	if len(s) > 64 || strings.IndexFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) >= 0 {
		return wrong(gate.Quote(s, 64)+" cannot be a name", "use at most 64 bytes of letters, digits and spaces")
	}
	return nil
}

// rfserial wants the serial number of a wireless sensor.
func rfserial(v reflect.Value) error {
	if s := v.String(); len(s) != 7 || strings.Trim(s, "0123456789") != "" {
		return wrong(gate.Quote(s, 32)+" is not the serial number of a wireless sensor", "it has seven digits, in quotes: \"0180036\"")
	}
	return nil
}

// relay wants the module and the channel of a relay.
func relay(v reflect.Value) error {
	if _, _, ok := ParseRelay(v.String()); !ok {
		return wrong(gate.Quote(v.String(), 32)+" is not a relay", "write module and channel: 12/1")
	}
	return nil
}

// ParseRelay reads module and channel of a relay: 12/1.
func ParseRelay(s string) (module, channel int, ok bool) {
	a, b, _ := strings.Cut(s, "/")
	module, err1 := strconv.Atoi(a)
	channel, err2 := strconv.Atoi(b)
	return module, channel, err1 == nil && err2 == nil && module >= 1 && module <= 99 && channel >= 1 && channel <= 99
}

// silence wants a time in which a panel that is well speaks for sure.
func silence(v reflect.Value) error {
	if d := time.Duration(v.Int()); d < 20*time.Second || d > 24*time.Hour {
		return wrong(gate.FormatDuration(d)+" is not between 20s and 24h", "write 45s: a panel speaks every ten seconds")
	}
	return nil
}

// aboutWhom wants the text of a subject, or a pattern of such.
func aboutWhom(v reflect.Value) error {
	s := v.String()
	if _, err := path.Match(s, ""); err != nil || s == "" {
		return wrong(gate.Quote(s, 64)+" is not a pattern for subjects", "write zone:1/3, or zone:1/* for all zones of a partition")
	}
	if _, err := gate.ParseSubject(s); err != nil && !strings.ContainsAny(s, "*?[") {
		return wrong(err.Error(), "write it as gatehouse log does: 192.0.2.7, zone:1/3, partition:2")
	}
	return nil
}
