package api

import (
	"bufio"
	"encoding/json"
	"net/http"
	"time"
)

// linesType is the media type of a stream of JSON documents, one a line.
const linesType = "application/jsonl"

// lines writes JSON documents, one a line, to a reader that may be slow. Not
// for concurrent use.
type lines struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     *bufio.Writer
	enc     *json.Encoder
	started bool
	failed  error // of the first write that failed
}

func newLines(w http.ResponseWriter) *lines {
	l := &lines{w: w, control: http.NewResponseController(w)}
	l.buf = bufio.NewWriterSize(deadlined{l}, 32<<10)
	l.enc = json.NewEncoder(l.buf)
	l.enc.SetEscapeHTML(false)
	return l
}

// deadlined is the response, with a deadline on each write: a reader that
// stopped reading must not hold the request for ever.
type deadlined struct{ *lines }

// Write implements io.Writer.
func (d deadlined) Write(b []byte) (int, error) {
	_ = d.control.SetWriteDeadline(time.Now().Add(writeTime)) // a writer without deadlines is one of a test
	return d.w.Write(b)
}

// start sends the header, which says that the request was understood.
func (l *lines) start() {
	if !l.started {
		l.started = true
		l.w.Header().Set("Content-Type", linesType)
		l.w.WriteHeader(http.StatusOK)
	}
}

// add writes one document; it reaches the reader with the next flush, or when
// enough has come together.
func (l *lines) add(v any) error {
	l.start()
	if l.failed == nil {
		l.failed = l.enc.Encode(v)
	}
	return l.failed
}

// flush hands all that was added to the reader.
func (l *lines) flush() error {
	l.start()
	if l.failed == nil {
		l.failed = l.buf.Flush()
	}
	if l.failed == nil {
		l.failed = l.control.Flush()
	}
	return l.failed
}

// end finishes the stream: with a status where nothing was sent yet, else with
// a last line.
func (l *lines) end(err error) {
	switch {
	case l.failed != nil: // nobody reads any more
	case err == nil:
		_ = l.flush() // the reader is gone: nobody to tell
	case !l.started:
		writeError(l.w, asError(err))
	default:
		if l.add(asError(err)) == nil {
			_ = l.flush()
		}
	}
}

// writeError answers with an error document.
func writeError(w http.ResponseWriter, e *Error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(e.GetStatus())
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(e) // the caller hung up: nobody to tell
}
