package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/internal/fail2ban"
	"gatehouse/internal/gate"
	"gatehouse/internal/rules"
)

// matchCommand tries rules on a log.
func matchCommand(e *env) *cobra.Command {
	var o matchOptions
	c := &cobra.Command{
		Use:   "match RULE|FILE|REGEX|all LOG|journal[:UNIT]|- [--each] [--matched] [--missed]",
		Short: "try a rule, a rule file, an expression or all rules on a log",
		Long: "Runs rules over a log and tells how many lines count against somebody (matched), how many only tell " +
			"something, such as a login that succeeded (informing), and how many say nothing (missed). The first " +
			"argument is taken as a path first, then as the name of a rule, then as an expression, in which <addr> " +
			"stands for an address. fail2ban:NAME[ARGUMENTS] is a filter of fail2ban, fail2ban:[JAIL] that of a jail, and so is " +
			"the path of a file in filter.d. Nothing is banned, and no daemon is needed.\n\n" +
			"The log may be compressed with gzip, and may be that of a container (Docker, Kubernetes). In place of a file, " +
			"journal is what the journal has of the units that the rule names, journal:UNIT what it has of others. The dates " +
			"that are recognised are told of the first 10,000 lines.\n\n" +
			"With --each it writes one JSON document for each line of the log: " +
			"{line, matched, rule, pattern, subject, user, time}; null where a line says nothing of it.",
		Example: "gatehouse match sshd /var/log/auth.log\n" +
			"gatehouse match 'login failed for <user> from <addr>$' app.log --missed\n" +
			"gatehouse match sshd journal\n" +
			"journalctl -u ssh | gatehouse match all - --each\n" +
			"gatehouse match 'fail2ban:sshd[mode=aggressive]' /var/log/auth.log --missed",
		Args:              takes(2, 2),
		ValidArgsFunction: e.completeRules(1, "all"),
		RunE: func(c *cobra.Command, args []string) error {
			what, scanner, rs, err := e.matchScanner(args[0], o)
			if err != nil {
				return err
			}
			name, log, err := e.openMatched(c.Context(), args[1], rs)
			if err != nil {
				return err
			}
			defer log.Close()
			m := newMatching(e, scanner, o)
			m.all = args[0] == "all"
			bar := e.progress("reading", fileSize(log))
			text, at := e.matchText(name, log)
			err = m.run(c.Context(), text, func(read int64) { bar.set(at(read)) })
			bar.end()
			if _, told := errors.AsType[*failure](err); told {
				return err
			}
			if err != nil {
				return fileFailure("read", name, err)
			}
			switch {
			case o.each:
				return nil
			case e.json:
				return e.document(m.document())
			}
			return e.writeMatching(what, name, m)
		},
	}
	c.Flags().BoolVar(&o.each, "each", false, "write one JSON document for each line of the log")
	c.Flags().BoolVar(&o.matched, "matched", false, "show up to 5 lines that count, with whom and which pattern")
	c.Flags().BoolVar(&o.missed, "missed", false, "show up to 5 lines that no pattern matched")
	c.Flags().IntVar(&o.most, "most", maxShown, "show up to `N` lines with --matched and --missed, in place of 5")
	c.Flags().BoolVar(&o.naive, "naive", false, "try every pattern on every line, without the literal filter: slow, with the same result")
	return c
}

// matchOptions are the flags of match.
type matchOptions struct {
	each, matched, missed, naive bool
	most                         int // lines that are shown of a kind
}

// lineScanner finds in a block of lines those that count: a rules.Scanner, or what
// runs a filter of fail2ban.
type lineScanner interface {
	Scan(block []byte, now time.Time, emit func(*rules.Hit)) rules.Stats
}

// matchScanner returns what runs the argument of match, and its name for people.
func (e *env) matchScanner(arg string, o matchOptions) (string, lineScanner, []*rules.Rule, error) {
	if in, ok, err := e.filterNamed(arg); ok {
		if err != nil {
			return "", nil, nil, err
		}
		return "filter " + in.Spec, in.Hits(fail2ban.ScanOptions{Zone: time.Local, Naive: o.naive}), []*rules.Rule{in.Rule}, nil
	}
	what, rs, err := e.matchRules(arg)
	if err != nil {
		return "", nil, nil, err
	}
	return what, newRuleScanner(rs, e.trustedProxies(), o.naive), rs, nil
}

