package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/api"
	"gatehouse/internal/config"
	"gatehouse/internal/gate"
	"gatehouse/internal/ledger"
	"gatehouse/internal/policy"
)

// ledgerFile is the name of the ledger's database in the state folder; what was
// written last may lie in a second file beside it.
const ledgerFile = "gatehouse.db"

// offence is the last one of a subject.
type offence struct {
	number int
	time   time.Time
}

// replayHistory returns the offences that the ledger knows of from before a time.
// What cannot be read is told, and then nobody has a history.
func (e *env) replayHistory(ctx context.Context, c *config.Config, until time.Time) policy.Past {
	known := map[gate.Subject]offence{}
	take := func(r gate.Record) error {
		if r.Verdict == gate.Ban && r.Offence > 0 && r.Time.Before(until) && !r.Time.Before(known[r.Subject].time) {
			known[r.Subject] = offence{r.Offence, r.Time}
		}
		return nil
	}
	since := time.Time{}
	if c.Forget != gate.Forever {
		since = until.Add(-c.Forget)
	}
	err := e.askHistory(ctx, since, take)
	if errors.Is(err, api.ErrNoDaemon) {
		err = copyHistory(c.State, since, take)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		e.remark("history: there is no ledger in %s yet", c.State)
	case err != nil:
		e.remark("history: %v; it is left out", err)
		clear(known)
	default:
		e.remark("history: %s known from before %s", counted(len(known), "offender"), clock(until))
	}
	return func(s gate.Subject) (int, time.Time) {
		o := known[s]
		return o.number, o.time
	}
}

// askHistory has the daemon tell its records.
func (e *env) askHistory(ctx context.Context, since time.Time, take func(gate.Record) error) error {
	socket, err := e.socketPath()
	if err != nil {
		return err
	}
	client := api.NewClient(socket)
	defer client.Close()
	return client.Log(ctx, api.LogQuery{Since: since}, take)
}

// copyHistory reads the ledger of a daemon that does not run: a copy of it, since to
// open the ledger is to write to it.
func copyHistory(state string, since time.Time, take func(gate.Record) error) error {
	folder, err := os.MkdirTemp("", "gatehouse-replay-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	for _, suffix := range []string{"", "-wal"} {
		err := copyFile(filepath.Join(state, ledgerFile+suffix), filepath.Join(folder, ledgerFile+suffix))
		if err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	l, err := ledger.Open(folder, ledger.Options{})
	if err != nil {
		return err
	}
	defer l.Close()
	q := ledger.Query{Verdicts: []gate.Verdict{gate.Ban}, Since: since, Limit: 10_000, Bare: true}
	for {
		rs, err := l.Records(q)
		if err != nil {
			return err
		}
		for _, r := range rs {
			if err := take(r); err != nil {
				return err
			}
			q.After = r.Seq
		}
		if len(rs) < q.Limit {
			return nil
		}
	}
}

func copyFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
