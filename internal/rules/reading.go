package rules

import (
	"bytes"
	"net/netip"
	"slices"
)

// view is a line as one format reads it. Its slices alias the line.
type view struct {
	header
	repeat int  // how often the line stands for
	stated bool // a header or a date of its own stands before the message
	fits   bool // the line is of the format
}

// reader reads the lines of one source in the formats of its rules, each
// format at most once a line and only when asked. It is not for concurrent use.
type reader struct {
	format  Format         // of messages in this source; FormatUnset = as the rule says
	proxies []netip.Prefix // that speak for others
	keeps   bool           // a rule has lines that continue others
	past    past           // what went before the block; kept where keeps is set
	shape   int            // of the last date that a plain line began with
	block   []byte         // where the line is from
	from    int            // where in block it begins; -1 = it was unwrapped
	line    []byte
	asked   [viewCount]bool
	views   [viewCount]view
	access  access
	object  *Rule // whose paths values has
	values  []jsonValue
	json    jsonScanner
	misfit  bool  // the line is not of a format that a rule has
	outer   stamp // when the wrapper says that the line was written
	found   stamp // what <time> or a field of the line says
}

// open makes it ready for a source.
func (s *reader) open(rs []*Rule, o SourceOptions) {
	s.format, s.proxies = o.Format, o.TrustedProxies
	s.keeps = slices.ContainsFunc(rs, func(r *Rule) bool { return r.Continues })
}

// The ways to read a line.
const (
	viewSyslog = iota
	viewPlain
	viewPlainInSyslog
	viewContinued         // as viewPlain, with the date of a line before
	viewContinuedInSyslog // as viewPlainInSyslog, likewise
	viewAccess
	viewJSON
	viewCount
)

// begin takes up a line, which lies in block at from; from is -1 for a line
// that is not a part of block as it is.
func (s *reader) begin(block []byte, from int, line []byte) {
	s.block, s.from, s.line = block, from, line
	s.asked = [viewCount]bool{}
	s.object, s.misfit = nil, false
}

// view returns the line as the format of the rule reads it, or nil where it is
// not of that format. What it returns is valid until the next begin.
func (s *reader) view(r *Rule) *view {
	f := r.format
	if !f.hasFields() && s.format != FormatUnset && !s.format.hasFields() {
		f = s.format
	}
	v := s.syslog()
	switch f {
	case FormatPlain:
		continued := viewContinued
		if len(v.program) > 0 && len(r.Programs) > 0 && r.takes(v.program) {
			continued = viewContinuedInSyslog
			v = s.ask(viewPlainInSyslog, func(out *view) { s.plain(out, v.message, v) })
		} else {
			v = s.ask(viewPlain, func(out *view) { s.plain(out, s.line, nil) })
		}
		if r.Continues && !v.stated {
			// In a view of its own: for other rules the line has no date.
			own := v
			v = s.ask(continued, func(out *view) { *out = *own; s.inherit(out) })
		}
	case FormatAccess:
		base := v
		v = s.ask(viewAccess, func(out *view) { s.accessView(out, base) })
	case FormatJSON:
		v = s.jsonView(r, v)
	}
	if !v.fits {
		s.misfit = true
		return nil
	}
	return v
}

// ask returns a view, filled in the first time.
func (s *reader) ask(i int, fill func(*view)) *view {
	v := &s.views[i]
	if !s.asked[i] {
		s.asked[i] = true
		*v = view{}
		fill(v)
	}
	return v
}

// syslog reads the line as syslog; that always fits.
func (s *reader) syslog() *view {
	return s.ask(viewSyslog, func(v *view) {
		v.header = parseHeader(s.line)
		m, repeat := cutRepeat(cutEnd(v.message))
		v.message, v.repeat = cutEnd(m), repeat
		v.stated, v.fits = len(v.program) > 0, true
	})
}

// body returns what a format with fields reads: the message of a syslog header
// with a tag, else the whole line.
func (s *reader) body(v *view) []byte {
	if len(v.program) > 0 {
		return v.message
	}
	return cutEnd(bytes.TrimLeft(s.line, "\x00"))
}

// trusts reports whether the address is that of a proxy that speaks for others.
func (s *reader) trusts(a netip.Addr) bool {
	return slices.ContainsFunc(s.proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}

// jsonView reads the line as a JSON object, as far as the rule asks for it.
func (s *reader) jsonView(r *Rule, outer *view) *view {
	v := &s.views[viewJSON]
	if s.object == r {
		return v
	}
	s.object = r
	*v = *outer
	v.message = s.body(outer)
	if cap(s.values) < len(r.paths) {
		s.values = make([]jsonValue, len(r.paths))
	}
	s.values = s.values[:len(r.paths)]
	v.fits = s.json.scan(v.message, r.paths, s.values)
	v.stated = v.fits
	return v
}
