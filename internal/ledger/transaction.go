package ledger

import (
	"crypto/sha256"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"strings"

	"gatehouse/internal/gate"
)

// rows is how many decisions a bulk statement takes: enough to make the cost of
// a call small, few enough for a small program.
const rows = 32

// The statements that write decisions. Those for many rows fail at the first
// duplicate and keep the rows before it; that needs no journal of its own.
const (
	insertRecord = "INSERT INTO records VALUES (?,?,?,?,?,?,?,?,?) ON CONFLICT (origin) WHERE origin IS NOT NULL DO NOTHING"
	insertLive   = "INSERT OR REPLACE INTO live VALUES (?,?,?,?)"
	recordCols   = 9
	liveCols     = 4
)

var (
	insertRecords = "INSERT OR FAIL INTO records VALUES " + strings.Repeat("(?,?,?,?,?,?,?,?,?),", rows-1) + "(?,?,?,?,?,?,?,?,?)"
	insertLives   = "INSERT OR REPLACE INTO live VALUES " + strings.Repeat("(?,?,?,?),", rows-1) + "(?,?,?,?)"
)

// transaction writes one group of items.
type transaction struct {
	w       *writer
	boot    int64
	kept    state
	records [][]gate.Record // what became of each item's decisions, for those that want to know

	history bool // of the item at hand

	arena []byte // keys and bodies of the decisions at hand
}

// commit writes items in their order. After an error nothing of it was written,
// and the writer is as it was before.
func (t *transaction) commit(items []item) error {
	next, windows := t.w.next, t.w.windows
	t.records = make([][]gate.Record, len(items))
	err := transact(t.w.c, func() error { return t.write(items) })
	if err != nil {
		t.w.next, t.w.windows = next, windows
	}
	return err
}

func (t *transaction) write(items []item) error {
	marks := map[string]string{}
	var windows []byte
	for i := range items {
		it := &items[i]
		var out *[]gate.Record
		if it.Done != nil {
			t.records[i] = make([]gate.Record, 0, len(it.Decisions))
			out = &t.records[i]
		}
		t.history = it.History
		if err := t.decisions(it.Decisions, out); err != nil {
			return err
		}
		if err := t.restate(it.restate); err != nil {
			return err
		}
		for source, mark := range it.Marks {
			marks[source] = mark
		}
		if it.Windows != nil {
			windows = it.Windows
		}
	}
	return errors.Join(t.marks(marks), t.windows(windows), t.keep())
}

// decisions records ds, and appends the records of those that are new to out
// unless it is nil.
func (t *transaction) decisions(ds []gate.Decision, out *[]gate.Record) error {
	for ; len(ds) >= rows; ds = ds[rows:] {
		if err := t.many(ds[:rows], out); err != nil {
			return err
		}
	}
	for i := range ds {
		if err := t.one(&ds[i], out); err != nil {
			return err
		}
	}
	return nil
}

// one records a single decision, unless it is known.
func (t *transaction) one(d *gate.Decision, out *[]gate.Record) error {
	t.arena = t.arena[:0]
	s, err := t.w.c.stmt(insertRecord)
	if err != nil {
		return err
	}
	body, err := t.bind(s.args, d, t.w.next)
	if err != nil {
		return err
	}
	n, err := s.exec()
	if err != nil || n == 0 {
		return err
	}
	return t.recorded(d, body, out)
}

// many records exactly as many decisions as a bulk statement has rows: at once if
// none of them is known, otherwise one by one from there on.
func (t *transaction) many(ds []gate.Decision, out *[]gate.Record) error {
	t.arena = t.arena[:0]
	s, err := t.w.c.stmt(insertRecords)
	if err != nil {
		return err
	}
	var bodies [rows][]byte
	for i := range ds {
		if bodies[i], err = t.bind(s.args[i*recordCols:], &ds[i], t.w.next+uint64(i)); err != nil {
			return err
		}
	}
	n := rows
	if _, err := s.exec(); isDuplicate(err) {
		last, err := t.w.c.number("SELECT max(seq) FROM records")
		if err != nil {
			return err
		}
		n = max(0, int(last-int64(t.w.next)+1))
	} else if err != nil {
		return err
	}
	if n == rows && allOn(ds) && !t.history {
		return t.manyLive(ds, bodies[:], out)
	}
	for i := range n {
		if err := t.recorded(&ds[i], bodies[i], out); err != nil {
			return err
		}
	}
	for i := range ds[n:] {
		if err := t.one(&ds[n+i], out); err != nil {
			return err
		}
	}
	return nil
}

// bind sets the arguments of one row of records; it returns the body, which lives
// until the next row of another statement.
func (t *transaction) bind(args []driver.NamedValue, d *gate.Decision, seq uint64) (body []byte, err error) {
	subject := t.cut(func(b []byte) []byte { return appendKey(b, d.Subject) })
	body = t.cut(func(b []byte) []byte { return appendBody(b, d, seq) })
	args[0].Value = int64(seq)
	args[1].Value = nanos(d.Time)
	args[2].Value = int64(d.Verdict)
	args[3].Value = subject
	args[4].Value = d.Rule
	args[5].Value = int64(d.Offence)
	args[6].Value = nil
	if d.Origin != (gate.Origin{}) {
		args[6].Value = t.cut(func(b []byte) []byte { return appendIdentity(b, d) })
	}
	args[7].Value = body
	args[8].Value = nil
	proof, err := t.w.prover.pack(d)
	if err != nil {
		return nil, err
	}
	if proof != nil {
		args[8].Value = t.cut(func(b []byte) []byte { return append(b, proof...) })
	}
	return body, nil
}

