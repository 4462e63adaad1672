package enrich

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse/internal/gate"
)

// ripe is an answer as a registry gives it, with contacts within contacts.
const ripe = `{"rdapConformance":["cidr0","rdap_level_0"],"objectClassName":"ip network","handle":"45.0.0.0 - 45.0.0.255",
"startAddress":"45.0.0.0","endAddress":"45.0.0.255","ipVersion":"v4","name":"EXAMPLE-NET","country":"DE","type":"ASSIGNED PA",
"cidr0_cidrs":[{"v4prefix":"45.0.0.0","length":24}],
"entities":[
 {"handle":"ORG-1","roles":["registrant"],"vcardArray":["vcard",[["version",{},"text","4.0"],["fn",{},"text","Example Hosting GmbH"],["kind",{},"text","org"]]],
  "entities":[{"roles":["technical","abuse"],"vcardArray":["vcard",[["fn",{},"text","Abuse Desk"],["email",{"type":"abuse"},"text","Abuse@Hosting.Example"],["email",{},"text","second@hosting.example"]]]}]},
 {"roles":["technical"],"vcardArray":["vcard",[["email",{},"text","noc@hosting.example"]]]}]}`

// TestRDAP: one line a behaviour of an RDAP server, and what is learned of an
// address whose whois servers do not answer.
func TestRDAP(t *testing.T) {
	text := func(s string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) }
	}
	status := func(code int, header ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if len(header) == 2 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(code)
		}
	}
	hang := func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush(); <-r.Context().Done() }
	huge := func(w http.ResponseWriter, r *http.Request) {
		for b := bytes.Repeat([]byte(" "), 1<<20); r.Context().Err() == nil; {
			if _, err := w.Write(b); err != nil {
				return
			}
		}
	}
	deep := func(n int) string { return strings.Repeat(`{"entities":[`, n) + strings.Repeat(`]}`, n) }
	other := strings.ReplaceAll(ripe, "45.0.0", "45.0.1")
	for _, c := range []struct {
		name    string
		serve   http.HandlerFunc
		want    string // network, title, owner, country, abuse
		problem string
	}{
		{"a good answer", text(ripe), "45.0.0.0/24 EXAMPLE-NET Example Hosting GmbH DE abuse@hosting.example second@hosting.example", ""},
		{"start and end alone", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.3.255","name":"X"}`), "45.0.0.0/22 X", ""},
		{"not on a boundary", text(`{"startAddress":"45.0.0.6","endAddress":"45.0.0.9","name":"X"}`), "45.0.0.6/31 X", ""},
		{"ARIN's number", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","name":"X","arin_originas0_originautnums":[64500]}`), "45.0.0.0/24 X AS64500", ""},
		{"abuse in an address, not in a role", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","entities":[{"roles":["technical"],"vcardArray":["vcard",[["email",{},"text","abuse@x.example"]]]}]}`), "45.0.0.0/24 abuse@x.example", ""},
		{"hostile text", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","name":"a\r\nBcc: x\u202e\u001b[31m","entities":[{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","a@x.example\nBcc: y@x.example"],["email",{},"text","-oQ@x.example"]]]}]}`), "45.0.0.0/24 a Bcc: x[31m", ""},
		{"bytes that are no UTF-8", text("{\"startAddress\":\"45.0.0.0\",\"endAddress\":\"45.0.0.255\",\"name\":\"M\xfcnchen\"}"), "45.0.0.0/24 Mnchen", ""},
		{"a field of another type", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","name":"X","country":7,"entities":"none"}`), "45.0.0.0/24 X", ""},
		{"another network", text(other), "", "is not about 45.0.0.7"},
		{"all addresses", text(`{"startAddress":"0.0.0.0","endAddress":"255.255.255.255","name":"IANA-BLK"}`), "", "is not about 45.0.0.7"},
		{"no JSON", text("<html>"), "", "no JSON"},
		{"empty", text(""), "", "no JSON"},
		{"contacts without end", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","name":"X","entities":[` + deep(1000) + `]}`), "45.0.0.0/24 X", ""},
		{"and deeper than JSON is read", text(`{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","entities":[` + deep(6000) + `]}`), "", "no JSON"},
		{"not found", status(404), "", "knows nothing"},
		{"an error", status(500), "", "500"},
		{"too many", status(429, "Retry-After", "120"), "", "429"},
		{"a redirect to itself", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path, http.StatusFound) }, "", "circle"},
		{"redirects without end", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.Path+"x", http.StatusFound) }, "", "more than 4"},
		{"a redirect to nowhere", status(302), "", "nowhere"},
		{"a redirect to a file", status(302, "Location", "file:///etc/passwd"), "", "nowhere"},
		{"a redirect to elsewhere", status(302, "Location", "http://elsewhere.example/ip/45.0.0.7"), "", "no such host"},
		{"a redirect with a password", status(302, "Location", "http://a:b@elsewhere.example/"), "", "nowhere"},
		{"it hangs", hang, "", "deadline"},
		{"it never ends", huge, "", "more than 512 kB"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			e := w.enricher(w.web(c.serve), nil)
			f := e.Look(soon(t, 2*time.Second), addr4, false)
			if got := said(f); got != c.want {
				t.Errorf("learned %q, want %q", got, c.want)
			}
			if p := strings.Join(f.Problems, "; "); c.problem != "" && !strings.Contains(p, c.problem) {
				t.Errorf("the problems are %q, want %q", p, c.problem)
			}
		})
	}
}

