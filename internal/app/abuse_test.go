package app

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/enrich"
	"gatehouse/internal/notify"
)

// TestServiceOf: what a watch guards, built in or of the operator's.
func TestServiceOf(t *testing.T) {
	dir := t.TempDir()
	own := "rule: intranet\nservice: http\nevidence: proven\nports: 80/tcp\npatterns:\n  - name: failed\n    class: failure\n    match: \"login failed from <addr>\"\n"
	if err := os.WriteFile(filepath.Join(dir, "intranet.yaml"), []byte(own), 0o600); err != nil {
		t.Fatal(err)
	}
	for watch, want := range map[string]string{"sshd": "ssh", "sshd.2": "ssh", "postfix": "smtp", "nowhere": "", "../../etc/passwd": "", "": ""} {
		if got := serviceOf(dir, watch); got != want {
			t.Errorf("%s guards %q, want %q", watch, got, want)
		}
	}
}

// TestWhomOf: who holds an address, and why that is not known.
func TestWhomOf(t *testing.T) {
	f := enrich.Facts{Country: "DE", AS: 64500, Names: []enrich.Name{{Name: "liar.example"}, {Name: "host.example", Confirmed: true}}, Unregistered: []string{"RDAP: hangs"}}
	if w := whomOf(f, true); w.Name != "host.example" || w.Operator != "AS64500" || w.Problem != "its abuse contact is not known: RDAP: hangs" {
		t.Errorf("%+v", w)
	}
	f.Held = enrich.Registration{Source: "rdap.example", Owner: "Example Net", Network: netip.MustParsePrefix("45.0.0.0/24"), Abuse: []string{"a@b.example"}}
	if w := whomOf(f, true); w.Operator != "AS64500 Example Net" || w.Problem != "" || w.Abuse[0] != "a@b.example" || !w.Network.IsValid() {
		t.Errorf("%+v", w)
	}
}

// TestSendAgain: what a channel refuses for good is not tried again; what asks to
// wait is heard.
func TestSendAgain(t *testing.T) {
	for _, c := range []struct {
		err   error
		final bool
		after time.Duration
	}{
		{&notify.Failure{Why: "550", Permanent: true}, true, 0},
		{&notify.Failure{Why: "429", After: time.Hour}, false, time.Hour},
		{errors.New("no such host"), false, 0},
	} {
		if final, after := sendAgain(c.err); final != c.final || after != c.after {
			t.Errorf("%v: %v %s", c.err, final, after)
		}
	}
	if clockOf("08:30") != 8*time.Hour+30*time.Minute {
		t.Error("a time of the day")
	}
}
