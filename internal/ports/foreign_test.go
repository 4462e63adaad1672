package ports

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

func TestMain(m *testing.M) { netlab.Main(m) }

// What nft itself writes into the kernel is understood.
func TestForeign(t *testing.T) {
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("nft is not installed")
	}
	h := netlab.New(t).Host("gate")
	load := func(script string) {
		t.Helper()
		c := h.Command("nft", "-f", "-")
		c.Stdin = strings.NewReader(script)
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("nft: %v %s", err, out)
		}
	}
	for _, c := range []struct{ name, script, ports, want string }{
		{"nothing", "", "22/tcp", ""},
		{"a drop", "tcp dport 22 drop", "22/tcp", "another program drops 22/tcp (table inet other, chain input)"},
		{"a reject of a set", "tcp dport { 21, 22, 8000-8100 } reject", "8050/tcp 9000/tcp", "another program drops 8050/tcp (table inet other, chain input)"},
		{"a range", "udp dport 50-60 counter drop", "53", "another program drops 53/udp (table inet other, chain input)"},
		{"another protocol", "udp dport 22 drop", "22/tcp", ""},
		{"an accept", "tcp dport 22 accept", "22/tcp", "another program accepts 22/tcp (table inet other, chain input)"},
		{"an accept before a drop", "tcp dport 22 accept; tcp dport 22 drop", "22/tcp", "another program accepts 22/tcp (table inet other, chain input)"},
		{"from some", "ip saddr 192.0.2.1 tcp dport 22 drop", "22/tcp", "another program drops 22/tcp under some conditions (table inet other, chain input)"},
		{"all of a protocol", "meta l4proto tcp drop", "22/tcp", "another program drops 22/tcp (table inet other, chain input)"},
		{"a policy", "ct state established accept; tcp dport 22 accept; policy", "22/tcp 80/tcp",
			"another program accepts 22/tcp (table inet other, chain input); another program drops 80/tcp, for no rule of its own accepts it (table inet other, chain input)"},
		{"a chain of its own", "jump more", "443/tcp", "another program drops 443/tcp (table inet other, chain more)"},
		{"ping is no port", "meta l4proto icmp drop", "22", ""},
	} {
		policy := "accept"
		rules := strings.ReplaceAll(c.script, "; ", "\n")
		if strings.HasSuffix(rules, "policy") {
			policy, rules = "drop", strings.TrimSuffix(rules, "policy")
		}
		load(fmt.Sprintf("flush ruleset\ntable inet gatehouse {\nchain x {\ntype filter hook input priority 0;\ntcp dport 22 drop\n}\n}\n"+
			"table inet other {\nchain more {\ntcp dport 443 drop\n}\nchain input { type filter hook input priority 0; policy %s;\n%s\n}\n}\n", policy, rules))
		var f *Foreign
		if err := h.Do(func() (err error) { f, err = ReadForeign("gatehouse"); return err }); err != nil {
			t.Fatal(err)
		}
		f.remarks = nil // of the machine that the test runs on
		if got := strings.Join(f.Says(set(c.ports), gate.In), "; "); got != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, got, c.want)
		}
	}
}
