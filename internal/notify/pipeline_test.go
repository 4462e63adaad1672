package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gate"
)

// TestWave: a single ban is told within half a minute; those that follow within
// the hour are told together, all of them counted.
func TestWave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.start(Config{Channels: []Channel{channelNamed("mail")}})
		defer func() { d.stop() }()
		d.book.add(ban(1, time.Now()))
		time.Sleep(DefaultWait - time.Millisecond)
		synctest.Wait()
		if ms := d.took(); len(ms) != 0 {
			t.Fatalf("told before its time: %+v", ms[0])
		}
		time.Sleep(2 * time.Millisecond)
		synctest.Wait()
		ms := d.took()
		if len(ms) != 1 || ms[0].Count != 1 || ms[0].Title != "banned 198.51.0.1 for 1h (sshd)" || ms[0].ID != "1/mail" {
			t.Fatalf("%d messages: %+v", len(ms), ms)
		}
		for i := range 327 {
			d.book.add(ban(2+i, time.Now()))
			time.Sleep(time.Second)
		}
		time.Sleep(DefaultEvery)
		synctest.Wait()
		ms = d.took()
		if len(ms) != 1 || ms[0].Count != 327 || ms[0].More != 312 || ms[0].Title != "327 bans (sshd)" || ms[0].ID != "328/mail" {
			t.Fatalf("%d messages: %+v", len(ms), ms)
		}
	})
}

// TestStorm: 10,000 bans in ten seconds are a handful of messages with all of
// them counted, and bounded state.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.start(Config{Channels: []Channel{channelNamed("mail"), channelNamed("phone"), channelNamed("chat")}})
		for i := range 1000 {
			var ds []gate.Decision
			for j := range 10 {
				b := ban(i*10+j, time.Now())
				b.Rule = fmt.Sprintf("rule%d", j*i%50)
				b.Why = strings.Repeat("why ", 1000)
				ds = append(ds, b)
			}
			d.book.add(ds...)
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		ms := d.took()
		if len(ms) != 3 || counted(ms) != 30_000 {
			t.Errorf("%d messages tell of %d records", len(ms), counted(ms))
		}
		if d.store.most > 100<<10 {
			t.Errorf("a value of %d bytes was stored", d.store.most)
		}
		if d.store.puts > 300 {
			t.Errorf("the store was written %d times", d.store.puts)
		}
		d.stop()
	})
}

// TestSeverities: alarms are told at once, warnings within seconds, what is only
// of interest not at all.
func TestSeverities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.start(Config{Channels: []Channel{channelNamed("mail")}})
		d.book.add(told("panel.alarm", time.Now()), gate.Decision{Time: time.Now(), Verdict: gate.Release, Subject: sampleAddr})
		synctest.Wait()
		if ms := d.took(); len(ms) != 1 || ms[0].Severity != Critical {
			t.Errorf("%d messages", len(ms))
		}
		d.book.add(told("panel.alarm", time.Now()))
		synctest.Wait()
		if ms := d.took(); len(ms) != 1 {
			t.Errorf("the second alarm: %d messages", len(ms))
		}
		d.book.add(told("list.held", time.Now()))
		time.Sleep(warningWait)
		synctest.Wait()
		if ms := d.took(); len(ms) != 1 || ms[0].Kind != "list.held" {
			t.Errorf("the warning: %d messages", len(ms))
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if ms := d.took(); len(ms) != 0 {
			t.Errorf("%+v", ms[0])
		}
		d.stop()
	})
}

// TestLimit: beyond its limit a channel gets fewer and larger messages, and
// nothing is lost; alarms have a limit of their own.
func TestLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		c := channelNamed("mail")
		c.Wait, c.Every, c.Limit = 0, 0, gate.Threshold{Count: 6, Within: time.Hour}
		d.start(Config{Channels: []Channel{c}})
		for i := range 600 {
			d.book.add(ban(i, time.Now()))
			synctest.Wait()
			time.Sleep(6 * time.Second)
		}
		d.book.add(told("panel.fire", time.Now()))
		synctest.Wait()
		ms := d.took()
		if n := len(ms); n < 10 || n > 13 || !slices.ContainsFunc(ms, func(m *Message) bool { return m.Kind == "panel.fire" }) {
			t.Errorf("%d messages in an hour", n)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if n := counted(append(ms, d.took()...)); n != 601 {
			t.Errorf("%d records were told", n)
		}
		d.stop()
	})
}

