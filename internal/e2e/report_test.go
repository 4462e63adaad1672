package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"gatehouse/internal/rig"
)

// outsiders are the servers that a daemon talks to about an address, all on the
// loopback of its machine: a registry, a service that takes reports, a mail server.
type outsiders struct {
	release chan struct{} // closed when the registry no longer hangs

	mu    sync.Mutex
	asked []string // addresses that the registry was asked for
	posts []string
	mails []string // recipient and text
}

// registry answers for 45.0.0.0/24, and hangs for all else.
func (o *outsiders) registry(w http.ResponseWriter, r *http.Request) {
	addr := strings.TrimPrefix(r.URL.Path, "/rdap/ip/")
	o.mu.Lock()
	o.asked = append(o.asked, addr)
	o.mu.Unlock()
	if !strings.HasPrefix(addr, "45.0.0.") {
		select {
		case <-o.release:
		case <-r.Context().Done():
		}
		return
	}
	fmt.Fprint(w, `{"startAddress":"45.0.0.0","endAddress":"45.0.0.255","name":"EXAMPLE-NET","country":"DE","entities":[
		{"roles":["registrant"],"vcardArray":["vcard",[["fn",{},"text","Example Hosting"]]]},
		{"roles":["abuse"],"vcardArray":["vcard",[["email",{},"text","abuse@hosting.example"]]]}]}`)
}

// NewSession implements smtp.Backend.
func (o *outsiders) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{o: o}, nil }

type delivery struct {
	o  *outsiders
	to string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error {
	d.to += to + " "
	return nil
}
func (d *delivery) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	d.o.mu.Lock()
	defer d.o.mu.Unlock()
	d.o.mails = append(d.o.mails, d.to+"\n"+string(b))
	return err
}
func (d *delivery) Reset()        { d.to = "" }
func (d *delivery) Logout() error { return nil }

func (o *outsiders) counts() (posts, mails int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.posts), len(o.mails)
}