// openMatched opens the log of match.
func (e *env) openMatched(ctx context.Context, arg string, rs []*rules.Rule) (string, io.ReadCloser, error) {
	if isJournal(arg) {
		return e.openJournal(ctx, arg, rs)
	}
	return e.open(ctx, arg)
}

// matchText returns the text of a log, which may be compressed, and what its
// position is in the file where so many bytes of the text were read.
func (e *env) matchText(name string, log io.Reader) (io.Reader, func(int64) int64) {
	same := func(n int64) int64 { return n }
	if fileSize(log) == 0 {
		return log, same
	}
	file := &tallied{r: log}
	text, err := unpacked(name, file)
	if err != nil {
		return failing{err}, same
	}
	return text, func(int64) int64 { return file.n }
}

// tallied is a reader that knows how much was read of it.
type tallied struct {
	r io.Reader
	n int64
}

// Read implements io.Reader.
func (t *tallied) Read(b []byte) (int, error) {
	n, err := t.r.Read(b)
	t.n += int64(n)
	return n, err
}

// matchRules returns the rules that an argument of match means, and its name
// for people: a path first, then a rule's name, then an expression.
func (e *env) matchRules(arg string) (string, []*rules.Rule, error) {
	if isFile(arg) {
		r, err := readRule(arg)
		return "rule file " + arg, []*rules.Rule{r}, err
	}
	book := rulesWith(e.ruleFolder())
	if arg == "all" {
		return "all " + counted(len(book), "rule"), book, nil
	}
	for _, r := range book {
		if r.Name == arg {
			return "rule " + arg, []*rules.Rule{r}, nil
		}
	}
	r, err := rules.Adhoc(arg)
	if err != nil {
		return "", nil, misused("it is neither a file nor the name of a rule, and so an expression; see: gatehouse rules list", "match: %v", err)
	}
	if !e.json {
		for _, n := range expressionNotes(arg, book) {
			fmt.Fprintln(e.err, "note: "+harmless(n))
		}
	}
	return "expression " + gate.Quote(arg, 64), []*rules.Rule{r}, nil
}

// expressionNotes says what is odd about an expression: that it looks like the name
// of a rule with a mistake in it, and that it catches nobody.
func expressionNotes(expr string, book []*rules.Rule) (notes []string) {
	if name := rules.Nearest(expr, book); name != "" {
		notes = append(notes, gate.Quote(expr, 64)+" is no rule, and so an expression; did you mean the rule "+name+"?")
	}
	if !strings.Contains(expr, "<addr") {
		notes = append(notes, "the expression has no <addr>, so it finds lines and nobody who could be banned")
	}
	return notes
}

// fileSize returns the size of an open file in bytes, 0 where it is none.
func fileSize(r io.Reader) int64 {
	f, ok := r.(*os.File)
	if !ok {
		return 0
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return 0
	}
	return fi.Size()
}

// patternHits counts what one pattern matched.
type patternHits struct {
	Rule    string     `json:"rule"`
	Pattern string     `json:"pattern"`
	Class   gate.Class `json:"class"`
	Hits    int        `json:"hits"`
	title   string     // of its rule
}

// matched is the document of match.
type matched struct {
	Lines     int           `json:"lines"`             // lines of the log
	Matched   int           `json:"matched"`           // that count against somebody
	Informing int           `json:"informing"`         // that only tell something
	Missed    int           `json:"missed"`            // that no pattern matched
	Skipped   int           `json:"skipped"`           // of the missed ones, too long to be looked at
	Odd       int           `json:"odd"`               // of the missed ones, not of the format that a rule expects: JSON that is not
	Seconds   float64       `json:"seconds"`           // time that it took
	Patterns  []patternHits `json:"patterns"`          // those that matched, the most frequent first
	Services  []service     `json:"services"`          // whose lines these are: the rules that matched, with the most lines first
	Dates     []dateCount   `json:"dates"`             // how the dates of the first 10,000 lines are written, the most frequent first
	Wrapper   string        `json:"wrapper,omitempty"` // docker or cri: what stands around each line
	Matches   []eachLineDoc `json:"matched_lines,omitempty"`
	Samples   []string      `json:"missed_lines,omitempty"`
}

