package fail2ban

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/fail2ban/pyre"
)

// Options say what stands around a filter.
type Options struct {
	// Set holds options of the jail, which take precedence over the filter's:
	// failregex, maxlines, ... and names that the filter refers to.
	Set map[string]string
	// Journal says that the lines come from the journal, so that they have
	// neither date nor host in front where the filter leaves logtype open.
	Journal bool
	// AnyName takes host names for what they are, whatever usedns says: so the
	// filter's own samples are meant.
	AnyName bool
	// Dir is where filter.d lies, below the root; "" = there.
	Dir string
}

// Filter is a filter of fail2ban, compiled. It is immutable and safe for
// concurrent use.
type Filter struct {
	// Name is the filter's file without directory and ending.
	Name string
	// Files are what it was read from, in the order of reading.
	Files []string
	// Journal are the matches for the journal: each a list of FIELD=value and +
	// (or). An entry must fit one of them.
	Journal [][]string
	// UseDNS says what becomes of host names that stand where an address should:
	// yes and warn look them up, raw takes them as they are, no ignores them.
	UseDNS string
	// MaxLines is how many lines an expression can span.
	MaxLines int
	// Warnings are what may not be as its writer thinks.
	Warnings []Problem

	prefix *expression
	fail   []*expression
	ignore []*expression
	dates  []*template
	names  []string // of groups, over all expressions
	known  knownSlots
	sieve  *sieve
}

// expression is one of a filter's expressions.
type expression struct {
	re     *pyre.Regexp
	slots  []int  // by group - 1: where its text goes, -1 = nowhere
	alts   []pair // groups alt_x: they fill x where it is empty
	tuples []pair // groups tuple_x: they join with x
	skips  []int  // groups of <SKIPLINES>
	id     bool   // it says who
}

// pair says that one slot adds to another.
type pair struct{ from, to int }

// knownSlots are the slots of groups that have a meaning; -1 = there is none.
type knownSlots struct {
	fid, ip4, ip6, dns, cidr, user, content, mlfid, nofail, forget, gained int
}

// baseOf is where a filter or action is read from, without its ending.
func baseOf(dir, name string) string { return path.Join(dir, path.Clean("/"+name)) }

// Compile reads the filter that spec names, such as sshd or
// sshd[mode=aggressive], below filter.d of the configuration directory. The
// error is a *Problem, or several joined.
func Compile(fsys fs.FS, spec string, o Options) (*Filter, error) {
	return compile(newLoader(fsys), spec, o)
}

func compile(l *loader, spec string, o Options) (*Filter, error) {
	call, err := ParseCall(spec)
	if err != nil {
		return nil, &Problem{Text: "filter " + err.Error(), Hint: `write name or name[key="value"]`}
	}
	return compileCall(l, call, o)
}

func compileCall(l *loader, call Call, o Options) (*Filter, error) {
	args := values{}
	for k, v := range call.Args {
		args[k] = v
	}
	base := baseOf(path.Join(o.Dir, "filter.d"), strings.TrimSuffix(call.Name, ".conf"))
	if o.Journal && args["logtype"] == "" {
		if conf, err := l.load(base); err == nil && (conf.sections["Definition"] == nil || !has(conf.sections["Definition"], "logtype")) {
			args["logtype"] = "journal"
		}
	}
	d, err := define(l, base, filterOptions, args, o.Set)
	if err != nil {
		return nil, fmt.Errorf("read filter %s: %w", call.Name, err)
	}
	for k, v := range o.Set {
		if slices.Contains(filterOptions, k) {
			d.opts.set(k, v)
		}
	}
	f := &Filter{Name: path.Base(base), Files: d.conf.files, Warnings: d.conf.warns, MaxLines: 1, UseDNS: "warn"}
	if err := f.build(d, o); err != nil {
		return nil, fmt.Errorf("read filter %s: %w", call.Name, err)
	}
	return f, nil
}

func has(s *section, name string) bool { _, ok := s.options[name]; return ok }