// TestRoutes: the first route that fits decides.
func TestRoutes(t *testing.T) {
	hours := func(s string) []gate.Hours {
		h, err := gate.ParseHours(s)
		if err != nil {
			t.Fatal(err)
		}
		return []gate.Hours{h}
	}
	c := Config{
		Channels: []Channel{{Name: "mail", Fallback: "sms"}, {Name: "sms"}, {Name: "chat"}},
		Routes: []Route{
			{Kinds: []string{"panel.alarm"}, Subjects: []string{"zone:1/*"}, To: []string{"sms", "mail", "chat"}},
			{Kinds: []string{"panel.*"}, To: []string{"sms", "mail"}},
			{Rules: []string{"noisy"}, To: nil},
			{Kinds: []string{"ban"}, Networks: []string{"lan"}, To: []string{"chat"}},
			{Severity: Warning, Hours: hours("22:00-07:00"), To: []string{"sms"}},
		},
	}
	r := newRoutes(&c)
	at := func(s string) time.Time {
		v, err := time.Parse("15:04", s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	for _, c := range []struct {
		s    subject
		want string
	}{
		{subject{kind: "panel.alarm", text: "zone:1/3", at: at("12:00")}, "sms mail chat"},
		{subject{kind: "panel.alarm", text: "zone:2/33", at: at("12:00")}, "sms mail"},
		{subject{kind: "panel.alarm", at: at("12:00")}, "sms mail"},
		{subject{kind: "ban", rule: "noisy", at: at("12:00")}, ""},
		{subject{kind: "ban", rule: "sshd", network: "lan", at: at("12:00")}, "chat"},
		{subject{kind: "ban", rule: "sshd", at: at("12:00")}, "mail chat"},
		{subject{kind: "list.held", at: at("23:00")}, "sms"},
		{subject{kind: "list.held", at: at("12:00")}, "mail chat"},
		{subject{kind: "release", at: at("12:00")}, ""},
		{subject{kind: "what.nobody.knows", at: at("12:00")}, "mail chat"},
	} {
		if got := strings.Join(r.to(c.s), " "); got != c.want {
			t.Errorf("%+v goes to %q, want %q", c.s, got, c.want)
		}
	}
}

// TestWeek: a week with quiet hours, a dead channel and failover.
func TestWeek(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		night, err := gate.ParseHours("22:00-07:00")
		if err != nil {
			t.Fatal(err)
		}
		mail, phone := channelNamed("mail"), channelNamed("phone")
		mail.Quiet, mail.Fallback = []gate.Hours{night}, "phone"
		dead := false
		d.fail = func(channel string) error {
			if dead && channel == "mail" {
				return errors.New("connection refused")
			}
			return nil
		}
		d.start(Config{Channels: []Channel{mail, phone}, Zone: time.UTC})
		count, byPhone := 0, 0
		var all []*Message
		for hour := range 7 * 24 {
			now := time.Now().UTC()
			if now.Minute() != 0 {
				t.Fatal(now)
			}
			dead = hour >= 3*24+8 && hour < 4*24 // Tuesday from 8, the clock of synctest begins on a Saturday
			d.book.add(ban(count, now))
			count++
			if hour%24 == 3 {
				d.book.add(told("panel.alarm", now))
				count++
				synctest.Wait()
				if ms := d.took(); len(ms) == 0 || ms[len(ms)-1].Kind != "panel.alarm" {
					t.Errorf("hour %d: the alarm at night is not told", hour)
				} else {
					all = append(all, ms...)
				}
			}
			time.Sleep(time.Hour)
			synctest.Wait()
			ms := d.took()
			for _, m := range ms {
				via, _, _ := strings.Cut(m.Note, " ")
				if m.Kind == "ban" && via == "mail" && night.Contains(now) && now.Hour() != 6 {
					t.Errorf("hour %d (%s): told in quiet hours: %+v", hour, now, m)
				}
				if dead && via == "mail" {
					t.Errorf("hour %d: through a dead channel", hour)
				}
				if dead && hour%24 > 8 && via == "phone" && !strings.Contains(m.Note, "mail, which has failed since Tue") {
					t.Errorf("hour %d: nothing says why it comes this way: %q", hour, m.Note)
				}
			}
			if dead && len(ms) > 0 {
				byPhone++
			}
			all = append(all, ms...)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		all = append(all, d.took()...)
		if got := counted(all); got != count {
			t.Errorf("%d records were told of %d", got, count)
		}
		if byPhone < 10 {
			t.Errorf("the phone was told in %d hours while mail was dead", byPhone)
		}
		for _, s := range d.n.Status() {
			if s.State != "ok" || s.Waiting > 0 || s.Lost > 0 {
				t.Errorf("at the end: %+v", s)
			}
		}
		d.stop()
	})
}

// TestGiveUp: a message that nobody takes is given up after a day, and that is
// told.
func TestGiveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.fail = func(channel string) error {
			if channel == "mail" {
				return &Failure{Why: "550 no such user", Permanent: true}
			}
			return nil
		}
		d.start(Config{Channels: []Channel{channelNamed("mail"), channelNamed("chat")}})
		d.book.add(ban(1, time.Now()), ban(2, time.Now()))
		time.Sleep(23 * time.Hour)
		synctest.Wait()
		if s := d.n.Status()[0]; s.State != "failing" || s.Waiting != 1 || s.Error != "550 no such user" || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
		if q := d.n.Queue(); len(q) != 1 || q[0].State != "failing" || q[0].Tries < 3 || q[0].ID != "2/mail" || q[0].Records != 2 {
			t.Errorf("%+v", q)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if s := d.n.Status()[0]; s.Waiting != 0 || s.Lost != 2 {
			t.Errorf("%+v", s)
		}
		select {
		case s := <-d.told:
			if s != "lost: messages on 2 records were given up because channel mail has failed for a day: 550 no such user" {
				t.Error(s)
			}
		default:
			t.Error("nobody was told")
		}
		if len(d.store.fresh) != 1 {
			t.Errorf("%d values are stored", len(d.store.fresh))
		}
		d.stop()
	})
}