// said is what a registry said, in a line.
func said(f Facts) string {
	if f.Held.Source == "" {
		return ""
	}
	parts := []string{f.Held.Network.String(), f.Held.Title, f.Held.Owner, f.Held.Country}
	if f.Held.AS != 0 {
		parts = append(parts, fmt.Sprintf("AS%d", f.Held.AS))
	}
	return strings.Join(strings.Fields(strings.Join(append(parts, f.Held.Abuse...), " ")), " ")
}

// TestRedirect: registries refer to each other; from https never to http.
func TestRedirect(t *testing.T) {
	w := newWorld(t)
	second := w.web(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/ip/45.0.0.7" {
			t.Errorf("asked for %s", r.URL.Path)
		}
		_, _ = io.WriteString(rw, ripe)
	})
	first := w.web(func(rw http.ResponseWriter, r *http.Request) {
		http.Redirect(rw, r, second+r.URL.Path, http.StatusMovedPermanently)
	})
	if f := w.enricher(first, nil).Look(t.Context(), addr4, false); f.Held.Title != "EXAMPLE-NET" {
		t.Errorf("%+v", f)
	}
	from, err := netURL("https://rdap.example/ip/1")
	if err != nil {
		t.Fatal(err)
	}
	if to, err := redirect(from, "http://rdap.example/ip/1"); err == nil {
		t.Errorf("https leads to %s", to)
	}
}

// TestPublicOnly: nothing from outside makes us connect to our own networks.
func TestPublicOnly(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c, err := publicOnly(DefaultBootstrap)(t.Context(), "tcp", l.Addr().String()); err == nil {
		c.Close()
		t.Error("it connects to loopback")
	} else if !strings.Contains(err.Error(), "not a public address") {
		t.Error(err)
	}
	c, err := publicOnly("http://127.0.0.1:1/rdap")(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the operator's own lists are on loopback: %v", err)
	}
	c.Close()
}

// TestRetryAfter: a server that asks to be left alone is, and whois is asked.
func TestRetryAfter(t *testing.T) {
	w := newWorld(t)
	asked := 0
	base := w.web(func(rw http.ResponseWriter, _ *http.Request) {
		asked++
		rw.Header().Set("Retry-After", "300")
		rw.WriteHeader(429)
	})
	w.whois("whois.first.test", says("inetnum: 45.0.0.0 - 45.0.0.255\nnetname: BY-WHOIS\n"))
	e := w.enricher(base, nil)
	for _, a := range []string{"45.0.0.7", "45.0.0.8", "45.0.0.9"} {
		if f := e.Look(t.Context(), netip.MustParseAddr(a), true); f.Held.Title != "BY-WHOIS" || f.Held.Source != "whois.first.test" {
			t.Errorf("%s: %+v", a, f)
		}
	}
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
}

