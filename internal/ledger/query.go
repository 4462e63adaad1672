package ledger

import (
	"bytes"
	"crypto/sha256"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Query says which records are wanted; the zero value means the oldest ones.
type Query struct {
	After    uint64         // only later numbers
	Before   uint64         // only earlier numbers; 0 = all
	Limit    int            // at most so many; 0 = 1000
	Subject  gate.Subject   // only of this subject; zero = all
	Covering bool           // also of networks that cover Subject or lie within it
	Rule     string         // only of this rule; "" = all
	Verdicts []gate.Verdict // only these; nil = all
	Since    time.Time      // only decided at this time or later; zero = all
	Reverse  bool           // the newest first
	Bare     bool           // without proofs, which take most of the time
}

// defaultLimit is how many records a Query without a limit returns.
const defaultLimit = 1000

// Records returns committed records, by number. One that cannot be read is left
// out and logged.
func (l *Ledger) Records(q Query) ([]gate.Record, error) {
	rs, _, err := l.records(q)
	return rs, err
}

// records is Records, and the last number that was looked at, 0 if there was
// none.
func (l *Ledger) records(q Query) (rs []gate.Record, last uint64, err error) {
	sql, args := q.sql()
	var u unpacker
	var bad error
	err = l.read(&l.query, func(c *conn) error {
		defer c.forget(sql) // there are many kinds of query, and each is rare
		return c.each(sql, func(v []driver.Value) bool {
			r, err := unpackRecord(&u, v)
			last = r.Seq
			if err != nil {
				bad = err
				return true
			}
			rs = append(rs, r)
			return true
		}, args...)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("read records of %s: %w", l.path, err)
	}
	if bad != nil {
		l.o.Log.Error("some records cannot be read", "path", l.path, "err", bad)
	}
	return rs, last, nil
}

// unpackRecord turns a row (seq, body, proof) into a record, which has its number
// even with an error. A proof that cannot be read is left out.
func unpackRecord(u *unpacker, v []driver.Value) (gate.Record, error) {
	seq, _ := v[0].(int64)
	body, _ := v[1].([]byte)
	d, err := u.decision(body, uint64(seq))
	if err != nil {
		return gate.Record{Seq: uint64(seq)}, fmt.Errorf("record %d: %w", seq, err)
	}
	if proof, _ := v[2].([]byte); proof != nil {
		if d.Proof, err = unpackProof(proof, &d); err != nil {
			d.Proof = nil
		}
	}
	return gate.Record{Seq: uint64(seq), Decision: d}, nil
}

// sql returns the statement and its arguments. Records of a subject are found
// through its index, all others in the order of their numbers.
func (q Query) sql() (string, []driver.Value) {
	var b strings.Builder
	var args []driver.Value
	b.WriteString("SELECT seq, body, ")
	if q.Bare {
		b.WriteString("NULL")
	} else {
		b.WriteString("proof")
	}
	b.WriteString(" FROM records WHERE seq>" + strconv.FormatUint(min(q.After, 1<<62), 10))
	if q.Before > 0 {
		b.WriteString(" AND seq<" + strconv.FormatUint(min(q.Before, 1<<62), 10))
	}
	if q.Subject.IsValid() {
		b.WriteString(" AND seq IN (SELECT seq FROM records INDEXED BY records_subject WHERE subject=?")
		args = append(args, appendKey(nil, q.Subject))
		if q.Covering && q.Subject.IsNet() {
			b.WriteString(" UNION SELECT seq FROM records INDEXED BY records_subject WHERE subject>? AND subject<=?")
			args = append(args, appendKey(nil, q.Subject), appendLast(nil, q.Subject))
			if keys := covering(q.Subject); len(keys) > 0 {
				b.WriteString(" UNION SELECT seq FROM records INDEXED BY records_subject WHERE subject IN (?" + strings.Repeat(",?", len(keys)-1) + ")")
				for _, k := range keys {
					args = append(args, k)
				}
			}
		}
		b.WriteString(")")
	}
	if q.Rule != "" {
		b.WriteString(" AND rule=?")
		args = append(args, q.Rule)
	}
	if len(q.Verdicts) > 0 {
		b.WriteString(" AND verdict IN (")
		for i, v := range q.Verdicts {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.Itoa(int(v)))
		}
		b.WriteString(")")
	}
	if !q.Since.IsZero() {
		b.WriteString(" AND time>=?")
		args = append(args, nanos(q.Since))
	}
	b.WriteString(" ORDER BY seq")
	if q.Reverse {
		b.WriteString(" DESC")
	}
	limit := q.Limit
	if limit <= 0 {
		limit = defaultLimit
	}
	b.WriteString(" LIMIT " + strconv.Itoa(limit))
	return b.String(), args
}

// Checkpoint returns how far each source was read, and detect's windows at that
// point; nil windows if there are none, or if they are damaged.
func (l *Ledger) Checkpoint() (marks map[string]string, windows []byte, err error) {
	err = l.read(&l.query, func(c *conn) error {
		marks, windows, err = readCheckpoint(c)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("read the checkpoint from %s: %w", l.path, err)
	}
	return marks, windows, nil
}

func readCheckpoint(c *conn) (marks map[string]string, windows []byte, err error) {
	marks = map[string]string{}
	if err := c.each("SELECT source, mark FROM marks", func(v []driver.Value) bool {
		source, _ := v[0].(string)
		marks[source], _ = v[1].(string)
		return true
	}); err != nil {
		return nil, nil, err
	}
	err = c.each("SELECT sum, data FROM windows", func(v []driver.Value) bool {
		sum, _ := v[0].([]byte)
		data, _ := v[1].([]byte)
		if is := sha256.Sum256(data); bytes.Equal(sum, is[:]) {
			windows = slices.Clip(data)
		}
		return true
	})
	if err != nil {
		return nil, nil, err
	}
	return marks, windows, nil
}
