package logs

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"gatehouse/internal/rules"
)

// exported writes an entry as journalctl -o export does; a value with a line end
// in binary form.
func exported(fields ...string) string {
	var b strings.Builder
	for _, f := range fields {
		name, value, _ := strings.Cut(f, "=")
		if strings.ContainsAny(value, "\n\x00") {
			b.WriteString(name + "\n")
			_ = binary.Write(&b, binary.LittleEndian, uint64(len(value)))
			b.WriteString(value + "\n")
			continue
		}
		b.WriteString(f + "\n")
	}
	return b.String() + "\n"
}

func atCursor(n int) string {
	return fmt.Sprintf("__CURSOR=s=cdd16d0cbb16482b9e89d7fb7e9f05b7;i=%x;b=11111111222233334444555566667777;m=%x;t=%x;x=%x", n, 1e6+n, int64(1795000000e6)+int64(n), n)
}

func TestExport(t *testing.T) {
	long := strings.Repeat("x", rules.MaxLine)
	for _, tc := range []struct {
		name, in string
		want     string // message|identifier|unit|uid of each entry
		err      error
	}{
		{"an entry", exported(atCursor(1), "MESSAGE=one", "SYSLOG_IDENTIFIER=sshd", "_SYSTEMD_UNIT=ssh.service", "_UID=0"), "one|sshd|ssh.service|0", io.EOF},
		{"two, more space between", exported(atCursor(1), "MESSAGE=one") + "\n\n" + exported(atCursor(2), "MESSAGE=two"), "one|||-1 two|||-1", io.EOF},
		{"binary", exported(atCursor(1), "MESSAGE=a\nMESSAGE=b\x00", "_UID=7"), "a\nMESSAGE=b\x00|||7", io.EOF},
		{"without a cursor", exported("MESSAGE=one") + exported(atCursor(2), "MESSAGE=two"), "two|||-1", io.EOF},
		{"cut short", exported(atCursor(1), "MESSAGE=one") + atCursor(2) + "\nMESSAGE=two\n", "one|||-1", io.EOF},
		{"cut short within a binary value", "MESSAGE\n\x05\x00\x00\x00\x00\x00\x00\x00ab", "", io.EOF},
		{"the first of several", exported(atCursor(1), "MESSAGE=one", "MESSAGE=two", "_UID=1", "_UID=0"), "one|||1", io.EOF},
		{"the longest message", exported(atCursor(1), "MESSAGE="+long), long + "|||-1", io.EOF},
		{"a longer one", exported(atCursor(1), "MESSAGE="+long+"x", "_UID=3"), "(long)|||3", io.EOF},
		{"a much longer one", exported(atCursor(1), "MESSAGE="+strings.Repeat(long, 20), "_UID=3"), "(long)|||3", io.EOF},
		{"a longer one in binary", exported(atCursor(1), "MESSAGE="+strings.Repeat(long, 20)+"\n", "_UID=3"), "(long)|||3", io.EOF},
		{"an odd user", exported(atCursor(1), "MESSAGE=one", "_UID=-1"), "one|||-1", io.EOF},
		{"no end behind a binary value", "MESSAGE\n\x01\x00\x00\x00\x00\x00\x00\x00ab", "", errExport},
		{"a binary value that is endless", "MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\x7f", "", errExport},
		{"something else", strings.Repeat("x", 100) + "\n", "", errExport},
		{"something else, without line ends", strings.Repeat("x", 1<<17), "", errExport},
	} {
		x := newExportReader(strings.NewReader(tc.in))
		var got []string
		var e *entry
		var err error
		for e, err = x.next(); err == nil; e, err = x.next() {
			m := string(e.message)
			if e.long {
				m = "(long)"
			}
			got = append(got, fmt.Sprintf("%s|%s|%s|%d", m, e.ident, e.unit, e.uid))
		}
		if g := strings.Join(got, " "); g != tc.want || !errors.Is(err, tc.err) {
			t.Errorf("%s: %.200q, %v", tc.name, g, err)
		}
	}
}

// Whatever stands in an entry, its fields come back as they were, and none of it
// becomes a field or an entry of its own.
func FuzzExportKeepsFieldsApart(f *testing.F) {
	f.Add([]byte("one"), []byte("sshd"), uint16(0))
	f.Add([]byte("a\n_UID=0\n\n__CURSOR=x"), []byte("b\n"), uint16(1000))
	f.Fuzz(func(t *testing.T, message, ident []byte, uid uint16) {
		if len(message) > rules.MaxLine || len(ident) > maxEntryValue {
			return
		}
		in := exported(atCursor(1), "MESSAGE="+string(message), "SYSLOG_IDENTIFIER="+string(ident), fmt.Sprintf("_UID=%d", uid)) + exported(atCursor(2), "MESSAGE=end")
		x := newExportReader(strings.NewReader(in))
		e, err := x.next()
		if err != nil || !bytes.Equal(e.message, message) || !bytes.Equal(e.ident, ident) || e.uid != int(uid) || e.cursor.seq != 1 {
			t.Fatalf("%+v, %v", e, err)
		}
		if e, err = x.next(); err != nil || string(e.message) != "end" || e.uid != -1 || len(e.ident) > 0 {
			t.Fatalf("then %+v, %v", e, err)
		}
		if _, err = x.next(); err != io.EOF {
			t.Fatal(err)
		}
	})
}

// Any input ends, without a panic, and nothing kept is longer than its bound.
func FuzzExportIsBounded(f *testing.F) {
	f.Add([]byte(exported(atCursor(1), "MESSAGE=a\nb", "_UID=0")))
	f.Add([]byte("MESSAGE\n\xff\x00\x00\x00\x00\x00\x00\x00a"))
	f.Fuzz(func(t *testing.T, in []byte) {
		x := newExportReader(bytes.NewReader(in))
		for {
			e, err := x.next()
			if err != nil {
				return
			}
			if len(e.message) > rules.MaxLine || len(e.unit) > maxEntryValue || len(e.exe) > maxEntryValue || e.cursor.text == "" {
				t.Fatalf("%+v", e)
			}
		}
	})
}
