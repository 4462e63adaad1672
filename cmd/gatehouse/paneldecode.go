package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/ad2"
)

// panelDecodeCommand reads what a device of an alarm panel said.
func panelDecodeCommand(e *env) *cobra.Command {
	var timed bool
	c := &cobra.Command{
		Use:   "decode FILE|- [--timed]",
		Short: "read what a device of an alarm panel said",
		Long: "Reads lines as an AlarmDecoder sends them and writes a JSON document for each: its raw text, its " +
			"type, and what it says. The types are keypad, exp, rel, rfx, lrr, aui, version, config, none for what " +
			"the device says of itself, and invalid for what is no message. Where a line is damaged, what can be " +
			"read of it is read; skipped counts the bytes that could not, and merged holds other messages that ran " +
			"into the same line.\n\n" +
			"With --timed each line begins with seconds on a clock and a space, and the events that follow on that " +
			"clock are written: {t, event, partition, zone, ...}. No daemon and no panel is needed.",
		Example: "gatehouse panel follow --raw | gatehouse panel decode -\n" +
			"gatehouse panel decode day.txt --timed",
		Args: takes(1, 1),
		RunE: func(c *cobra.Command, args []string) error {
			name, in, err := e.open(c.Context(), args[0])
			if err != nil {
				return err
			}
			defer in.Close()
			w := bufio.NewWriter(e.out)
			run := decodeLines
			if timed {
				run = decodeTimed
			}
			err = run(c.Context(), in, w)
			if flushed := w.Flush(); err == nil {
				err = flushed
			}
			if f, ok := errors.AsType[*failure](err); ok {
				return f
			}
			if err != nil {
				return fileFailure("read", name, err)
			}
			return nil
		},
	}
	c.Flags().BoolVar(&timed, "timed", false, "lines begin with seconds; write the events that follow on that clock")
	return c
}

