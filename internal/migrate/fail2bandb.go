package migrate

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // fail2ban's database

	"gatehouse/internal/gate"
)

// Ban is one ban in a database of fail2ban.
type Ban struct {
	Jail   string       `json:"jail"`
	Prefix netip.Prefix `json:"subject"`
	Since  time.Time    `json:"since"`
	Until  time.Time    `json:"until,omitzero"` // zero = never
	Count  int          `json:"count"`          // which ban of that address by that jail it is, from 1
	Live   bool         `json:"live"`           // it is in force
}

// Bans is what a database of fail2ban holds.
type Bans struct {
	List  []Ban // the oldest first
	Other int   // bans of what is no address
}

// maxBans is how many bans of a database are read: beyond, the oldest are left out.
const maxBans = 1 << 20

// Errors of ReadBans that a caller may want to tell apart.
var (
	ErrDatabaseDamaged = errors.New("it is damaged, or no database of fail2ban")
	ErrDatabaseBusy    = errors.New("fail2ban is writing to it")
)

// ReadBans reads a database of fail2ban. It reads a copy, so that a fail2ban that
// runs is not disturbed; folder is where the copy is made and removed again. A
// database that changes while it is copied is copied again. Now decides what is in
// force.
func ReadBans(ctx context.Context, path, folder string, now time.Time) (*Bans, error) {
	var err error
	for range copyTries {
		var b *Bans
		if b, err = readCopy(ctx, path, folder, now); err == nil || errors.Is(err, fs.ErrNotExist) || ctx.Err() != nil {
			return b, err
		}
	}
	return nil, err
}

// copyTries is how often a database is copied that looks damaged, for it may have
// been written to meanwhile.
const copyTries = 4

func readCopy(ctx context.Context, path, folder string, now time.Time) (*Bans, error) {
	dir, err := os.MkdirTemp(folder, "fail2ban-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	before, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !before.Mode().IsRegular() {
		return nil, fmt.Errorf("read %s: %w", path, ErrDatabaseDamaged)
	}
	file := filepath.Join(dir, "copy.sqlite3")
	for _, suffix := range []string{"", "-journal", "-wal"} {
		if err := copyTo(path+suffix, file+suffix); err != nil && (suffix == "" || !errors.Is(err, fs.ErrNotExist)) {
			return nil, err
		}
	}
	b, err := readDatabase(ctx, file, now)
	if err == nil {
		return b, nil
	}
	if after, e := os.Stat(path); e == nil && (after.ModTime() != before.ModTime() || after.Size() != before.Size()) {
		return nil, fmt.Errorf("read %s: %w", path, ErrDatabaseBusy)
	}
	return nil, fmt.Errorf("read %s: %w (%v)", path, ErrDatabaseDamaged, err)
}

// maxDatabase bounds what is copied, in bytes: four gigabytes are far more than
// fail2ban keeps.
const maxDatabase = 4 << 30

func copyTo(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, maxDatabase))
	return errors.Join(err, out.Close())
}

// readDatabase reads the copy.
func readDatabase(ctx context.Context, file string, now time.Time) (*Bans, error) {
	db, err := sql.Open("sqlite", file)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var verdict string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&verdict); err != nil {
		return nil, err
	}
	if verdict != "ok" {
		return nil, errors.New(verdict)
	}
	live, err := liveBans(ctx, db)
	if err != nil {
		return nil, err
	}
	return allBans(ctx, db, live, now)
}

// key is who is banned by which jail.
type key struct{ jail, ip string }

// liveBans reads what is in force: the table bips, which a database of before
// version 0.11 does not have.
func liveBans(ctx context.Context, db *sql.DB) (map[key]int64, error) {
	live := map[key]int64{}
	if !hasTable(ctx, db, "bips") {
		return live, nil
	}
	rows, err := db.QueryContext(ctx, "SELECT jail, ip, timeofban FROM bips LIMIT ?", maxBans)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var k key
		var at int64
		if err := rows.Scan(&k.jail, &k.ip, &at); err != nil {
			return nil, err
		}
		live[k] = at
	}
	return live, rows.Err()
}

// allBans reads the history.
func allBans(ctx context.Context, db *sql.DB, live map[key]int64, now time.Time) (*Bans, error) {
	if !hasTable(ctx, db, "bans") {
		return nil, errors.New("there is no table bans")
	}
	length, from := "bantime", "bans"
	if !hasColumn(ctx, db, "bans", "bantime") {
		length = "600" // fail2ban before 0.11 kept no lengths; ten minutes was its default
	}
	knows := hasTable(ctx, db, "bips")
	if knows {
		// What is in force may have been taken out of the history.
		from = "(SELECT jail, ip, timeofban, bantime FROM bans UNION SELECT jail, ip, timeofban, bantime FROM bips)"
	}
	rows, err := db.QueryContext(ctx, "SELECT jail, ip, timeofban, "+length+" FROM (SELECT * FROM "+from+" ORDER BY timeofban DESC LIMIT ?) ORDER BY timeofban, ip, jail", maxBans)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	out := &Bans{}
	counts := map[key]int{}
	for rows.Next() {
		var k key
		var at, span int64
		if err := rows.Scan(&k.jail, &k.ip, &at, &span); err != nil {
			return nil, err
		}
		p, ok := bannedPrefix(k.ip)
		if !ok || at <= 0 {
			out.Other++
			continue
		}
		counts[k]++
		b := Ban{Jail: k.jail, Prefix: p, Since: time.Unix(at, 0).UTC(), Count: counts[k]}
		if span >= 0 {
			b.Until = b.Since.Add(time.Duration(min(span, int64(longest/time.Second))) * time.Second)
		}
		last, is := live[k]
		b.Live = (is && last == at || !knows) && (span < 0 || b.Until.After(now))
		out.List = append(out.List, b)
	}
	return out, rows.Err()
}

// bannedPrefix reads who is banned.
func bannedPrefix(s string) (netip.Prefix, bool) {
	sub, err := gate.ParseSubject(s)
	if err != nil || !sub.IsNet() || sub.Prefix().Bits() == 0 {
		return netip.Prefix{}, false
	}
	return sub.Prefix(), true
}

func hasTable(ctx context.Context, db *sql.DB, name string) bool {
	var n int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM sqlite_master WHERE type='table' AND name=?", name).Scan(&n)
	return err == nil && n > 0
}

func hasColumn(ctx context.Context, db *sql.DB, table, column string) bool {
	var n int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM pragma_table_info(?) WHERE name=?", table, column).Scan(&n)
	return err == nil && n > 0
}