// TestReports: a ban is reported to who holds the address and to a service, with
// nothing of ours in it, once, over a crash as well; a registry that hangs delays
// no ban; whois, why and the digest tell what became known.
func TestReports(t *testing.T) {
	y := newYard(t, "watch: []\n")
	o := &outsiders{release: make(chan struct{})}
	release := sync.OnceFunc(func() { close(o.release) })
	t.Cleanup(release)
	web, err := y.gate.Listen("tcp", "127.0.0.1:8090")
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/boot/", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"services":[[["0.0.0.0/0"],["http://127.0.0.1:8090/rdap/"]]]}`)
	})
	mux.HandleFunc("/rdap/ip/", o.registry)
	mux.HandleFunc("/report", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		o.mu.Lock()
		o.posts = append(o.posts, string(b))
		o.mu.Unlock()
	})
	server := &http.Server{Handler: mux}
	go func() { _ = server.Serve(web) }()
	t.Cleanup(func() { server.Close() })
	post, err := y.gate.Listen("tcp", "127.0.0.1:8091")
	if err != nil {
		t.Fatal(err)
	}
	office := smtp.NewServer(o)
	office.Domain = "localhost"
	go func() { _ = office.Serve(post) }()
	t.Cleanup(func() { office.Close() })

	y.daemon.Configure(watchLog(y.log, "threshold: 3 in 10m, ban: [1h]") + `
allow: [45.0.0.50]
enrich: {lookups: told, bootstrap: "http://127.0.0.1:8090/boot", whois: "127.0.0.1:8092", databases: [/nowhere]}
notify:
  channels: [{name: mail, mail: [us@example.org], server: "127.0.0.1:8091", tls: none, from: gate@example.org}]
  routes: [{kinds: ["*"], to: []}]
report:
  organisation: Example Ltd
  contact: abuse@example.org
  hide: [topsecret]
  to:
    - {name: holder, mail: mail}
    - {name: service, url: "http://127.0.0.1:8090/report"}
`)
	if err := os.WriteFile(y.log, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	y.daemon.Start()
	next := y.daemon.Follow()
	isTold := func(addr, word string) func(rig.Entry) bool {
		return func(e rig.Entry) bool {
			return e.Rule == "report" && e.Subject == addr && strings.Contains(e.Why, word)
		}
	}
	// A registry that hangs: the bans come all the same, and at once.
	for i := range 3 {
		begun := time.Now()
		failures(t, y.log, fmt.Sprintf("46.0.0.%d", i+1), 3)
		if _, err := next(isBan(fmt.Sprintf("46.0.0.%d", i+1))); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begun); took > 3*time.Second {
			t.Errorf("a ban took %s beside a registry that hangs", took)
		}
	}
	release()
	failures(t, y.log, "45.0.0.7", 3)
	failures(t, y.log, "45.0.0.50", 3) // allowed: not even banned
	for _, who := range []string{"reported to service", "reported to holder (abuse@hosting.example)"} {
		if _, err := next(isTold("45.0.0.7", who)); err != nil {
			t.Fatalf("%s: %v", who, err)
		}
	}
	posts, mails := o.counts()
	o.mu.Lock()
	var about []string
	for _, p := range o.posts {
		if strings.Contains(p, `"address":"45.0.0.7"`) {
			about = append(about, p)
		}
	}
	mail := o.mails[0]
	o.mu.Unlock()
	if len(about) != 1 || strings.Contains(about[0], "gate sshd") || strings.Contains(about[0], "for root") || !strings.Contains(about[0], "[ours] sshd") {
		t.Errorf("the service got %q", about)
	}
	if mails != 1 || !strings.HasPrefix(mail, "abuse@hosting.example \n") || !strings.Contains(mail, "X-XARF: PLAIN") || !strings.Contains(mail, `"xarf.json"`) ||
		!strings.Contains(mail, "Reply-To: <abuse@example.org>") || strings.Contains(mail, "us@example.org") {
		t.Errorf("%d mails; the holder got %s", mails, mail)
	}
	if out := y.daemon.Must("whois", "45.0.0.99"); !strings.Contains(out, "Example Hosting") || !strings.Contains(out, "abuse@hosting.example") {
		t.Errorf("whois: %s", out)
	}
	if out := y.daemon.Must("why", "45.0.0.7"); !strings.Contains(out, "who it is") || !strings.Contains(out, "45.0.0.0/24 EXAMPLE-NET") {
		t.Errorf("why: %s", out)
	}
	if out := y.daemon.Must("report", "45.0.0.7", "--dry-run"); !strings.Contains(out, "Subject: Abuse report") || !strings.Contains(out, `"login_attack"`) || !strings.Contains(out, "nothing was sent") {
		t.Errorf("the preview: %s", out)
	}
	for addr, why := range map[string]string{"45.0.0.7": "once a day", "45.0.0.50": "never banned", "192.0.2.1": "never banned"} {
		if r := y.daemon.CLI("report", addr); r.Code != 1 || !strings.Contains(r.Err, why) {
			t.Errorf("report %s: exit %d, %s", addr, r.Code, r.Err)
		}
	}

	// After a crash the same offender is not reported again.
	y.daemon.Kill()
	y.daemon.Start()
	next = y.daemon.Follow()
	y.daemon.Must("unban", "45.0.0.7")
	failures(t, y.log, "45.0.0.7", 3)
	if _, err := next(isBan("45.0.0.7")); err != nil {
		t.Fatal(err)
	}
	failures(t, y.log, "45.0.0.8", 3)
	if _, err := next(isTold("45.0.0.8", "reported to holder")); err != nil {
		t.Fatal(err)
	}
	if p, m := o.counts(); p != posts+1 || m != mails+1 {
		t.Errorf("%d posts and %d mails, want %d and %d", p, m, posts+1, mails+1)
	}

	if out := y.daemon.Must("report", "digest", "--since", "1d"); !strings.Contains(out, "45.0.0.7") || !strings.Contains(out, "█") {
		t.Errorf("the digest: %s", out)
	}
	page := filepath.Join(t.TempDir(), "digest.html")
	y.daemon.Must("report", "digest", "--html", page)
	if b, err := os.ReadFile(page); err != nil || !strings.Contains(string(b), "<svg") {
		t.Errorf("the page: %v", err)
	}
	var sum struct {
		Bans    int
		Reports int
	}
	y.daemon.JSON(&sum, "report", "digest")
	if sum.Bans != 6 || sum.Reports < 4 {
		t.Errorf("the digest counts %+v", sum)
	}
}