// TestWhois: one line a behaviour of whois servers.
func TestWhois(t *testing.T) {
	const net24 = "inetnum: 45.0.0.0 - 45.0.0.255\n"
	hang := func(_ string, c net.Conn) { _, _ = io.Copy(io.Discard, c) }
	huge := func(head string) func(string, net.Conn) {
		return func(_ string, c net.Conn) {
			_, _ = io.WriteString(c, head)
			b := bytes.Repeat([]byte("remarks: and so on\n"), 50_000)
			for range 100 << 20 / len(b) {
				if _, err := c.Write(b); err != nil {
					return
				}
			}
		}
	}
	type servers map[string]func(string, net.Conn)
	for _, c := range []struct {
		name    string
		servers servers // without .test
		want    string
		problem string
	}{
		{"a referral", servers{"first": says("refer: whois.second.test\n"), "second": says(net24 + "netname: X\n")}, "45.0.0.0/24 X", ""},
		{"as ARIN writes one", servers{"first": says("ReferralServer: whois://whois.second.test:43/\n"), "second": says(net24 + "netname: X\n")}, "45.0.0.0/24 X", ""},
		{"RIPE's objects", servers{"first": says("% Abuse contact for '45.0.0.0 - 45.0.0.255' is 'abuse@x.example'\n\n" + net24 + "netname: X\ncountry: NL # EU\n\norganisation: ORG-1\norg-name: X BV\n\nroute: 45.0.0.0/24\norigin: AS64500\n")}, "45.0.0.0/24 X ORG-1 NL AS64500 abuse@x.example", ""},
		{"ARIN's objects", servers{"first": says("NetRange: 45.0.0.0 - 45.0.255.255\nCIDR: 45.0.0.0/16\nNetName: BIG\nOriginAS: AS64501\n\nOrgName: Big Inc\nCountry: US\n\nOrgAbuseEmail: abuse@big.example\n\nNetRange: 45.0.0.0 - 45.0.0.127\nCIDR: 45.0.0.0/25\nNetName: SMALL\n")}, "45.0.0.0/25 SMALL Big Inc US AS64501 abuse@big.example", ""},
		{"LACNIC's objects", servers{"first": says("inetnum: 45.0.0/22\nowner: Exemplo S.A.\ncountry: BR\naut-num: AS64502\n\nnic-hdl-br: X\ne-mail: abuse@x.example\n")}, "45.0.0.0/22 Exemplo S.A. BR AS64502 abuse@x.example", ""},
		{"Latin-1", servers{"first": says(net24 + "netname: X\ndescr: M\xfcnchner Stra\xdfe\n")}, "45.0.0.0/24 X Münchner Straße", ""},
		{"a loop of two", servers{"first": says("refer: whois.second.test\n"), "second": says("refer: whois.first.test\n")}, "", "circle"},
		{"a loop to itself", servers{"first": says("refer: WHOIS.first.test.\n")}, "", "circle"},
		{"a loop behind an answer", servers{"first": says(net24 + "netname: X\nrefer: whois.first.test\n")}, "45.0.0.0/24 X", ""},
		{"a long way", servers{"first": says("refer: whois.a.test\n"), "a": says("refer: whois.b.test\n"), "b": says("refer: whois.c.test\n"), "c": says("refer: whois.d.test\n"), "d": says("refer: whois.e.test\n"), "e": says(net24 + "netname: X\n")}, "", "no server knows"},
		{"a referral to a port", servers{"first": says("refer: whois.second.test:25\n")}, "", "port"},
		{"a referral to no server", servers{"first": says("refer: who is\nwhois: -x\n")}, "", "not a server"},
		{"a dead second server", servers{"first": says(net24 + "netname: X\nrefer: whois.dead.test\n")}, "45.0.0.0/24 X", ""},
		{"another network", servers{"first": says("inetnum: 45.0.1.0 - 45.0.1.255\nnetname: X\n")}, "", "no server knows"},
		{"garbage", servers{"first": says(strings.Repeat("\x00\xff:\x1b[2J\r\n\r: :", 3000))}, "", "no server knows"},
		{"hostile text", servers{"first": says(net24 + "netname: a\x1b[31m\x07b\nabuse-mailbox: x@y.example,-f@y.example\nabuse-mailbox: \"; rm\"@y.example\n")}, "45.0.0.0/24 a[31mb", ""},
		{"100 MB behind the answer", servers{"first": huge(net24 + "netname: X\n")}, "45.0.0.0/24 X", ""},
		{"100 MB of nothing", servers{"first": huge("")}, "", "no server knows"},
		{"it hangs", servers{"first": hang}, "", "takes longer"},
		{"nobody there", servers{}, "", "no such host"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			for name, f := range c.servers {
				w.whois("whois."+name+".test", f)
			}
			e := w.enricher("", nil)
			f := e.Look(soon(t, 2*time.Second), addr4, false)
			if got := said(f); got != c.want {
				t.Errorf("learned %q, want %q (%v)", got, c.want, f.Problems)
			}
			if p := strings.Join(f.Problems, "; "); c.problem != "" && !strings.Contains(p, c.problem) {
				t.Errorf("the problems are %q, want %q", p, c.problem)
			}
		})
	}
}

