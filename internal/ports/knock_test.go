package ports

import (
	"bytes"
	"encoding/binary"
	"log/slog"
	"net/netip"
	"testing"
	"time"
)

func testKey(t testing.TB) KnockKey {
	text, err := NewKnockKey()
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKnockKey(text + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// Only a fresh knock of the key, from whom it names, counts; of all others the
// error is the same.
func TestDoor(t *testing.T) {
	key, foreign := testKey(t), testKey(t)
	now, me, other := time.Now(), netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("203.0.113.9")
	seal := func(k KnockKey, n Knock) []byte {
		b, err := k.Seal(n)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) != KnockSize {
			t.Fatalf("%d bytes", len(b))
		}
		return b
	}
	d := &Door{Key: key}
	good := seal(key, Knock{now, 10, me, "ssh"})
	bent := bytes.Clone(good)
	bent[40] ^= 1
	for _, c := range []struct {
		name   string
		packet []byte
		from   netip.Addr
		at     time.Duration
		ok     bool
	}{
		{"forged", bent, me, 0, false},
		{"of another key", seal(foreign, Knock{now, 11, me, "ssh"}), me, 0, false},
		{"from another address than it says", good, other, 0, false},
		{"late", good, me, 61 * time.Second, false},
		{"early", good, me, -61 * time.Second, false},
		{"good", good, me, 2 * time.Second, true},
		{"replayed", good, me, 2 * time.Second, false},
		{"of an older counter", seal(key, Knock{now, 9, me, "ssh"}), me, 0, false},
		{"for whoever sends it", seal(key, Knock{now, 12, netip.Addr{}, "ssh"}), other, 0, true},
		{"IPv4 in IPv6", seal(key, Knock{now, 13, netip.MustParseAddr("::ffff:192.0.2.7"), "ssh"}), me, 0, true},
		{"too short", good[:KnockSize-1], me, 0, false},
		{"too long", append(bytes.Clone(good), 0), me, 0, false},
		{"empty", nil, me, 0, false},
	} {
		n, err := d.Hear(c.packet, c.from, now.Add(c.at))
		if (err == nil) != c.ok || err != nil && err != errKnock {
			t.Errorf("%s: %+v, %v", c.name, n, err)
		}
		if c.ok && n.Client != c.from {
			t.Errorf("%s: lets %v in", c.name, n.Client)
		}
	}
	if _, err := ParseKnockKey("c2hvcnQ="); err == nil {
		t.Error("a short key passes")
	}
	if _, err := key.Seal(Knock{now, 1, me, "no name"}); err == nil {
		t.Error("a service without a proper name is sealed")
	}
}

func udp4(from netip.Addr, port uint16, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[9] = 0x45, 17
	copy(b[12:], from.AsSlice())
	binary.BigEndian.PutUint16(b[22:], port)
	binary.BigEndian.PutUint16(b[24:], uint16(8+len(payload)))
	return append(b, payload...)
}

func TestKnocksHear(t *testing.T) {
	key, me := testKey(t), netip.MustParseAddr("192.0.2.7")
	saved := uint64(0)
	k := NewKnocks(KnocksConfig{Port: 62201, Key: key, Services: []string{"ssh"}, Counter: 5}, KnocksDeps{Log: slog.New(slog.DiscardHandler), Save: func(n uint64) { saved = n }})
	for _, c := range []struct {
		counter uint64
		service string
		port    uint16
		want    bool
	}{{5, "ssh", 62201, false}, {6, "vpn", 62201, false}, {7, "ssh", 62202, false}, {7, "ssh", 62201, true}, {7, "ssh", 62201, false}} {
		b, err := key.Seal(Knock{time.Now(), c.counter, me, c.service})
		if err != nil {
			t.Fatal(err)
		}
		if s, from, ok := k.hear(udp4(me, c.port, b), time.Now()); ok != c.want || ok && (s != "ssh" || from != me) {
			t.Errorf("%+v: %s, %v, %v", c, s, from, ok)
		}
	}
	if saved != 7 {
		t.Errorf("saved %d", saved)
	}
}

// FuzzKnockIsNobodys: no packet that was not sealed by the key opens, whatever its
// headers say, and nothing of it is read beyond its end.
func FuzzKnockIsNobodys(f *testing.F) {
	key := testKey(f)
	me := netip.MustParseAddr("192.0.2.7")
	foreign, err := testKey(f).Seal(Knock{time.Now(), 1, me, "ssh"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(udp4(me, 62201, foreign))
	f.Add([]byte{0x60})
	f.Add(bytes.Repeat([]byte{0x45}, 200))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := Door{Key: key}
		from, payload, ok := ParsePacket(b, 62201)
		if !ok {
			return
		}
		if len(payload) > len(b)-28 {
			t.Fatalf("%d bytes of payload in a packet of %d", len(payload), len(b))
		}
		if n, err := d.Hear(payload, from, time.Now()); err == nil {
			t.Fatalf("%x opens %+v", b, n)
		}
	})
}

func BenchmarkKnockForged(b *testing.B) {
	k := NewKnocks(KnocksConfig{Port: 62201, Key: testKey(b)}, KnocksDeps{Log: slog.New(slog.DiscardHandler)})
	forged, err := testKey(b).Seal(Knock{time.Now(), 1, netip.MustParseAddr("192.0.2.7"), "ssh"})
	if err != nil {
		b.Fatal(err)
	}
	packet := udp4(netip.MustParseAddr("192.0.2.7"), 62201, forged)
	for b.Loop() {
		if _, _, ok := k.hear(packet, time.Now()); ok {
			b.Fatal("it opens")
		}
	}
}
