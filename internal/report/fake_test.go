package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/notify"
)

// noon is when tests begin.
var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// desk is everything around a Reporter: a ledger, a store, mail, a clock.
type desk struct {
	t *testing.T

	mu      sync.Mutex
	records []gate.Record
	values  map[string][]byte
	mails   []Mail
	told    []string // kind: sentence
	faults  map[string]string
	now     time.Time
	spared  map[string]string
	whom    Whom
	mailErr error

	flushErr error
}

func newDesk(t *testing.T) *desk {
	return &desk{t: t, values: map[string][]byte{}, faults: map[string]string{}, spared: map[string]string{}, now: noon,
		whom: Whom{Country: "DE", Operator: "AS64500 Example Net", Network: netip.MustParsePrefix("45.0.0.0/24"), Abuse: []string{"abuse@hosting.example", "second@hosting.example"}}}
}

func (d *desk) Get(name string) ([]byte, bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	v, ok := d.values[name]
	return v, ok, nil
}

func (d *desk) Put(name string, v []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[name] = slices.Clone(v)
}

// add commits records.
func (d *desk) add(ds ...gate.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, x := range ds {
		d.records = append(d.records, gate.Record{Seq: uint64(len(d.records) + 1), Decision: x})
	}
}

func (d *desk) deps() Deps {
	return Deps{
		Log: slog.New(slog.DiscardHandler), Host: "gate.example.org", Store: d,
		Newest: func() uint64 { d.mu.Lock(); defer d.mu.Unlock(); return uint64(len(d.records)) },
		Flush:  func(context.Context) error { return d.flushErr },
		Follow: func(ctx context.Context, after uint64, yield func(gate.Record) bool) error {
			d.mu.Lock()
			rs := slices.Clone(d.records[min(int(after), len(d.records)):])
			d.mu.Unlock()
			for _, r := range rs {
				yield(r)
			}
			<-ctx.Done()
			return nil
		},
		Records: func(after uint64, since time.Time, limit int) (out []gate.Record, err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, r := range d.records {
				if r.Seq > after && !r.Time.Before(since) && len(out) < limit {
					out = append(out, r)
				}
			}
			return out, nil
		},
		About: func(s gate.Subject, limit int) (out []gate.Record, err error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			for _, r := range slices.Backward(d.records) {
				if r.Subject.Covers(s) && len(out) < limit {
					out = append(out, r)
				}
			}
			return out, nil
		},
		Spared:  func(_ context.Context, s gate.Subject) (string, error) { return d.spared[s.String()], nil },
		Private: func() []string { return []string{"gate.example.org", "gate", "ann"} },
		Service: func(rule string) string {
			return map[string]string{"sshd": "ssh", "web-probes": "http"}[rule]
		},
		Known: func(netip.Addr) Whom { w := d.whom; w.Abuse = nil; return w },
		Look:  func(context.Context, netip.Addr) Whom { return d.whom },
		Mail: func(_ context.Context, channel string, m Mail) (string, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.mailErr != nil {
				return "", d.mailErr
			}
			d.mails = append(d.mails, m)
			return "250 taken", nil
		},
		Post: func(ctx context.Context, r *http.Request, ca string) (string, error) {
			return notify.Exchange(ctx, r, ca)
		},
		Again: func(err error) (bool, time.Duration) {
			if f, ok := errors.AsType[*notify.Failure](err); ok {
				return f.Permanent, f.After
			}
			return false, 0
		},
		Tell: func(kind string, s gate.Subject, sentence string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			who := ""
			if s.IsValid() {
				who = s.String() + " "
			}
			d.told = append(d.told, kind+": "+who+strings.TrimPrefix(sentence, "it "))
		},
		Fault: func(target, why, _ string) {
			d.mu.Lock()
			defer d.mu.Unlock()
			if d.faults[target] = why; why == "" {
				delete(d.faults, target)
			}
		},
		Now: func() time.Time { d.mu.Lock(); defer d.mu.Unlock(); return d.now },
	}
}

func (d *desk) after(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.now = d.now.Add(t)
}

// reporter returns a Reporter that goes on where the last one of this desk ended.
func (d *desk) reporter(c Config) *Reporter {
	d.t.Helper()
	if c.Zone == nil {
		c.Zone = time.UTC
	}
	c.Organisation, c.Contact = "Example Ltd", "abuse@example.org"
	rp, err := New(c, d.deps())
	if err != nil {
		d.t.Fatal(err)
	}
	return rp
}

// feed gives a Reporter the records that it has not seen.
func (d *desk) feed(rp *Reporter) {
	rs, err := rp.d.Records(rp.state.Seq, time.Time{}, 1<<30)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := range rs {
		rp.take(d.t.Context(), &rs[i])
	}
}

// work does what is due.
func (d *desk) work(rp *Reporter) {
	for _, t := range rp.c.Targets {
		for j, _, _ := rp.next(t.Name); j != nil; j, _, _ = rp.next(t.Name) {
			rp.attempt(d.t.Context(), j)
		}
	}
}

// tells checks what was told since, by how each line begins.
func (d *desk) tells(what string, want ...string) {
	d.t.Helper()
	d.mu.Lock()
	defer d.mu.Unlock()
	ok := len(d.told) == len(want)
	for i := range want {
		ok = ok && strings.HasPrefix(d.told[i], want[i])
	}
	if !ok {
		d.t.Errorf("%s: told\n%s\nwant\n%s", what, strings.Join(d.told, "\n"), strings.Join(want, "\n"))
	}
	d.told = nil
}

// ban is a ban as a watch decides it.
func ban(addr string, at time.Time, change ...func(*gate.Decision)) gate.Decision {
	s, err := gate.ParseSubject(addr)
	if err != nil {
		panic(err)
	}
	proof := &gate.Proof{}
	for i := range 5 {
		proof.Add(gate.Event{
			Time: at.Add(time.Duration(i-4) * 20 * time.Second), Rule: "sshd", Subject: gate.AddrSubject(s.Addr()), Class: gate.ClassFailure, Evidence: gate.Proven,
			Detail: gate.Detail{User: "carol", Port: 22},
			Line:   fmt.Sprintf("Nov 21 11:59:%02d gate sshd[811]: Failed password for carol from %s port %d ssh2", 20+i, s.Addr(), 40000+i),
		})
	}
	d := gate.Decision{Time: at, Until: at.Add(time.Hour), Verdict: gate.Ban, Subject: s, Rule: "sshd", Offence: 1, Why: "5 failed logins", Proof: proof}
	for _, c := range change {
		c(&d)
	}
	return d
}

// secret is a Secret with this value.
func secret(v string) Secret { return func() (string, error) { return v, nil } }
