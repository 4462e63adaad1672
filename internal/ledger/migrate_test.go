package ledger

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

// TestMigrate pins that steps run once and in order, that a step that fails
// leaves no trace, and that a step with a wrong name is found.
func TestMigrate(t *testing.T) {
	file := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	first, err := steps.ReadFile("schema/0001.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), fileName)
	for _, c := range []struct {
		what string
		sql  fstest.MapFS
		err  string
		rows int64 // in table extra afterwards, -1 = there is none
	}{
		{"the first version", fstest.MapFS{}, "", -1},
		{"a newer one", fstest.MapFS{"schema/0002.sql": file("CREATE TABLE extra (n); INSERT INTO extra VALUES (1)")}, "", 1},
		{"once more", fstest.MapFS{"schema/0002.sql": file("CREATE TABLE extra (n); INSERT INTO extra VALUES (1)")}, "", 1},
		{"one that fails half way", fstest.MapFS{"schema/0002.sql": file(""), "schema/0003.sql": file("INSERT INTO extra VALUES (2); INSERT INTO nowhere VALUES (1)")}, "step 3", 1},
		{"one that works", fstest.MapFS{"schema/0002.sql": file(""), "schema/0003.sql": file("INSERT INTO extra VALUES (2)")}, "", 2},
		{"an older program", fstest.MapFS{"schema/0002.sql": file("")}, "newer gatehouse (schema 3, this one knows 2)", 2},
		{"a step that is missing", fstest.MapFS{"schema/0003.sql": file("")}, "schema/0003.sql should be schema/0002.sql", 2},
	} {
		c.sql["schema/0001.sql"] = file(string(first))
		sql, err := loadSteps(c.sql)
		var db *conn
		if err == nil {
			db, err = openWriter(path, sql)
		}
		if err == nil {
			err = db.close()
		}
		if c.err == "" && err != nil || c.err != "" && (err == nil || !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s: %v, want %q", c.what, err, c.err)
		}
		db, err = openConn(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		n, err := db.number("SELECT count(*) FROM extra")
		if err != nil {
			n = -1
		}
		if n != c.rows {
			t.Errorf("%s: %d rows, want %d", c.what, n, c.rows)
		}
		if err := errors.Join(db.close()); err != nil {
			t.Fatal(err)
		}
	}
}