// eachLineDoc is the document of one line, for --each.
type eachLineDoc struct {
	Line    string     `json:"line"`
	Matched bool       `json:"matched"` // it counts against somebody
	Rule    *string    `json:"rule"`    // of the pattern that knows the line; null = none does
	Pattern *string    `json:"pattern"`
	Subject *string    `json:"subject"`
	User    *string    `json:"user"`
	Time    *time.Time `json:"time"`
}

// matching is one run of rules over a log. Not for concurrent use.
type matching struct {
	o       matchOptions
	all     bool // every rule is tried
	scanner lineScanner
	dates   dateTally
	hits    map[*rules.Pattern]*patternHits
	sum     matched
	now     func() time.Time
	out     *bufio.Writer // of --each
	marks   []mark        // lines of the block that hit, in order
}

// mark is what is known of a line that hit.
type mark struct {
	offset int
	doc    eachLineDoc
}

// maxShown is how many lines of a kind are shown, unless asked for more.
const maxShown = 5

func newMatching(e *env, s lineScanner, o matchOptions) *matching {
	return &matching{
		o: o, scanner: s, now: e.now,
		hits: map[*rules.Pattern]*patternHits{}, out: bufio.NewWriterSize(e.out, 64<<10),
	}
}

// run reads the log to its end.
func (m *matching) run(ctx context.Context, log io.Reader, progressed func(int64)) error {
	begun := m.now()
	b := newBlocks(log)
	for {
		block, err := b.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return err
		}
		if err := m.block(block); err != nil {
			return err
		}
		progressed(b.read)
	}
	m.sum.Missed = m.sum.Lines - m.sum.Matched - m.sum.Informing
	m.sum.Seconds = m.now().Sub(begun).Seconds()
	return m.out.Flush()
}

// block runs the rules over some lines. A line that several rules know counts
// once: as matched if one of them counts it.
func (m *matching) block(block []byte) error {
	open, counts := -1, false // the line at hand, and whether it counts
	settle := func() {
		switch {
		case open < 0:
		case counts:
			m.sum.Matched++
		default:
			m.sum.Informing++
		}
	}
	walk := m.o.each || m.o.missed && len(m.sum.Samples) < m.o.most || m.o.matched && len(m.sum.Matches) < m.o.most
	m.marks = m.marks[:0]
	st := m.scanner.Scan(block, m.now(), func(h *rules.Hit) {
		n := m.hits[h.Pattern]
		if n == nil {
			n = &patternHits{Rule: h.Rule.Name, Pattern: h.Pattern.Name, Class: h.Class, title: h.Rule.Title}
			m.hits[h.Pattern] = n
		}
		n.Hits++
		if h.Offset != open {
			settle()
			open, counts = h.Offset, false
		} else if counts || !h.Class.Counts() {
			return // the line is told by the first hit that counts
		}
		counts = h.Class.Counts()
		if walk {
			m.mark(h)
		}
	})
	settle()
	m.sum.Lines += st.Lines
	m.sum.Skipped += st.Skipped
	m.sum.Odd += st.Misfits
	wrapper := rules.WrapperNone
	if s, ok := m.scanner.(*ruleScanner); ok {
		m.sum.Wrapper, wrapper = s.wrapper(), s.options.Wrapper
	}
	m.dates.add(block, wrapper)
	if walk {
		return m.walk(block)
	}
	return nil
}

// mark notes a hit; a later one of the same line takes its place.
func (m *matching) mark(h *rules.Hit) {
	k := mark{h.Offset, eachLineDoc{
		Matched: h.Class.Counts(), Rule: &h.Rule.Name, Pattern: &h.Pattern.Name,
		Subject: textOrNull(gate.AddrSubject(h.Addr).String()), User: textOrNull(h.User),
	}}
	if !h.Time.IsZero() {
		t := h.Time.UTC()
		k.doc.Time = &t
	}
	if n := len(m.marks); n > 0 && m.marks[n-1].offset == h.Offset {
		m.marks[n-1] = k
		return
	}
	m.marks = append(m.marks, k)
}

// textOrNull returns nil for no text.
func textOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
