package formats

import (
	"bufio"
	"io"
	"strings"
)

// text reads every form that is made of lines.
func (r *reading) text(in *bufio.Reader) error {
	take := map[Format]func(string) error{
		Plain: r.plain, CSV: r.table(), IPSet: r.ipset(), PortSentry: r.portsentry, CSF: r.csf, HostsDeny: r.hostsDeny, NFT: r.nftText(),
	}[r.sum.Format]
	end := func() error { return nil }
	if r.sum.Format == IPTables {
		t := newTables(r)
		take, end = t.line, t.end
	}
	for {
		line, err := r.next(in)
		if err == io.EOF {
			return end()
		}
		if err == nil && line != "" {
			err = take(line)
		}
		if err != nil {
			return err
		}
	}
}

// next returns the next line without its end and the space around it; "" for one
// that is too long, which is a fault. At the end the error is io.EOF.
func (r *reading) next(in *bufio.Reader) (string, error) {
	b, err := in.ReadSlice('\n')
	if len(b) == 0 && err != nil {
		return "", err
	}
	r.line++
	r.sum.Lines++
	if err == bufio.ErrBufferFull {
		for err == bufio.ErrBufferFull {
			_, err = in.ReadSlice('\n')
		}
		if err == io.EOF {
			err = nil
		}
		r.sum.Long++
		r.fault("the line is longer than %d kB", MaxLine>>10)
		return "", err
	}
	if err != nil && err != io.EOF {
		return "", err
	}
	return strings.TrimSpace(string(b)), nil
}

// comment cuts a comment off a line: what follows # or ; or //.
func comment(line string) (rest, note string) {
	end, skip := len(line), 0
	if i := strings.IndexAny(line, "#;"); i >= 0 {
		end, skip = i, 1
	}
	if i := strings.Index(line[:end], "//"); i >= 0 {
		end, skip = i, 2
	}
	if end == len(line) {
		return strings.TrimSpace(line), ""
	}
	return strings.TrimSpace(line[:end]), strings.TrimSpace(line[end+skip:])
}