// cut appends to the arena and returns what was appended. Earlier cuts stay valid
// when the arena moves.
func (t *transaction) cut(add func([]byte) []byte) []byte {
	if t.arena == nil {
		t.arena = []byte{} // a cut of nothing is an empty value, and not NULL
	}
	n := len(t.arena)
	t.arena = add(t.arena)
	return t.arena[n:len(t.arena):len(t.arena)]
}

// recorded notes that the next number was given to d, and switches what it
// switches.
func (t *transaction) recorded(d *gate.Decision, body []byte, out *[]gate.Record) error {
	seq := t.w.next
	t.w.next++
	if out != nil {
		*out = append(*out, gate.Record{Seq: seq, Decision: *d})
	}
	door, on := doorOf(d)
	if door == doorNone || t.history {
		return nil
	}
	if door == doorPorts {
		if err := t.sweepPorts(d.Time.Add(-portsKept).UnixNano()); err != nil {
			return err
		}
	}
	what := appendState(nil, d)
	if !on {
		_, err := t.w.c.run("DELETE FROM live WHERE what=?", what)
		return err
	}
	_, err := t.w.c.run(insertLive, int64(seq), what, t.boot, body)
	return err
}

// portsKept is how long what was said about ports is left behind once it is over:
// what an opening let in may live on.
const portsKept = gate.Day

// sweepPorts takes away what was said about ports for a time that is over.
func (t *transaction) sweepPorts(now int64) error {
	var over []int64
	var u unpacker
	err := t.w.c.each("SELECT seq, boot, body FROM live WHERE what>=? AND what<?", func(v []driver.Value) bool {
		var r Live
		if r.unpack(&u, v, t.boot) && !r.Until.IsZero() && r.Until.UnixNano() <= now {
			over = append(over, int64(r.Seq))
		}
		return true
	}, []byte{byte(doorPorts)}, []byte{byte(doorPorts) + 1})
	for _, seq := range over {
		if err == nil {
			_, err = t.w.c.run("DELETE FROM live WHERE seq=?", seq)
		}
	}
	return err
}

func allOn(ds []gate.Decision) bool {
	for i := range ds {
		if door, on := doorOf(&ds[i]); door == doorNone || door == doorPorts || !on {
			return false
		}
	}
	return true
}

// manyLive is recorded for a whole bulk of decisions that put something into
// force.
func (t *transaction) manyLive(ds []gate.Decision, bodies [][]byte, out *[]gate.Record) error {
	s, err := t.w.c.stmt(insertLives)
	if err != nil {
		return err
	}
	for i := range ds {
		d := &ds[i]
		args := s.args[i*liveCols:]
		args[0].Value = int64(t.w.next)
		args[1].Value = t.cut(func(b []byte) []byte { return appendState(b, d) })
		args[2].Value = t.boot
		args[3].Value = bodies[i]
		if out != nil {
			*out = append(*out, gate.Record{Seq: t.w.next, Decision: *d})
		}
		t.w.next++
	}
	_, err = s.exec()
	return err
}

// restate gives live states another end. A damaged row stays as it is.
func (t *transaction) restate(ds []gate.Decision) error {
	var u unpacker
	for i := range ds {
		what := appendState(nil, &ds[i])
		var r Live
		found := false
		if err := t.w.c.each("SELECT seq, boot, body FROM live WHERE what=?", func(v []driver.Value) bool {
			found = r.unpack(&u, v, t.boot)
			return false
		}, what); err != nil {
			return err
		}
		if !found {
			continue
		}
		r.Until = ds[i].Until
		if _, err := t.w.c.run("UPDATE live SET boot=?, body=? WHERE seq=?", t.boot, appendBody(nil, &r.Decision, r.Seq), int64(r.Seq)); err != nil {
			return err
		}
	}
	return nil
}

func (t *transaction) marks(marks map[string]string) error {
	for source, mark := range marks {
		var err error
		if mark == "" {
			_, err = t.w.c.run("DELETE FROM marks WHERE source=?", source)
		} else {
			_, err = t.w.c.run("INSERT INTO marks VALUES (?,?) ON CONFLICT (source) DO UPDATE SET mark=excluded.mark WHERE mark<>excluded.mark", source, mark)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// windows stores the windows if they are not those that are stored.
func (t *transaction) windows(data []byte) error {
	if data == nil {
		return nil
	}
	sum := sha256.Sum256(data)
	if sum == t.w.windows {
		return nil
	}
	t.w.windows = sum
	_, err := t.w.c.run("INSERT OR REPLACE INTO windows VALUES (1,?,?)", sum[:], data)
	return err
}

// keep stores what changed in the small state of other parts.
func (t *transaction) keep() error {
	for at, value := range t.kept {
		var err error
		if value == nil {
			_, err = t.w.c.run("DELETE FROM keep WHERE namespace=? AND name=?", at.namespace, at.name)
		} else {
			_, err = t.w.c.run("INSERT OR REPLACE INTO keep VALUES (?,?,?)", at.namespace, at.name, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bootNumber returns how a boot of the machine is stored; 0 for an unknown one.
func bootNumber(boot string) int64 {
	if boot == "" {
		return 0
	}
	sum := sha256.Sum256([]byte(boot))
	return int64(binary.LittleEndian.Uint64(sum[:]) | 1) // never the number of an unknown one
}
