package ledger

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// conn is one connection to a database file. It talks to the driver directly: a
// pool would cost a goroutine, a lock and a conversion for each value, and which
// goroutine uses which connection is known here anyway. Not safe for concurrent
// use.
type conn struct {
	c interface {
		driver.Conn
		driver.ExecerContext
		driver.ConnPrepareContext
		sqlite.DBStatus
	}
	stmts map[string]*stmt // prepared once, by their text
}

// openConn opens the file at path, an absolute one, and runs the pragmas. The
// parameters are those of an SQLite URI, besides the driver's own.
func openConn(path string, params url.Values, pragmas ...string) (*conn, error) {
	if params == nil {
		params = url.Values{}
	}
	params.Set("_error_rc", "1") // messages that belong to their code
	u := url.URL{Scheme: "file", OmitHost: true, Path: path, RawQuery: params.Encode()}
	raw, err := (&sqlite.Driver{}).Open(u.String())
	if err != nil {
		return nil, err
	}
	c := &conn{stmts: map[string]*stmt{}}
	ok := false
	if c.c, ok = raw.(interface {
		driver.Conn
		driver.ExecerContext
		driver.ConnPrepareContext
		sqlite.DBStatus
	}); !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver lacks a method: %T", raw), raw.Close())
	}
	for _, p := range pragmas {
		if err := c.exec("PRAGMA " + p); err != nil {
			return nil, errors.Join(fmt.Errorf("pragma %s: %w", p, err), c.close())
		}
	}
	return c, nil
}

// exec runs one or more statements that take no arguments.
func (c *conn) exec(sql string) error {
	_, err := c.c.ExecContext(context.Background(), sql, nil)
	return err
}

// stmt returns the statement with this text, prepared at its first use.
func (c *conn) stmt(sql string) (*stmt, error) {
	if s := c.stmts[sql]; s != nil {
		return s, nil
	}
	raw, err := c.c.PrepareContext(context.Background(), sql)
	if err != nil {
		return nil, err
	}
	s := &stmt{}
	ok := false
	if s.s, ok = raw.(interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}); !ok {
		return nil, errors.Join(fmt.Errorf("the SQLite driver lacks a method: %T", raw), raw.Close())
	}
	s.args = make([]driver.NamedValue, strings.Count(sql, "?")) // the driver does not count; no literal here has one
	for i := range s.args {
		s.args[i].Ordinal = i + 1
	}
	c.stmts[sql] = s
	return s, nil
}

// forget closes the statement with this text, which gives its memory back.
func (c *conn) forget(sql string) {
	if s := c.stmts[sql]; s != nil {
		s.s.Close() // a statement that fails to close has already reported why it failed
		delete(c.stmts, sql)
	}
}

// run prepares, binds and runs a statement; it returns how many rows changed.
func (c *conn) run(sql string, args ...driver.Value) (int64, error) {
	s, err := c.stmt(sql)
	if err != nil {
		return 0, err
	}
	for i, v := range args {
		s.args[i].Value = v
	}
	return s.exec()
}

// each runs a query and calls row with each row until it returns false. The
// values belong to row; blobs are fresh slices.
func (c *conn) each(sql string, row func(v []driver.Value) bool, args ...driver.Value) (err error) {
	s, err := c.stmt(sql)
	if err != nil {
		return err
	}
	for i, v := range args {
		s.args[i].Value = v
	}
	rows, err := s.s.QueryContext(context.Background(), s.args)
	if err != nil {
		return err
	}
	defer func() {
		if e := rows.Close(); err == nil {
			err = e
		}
	}()
	v := make([]driver.Value, len(rows.Columns()))
	for {
		if err := rows.Next(v); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if !row(v) {
			return nil
		}
	}
}

// number runs a query for one whole number; NULL and no row are 0.
func (c *conn) number(sql string, args ...driver.Value) (n int64, err error) {
	err = c.each(sql, func(v []driver.Value) bool {
		n, _ = v[0].(int64)
		return false
	}, args...)
	return n, err
}

// close closes the statements and the connection.
func (c *conn) close() error {
	if c == nil {
		return nil
	}
	for sql := range c.stmts {
		c.forget(sql)
	}
	return c.c.Close()
}

// stmt is a prepared statement with room for its arguments.
type stmt struct {
	s interface {
		driver.Stmt
		driver.StmtExecContext
		driver.StmtQueryContext
	}
	args []driver.NamedValue
}

// exec runs the statement with the arguments in args; it returns how many rows
// changed.
func (s *stmt) exec() (int64, error) {
	r, err := s.s.ExecContext(context.Background(), s.args)
	if err != nil {
		return 0, err
	}
	return r.RowsAffected()
}

// code returns the primary result code of an SQLite error (sqlite3.h), 0 for
// another error.
func code(err error) int {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() & 0xff
	}
	return 0
}

// isDamage reports whether SQLite says that the file is damaged.
func isDamage(err error) bool {
	return code(err) == sqlite3.SQLITE_CORRUPT || code(err) == sqlite3.SQLITE_NOTADB
}

// isPassing reports whether an error passes without opening the file anew: no
// space, or another program that holds it.
func isPassing(err error) bool {
	c := code(err)
	return c == sqlite3.SQLITE_FULL || c == sqlite3.SQLITE_BUSY || c == sqlite3.SQLITE_LOCKED
}

// isDuplicate reports whether a unique index refused a row.
func isDuplicate(err error) bool { return code(err) == sqlite3.SQLITE_CONSTRAINT }
