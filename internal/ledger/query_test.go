package ledger

import (
	"database/sql/driver"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/gate"
)

// matches is what a Query means, record by record.
func (q Query) matches(r gate.Record) bool {
	return r.Seq > q.After && (q.Before == 0 || r.Seq < q.Before) &&
		(!q.Subject.IsValid() || r.Subject == q.Subject || q.Covering && (r.Subject.Covers(q.Subject) || q.Subject.Covers(r.Subject))) &&
		(q.Rule == "" || r.Rule == q.Rule) &&
		(q.Verdicts == nil || slices.Contains(q.Verdicts, r.Verdict)) &&
		(q.Since.IsZero() || !r.Time.Before(q.Since))
}

// TestRecordsAgainstModel checks queries against a loop over all records.
func TestRecordsAgainstModel(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	pick := rapid.Custom(func(t *rapid.T) gate.Subject {
		if rapid.Bool().Draw(t, "few") {
			s, _ := gate.ParseSubject(rapid.SampledFrom([]string{"192.0.2.1", "192.0.2.0/24", "192.0.2.2", "0.0.0.0/0", "::/0", "2001:db8::1", "list:drop", "port:1/tcp/in"}).Draw(t, "s"))
			return s
		}
		return subjects().Draw(t, "s")
	})
	var all []gate.Record
	rapid.Check(t, func(t *rapid.T) {
		d := gate.Decision{
			Time: t0.Add(time.Duration(rapid.IntRange(0, 9).Draw(t, "time")) * time.Hour), Subject: pick.Draw(t, "subject"),
			Verdict: gate.Verdict(rapid.IntRange(1, 7).Draw(t, "verdict")), Rule: rapid.SampledFrom([]string{"a", "b"}).Draw(t, "rule"),
		}
		rs, err := try(l, Txn{Decisions: []gate.Decision{d}})
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, rs...)
		q := Query{
			After: uint64(rapid.IntRange(0, len(all)).Draw(t, "after")), Before: uint64(rapid.IntRange(0, len(all)+2).Draw(t, "before")),
			Limit: rapid.IntRange(0, 20).Draw(t, "limit"), Covering: rapid.Bool().Draw(t, "covering"),
			Rule: rapid.SampledFrom([]string{"", "", "a", "c"}).Draw(t, "of"), Reverse: rapid.Bool().Draw(t, "reverse"), Bare: rapid.Bool().Draw(t, "bare"),
		}
		if rapid.Bool().Draw(t, "bySubject") {
			q.Subject = pick.Draw(t, "wanted")
		}
		if rapid.Bool().Draw(t, "byVerdict") {
			q.Verdicts = []gate.Verdict{gate.Ban, gate.Release}
		}
		if rapid.Bool().Draw(t, "byTime") {
			q.Since = t0.Add(3 * time.Hour)
		}
		var want []gate.Record
		for _, r := range all {
			if q.matches(r) {
				want = append(want, r)
			}
		}
		if q.Reverse {
			slices.Reverse(want)
		}
		if n := q.Limit; n > 0 && len(want) > n {
			want = want[:n]
		}
		got, err := l.Records(q)
		if err != nil || len(got)+len(want) > 0 && !reflect.DeepEqual(got, want) {
			t.Fatalf("%+v\ngives %+v, %v\nwant %+v", q, got, err, want)
		}
	})
}

// TestQueryUsesIndexes pins that no query of a subject walks all records.
func TestQueryUsesIndexes(t *testing.T) {
	l, _ := start(t, t.TempDir(), Options{})
	for _, q := range []Query{{Subject: subject(t, "192.0.2.1")}, {Subject: subject(t, "2001:db8::/64"), Covering: true}, {Subject: subject(t, "0.0.0.0/0"), Covering: true}, {After: 5}} {
		sql, args := q.sql()
		plan := ""
		err := l.read(&l.query, func(c *conn) error {
			return c.each("EXPLAIN QUERY PLAN "+sql, func(v []driver.Value) bool {
				plan += v[3].(string) + "\n"
				return true
			}, args...)
		})
		if err != nil {
			t.Fatal(err)
		}
		for line := range lines(plan) {
			if line == "SCAN records" {
				t.Errorf("%+v:\n%s", q, plan)
			}
		}
	}
}