// TestPoison: one message that a server never takes does not hold up the others.
func TestPoison(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		d.start(Config{Channels: []Channel{channelNamed("mail")}})
		d.n.channels["mail"].sender = poisoned{deskChannel{d, "mail"}}
		d.book.add(told("list.held", time.Now()), told("hook.failed", time.Now()))
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		d.book.add(told("port.note", time.Now()))
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if ms := d.took(); len(ms) != 2 {
			t.Errorf("%d messages", len(ms))
		}
		d.stop()
	})
}

type poisoned struct{ deskChannel }

// TestSeverityOf is the documented table.
func TestSeverityOf(t *testing.T) {
	for kind, want := range map[string]Severity{
		"ban": Notice, "release": Info, "panel.alarm": Critical, "panel.battery": Warning, "panel.battery-restored": Notice, "panel.arm": Notice, "panel.fault": Info,
		"list.held": Warning, "list.changed": Notice, "notify.lost": Warning, "what.ever": Notice,
	} {
		if got := SeverityOf(kind); got != want {
			t.Errorf("%s is %s, want %s", kind, got, want)
		}
	}
	for pattern, want := range map[string]bool{"ban": true, "panel.*": true, "*": true, "panel.zone": true, "list.*": true, "bann": false, "pannel.*": false, "": false} {
		if got := KnownKind(pattern); got != want {
			t.Errorf("KnownKind(%q) = %v", pattern, got)
		}
	}
}

// TestBackOff: longer each time, and as long as a server asks for.
func TestBackOff(t *testing.T) {
	plain := errors.New("x")
	for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 160 * time.Second} {
		if got := retryIn(i+1, plain); got != want {
			t.Errorf("after %d failures: %s, want %s", i+1, got, want)
		}
	}
	if got := retryIn(1000, plain); got != lastRetry {
		t.Error(got)
	}
	if got := retryIn(1, &Failure{After: time.Hour}); got != time.Hour {
		t.Error(got)
	}
	if got := retryIn(1, &Failure{After: 1000 * time.Hour}); got != longestAsk {
		t.Error(got)
	}
}

// Send refuses what is about lists, for good.
func (p poisoned) Send(_ context.Context, m *Message) (string, error) {
	if m.Kind == "list.held" {
		return "", &Failure{Why: "554 spam", Permanent: true}
	}
	return p.d.send(p.name, m)
}
