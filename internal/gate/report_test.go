package gate

import "testing"

func TestReports(t *testing.T) {
	for _, c := range []struct {
		report  Report
		holds   bool
		pattern string
	}{
		{ReportProbe, false, "syn"}, {"", false, "syn"}, {ReportTrap, true, "syn@trap"}, {ReportDecoy, true, "syn@decoy"},
		{ReportPorts, true, "syn@ports"}, {ReportAddresses, true, "syn@addresses"}, {ReportNetwork, true, "syn@network"},
		{ReportLive, false, "syn@live"}, {ReportFull, false, "syn@full"},
	} {
		if c.report.Holds() != c.holds || ProbePattern("syn", c.report) != c.pattern {
			t.Errorf("%q: %v %q", c.report, c.report.Holds(), ProbePattern("syn", c.report))
		}
		if kind, _ := ReadProbe(c.pattern); kind != "syn" {
			t.Errorf("%q reads as %q", c.pattern, kind)
		}
	}
	if kind, held := ReadProbe("udp@trap"); kind != "udp" || held != "trap" {
		t.Errorf("%q, %q", kind, held)
	}
}

func TestHeldCounts(t *testing.T) {
	var c Class
	if err := c.UnmarshalText([]byte("held")); err != nil || c != ClassHeld || !c.Counts() || ClassTell.Counts() {
		t.Errorf("%v, %v", c, err)
	}
}
