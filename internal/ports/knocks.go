package ports

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/florianl/go-nflog/v2"
	"golang.org/x/sys/unix"
)

// KnocksConfig says which knocks to read.
type KnocksConfig struct {
	Port     uint16
	Group    uint16 // of NFLOG, in which the firewall shows packets to Port
	Key      KnockKey
	Services []string // that may be opened
	Counter  uint64   // of the last knock that counted
}

// KnocksDeps is what Knocks needs of others.
type KnocksDeps struct {
	Log  *slog.Logger
	Save func(counter uint64)                                         // before anything is opened
	Open func(ctx context.Context, service string, client netip.Addr) // asks for an opening
}

// Knocks reads knocks that the kernel shows behind our own drop: no port listens,
// and nobody is ever answered.
type Knocks struct {
	c    KnocksConfig
	d    KnocksDeps
	door Door
}

// NewKnocks returns a reader of knocks.
func NewKnocks(c KnocksConfig, d KnocksDeps) *Knocks {
	return &Knocks{c, d, Door{Key: c.Key, Counter: c.Counter}}
}

// knockQueue is how many knocks that count may wait to be granted; one more is
// lost.
const knockQueue = 16

// Run reads until ctx ends.
func (k *Knocks) Run(ctx context.Context) error {
	conn, err := nflog.Open(&nflog.Config{Group: k.c.Group, Copymode: nflog.CopyPacket, Bufsize: 512})
	if err != nil {
		return fmt.Errorf("open a socket for knocks: %w", err)
	}
	defer conn.Close()
	type caller struct {
		service string
		client  netip.Addr
	}
	calls := make(chan caller, knockQueue) // the reader never waits: a knock too many is lost
	broken := make(chan error, 1)          // holds 1: the first error ends it
	err = conn.RegisterWithErrorFunc(ctx, func(a nflog.Attribute) int {
		if a.Payload == nil {
			return 0
		}
		if service, client, ok := k.hear(*a.Payload, time.Now()); ok {
			select {
			case calls <- caller{service, client}:
			default:
			}
		}
		return 0
	}, func(err error) int {
		if ctx.Err() != nil {
			return 1
		}
		if errors.Is(err, unix.ENOBUFS) {
			return 0 // a flood: some packets were not shown
		}
		select {
		case broken <- err:
		default:
		}
		return 1
	})
	if err != nil {
		return fmt.Errorf("listen to group %d of the kernel for knocks: %w", k.c.Group, err)
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return fmt.Errorf("read knocks: %w", err)
		case c := <-calls:
			k.d.Open(ctx, c.service, c.client)
		}
	}
}

// hear reads one packet and returns what it opens to whom.
func (k *Knocks) hear(packet []byte, now time.Time) (service string, client netip.Addr, ok bool) {
	from, payload, ok := ParsePacket(packet, k.c.Port)
	if !ok {
		return "", client, false
	}
	n, err := k.door.Hear(payload, from, now)
	if err != nil {
		return "", client, false
	}
	k.d.Save(k.door.Counter)
	if !slices.Contains(k.c.Services, n.Service) {
		k.d.Log.Info("a knock at what it may not open", "subject", n.Client)
		return "", client, false
	}
	return n.Service, n.Client, true
}

// CounterText and ParseCounter turn a counter into what is kept, and back.
func CounterText(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// ParseCounter is the inverse of CounterText; 0 for what is none.
func ParseCounter(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