// TestNames: reverse DNS counts as confirmed only if it leads back.
func TestNames(t *testing.T) {
	name := dnsmessage.MustNewName
	rr := func(n string, body dnsmessage.ResourceBody) dnsmessage.Resource {
		return dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: name(n), Class: dnsmessage.ClassINET, TTL: 1}, Body: body}
	}
	r := nameServer(t, func(q dnsmessage.Question) []dnsmessage.Resource {
		switch q.Name.String() + q.Type.String() {
		case "7.0.0.45.in-addr.arpa.TypePTR":
			return []dnsmessage.Resource{
				rr(q.Name.String(), &dnsmessage.PTRResource{PTR: name("www.bank.example.")}),
				rr(q.Name.String(), &dnsmessage.PTRResource{PTR: name("host7.hosting.example.")}),
				rr(q.Name.String(), &dnsmessage.PTRResource{PTR: name("evil\x1b[31m.example.")}),
			}
		case "www.bank.example.TypeA":
			return []dnsmessage.Resource{rr(q.Name.String(), &dnsmessage.AResource{A: [4]byte{45, 9, 9, 9}})}
		case "host7.hosting.example.TypeA":
			return []dnsmessage.Resource{rr(q.Name.String(), &dnsmessage.AResource{A: [4]byte{45, 0, 0, 8}}), rr(q.Name.String(), &dnsmessage.AResource{A: [4]byte{45, 0, 0, 7}})}
		}
		return nil
	})
	w := newWorld(t)
	e := w.enricher("", func(_ *Config, d *Deps) { d.Resolver = r })
	want := []Name{{"host7.hosting.example", true}, {"www.bank.example", false}}
	if f := e.Look(t.Context(), addr4, false); !slices.Equal(f.Names, want) {
		t.Errorf("%+v, want %+v", f.Names, want)
	}
	if f := e.Known(addr4); !slices.Equal(f.Names, want) || f.String() != "host7.hosting.example" {
		t.Errorf("remembered %+v: %s", f.Names, f)
	}
	if f := e.Look(t.Context(), netip.MustParseAddr("45.0.0.9"), false); len(f.Names) != 0 || !strings.Contains(strings.Join(f.Problems, " "), "reverse DNS") {
		t.Errorf("%+v", f)
	}
}

// TestOff: with look-ups off nobody is asked.
func TestOff(t *testing.T) {
	w := newWorld(t)
	e := w.enricher("", func(c *Config, _ *Deps) { c.Lookups = Off })
	if f := e.Look(t.Context(), addr4, true); !f.IsEmpty() || len(f.Problems) != 1 {
		t.Errorf("%+v", f)
	}
	e.Known(addr4)
	if len(w.asked) != 0 {
		t.Errorf("asked: %v", w.asked)
	}
}

// TestPrivate: no registry is asked about addresses that it cannot know.
func TestPrivate(t *testing.T) {
	w := newWorld(t)
	e := w.enricher(w.web(func(http.ResponseWriter, *http.Request) { t.Error("a registry was asked") }), nil)
	for _, a := range []string{"10.0.0.1", "192.168.1.1", "127.0.0.1", "fe80::1", "2001:db8::1", "::ffff:10.1.1.1"} {
		if f := e.Look(t.Context(), netip.MustParseAddr(a), false); !strings.Contains(strings.Join(f.Problems, " "), "not a public address") {
			t.Errorf("%s: %+v", a, f)
		}
	}
}

// TestWanted: with look-ups told, what is banned becomes known by itself, within
// the limit; nobody waits.
func TestWanted(t *testing.T) {
	w := newWorld(t)
	asked := make(chan string, 10)
	base := w.web(func(rw http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Path
		rw.WriteHeader(404)
	})
	w.whois("whois.first.test", says(""))
	e := w.enricher(base, func(c *Config, _ *Deps) {
		c.Lookups, c.Limit = Told, gate.Threshold{Count: 2, Within: time.Hour}
	})
	ended := make(chan error, 1)
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 2 * maxWanted {
		e.Want(netip.AddrFrom4([4]byte{45, 0, byte(i >> 8), byte(i)})) // more than waits is left out
	}
	go func() { ended <- e.Run(ctx) }()
	for _, want := range []string{"/ip/45.0.0.0", "/ip/45.0.0.1"} {
		if got := <-asked; got != want {
			t.Errorf("asked %s, want %s", got, want)
		}
	}
	for range 2 * maxWanted {
		e.wanted <- addr4 // once all are taken, those before them were dealt with
	}
	if len(asked) != 0 {
		t.Errorf("asked beyond the limit: %s", <-asked)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
