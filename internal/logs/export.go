package logs

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strconv"

	"gatehouse/internal/rules"
)

// Bounds of an entry of the journal, in bytes.
const (
	maxField      = 64      // of a field's name: journald allows no more
	maxEntryValue = 1024    // of a value other than the message: names of units, programs and hosts are shorter
	maxBinary     = 1 << 30 // of a binary value: journald allows 768 MB. Longer is not the export format.
)

// entry is one entry of the journal, as far as it matters here. The names are
// those of systemd.journal-fields(7); a field that begins with an underscore was
// set by journald and can be trusted, the others by whoever wrote the entry.
type entry struct {
	cursor  cursor
	message []byte // MESSAGE
	ident   []byte // SYSLOG_IDENTIFIER
	comm    []byte // _COMM
	host    []byte // _HOSTNAME
	unit    []byte // _SYSTEMD_UNIT
	exe     []byte // _EXE
	pid     []byte // _PID
	uid     int    // _UID; -1 = not told
	long    bool   // the message was longer than any rule looks at, and is not kept
}

// journalFields is what is asked of each entry.
const journalFields = "MESSAGE,SYSLOG_IDENTIFIER,_COMM,_HOSTNAME,_SYSTEMD_UNIT,_EXE,_PID,_UID"

// exportReader reads the Journal Export Format (systemd.io/JOURNAL_EXPORT_FORMATS).
// It is not for concurrent use.
type exportReader struct {
	r     *bufio.Reader
	e     entry
	value []byte // reused
	some  bool   // the entry at hand has a field
}

func newExportReader(r io.Reader) *exportReader {
	return &exportReader{r: bufio.NewReaderSize(r, 64<<10)}
}

// errExport says that what comes is not the export format.
var errExport = errors.New("this is not the export format of journald")

// next returns the next whole entry, valid until the call after it. At the end of
// the stream, in the middle of an entry too, it returns io.EOF. An entry without a
// cursor is left out.
func (x *exportReader) next() (*entry, error) {
	x.begin()
	for {
		line, err := x.r.ReadSlice('\n')
		switch {
		case err == bufio.ErrBufferFull:
			if err := x.longLine(line); err != nil {
				return nil, err
			}
			continue
		case err != nil:
			return nil, err
		case len(line) == 1:
			if x.some && x.e.cursor.text != "" {
				return &x.e, nil
			}
			x.begin()
			continue
		}
		x.some = true
		line = line[:len(line)-1]
		if name, value, text := bytes.Cut(line, []byte{'='}); text {
			x.set(name, value)
		} else if err := x.binary(line); err != nil {
			return nil, err
		}
	}
}

// buffered reports whether more can be read without waiting.
func (x *exportReader) buffered() bool { return x.r.Buffered() > 0 }

func (x *exportReader) begin() {
	e := &x.e
	*e = entry{message: e.message[:0], ident: e.ident[:0], comm: e.comm[:0], host: e.host[:0], unit: e.unit[:0], exe: e.exe[:0], pid: e.pid[:0], uid: -1}
	x.some = false
}

// longLine passes over the rest of a line that does not fit the buffer. It can
// only be a text that is too long to be kept.
func (x *exportReader) longLine(begun []byte) error {
	x.some = true
	name, _, text := bytes.Cut(begun, []byte{'='})
	if !text || len(name) > maxField {
		return errExport
	}
	if string(name) == "MESSAGE" {
		x.e.long = true
	}
	for {
		if _, err := x.r.ReadSlice('\n'); err != bufio.ErrBufferFull {
			return err
		}
	}
}

// binary reads the value of a field that is told as its length and its bytes: one
// with line ends in it.
func (x *exportReader) binary(name []byte) error {
	if len(name) > maxField {
		return errExport
	}
	var at [maxField]byte
	name = at[:copy(at[:], name)] // what ReadSlice gave is gone with the next read
	var size [8]byte
	if _, err := io.ReadFull(x.r, size[:]); err != nil {
		return ended(err)
	}
	n := binary.LittleEndian.Uint64(size[:])
	if n > maxBinary {
		return fmt.Errorf("%w: a value of %d bytes", errExport, n)
	}
	keep := min(n, rules.MaxLine+1)
	if x.value == nil {
		x.value = make([]byte, rules.MaxLine+1)
	}
	if _, err := io.ReadFull(x.r, x.value[:keep]); err != nil {
		return ended(err)
	}
	if _, err := x.r.Discard(int(n - keep)); err != nil {
		return ended(err)
	}
	switch end, err := x.r.ReadByte(); {
	case err != nil:
		return ended(err)
	case end != '\n':
		return errExport
	}
	x.set(name, x.value[:keep])
	return nil
}

func ended(err error) error {
	if err == io.ErrUnexpectedEOF {
		return io.EOF
	}
	return err
}

// set notes one field. Of a field that is there more than once the first counts.
func (x *exportReader) set(name, value []byte) {
	e := &x.e
	if string(name) == "MESSAGE" {
		switch {
		case len(value) > rules.MaxLine:
			e.long = true
		case len(e.message) == 0:
			e.message = append(e.message, value...)
		}
		return
	}
	if len(value) > maxEntryValue {
		return
	}
	var to *[]byte
	switch string(name) {
	case "__CURSOR":
		if c, ok := parseCursor(string(value)); ok {
			e.cursor = c
		}
		return
	case "_UID":
		if n, err := strconv.ParseUint(string(value), 10, 31); err == nil && e.uid < 0 {
			e.uid = int(n)
		}
		return
	case "SYSLOG_IDENTIFIER":
		to = &e.ident
	case "_COMM":
		to = &e.comm
	case "_HOSTNAME":
		to = &e.host
	case "_SYSTEMD_UNIT":
		to = &e.unit
	case "_EXE":
		to = &e.exe
	case "_PID":
		to = &e.pid
	default:
		return
	}
	if len(*to) == 0 {
		*to = append(*to, value...)
	}
}
