package ledger

import (
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"io/fs"
)

// The steps from an empty file to today's schema, in the order of their names.
// A step that was released never changes; the number of steps that a file has
// been through is its PRAGMA user_version.
//
//go:embed schema/*.sql
var steps embed.FS

// errForeign says that the file is an SQLite database, but not a ledger.
var errForeign = errors.New("it is not a database of gatehouse")

// loadSteps returns the SQL of all steps.
func loadSteps(from fs.FS) (sql []string, err error) {
	names, err := fs.Glob(from, "schema/*.sql")
	if err != nil {
		return nil, err
	}
	for i, name := range names {
		if want := fmt.Sprintf("schema/%04d.sql", i+1); name != want {
			return nil, fmt.Errorf("the schema's step %s should be %s", name, want)
		}
		b, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		sql = append(sql, string(b))
	}
	return sql, nil
}

// migrate brings the file up to date, each step in its own transaction. A file
// that is newer than this program is left alone.
func migrate(c *conn, path string, sql []string) error {
	version, err := c.number("PRAGMA user_version")
	if err != nil {
		return err
	}
	if version > int64(len(sql)) {
		return &Error{
			fmt.Sprintf("%s was written by a newer gatehouse (schema %d, this one knows %d)", path, version, len(sql)),
			"install the newer gatehouse again, or move the file away to start with an empty history", nil}
	}
	objects, err := c.number("SELECT count(*) FROM sqlite_schema")
	if err != nil {
		return err
	}
	if version < 0 || version == 0 && objects > 0 || version > 0 && objects == 0 {
		return errForeign
	}
	for i := version; i < int64(len(sql)); i++ {
		if err := transact(c, func() error {
			return c.exec(sql[i] + fmt.Sprintf(";PRAGMA user_version=%d", i+1))
		}); err != nil {
			return fmt.Errorf("step %d of the schema: %w", i+1, err)
		}
	}
	return nil
}

// transact runs f in a transaction, and takes back what it did if it fails.
func transact(c *conn, f func() error) error {
	if err := c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	err := f()
	if err == nil {
		err = c.exec("COMMIT")
	}
	if err != nil {
		// SQLite has rolled back by itself after some errors; then this one is refused.
		_ = c.exec("ROLLBACK")
	}
	return err
}

// check lets SQLite look at tables and their indexes without reading what is
// behind them, about 5 million rows a second; it returns the first thing wrong.
func check(c *conn, tables ...string) error {
	for _, t := range tables {
		verdict := ""
		err := c.each("PRAGMA quick_check('"+t+"')", func(v []driver.Value) bool {
			verdict, _ = v[0].(string)
			return false
		})
		if err != nil {
			return err
		}
		if verdict != "ok" {
			return fmt.Errorf("%w: table %s: %s", errDamaged, t, verdict)
		}
	}
	return nil
}
