package main

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestServices(t *testing.T) {
	all, err := services()
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Fatal("no service was found")
	}
	if _, err := choose(all, []string{all[0].Name, "no-such"}); err == nil || !strings.Contains(err.Error(), all[0].Name) {
		t.Errorf("an unknown service: %v", err)
	}
	if got, err := choose(all, nil); err != nil || len(got) != len(all) {
		t.Errorf("no name is to mean all: %d, %v", len(got), err)
	}
}

func TestServiceCheck(t *testing.T) {
	attack := []Attack{{"x", func(*Run) {}}}
	for _, c := range []struct {
		v    Service
		want string // part of the error; "" = none
	}{
		{Service{Name: "x", Packages: []string{"x"}, Attacks: attack}, ""},
		{Service{Name: "X y", Packages: []string{"x"}, Attacks: attack}, "name"},
		{Service{Name: "x", Attacks: attack}, "package"},
		{Service{Name: "x", Packages: []string{"x"}}, "attack"},
		{Service{Name: "x", Packages: []string{"x"}, Attacks: []Attack{{Name: "x"}}}, "function"},
		{Service{Name: "x", Packages: []string{"x"}, Attacks: attack, Drop: []string{"("}}, "missing closing"},
	} {
		if err := c.v.check(); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.v, err, c.want)
		}
	}
}

func TestHostile(t *testing.T) {
	for _, s := range hostileWords() {
		if strings.ContainsAny(s, " \r\n\x00") {
			t.Errorf("%q is no word", s)
		}
	}
	for _, s := range hostileNames() {
		if strings.ContainsAny(s, "\r\n\x00") {
			t.Errorf("%q has an end of line", s)
		}
	}
	for _, s := range hostileTexts() {
		if !strings.Contains(s, bystander4) && !strings.Contains(s, bystander6) {
			t.Errorf("%.80q names no bystander", s)
		}
	}
}

func TestUpstream(t *testing.T) {
	for version, want := range map[string]string{"2022.83-1+deb12u3": "2022.83", "1:2.3.19.1+dfsg1-2.1": "2.3.19.1+dfsg1", "4.96-15+deb12u10": "4.96", "12": "12", "1.0-rc1-2": "1.0-rc1"} {
		if got := upstream(version); got != want {
			t.Errorf("%s: %s, want %s", version, got, want)
		}
	}
}

func TestSyslogLine(t *testing.T) {
	now := time.Date(2026, 11, 2, 3, 4, 5, 0, time.UTC)
	for _, c := range []struct{ datagram, want string }{
		{"<38>Nov 21 08:00:00 su[1]: text\n", "Nov 21 08:00:00 gate su[1]: text"},
		{"<38>su[1]: text", "Nov  2 03:04:05 gate su[1]: text"},
		{"su: \x1b[31m\ttext\x00", "Nov  2 03:04:05 gate su: #033[31m#011text"},
		{"", "Nov  2 03:04:05 gate "},
		{"<38>Nov 21 08:00:00", "Nov  2 03:04:05 gate Nov 21 08:00:00"},
	} {
		if got := string(syslogLine([]byte(c.datagram), "gate", now)); got != c.want {
			t.Errorf("%q: %q, want %q", c.datagram, got, c.want)
		}
	}
}

func TestHasListener(t *testing.T) {
	const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0019 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   2: 0A0200C0:0050 420200C0:9C40 01 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   3: 00000000:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 1 2 0 0
`
	for _, c := range []struct {
		what, network string
		port          int
		want          bool
	}{
		{"a listener", "tcp", 22, true}, {"on loopback only", "tcp", 25, false}, {"a connection", "tcp", 80, false},
		{"a packet socket", "udp", 53, true}, {"of the other kind", "tcp", 53, false}, {"none", "tcp", 443, false},
	} {
		if got := hasListener(table, c.network, c.port); got != c.want {
			t.Errorf("%s: %v, want %v", c.what, got, c.want)
		}
	}
}

func TestLastLine(t *testing.T) {
	for _, c := range []struct {
		s, last           string
		whole, unfinished bool
	}{
		{"220 ready\r\n", "220 ready\r", true, false}, {"220-gate\r\n", "220-gate\r", true, true}, {"250-a\r\n250 b\r\n", "250 b\r", true, false}, {"Password: ", "Password: ", false, false}, {"", "", false, false},
	} {
		if whole, last := lastLine(c.s); whole != c.whole || last != c.last || unfinished.MatchString(last) != c.unfinished {
			t.Errorf("%q: %v, %q", c.s, whole, last)
		}
	}
}

// question makes a message that asks for a name.
func question(name string, kind uint16) []byte {
	q := append([]byte{0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, writeName(name)...)
	return append(binary.BigEndian.AppendUint16(q, kind), 0, 1)
}

func TestNames(t *testing.T) {
	n := newNames()
	n.reverse(attacker4, bystander4)
	back4, back6 := reverseName(netip.MustParseAddr(attacker4)), reverseName(netip.MustParseAddr(other6))
	for _, c := range []struct {
		name  string
		kind  uint16
		count int    // of records
		code  byte   // of the answer
		ends  string // what the last record ends with
	}{
		{"Gate.Example.org", typeA, 1, 0, "\xc0\x00\x02\x0a"},
		{"gate.example.org", typeAAAA, 1, 0, "\x00\x10"},
		{"example.net", typeMX, 1, 0, "\x07example\x03net\x00"},
		{back4, typePTR, 1, 0, "\x03198\x0251\x03100\x0277\x00"},
		{back6, typePTR, 1, 0, "\x04mail\x07example\x03net\x00"},
		{bystander4, typeA, 1, 0, "\xc0\x00\x02\x42"},
		{"missing.invalid", typeA, 0, codeNoName, ""},
	} {
		a := n.answer(question(c.name, c.kind))
		if len(a) < 12 || a[7] != byte(c.count) || a[3]&15 != c.code || !strings.HasSuffix(string(a), c.ends) {
			t.Errorf("%s %d: %q", c.name, c.kind, a)
		}
	}
	n.reverse(attacker4, "")
	if a := n.answer(question(back4, typePTR)); a[3]&15 != codeNoName {
		t.Errorf("a name that was taken away: %q", a)
	}
	if a := n.answer(question(bystander4, typeA)); a[3]&15 != codeNoName {
		t.Errorf("the address of a name that was taken away: %q", a)
	}
}

func FuzzAnswerKeepsToTheQuestion(f *testing.F) {
	f.Add(question("gate.example.org", typeA))
	f.Add([]byte{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 63, 'x'})
	n := newNames()
	f.Fuzz(func(t *testing.T, q []byte) {
		a := n.answer(q)
		if a != nil && (!slices.Equal(a[:2], q[:2]) || a[2]&0x80 == 0) {
			t.Errorf("%q: %q answers something else", q, a)
		}
	})
}
