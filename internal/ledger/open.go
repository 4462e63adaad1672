package ledger

import (
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	sqlite3 "modernc.org/sqlite/lib"
)

// How connections are tuned, in kB of page cache: the writer's covers the hot
// pages of the indexes, a bulk of decisions gets enough for its own indexes to
// stay in memory (which halves its time), readers live off the system's cache.
const (
	writerCache = 1024
	bulkCache   = 8 * 1024
	readerCache = 256
)

// errDamaged says that the content of the file is wrong although SQLite can read
// it.
var errDamaged = errors.New("the database is damaged")

// tables is every table of the schema, the largest first.
var tables = []string{"records", "live", "marks", "windows", "keep"}

// pragmas returns what every connection runs, with its page cache in kB.
func pragmas(cache int) []string {
	return []string{
		"busy_timeout=1000", // ms; only a person's sqlite3 can hold the file
		"temp_store=MEMORY", "mmap_size=0", fmt.Sprintf("cache_size=-%d", cache),
	}
}

// openWriter opens the database at path for writing, made and migrated where
// need be, and has a look at its state tables.
func openWriter(path string, sql []string) (_ *conn, err error) {
	// SQLite reports any failure to open as the same error; this one says why.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	c, err := openConn(path, nil, pragmas(writerCache)...)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.close())
		}
	}()
	// auto_vacuum counts only in an empty file. FULL: a commit is on the disk. The
	// WAL is copied back by hand, after the waiting were answered, and does not
	// keep the size of a bulk.
	for _, p := range []string{"auto_vacuum=INCREMENTAL", "synchronous=FULL", "wal_autocheckpoint=0", "journal_size_limit=8388608"} {
		if err := c.exec("PRAGMA " + p); err != nil {
			return nil, fmt.Errorf("pragma %s: %w", p, err)
		}
	}
	mode := ""
	if err := c.each("PRAGMA journal_mode=WAL", func(v []driver.Value) bool { mode, _ = v[0].(string); return false }); err != nil {
		return nil, err
	}
	if mode != "wal" {
		return nil, &Error{"the file system of " + path + " cannot hold a write-ahead log", "set state: to a folder on a local disk", nil}
	}
	if err := migrate(c, path, sql); err != nil {
		return nil, err
	}
	if err := check(c, tables[1:]...); err != nil { // the records would take too long
		return nil, err
	}
	return c, nil
}

// openReader opens another connection to a database that a writer has opened. It
// has seen the file and its WAL when it returns, so that both may be renamed.
func openReader(path string) (*conn, error) {
	c, err := openConn(path, nil, append(pragmas(readerCache), "query_only=1")...)
	if err != nil {
		return nil, err
	}
	if _, err := c.number("SELECT count(*) FROM sqlite_schema"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// openStale opens a database for reading only where no writer can: alone in its
// own memory on a full disk, without a log on a read-only one.
func openStale(path string) (c *conn, err error) {
	if _, err := os.Stat(path); err != nil {
		return nil, err
	}
	for _, alone := range []bool{true, false} {
		tune, params := append(pragmas(readerCache), "query_only=1"), url.Values{"immutable": {"1"}}
		if alone {
			tune, params = append(tune, "locking_mode=EXCLUSIVE"), nil
		}
		if c, err = openConn(path, params, tune...); err != nil {
			continue
		}
		if _, err = c.number("SELECT count(*) FROM marks"); err == nil {
			return c, nil
		}
		err = errors.Join(err, c.close())
	}
	return nil, err
}

// isUnusable reports whether an error says that the content of the file is no
// use, rather than that the file cannot be reached. For a schema that is damaged
// or not ours SQLite has no code of its own.
func isUnusable(err error) bool {
	return isDamage(err) || errors.Is(err, errDamaged) || errors.Is(err, errForeign) ||
		code(err) == sqlite3.SQLITE_ERROR && (strings.Contains(err.Error(), "no such table") || strings.Contains(err.Error(), "malformed"))
}
