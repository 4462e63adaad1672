package fail2ban

import (
	"fmt"
	"io/fs"
	"strings"
	"time"

	"gatehouse/internal/gate"
)

// Server is what fail2ban.conf says of the server, as far as it outlives it.
type Server struct {
	Database string        // path of its database; "" = it keeps none
	Purge    time.Duration // how long bans are remembered in it; gate.Forever = for ever
	Problems []Problem
}

// Defaults of fail2ban.conf.
const (
	defaultDatabase = "/var/lib/fail2ban/fail2ban.sqlite3"
	defaultPurge    = gate.Day
)

// ReadServer reads fail2ban.conf, its fail2ban.d and fail2ban.local. Where there is
// none, or something in it cannot be read, the defaults hold.
func ReadServer(fsys fs.FS) Server {
	s := Server{Database: defaultDatabase, Purge: defaultPurge}
	conf, err := newLoader(fsys).load("fail2ban")
	if err != nil {
		if _, missing := fs.Stat(fsys, "fail2ban.conf"); missing == nil {
			s.Problems = problems(err, Position{File: "fail2ban.conf"})
		}
		return s
	}
	get := func(opt string) string {
		v, _, err := conf.get("Definition", opt, nil)
		if err != nil {
			s.Problems = append(s.Problems, problems(err, Position{File: "fail2ban.conf"})...)
		}
		return strings.TrimSpace(v)
	}
	switch v := get("dbfile"); {
	case strings.EqualFold(v, "none"), v == ":memory:":
		s.Database = ""
	case v != "":
		s.Database = v
	}
	if v := get("dbpurgeage"); v != "" {
		d, err := ParseTime(v)
		switch {
		case err != nil:
			at := Position{File: "fail2ban.conf"}
			if o, ok := conf.raw("Definition", "dbpurgeage", nil); ok {
				at = o.at
			}
			s.Problems = append(s.Problems, Problem{at, fmt.Sprintf("dbpurgeage: %v", err), "1d is taken instead"})
		case d < 0:
			s.Purge = gate.Forever
		default:
			s.Purge = d
		}
	}
	return s
}