// wireLines calls yield for each line of a file, also for empty ones, without its
// end. Of a line of more than ad2.MaxLine bytes it gets the end, as the daemon
// would.
func wireLines(ctx context.Context, in io.Reader, w *bufio.Writer, yield func(number int, line []byte) error) error {
	r := bufio.NewReaderSize(in, 64<<10)
	var part []byte
	for number := 1; ; {
		block, err := r.ReadSlice('\n')
		part = append(part, block...)
		if len(part) > 4*ad2.MaxLine {
			part = append(part[:0], part[len(part)-2*ad2.MaxLine:]...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (err != io.EOF || len(part) == 0):
			if err == io.EOF {
				return nil
			}
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		}
		line := bytes.TrimRight(part, "\r\n")
		if err := yield(number, line); err != nil {
			return err
		}
		number++
		part = part[:0]
		if r.Buffered() == 0 {
			if err := w.Flush(); err != nil { // who reads along a pipe sees each line when it comes
				return err
			}
		}
	}
}

// decodeLines writes a document for each line.
func decodeLines(ctx context.Context, in io.Reader, w *bufio.Writer) error {
	return wireLines(ctx, in, w, func(_ int, line []byte) error {
		for _, part := range bytes.Split(line, []byte("\r")) { // a carriage return alone ends a line, too
			doc, err := decodeLine(string(part))
			if err != nil {
				return err
			}
			_, _ = w.Write(doc)   // an error sticks to the writer
			_ = w.WriteByte('\n') // as above
		}
		return nil
	})
}

// decodeLine returns the document of one line.
func decodeLine(line string) ([]byte, error) {
	head := struct {
		Raw     string            `json:"raw"`
		Type    string            `json:"type"`
		Kind    string            `json:"kind,omitempty"`
		Error   string            `json:"error,omitempty"`
		Skipped int               `json:"skipped,omitempty"`
		Merged  []json.RawMessage `json:"merged,omitempty"`
	}{Raw: latin(line), Type: "invalid"}
	clean := strings.ReplaceAll(line, "\xff", "")
	wire, err := ad2.Decode(clean)
	head.Skipped = wire.Skipped + len(line) - len(clean)
	if err != nil {
		head.Error = strings.TrimPrefix(err.Error(), ad2.ErrInvalid.Error()+": ")
		head.Skipped = 0
		return marshal(head)
	}
	last := len(wire.Messages) - 1
	for _, m := range wire.Messages[:last] {
		doc, err := joinDocuments(struct {
			Type string `json:"type"`
		}{m.Type()}, m)
		if err != nil {
			return nil, err
		}
		head.Merged = append(head.Merged, doc)
	}
	m := wire.Messages[last]
	head.Type = m.Type()
	if n, ok := m.(*ad2.Note); ok {
		head.Kind = n.Kind.String()
	}
	return joinDocuments(head, m)
}

// joinDocuments writes two structs as one JSON object.
func joinDocuments(a, b any) ([]byte, error) {
	first, err := marshal(a)
	if err != nil {
		return nil, err
	}
	second, err := marshal(b)
	if err != nil {
		return nil, err
	}
	if string(second) == "{}" {
		return first, nil
	}
	return append(append(first[:len(first)-1], ','), second[1:]...), nil
}

// latin returns bytes as characters of ISO 8859-1, so that nothing of a damaged
// line is lost.
func latin(s string) string {
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// timedEvent is an event on the clock of the file.
type timedEvent struct {
	T         float64 `json:"t"`
	Event     string  `json:"event"`
	Subject   string  `json:"subject,omitempty"`
	Partition int     `json:"partition,omitempty"`
	Zone      int     `json:"zone,omitempty"`
	Name      string  `json:"name,omitempty"`
	Mode      string  `json:"mode,omitempty"`
	User      int     `json:"user,omitempty"`
	Text      string  `json:"text"`
}

// maxSeconds bounds the clock of a file: about thirty years.
const maxSeconds = 1e9

// decodeTimed writes the events that follow from lines on a clock.
func decodeTimed(ctx context.Context, in io.Reader, w *bufio.Writer) error {
	start := time.Unix(0, 0).UTC()
	panel := ad2.New(ad2.Config{})
	now := start
	write := func(events []ad2.Event) error {
		for _, ev := range events {
			out := timedEvent{
				T: math.Round(ev.Time.Sub(start).Seconds()*1000) / 1000, Event: string(ev.Kind), Subject: ev.Subject().String(),
				Partition: ev.Partition, Zone: ev.Zone, Name: ev.Name, User: ev.User, Text: ev.Sentence(),
			}
			if ev.Mode != ad2.ModeUnknown {
				out.Mode = ev.Mode.String()
			}
			doc, err := marshal(out)
			if err != nil {
				return err
			}
			_, _ = w.Write(doc)   // an error sticks to the writer
			_ = w.WriteByte('\n') // as above
		}
		return nil
	}
	return wireLines(ctx, in, w, func(number int, line []byte) error {
		seconds, text := strings.TrimLeft(string(line), " \t"), ""
		if i := strings.IndexAny(seconds, " \t"); i >= 0 {
			seconds, text = seconds[:i], seconds[i+1:]
		}
		if seconds == "" && text == "" {
			return nil
		}
		at, err := strconv.ParseFloat(seconds, 64)
		if err != nil || math.IsNaN(at) || at < 0 || at > maxSeconds {
			return failed("each line begins with seconds and a space: 12.5 !EXP:07,01,01", "line %d does not begin with seconds", number)
		}
		to := start.Add(time.Duration(at * float64(time.Second)))
		if to.Before(now) {
			return failed("sort the lines by time", "line %d is earlier than the one before it", number)
		}
		for next := panel.Next(); !next.IsZero() && next.Before(to) && ctx.Err() == nil; next = panel.Next() {
			if now = maxTime(next, now.Add(time.Second)); !now.Before(to) {
				break
			}
			if err := write(panel.Advance(now)); err != nil {
				return err
			}
		}
		now = to
		text = strings.Trim(strings.ReplaceAll(text, "\xff", ""), "\x00")
		if text == "" {
			return write(panel.Advance(now))
		}
		wire, err := ad2.Decode(text)
		if err != nil || wire.Skipped > 0 {
			if err := write(panel.Noise(now)); err != nil {
				return err
			}
		}
		for _, m := range wire.Messages {
			if err := write(panel.Observe(m, now)); err != nil {
				return err
			}
		}
		return nil
	})
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
