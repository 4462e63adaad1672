package ports

import (
	"testing"
	"time"
)

// slowStep is how far the slow model goes at a time: all firings that are asked
// for, and all jumps of the zones, are on a multiple of it.
const slowStep = 5 * time.Minute

// slowFirings is the reference: it walks over all of the time between, looks at
// the clock on the wall, and fires for each minute that the clock shows for the
// first time, or jumps over. One walk serves all that is asked.
func slowFirings(cs []Cron, from, to time.Time, zone *time.Location) [][]time.Time {
	out := make([][]time.Time, len(cs))
	shown := func(t time.Time) int64 {
		_, offset := t.In(zone).Zone()
		return (t.Unix() + int64(offset)) / 60
	}
	begun := from.Add(-72 * time.Hour) // what was shown before counts
	latest := shown(begun)
	for t := begun.Add(slowStep); !t.After(to); t = t.Add(slowStep) {
		now := shown(t)
		for k, c := range cs {
			fires := false
			for w := latest + 1; w <= now && !fires; w++ {
				if c.at(int(w/60%24), int(w%60)) {
					day := time.Unix(w*60, 0).UTC()
					fires = c.onDay(int(day.Month()), day.Day(), int(day.Weekday()))
				}
			}
			if fires && t.After(from) {
				out[k] = append(out[k], t)
			}
		}
		latest = max(latest, now)
	}
	return out
}

