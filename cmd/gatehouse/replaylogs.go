package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/replay"
	"gatehouse/internal/rules"
)

// replayLogs is the logs that a replay reads.
type replayLogs struct {
	list   []replay.Source
	size   int64        // of all that are files, in bytes as they lie there
	read   atomic.Int64 // of that
	closer []io.Closer
	seen   []os.FileInfo
	bar    *progress
}

// How much of a log is looked at to see what it is, and which rules know it.
const (
	peekSize    = 4 << 10
	wrapperPeek = 64 << 10 // of a bufio.Reader of that size
	sampleSize  = 1 << 20
)

// openLogs opens the logs. What cannot be read is told and left out; the error says
// that nothing is left.
func (e *env) openLogs(ctx context.Context, args []string, p *replayPlan) (*replayLogs, error) {
	l := &replayLogs{}
	var last error
	for _, a := range args {
		err := l.open(ctx, e, a, p)
		if ctx.Err() != nil {
			return l, ctx.Err()
		}
		if err == nil {
			continue
		}
		if len(args) == 1 {
			return l, err
		}
		last = err
		e.report(err)
	}
	if len(l.list) == 0 && last != nil {
		return l, failed("name logs that are text, or compressed with gzip", "replay: none of the logs could be read")
	}
	return l, nil
}

// open opens one log and works out what runs on it.
func (l *replayLogs) open(ctx context.Context, e *env, path string, p *replayPlan) error {
	name, file, err := e.open(ctx, path)
	if err != nil {
		return err
	}
	l.closer = append(l.closer, file)
	log := replay.Source{Name: name, Written: e.now()}
	var r io.Reader = file
	if f, ok := file.(*os.File); ok {
		fi, err := f.Stat()
		if err != nil {
			return fileFailure("read", name, err)
		}
		if slices.ContainsFunc(l.seen, func(o os.FileInfo) bool { return os.SameFile(o, fi) }) {
			e.remark("%s: the same log is named twice; it is read once", name)
			return nil
		}
		l.seen = append(l.seen, fi)
		if fi.Mode().IsRegular() {
			log.Written = fi.ModTime()
			l.size += fi.Size()
			r = &counting{f, l}
		} else {
			r = &interruptible{ctx.Done(), ctx.Err, f, make(chan read, 1)}
		}
	}
	text, err := unpacked(name, r)
	if err != nil {
		return err
	}
	if peek, ok := text.(*bufio.Reader); ok {
		head, _ := peek.Peek(wrapperPeek) // what there is of it
		log.Wrapper = rules.DetectWrapper(head)
	}
	log.Watches = p.naming(name)
	switch {
	case p.chosen:
		log.Watches = p.all()
	case path == "-" || len(log.Watches) == 0:
		first := make([]byte, sampleSize)
		n, err := io.ReadFull(text, first)
		text = io.MultiReader(bytes.NewReader(first[:n]), text)
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			text = io.MultiReader(bytes.NewReader(first[:n]), failing{err})
		}
		log.Watches = recognised(p, first[:n], log.Written, log.Wrapper)
		switch {
		case n == 0:
		case len(log.Watches) == 0:
			log.Watches = p.all()
			e.remark("%s: no watch names it, and no rule knows its first lines; every rule runs on it", name)
		default:
			e.remark("%s: no watch names it; the rules that know its lines run on it: %s", name, watchNames(log.Watches))
		}
	}
	log.Log = text
	l.list = append(l.list, log)
	return nil
}

// recognised returns the watches whose rules take lines of the sample.
func recognised(p *replayPlan, sample []byte, written time.Time, w rules.Wrapper) (out []replay.Watch) {
	if i := bytes.LastIndexByte(sample, '\n'); i >= 0 {
		sample = sample[:i+1]
	}
	var set []*rules.Rule
	for _, w := range p.watches {
		if w.Filter == nil && !slices.Contains(set, w.Rule) {
			set = append(set, w.Rule)
		}
	}
	taken := map[*rules.Rule]bool{}
	rules.NewMatcher(set, rules.Options{}).Scanner(rules.SourceOptions{Wrapper: w}).Scan(sample, written, func(h *rules.Hit) { taken[h.Rule] = true })
	for _, w := range p.watches {
		if w.Filter != nil && !taken[w.Rule] {
			w.Filter.Hits(fail2ban.ScanOptions{}).Scan(sample, written, func(h *rules.Hit) { taken[h.Rule] = true })
		}
		if taken[w.Rule] {
			out = append(out, w.Watch)
		}
	}
	return out
}

func watchNames(ws []replay.Watch) string {
	var names []string
	for _, w := range ws {
		names = append(names, w.Name)
	}
	return strings.Join(names, ", ")
}

// packed are the beginnings of files that are no text, and what to do about them.
var packed = []struct{ magic, what, hint string }{
	{"\xfd7zXZ\x00", "it is compressed with xz", "xz -dc %s | gatehouse replay -"},
	{"BZh", "it is compressed with bzip2", "bzip2 -dc %s | gatehouse replay -"},
	{"\x28\xb5\x2f\xfd", "it is compressed with zstd", "zstd -dc %s | gatehouse replay -"},
	{"\x04\x22\x4d\x18", "it is compressed with lz4", "lz4 -dc %s | gatehouse replay -"},
	{"LPKSHHRH", "it is a journal", "journalctl --file %s | gatehouse replay -"},
}

// unpacked returns the text of a log that may be compressed with gzip. An error says
// that it is no text.
func unpacked(name string, r io.Reader) (io.Reader, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	head, err := b.Peek(2)
	if err == nil && head[0] == 0x1f && head[1] == 0x8b { // RFC 1952 section 2.3.1
		z, err := gzip.NewReader(b)
		if err != nil {
			return nil, fileFailure("read", name, err)
		}
		b = bufio.NewReaderSize(z, 64<<10)
	}
	head, err = b.Peek(peekSize)
	if err != nil && !errors.Is(err, io.EOF) && len(head) == 0 {
		return nil, fileFailure("read", name, err)
	}
	for _, p := range packed {
		if bytes.HasPrefix(head, []byte(p.magic)) {
			return nil, failed(fmt.Sprintf(p.hint, name), "read %s: %s", name, p.what)
		}
	}
	if isBinary(head) {
		return nil, failed("name a log that is text", "read %s: it is binary, no text", name)
	}
	return b, nil
}

// isBinary reports whether two fifths of what a file begins with are control
// characters or no UTF-8: a log may have some of both, of its peers, of programs
// that write another encoding, and of a crash.
func isBinary(head []byte) bool {
	odd := 0
	for i := 0; i < len(head); {
		r, n := utf8.DecodeRune(head[i:])
		if r == utf8.RuneError && n == 1 || r < ' ' && r != '\n' && r != '\r' && r != '\t' && r != 0x1b {
			odd++
		}
		i += n
	}
	return odd*5 > len(head)*2
}

// watch has a bar show how much is read.
func (l *replayLogs) watch(bar *progress) { l.bar = bar }

// close closes the files.
func (l *replayLogs) close() {
	for _, c := range l.closer {
		_ = c.Close() // they were only read
	}
}

// counting is a file that counts what is read of it.
type counting struct {
	io.Reader
	logs *replayLogs
}

// Read implements io.Reader.
func (c *counting) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	done := c.logs.read.Add(int64(n))
	if c.logs.bar != nil {
		c.logs.bar.set(done)
	}
	return n, err
}

// failing is a reader that has only an error.
type failing struct{ err error }

// Read implements io.Reader.
func (f failing) Read([]byte) (int, error) { return 0, f.err }
