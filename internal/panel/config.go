package panel

import (
	"log/slog"
	"net/netip"
	"time"

	"gatehouse/internal/ad2"
)

// Config is how a panel is connected.
type Config struct {
	Device string // auto, a path below /dev, tcp://HOST:PORT or tls://HOST:PORT
	Baud   int    // of a serial device; 0 = 115200, and 19200 where that gives only noise
	CA     string // certificates in PEM that the server's must be signed by, for tls://; "" = those of the system
	Cert   string // own certificate in PEM, for tls://; "" = none
	Key    string // its key

	Panel     ad2.Config
	Addresses map[int]int       // partition -> keypad address to press keys from; none = the adapter's own
	Delay     time.Duration     // zone faults are told so much later
	Suppress  bool              // a fault that ends within Delay is not told at all, nor its end
	Quiet     map[ad2.Kind]bool // kinds that are not told
	Server    Server
}

// Server is how other programs get at the adapter. Without Listen it is off.
type Server struct {
	Listen    string         // ADDRESS:PORT
	AllowFrom []netip.Prefix // who may connect; empty = this machine only
	Cert, Key string         // PEM, for TLS 1.2 and later; "" = plain TCP
	ClientCA  string         // PEM: certificates that a client's must be signed by
	Revoked   string         // PEM: revocation list of that authority; "" = none
	Keys      bool           // clients may press digits, * and #
	Functions bool           // ... and function keys: fire, police, medical
	Configure bool           // ... and change settings, choose the keypad, restart the adapter
}

// Keep is where the state of the panel is kept over a restart.
type Keep interface {
	Get(name string) (value []byte, found bool, err error)
	Put(name string, value []byte)
}

// Deps is what a Panel needs of others. Each must be set.
type Deps struct {
	Log   *slog.Logger
	Tell  func(ad2.Event)                            // takes an event into the line; may block
	Note  func(kind, sentence string, partition int) // takes a sentence about who did what into the line
	Fault func(part, why, hint string)               // says what is wrong with a part; why "" clears it
	Keep  Keep
}

// Parts that faults are reported for.
const (
	PartPanel  = "alarm panel"
	PartServer = "alarm panel server"
)