// TestFiringsMatchSlowModel walks through ten years of zones with odd rules:
// half an hour of summer time, summer time that begins at midnight, a day that
// never was, summer time in winter, an hour for Ramadan.
func TestFiringsMatchSlowModel(t *testing.T) {
	years := []struct {
		zone string
		from int
	}{{"Australia/Lord_Howe", 2008}, {"America/Sao_Paulo", 2009}, {"Pacific/Kiritimati", 1990}, {"Africa/Casablanca", 2012}, {"Europe/Dublin", 2016}, {"Pacific/Apia", 2005}}
	crons := []string{"30 2 * * *", "0 0 * * *", "*/20 1-3 * * *", "15 0 30 12 *", "45 1 * 4,10,11 sun", "0 12 29 2 *"}
	long := 10
	if testing.Short() {
		long = 2
	}
	for _, y := range years {
		t.Run(y.zone, func(t *testing.T) {
			t.Parallel()
			zone, err := LoadZone(y.zone)
			if err != nil {
				t.Fatal(err)
			}
			from, to := time.Date(y.from, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(y.from+long, 1, 1, 0, 0, 0, 0, time.UTC)
			cs := make([]Cron, len(crons))
			for k, text := range crons {
				if cs[k], err = ParseCron(text); err != nil {
					t.Fatal(err)
				}
			}
			firings := slowFirings(cs, from, to, zone)
			for k, text := range crons {
				c, want, at := cs[k], firings[k], from
				for i, w := range want {
					next := c.Next(at, zone)
					if !next.Equal(w) {
						t.Fatalf("%s, firing %d behind %v: %v, the slow model says %v", text, i, at, next.In(zone), w.In(zone))
					}
					if last := c.Last(w, zone); !last.Equal(w) {
						t.Fatalf("%s: the last firing at %v is %v", text, w.In(zone), last.In(zone))
					}
					if last := c.Last(w.Add(-time.Second), zone); i > 0 && !last.Equal(want[i-1]) {
						t.Fatalf("%s: the last firing before %v is %v, want %v", text, w.In(zone), last.In(zone), want[i-1].In(zone))
					}
					at = w
				}
				if next := c.Next(at, zone); !next.IsZero() && !next.After(to) {
					t.Fatalf("%s: one more firing at %v", text, next.In(zone))
				}
			}
		})
	}
}

func TestClockChanges(t *testing.T) {
	for _, c := range []struct{ rule, zone, cron, after, want string }{
		{"a time that does not exist fires when the clock jumps over it", "Europe/Berlin", "30 2 * * *", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		{"and once only", "Europe/Berlin", "30 2 * * *", "2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"},
		{"a time that occurs twice fires the first time", "Europe/Berlin", "30 2 * * *", "2026-10-25T00:00:00Z", "2026-10-25T00:30:00Z"},
		{"and once only", "Europe/Berlin", "30 2 * * *", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"},
		{"midnight that does not exist", "America/Sao_Paulo", "0 0 * * *", "2018-11-03T12:00:00Z", "2018-11-04T03:00:00Z"},
		{"a day that never was", "Pacific/Apia", "0 12 30 12 *", "2011-12-29T00:00:00Z", "2011-12-30T10:00:00Z"},
		{"a leap day", "UTC", "0 0 29 2 *", "2097-01-01T00:00:00Z", "2104-02-29T00:00:00Z"},
		{"either day is enough", "UTC", "0 0 13 * fri", "2026-02-13T00:00:00Z", "2026-02-20T00:00:00Z"},
		{"sunday is 0 and 7", "UTC", "0 0 * * 7", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
		{"until sunday", "UTC", "0 0 * * sat-sun", "2026-11-21T00:00:00Z", "2026-11-22T00:00:00Z"},
	} {
		cron, err := ParseCron(c.cron)
		if err != nil {
			t.Fatal(err)
		}
		zone, _ := LoadZone(c.zone)
		after, _ := time.Parse(time.RFC3339, c.after)
		if got := cron.Next(after, zone).Format(time.RFC3339); got != c.want {
			t.Errorf("%s: %s behind %s is %s, want %s", c.rule, c.cron, c.after, got, c.want)
		}
	}
}

func TestCronRefused(t *testing.T) {
	for _, s := range []string{"", "* * * *", "* * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "* * 32 * *", "* * * 13 *", "* * * * 8", "*/0 * * * *",
		"5-1 * * * *", "a * * * *", "+1 * * * *", "1, * * * *", "* * 30 2 *", "* * 31 4,6,9,11 *", "@reboot", "1-2-3 * * * *", "*/99 * * * *"} {
		if c, err := ParseCron(s); err == nil {
			t.Errorf("%q: %+v", s, c)
		}
	}
}

func TestActive(t *testing.T) {
	zone, _ := LoadZone("Europe/Berlin")
	c, _ := ParseCron("30 17 * * 1-5")
	s := Schedule{Name: "night", From: c, For: 14 * time.Hour, Zone: zone}
	for at, want := range map[string]string{
		"2026-11-20T16:29:59Z": "no, next 2026-11-20T16:30:00Z", // Friday
		"2026-11-20T16:30:00Z": "until 2026-11-21T06:30:00Z",
		"2026-11-21T06:29:59Z": "until 2026-11-21T06:30:00Z",
		"2026-11-21T06:30:00Z": "no, next 2026-11-23T16:30:00Z",
	} {
		now, _ := time.Parse(time.RFC3339, at)
		_, until, ok := s.Active(now)
		got := "until " + until.Format(time.RFC3339)
		if !ok {
			got = "no, next " + s.Next(now).Format(time.RFC3339)
		} else if next := s.Next(now); !next.Equal(until) {
			t.Errorf("at %s it ends at %v, and next is %v", at, until, next)
		}
		if got != want {
			t.Errorf("at %s: %s, want %s", at, got, want)
		}
	}
}

// FuzzCronFiresForward: whatever is read as a time fires behind the time that was
// asked about, and looking back from a firing finds it.
func FuzzCronFiresForward(f *testing.F) {
	for _, s := range []string{"30 17 * * 1-5", "*/15 8-18 * * mon,wed", "@daily", "0 0 29 2 *", "1-59/7 * 1,15 */2 7"} {
		f.Add(s, int64(1_700_000_000), byte(0))
	}
	names := []string{"UTC", "Australia/Lord_Howe", "America/Sao_Paulo", "Pacific/Apia", "Africa/Casablanca"}
	zones := make([]*time.Location, len(names))
	for i, n := range names {
		z, err := LoadZone(n)
		if err != nil {
			f.Fatal(err)
		}
		zones[i] = z
	}
	f.Fuzz(func(t *testing.T, s string, unix int64, z byte) {
		c, err := ParseCron(s)
		if err != nil {
			return
		}
		zone := zones[int(z)%len(zones)]
		at := time.Unix(unix%4_000_000_000, 0)
		next := c.Next(at, zone)
		if next.IsZero() {
			t.Fatalf("%q never fires behind %v", s, at)
		}
		if !next.After(at) || !c.Last(next, zone).Equal(next) {
			t.Fatalf("%q behind %v: %v, the last then %v", s, at, next, c.Last(next, zone))
		}
		if again := c.Next(at.Add(next.Sub(at)/2), zone); next.Sub(at) > 2*time.Second && !again.Equal(next) {
			t.Fatalf("%q: %v, and from half way %v", s, next, again)
		}
	})
}
