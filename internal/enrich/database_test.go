package enrich

import (
	"encoding/binary"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// mmdb writes a database of MaxMind's format (maxmind.github.io/MaxMind-DB): a
// tree of records of 24 bits for addresses of IPv6, and values behind it. It is
// made from the description of the format alone.
type mmdb struct {
	nodes [][2]uint32 // a child, or where above the number of nodes a value is; 0 = nothing
	data  []byte
	leafs []leaf
}

type leaf struct {
	node, bit int
	at        uint32
}

// What a value can be here.
type (
	pair struct {
		key   string
		value any
	}
	tree []pair
)

func (m *mmdb) control(kind, size int) {
	if size >= 29 {
		m.data = append(m.data, byte(kind<<5|29), byte(size-29))
		return
	}
	m.data = append(m.data, byte(kind<<5|size))
}

func (m *mmdb) write(v any) {
	switch v := v.(type) {
	case string:
		m.control(2, len(v))
		m.data = append(m.data, v...)
	case uint16:
		m.control(5, 2)
		m.data = binary.BigEndian.AppendUint16(m.data, v)
	case uint32:
		m.control(6, 4)
		m.data = binary.BigEndian.AppendUint32(m.data, v)
	case tree:
		m.control(7, len(v))
		for _, p := range v {
			m.write(p.key)
			m.write(p.value)
		}
	}
}

// add gives a network a value. IPv4 lies in the last 32 bits of IPv6.
func (m *mmdb) add(prefix string, v any) {
	p := netip.MustParsePrefix(prefix)
	bits, length := p.Addr().As16(), p.Bits()
	if p.Addr().Is4() {
		four := p.Addr().As4()
		bits = [16]byte{12: four[0], four[1], four[2], four[3]}
		length += 96
	}
	if len(m.nodes) == 0 {
		m.nodes = append(m.nodes, [2]uint32{})
	}
	at := uint32(len(m.data))
	m.write(v)
	node := 0
	for i := range length {
		bit := int(bits[i/8] >> (7 - i%8) & 1)
		if i == length-1 {
			m.leafs = append(m.leafs, leaf{node, bit, at})
			return
		}
		next := m.nodes[node][bit]
		if next == 0 {
			next = uint32(len(m.nodes))
			m.nodes = append(m.nodes, [2]uint32{})
			m.nodes[node][bit] = next
		}
		node = int(next)
	}
}

func (m *mmdb) bytes(kind string) []byte {
	n := uint32(len(m.nodes))
	for i := range m.nodes {
		for b := range 2 {
			if m.nodes[i][b] == 0 {
				m.nodes[i][b] = n // nothing there
			}
		}
	}
	for _, l := range m.leafs {
		m.nodes[l.node][l.bit] = n + 16 + l.at
	}
	var out []byte
	for _, v := range m.nodes {
		for _, r := range v {
			out = append(out, byte(r>>16), byte(r>>8), byte(r))
		}
	}
	out = append(out, make([]byte, 16)...)
	out = append(out, m.data...)
	out = append(out, "\xab\xcd\xefMaxMind.com"...)
	meta := &mmdb{}
	meta.write(tree{
		{"binary_format_major_version", uint16(2)}, {"binary_format_minor_version", uint16(0)}, {"build_epoch", uint32(1_700_000_000)},
		{"database_type", kind}, {"ip_version", uint16(6)}, {"node_count", n}, {"record_size", uint16(24)},
	})
	return append(out, meta.data...)
}

// TestDatabases: country and network of an address, by files in a folder, which
// may be replaced, damaged and cut short meanwhile.
func TestDatabases(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, b []byte) {
		t.Helper()
		tmp := filepath.Join(dir, "new")
		if err := os.WriteFile(tmp, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(tmp, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	countries := func(code string) []byte {
		m := &mmdb{}
		m.add("45.0.0.0/24", tree{{"country", tree{{"iso_code", code}}}, {"registered_country", tree{{"iso_code", "US"}}}})
		m.add("2a00::/16", tree{{"registered_country", tree{{"iso_code", "FR"}}}})
		m.add("46.0.0.0/8", tree{{"country_code", "se"}})
		return m.bytes("Test-Country")
	}
	m := &mmdb{}
	m.add("45.0.0.0/16", tree{{"autonomous_system_number", uint32(64500)}, {"autonomous_system_organization", "Example\x1b[31m Net"}})
	write("GeoLite2-ASN.mmdb", m.bytes("Test-ASN"))
	write("GeoLite2-Country.mmdb", countries("DE"))
	write("GeoLite2-City.mmdb", []byte("not looked at, for there is one of countries"))
	d := &databases{paths: []string{dir, filepath.Join(dir, "gone.mmdb"), "/nowhere"}}
	defer d.close()
	now := time.Now()
	check := func(what, addr, want string, problem string) {
		t.Helper()
		now = now.Add(lookAgain + time.Second)
		code, as, operator, problems := d.find(netip.MustParseAddr(addr), now)
		f := Facts{Country: code, AS: as, Operator: operator}
		if f.String() != want || !strings.Contains(strings.Join(problems, ";"), problem) || problem == "" && len(problems) > 0 {
			t.Errorf("%s: %q, want %q; %q", what, f, want, problems)
		}
	}
	check("in both", "45.0.0.7", "DE, AS64500 Example[31m Net", "")
	check("in one", "45.0.9.7", "AS64500 Example[31m Net", "")
	check("a flat database", "46.1.1.1", "SE", "")
	check("IPv6", "2a00::7", "FR", "")
	check("in none", "47.0.0.1", "", "")
	write("GeoLite2-Country.mmdb", countries("NL"))
	check("replaced", "45.0.0.7", "NL, AS64500 Example[31m Net", "")
	write("GeoLite2-Country.mmdb", []byte("garbage"))
	check("damaged", "45.0.0.7", "AS64500 Example[31m Net", "not a database")
	write("GeoLite2-Country.mmdb", countries("NL"))
	check("whole again", "45.0.0.7", "NL, AS64500 Example[31m Net", "")
	// Cut short in place while it is mapped: the kernel answers a look with SIGBUS.
	if err := os.Truncate(filepath.Join(dir, "GeoLite2-ASN.mmdb"), 0); err != nil {
		t.Fatal(err)
	}
	if _, as, _, problems := d.find(netip.MustParseAddr("45.0.0.7"), now); as != 0 || !strings.Contains(strings.Join(problems, ";"), "changed in place") {
		t.Errorf("cut short: AS%d, %q", as, problems)
	}
	check("cut short, seen again", "45.0.0.7", "NL", "not a database")
}

// FuzzDatabaseIsHarmless: whatever a file holds, it gives an answer or an error.
func FuzzDatabaseIsHarmless(f *testing.F) {
	m := &mmdb{}
	m.add("45.0.0.0/24", tree{{"country", tree{{"iso_code", "DE"}}}})
	f.Add(m.bytes("Test-Country"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 64<<10 {
			return
		}
		path := filepath.Join(t.TempDir(), "x.mmdb")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		d := &databases{paths: []string{path}}
		defer d.close()
		code, _, operator, _ := d.find(addr4, time.Now())
		if len(code) != 0 && len(code) != 2 || len(operator) > maxText+8 {
			t.Fatalf("%q %q", code, operator)
		}
	})
}
