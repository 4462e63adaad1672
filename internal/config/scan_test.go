package config

import (
	"strings"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

func TestScan(t *testing.T) {
	c, err := Parse("t.yaml", []byte(`scan:
  traps: [23, 445/tcp]
  threshold: 7 in 2m
  hold: 30m
  ban: [1h, forever]
  advanced: 1024
  exclude: [113/tcp, 137-138/udp]
  decoys: [2323/tcp]
  banner: "Welcome: you"
  tarpit: 0s
  settle: forever
  group: 7
`), Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := c.Scan
	if s.Off || s.Traps.String() != "23,445/tcp 23/udp" || s.Threshold != (Distinct{Count: 7, Within: 2 * time.Minute}) || s.Hold != 30*time.Minute ||
		s.Advanced != 1024 || s.Exclude.Len() != 3 || s.Decoys.String() != "2323/tcp" || s.Tarpit != 0 || s.Settle != gate.Forever || s.Group != 7 || s.Ban[1] != gate.Forever {
		t.Errorf("%+v", s)
	}
	off, err := Parse("t.yaml", []byte("scan: off\n"), Options{})
	if err != nil || !off.Scan.Off {
		t.Errorf("%+v, %v", off, err)
	}
	if !strings.Contains(string(off.YAML()), "\nscan: off\n") {
		t.Errorf("written as %s", off.YAML())
	}
	for _, text := range []string{"5 distinct ports in 1m", "5 ports in 1m", "5 in 1m"} {
		var d Distinct
		if err := d.UnmarshalText([]byte(text)); err != nil || d != (Distinct{Count: 5, Within: time.Minute}) {
			t.Errorf("%s: %v, %v", text, d, err)
		}
	}
	none, err := Parse("t.yaml", []byte("scan: {traps: []}\n"), Options{})
	if err != nil || !none.Scan.Traps.IsEmpty() {
		t.Fatalf("%v, %v", none, err)
	}
	if !strings.Contains(string(none.YAML()), "\n  traps: []\n") {
		t.Errorf("no traps are written as %s", none.YAML())
	}
}

func TestScanRefused(t *testing.T) {
	for _, c := range []struct{ scan, want, hint string }{
		{"{traps: [20-30, 25-40]}", `"25-40" overlaps "20-30": both have 25-30`, "write each port once"},
		{"{traps: [23, 23/tcp]}", `"23/tcp" overlaps "23": both have 23/tcp`, "write each port once"},
		{"{decoys: [70000]}", `"70000" is not a port: ports go from 1 to 65535`, ""},
		{"{threshold: 0 in 1m}", `"0 in 1m" is not a number of ports`, ""},
		{"{threshold: 1 distinct ports in 1m}", "1 different ports cannot be counted", "for a single port there are traps"},
		{"{threshold: 65 in 1m}", "65 different ports cannot be counted", ""},
		{"{threshold: 5 in 0s}", "is not a number of ports", ""},
		{"{threshold: 5 in 10ms}", "10ms is no time to count ports in", "write 1s to 30d"},
		{"{slow: 5 in forever}", "forever is no time", ""},
		{"{hold: 0s}", "a hold of 0s", "write 10s to 1h"},
		{"{hold: 1d}", "a hold of 1d", "may be innocent"},
		{"{tarpit: 1h}", "a connection kept for 1h", ""},
		{"{advanced: 70000}", "70000 is out of range", ""},
		{"{group: 0}", "0 is out of range", ""},
		{"{ban: []}", "a ladder without a step", ""},
		{"{traps: [23/tcp], decoys: [23/tcp]}", "23/tcp is in decoys and in traps", "a trap drops what a decoy answers"},
		{"{traps: [23/tcp], exclude: [23]}", "23/tcp is in exclude and in traps", ""},
		{"{decoys: [2323/tcp], exclude: [2323]}", "2323/tcp is in exclude and in decoys", ""},
		{"{decoys: [1000-1040]}", "82 decoys", "at most 64"},
		{"{threshold: 5 in 1m, shared: 10 in 2m}", "shared counts within the time of threshold", "write 10 distinct ports in 1m"},
		{"{threshold: 20 in 1m, shared: 10 in 1m}", "a network may try fewer ports than a single sender", ""},
		{"on", `"on" is neither off nor keys and values`, ""},
		{"{trap: [23]}", `unknown key "trap" in scan`, "did you mean traps"},
	} {
		_, err := Parse("t.yaml", []byte("scan: "+c.scan+"\n"), Options{})
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), c.hint) {
			t.Errorf("scan: %s\n%v\nwant %s (%s)", c.scan, err, c.want, c.hint)
		}
	}
	// The defaults give way to what is written.
	for _, scan := range []string{"{decoys: [23/tcp]}", "{exclude: [23, 3389]}"} {
		if _, err := Parse("t.yaml", []byte("scan: "+scan+"\n"), Options{}); err != nil {
			t.Errorf("scan: %s\n%v", scan, err)
		}
	}
}