// build compiles everything that the definition says.
func (f *Filter) build(d *definition, o Options) error {
	var errs []error
	problem := func(opt, text, hint string) { errs = append(errs, &Problem{d.at(opt), text, hint}) }
	if v := strings.TrimSpace(d.opts.values["maxlines"]); v != "" {
		n, err := strconv.Atoi(v)
		switch {
		case err != nil || n < 1:
			problem("maxlines", fmt.Sprintf("maxlines %q is not a number from 1 on", clip(v)), "")
		case n > maxBuffer:
			problem("maxlines", fmt.Sprintf("maxlines %d is more than %d", n, maxBuffer), "an expression over so many lines takes too long")
		default:
			f.MaxLines = n
		}
	}
	if v := strings.ToLower(d.opts.values["usedns"]); v != "" && !o.AnyName {
		if f.UseDNS = v; !slices.Contains([]string{"yes", "warn", "no", "raw"}, v) {
			f.UseDNS = "no"
			f.Warnings = append(f.Warnings, Problem{d.at("usedns"), fmt.Sprintf("usedns %q means nothing", clip(v)), "it is taken for no; write yes, warn, no or raw"})
		}
	}
	add := func(opt, expr string, multi bool) *expression {
		e, err := f.expression(expr, multi)
		if err != nil {
			problem(opt, fmt.Sprintf("%s does not compile: %v: %s", opt, err, clip(expr)), "")
			return nil
		}
		return e
	}
	if v := d.opts.values["prefregex"]; v != "" {
		f.prefix = add("prefregex", v, false)
	}
	for _, v := range d.lines("failregex") {
		e := add("failregex", v, f.MaxLines > 1)
		if e == nil {
			continue
		}
		if !e.id && (f.prefix == nil || !f.prefix.id) {
			problem("failregex", "an expression does not say who: "+clip(v), "put <HOST>, <ADDR> or <F-ID/> where the address stands")
			continue
		}
		f.fail = append(f.fail, e)
	}
	for _, v := range d.lines("ignoreregex") {
		if e := add("ignoreregex", v, false); e != nil {
			f.ignore = append(f.ignore, e)
		}
	}
	if len(f.fail) == 0 && len(errs) == 0 {
		problem("failregex", "there is no failregex", "a filter without failregex finds nothing")
	}
	dates, err := datePatterns(d.opts.values["datepattern"])
	if err != nil {
		problem("datepattern", err.Error(), "")
	}
	f.dates = dates
	for _, m := range d.lines("journalmatch") {
		words, err := splitWords(m)
		if err != nil {
			problem("journalmatch", err.Error(), "")
		}
		f.Journal = append(f.Journal, words)
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	f.findSlots()
	f.sieve = newSieve(f)
	return nil
}

// maxBuffer is the most lines that an expression may span.
const maxBuffer = 1000

var joined = regexp.MustCompile(`^(alt_|tuple_)(.*?)(?:_\d+)?$`)

// expression compiles one expression.
func (f *Filter) expression(src string, multi bool) (*expression, error) {
	src = expandTags(src, f.UseDNS != "no")
	if strings.TrimSpace(src) == "" {
		return nil, errors.New("it is empty")
	}
	re, err := pyre.Compile(src, multi)
	if err != nil {
		return nil, err
	}
	e := &expression{re: re}
	type named struct {
		name string
		pair
		tuple bool
	}
	var more []named
	for i, n := range re.Names() {
		slot := -1
		switch {
		case n == "":
		case strings.HasPrefix(n, "skiplines"):
			e.skips = append(e.skips, i+1)
			slot = f.slot(n)
		default:
			slot = f.slot(n)
		}
		e.slots = append(e.slots, slot)
		e.id = e.id || slices.Contains([]string{"fid", "ip4", "ip6", "dns", "mlfid"}, n)
		if m := joined.FindStringSubmatch(n); m != nil && len(n) > 4 {
			more = append(more, named{n, pair{slot, f.slot(groupName(m[2]))}, m[1] == "tuple_"})
		}
	}
	slices.SortFunc(more, func(a, b named) int { return strings.Compare(a.name, b.name) })
	for _, m := range more {
		if m.tuple {
			e.tuples = append(e.tuples, m.pair)
		} else {
			e.alts = append(e.alts, m.pair)
		}
	}
	return e, nil
}

// slot returns the number of a group's name, over all expressions.
func (f *Filter) slot(name string) int {
	i := slices.Index(f.names, name)
	if i < 0 {
		f.names = append(f.names, name)
		i = len(f.names) - 1
	}
	return i
}

func (f *Filter) findSlots() {
	if slices.Contains(f.names, "mlfgained") {
		f.slot("nofail") // a success is no failure
	}
	at := func(n string) int { return slices.Index(f.names, n) }
	f.known = knownSlots{
		fid: at("fid"), ip4: at("ip4"), ip6: at("ip6"), dns: at("dns"), cidr: at("cidr"), user: at("user"),
		content: at("content"), mlfid: at("mlfid"), nofail: at("nofail"), forget: at("mlfforget"), gained: at("mlfgained"),
	}
}

// Expressions returns the filter's failregex as they are matched, tags and all
// replaced.
func (f *Filter) Expressions() (out []string) {
	for _, e := range f.fail {
		out = append(out, e.re.String())
	}
	return out
}

// Prefix returns its prefregex likewise; "" = there is none.
func (f *Filter) Prefix() string {
	if f.prefix == nil {
		return ""
	}
	return f.prefix.re.String()
}
