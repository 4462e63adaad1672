package runner

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Command is what to run.
type Command struct {
	Argv   []string      // the absolute path of a program, and its arguments
	Env    []string      // NAME=value, besides PATH, LANG, HOME, USER and LOGNAME
	Stdin  []byte        // what it reads
	User   string        // whose rights it has; "" = the daemon's own
	Limit  time.Duration // how long it may run
	Output int           // how much is kept of what it writes, in bytes
}

// Result is how a command ended.
type Result struct {
	Exit    int           // its exit code; -1 where it was killed or did not start
	Output  string        // what it wrote on both outputs, the end of it where it was more; hostile
	Lost    int64         // bytes that it wrote besides
	Took    time.Duration // how long it ran
	Problem string        // why it did not end well, a clause; "" = it ended with exit code 0
}

// request and answer are the frames between daemon and child.
type request struct {
	ID uint64
	Command
}

type answer struct {
	ID uint64
	Result
}

// maxFrame bounds a frame in bytes: a record with all its evidence is about 50 kB.
const maxFrame = 4 << 20

// writeFrame writes a value behind its length, 4 bytes in network order.
func writeFrame(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	if len(b) > maxFrame {
		return fmt.Errorf("a message of %d bytes is too long", len(b))
	}
	_, err = w.Write(append(binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(b)), uint32(len(b))), b...))
	return err
}

// readFrame reads what writeFrame has written.
func readFrame(r io.Reader, v any) error {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxFrame {
		return fmt.Errorf("a message of %d bytes is too long", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return err
	}
	return json.Unmarshal(b, v)
}
