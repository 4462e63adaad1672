package ports

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"gatehouse/internal/gate"
)

// A knock is one UDP packet of knockSize bytes: a nonce of 24, then, sealed by
// XChaCha20-Poly1305 with the packet's kind as additional data:
//
//	version 1 | time, ms since 1970, 8 | counter 8 | client's address 16 | length of the name 1 | name, padded with zeros, 64
//
// big endian, an IPv4 address in its 4-in-6 form, all zeros for whoever sends
// the packet; then the tag of 16. All knocks are of one size.
const (
	knockVersion = 1
	knockName    = 64
	knockPlain   = 1 + 8 + 8 + 16 + 1 + knockName
	// KnockSize is the size of every knock in bytes.
	KnockSize = chacha20poly1305.NonceSizeX + knockPlain + chacha20poly1305.Overhead
)

// knockKind keeps a key that is used for anything else from making knocks.
var knockKind = []byte("gatehouse knock 1")

// KnockAge is how far the clocks of sender and machine may be apart.
const KnockAge = time.Minute

// KnockKey is the secret that sender and machine share.
type KnockKey struct{ aead cipher.AEAD }

// NewKnockKey returns the text of a fresh key.
func NewKnockKey() (string, error) {
	b := make([]byte, chacha20poly1305.KeySize)
	if _, err := rand.Read(b); err != nil {
		return "", fmt.Errorf("make a key: %w", err)
	}
	return base64.StdEncoding.EncodeToString(b), nil
}

// ParseKnockKey reads the text of a key.
func ParseKnockKey(text string) (KnockKey, error) {
	b, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
	if err != nil || len(b) != chacha20poly1305.KeySize {
		return KnockKey{}, fmt.Errorf("this is no key of knocks: make one with gatehouse knock --new-key")
	}
	a, err := chacha20poly1305.NewX(b)
	return KnockKey{a}, err
}

// ReadKnockKey reads a file with a key, which others than its owner must not be
// able to read.
func ReadKnockKey(path string) (KnockKey, error) {
	text, err := readSecret(path)
	if err != nil {
		return KnockKey{}, err
	}
	k, err := ParseKnockKey(text)
	if err != nil {
		return k, fmt.Errorf("%s: %w", path, err)
	}
	return k, nil
}

// Knock is what a packet says.
type Knock struct {
	Time    time.Time
	Counter uint64     // grows with each knock of a key
	Client  netip.Addr // whom to let in; the zero Addr is whoever sends it
	Service string
}

// errKnock is all that is ever said of a packet that is no knock.
var errKnock = errors.New("no knock")

// Seal returns the packet.
func (k KnockKey) Seal(n Knock) ([]byte, error) {
	if !gate.IsName(n.Service) || len(n.Service) > knockName {
		return nil, fmt.Errorf("%s cannot be the name of a service", gate.Quote(n.Service, 64))
	}
	plain := make([]byte, knockPlain)
	plain[0] = knockVersion
	binary.BigEndian.PutUint64(plain[1:], uint64(n.Time.UnixMilli()))
	binary.BigEndian.PutUint64(plain[9:], n.Counter)
	if n.Client.IsValid() {
		a := n.Client.As16()
		copy(plain[17:], a[:])
	}
	plain[33] = byte(len(n.Service))
	copy(plain[34:], n.Service)
	packet := make([]byte, chacha20poly1305.NonceSizeX, KnockSize)
	if _, err := rand.Read(packet); err != nil {
		return nil, err
	}
	return k.aead.Seal(packet, packet, plain, knockKind), nil
}

// Open reads a packet; what is forged, or of another key, is errKnock.
func (k KnockKey) Open(packet []byte) (n Knock, err error) {
	if len(packet) != KnockSize {
		return n, errKnock
	}
	var buffer [knockPlain]byte
	plain, err := k.aead.Open(buffer[:0], packet[:chacha20poly1305.NonceSizeX], packet[chacha20poly1305.NonceSizeX:], knockKind)
	if err != nil || plain[0] != knockVersion {
		return n, errKnock
	}
	length := int(plain[33])
	if length > knockName {
		return n, errKnock
	}
	n.Time = time.UnixMilli(int64(binary.BigEndian.Uint64(plain[1:])))
	n.Counter = binary.BigEndian.Uint64(plain[9:])
	if a := netip.AddrFrom16([16]byte(plain[17:33])).Unmap(); !a.IsUnspecified() {
		n.Client = a
	}
	n.Service = string(plain[34 : 34+length])
	if !gate.IsName(n.Service) {
		return Knock{}, errKnock
	}
	return n, nil
}

// Door decides which knocks count: each once, and not long after it was sent. It
// is not safe for concurrent use.
type Door struct {
	Key     KnockKey
	Counter uint64 // of the last knock that counted
}

// Hear reads a packet that came from an address. It returns errKnock, and nothing
// else, for what is forged, foreign, late, or was heard before; a knock that
// counts names whom to let in.
func (d *Door) Hear(packet []byte, from netip.Addr, now time.Time) (Knock, error) {
	n, err := d.Key.Open(packet)
	if err != nil {
		return n, err
	}
	from = from.Unmap()
	switch {
	case n.Counter <= d.Counter:
		return Knock{}, errKnock
	case now.Sub(n.Time).Abs() > KnockAge:
		return Knock{}, errKnock
	case n.Client.IsValid() && n.Client != from:
		return Knock{}, errKnock
	}
	d.Counter = n.Counter
	n.Client = from
	return n, nil
}

// ParsePacket returns the source and the payload of an IPv4 or IPv6 packet that
// is UDP to a port; false for any other.
func ParsePacket(b []byte, port uint16) (from netip.Addr, payload []byte, ok bool) {
	if len(b) < 1 {
		return from, nil, false
	}
	switch b[0] >> 4 {
	case 4:
		head := int(b[0]&0xf) * 4
		if head < 20 || len(b) < head || b[9] != byte(gate.UDP) || binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
			return from, nil, false
		}
		from, payload = netip.AddrFrom4([4]byte(b[12:16])), b[head:]
	case 6:
		if len(b) < 40 || b[6] != byte(gate.UDP) {
			return from, nil, false
		}
		from, payload = netip.AddrFrom16([16]byte(b[8:24])), b[40:]
	default:
		return from, nil, false
	}
	if len(payload) < 8 || binary.BigEndian.Uint16(payload[2:]) != port {
		return from, nil, false
	}
	size := int(binary.BigEndian.Uint16(payload[4:]))
	if size < 8 || size > len(payload) {
		return from, nil, false
	}
	return from, payload[8:size], true
}
