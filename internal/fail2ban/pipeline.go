package fail2ban

import (
	"bytes"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// believed is how far a line's time may differ from now when live, and how long
// the date of an earlier line holds for one that has none.
const believed = time.Minute

// dated finds the date of the line at hand, cuts it out, and goes on.
func (s *Scanner) dated() {
	if s.at != nil {
		s.lastDate, s.hasLast = s.at(s.offset), true
		s.timed(s.line, s.lastDate, true, false)
		return
	}
	at, has, missing := time.Time{}, false, false
	rest := s.line
	if f, ok := s.dates.find(s.line, s.now); ok {
		from, to := int(f.caps[2]), int(f.caps[3])
		if from < 0 {
			from, to = 0, 0
		}
		if to > from {
			if t, err := s.dates.time(f, s.line, s.now); err == nil {
				at, has = t, true
				s.lastDate, s.hasLast = t, true
			}
			rest = append(append(s.cut[:0], s.line[:from]...), s.line[to:]...)
			s.cut = rest
		} else if s.lookBack(); s.recent() {
			at, has = s.lastDate, true
		} else {
			at, has = s.now, true
		}
	}
	if !has {
		missing = true
		s.lookBack()
		switch {
		case s.recent():
			rest = s.line
			at, has = s.lastDate, true
		case s.o.Clock == ClockLive:
			at, has = s.now, true
		}
	}
	s.timed(rest, at, has, missing)
}

// recent reports whether the date of an earlier line still holds.
func (s *Scanner) recent() bool { return s.hasLast && s.lastDate.After(s.now.Add(-believed)) }

// timed judges the time, and goes on with the line without its date.
func (s *Scanner) timed(rest []byte, at time.Time, has, missing bool) {
	if has {
		switch s.o.Clock {
		case ClockLive:
			if d := at.Sub(s.now).Truncate(time.Second); d > believed || d < -believed {
				at = s.now
				s.lastDate = at
			}
		case ClockCatchUp:
			if at.Before(s.now.Add(-s.o.FindTime)) {
				return
			}
		}
	}
	if !has {
		at = time.Time{}
	}
	s.find(rest, at, has, missing)
}

// subjectOf is what expressions are searched in: lines with their ends.
func subjectOf(dst []byte, lines [][]byte) []byte {
	dst = dst[:0]
	if len(lines) == 0 {
		return append(dst, '\n')
	}
	for _, l := range lines {
		dst = append(append(dst, l...), '\n')
	}
	return dst
}

// search matches an expression; what takes too long does not match.
func (s *Scanner) search(e *expression, b []byte) []int32 {
	caps, err := s.machine.Search(e.re, b)
	if s.spent != nil {
		s.spent(s.machine.Steps())
	}
	if err != nil {
		s.stats.GaveUp++
		return nil
	}
	return caps
}

// find looks for failures in the line, or in the buffered lines that end with
// it.
func (s *Scanner) find(rest []byte, at time.Time, has, missing bool) {
	f := s.f
	multi := f.MaxLines > 1
	if multi {
		s.buffer = append(s.buffer, slices.Clone(rest))
		if n := len(s.buffer); n > f.MaxLines {
			s.buffer = s.buffer[n-f.MaxLines:]
		}
	} else {
		s.buffer = append(s.buffer[:0], rest)
	}
	org := s.buffer
	s.subject = subjectOf(s.subject, org)
	if !s.required() || multi && !s.o.Naive && !s.holding() {
		return
	}
	early := len(f.ignore) > 0 && len(f.ignore) < len(f.fail)-2
	if early && s.ignored(s.subject) {
		return
	}
	s.pre.reset(len(f.names))
	if f.prefix != nil {
		caps := s.search(f.prefix, s.subject)
		if caps == nil {
			return
		}
		s.pre.take(f.prefix, caps, s.subject)
		if c := s.pre.at(f.known.content); c.full() {
			content := slices.Clone(c.text)
			s.detach()
			s.buffer = [][]byte{content}
			s.subject = subjectOf(s.subject, s.buffer)
		}
		s.pre.clear(f.known.content)
	}
	for i, e := range f.fail {
		if s.want != nil && s.want[i>>6]>>(i&63)&1 == 0 {
			continue
		}
		caps := s.search(e, s.subject)
		if caps == nil {
			continue
		}
		if s.matched(i, e, caps, org, at, has, missing) {
			return
		}
	}
}

// detach copies what the prefix captured out of the subject, which is about to
// change.
func (s *Scanner) detach() {
	for i := range s.pre.vals {
		s.pre.vals[i].text = slices.Clone(s.pre.vals[i].text)
	}
}

// ignored reports whether an ignoreregex matches.
func (s *Scanner) ignored(b []byte) bool {
	for _, e := range s.f.ignore {
		if s.search(e, b) != nil {
			return true
		}
	}
	return false
}

// matched makes a failure of a match; done says that the line is finished.
func (s *Scanner) matched(i int, e *expression, caps []int32, org [][]byte, at time.Time, has, missing bool) (done bool) {
	f, multi := s.f, s.f.MaxLines > 1
	hit, left := org, [][]byte(nil)
	if multi && len(org) > 1 {
		hit, left = linesOf(e, caps, s.subject, org)
	}
	rec := &s.recs[0]
	rec.reset(len(f.names))
	copy(rec.vals, s.pre.vals)
	rec.take(e, caps, s.subject)
	if len(f.ignore) > 0 {
		b := s.subject
		if multi {
			s.joint = subjectOf(s.joint, hit)
			b = s.joint
		}
		if s.ignored(b) {
			if multi {
				s.setBuffer(left, rec)
			}
			return !s.o.CheckAll
		}
	}
	if missing && !has && s.o.Clock != ClockLog {
		return false
	}
	if multi {
		s.setBuffer(left, rec)
	}
	key := rec.at(f.known.mlfid)
	session := key.kind == text
	if session {
		rec = s.join(slices.Clone(key.text), rec, len(hit), s.now)
		if rec.at(f.known.nofail).full() && !s.o.CheckAll {
			return true
		}
	} else {
		rec.lines = len(hit)
	}
	return s.identify(i, rec, session, at)
}

// setBuffer makes these the buffered lines. What was captured of the old ones
// is kept.
func (s *Scanner) setBuffer(lines [][]byte, rec *record) {
	*rec = *rec.keep()
	s.buffer = lines
	s.subject = subjectOf(s.subject, lines)
}

// identify finds out who it is, and hands the failure on.
func (s *Scanner) identify(i int, rec *record, session bool, at time.Time) (done bool) {
	k := &s.f.known
	out := &s.fail
	*out = Failure{Expression: i, Offset: s.offset, Line: s.raw, Time: at, NoFail: rec.at(k.nofail).full(), Lines: rec.lines, names: s.f.names, rec: rec}
	if u := rec.at(k.user); u.kind == text {
		out.User = string(u.text)
	}
	fid := rec.at(k.fid)
	switch {
	case rec.at(k.ip4).kind == text:
		out.address(string(rec.at(k.ip4).text), rec.at(k.cidr), 32)
	case rec.at(k.ip6).kind == text:
		out.address(string(rec.at(k.ip6).text), rec.at(k.cidr), 128)
	case rec.at(k.dns).kind == text:
		out.ID = string(rec.at(k.dns).text)
		out.Prefix = parsePrefix(out.ID)
		out.Resolve = !out.Prefix.IsValid() && s.f.UseDNS != "raw"
		if out.Resolve && s.f.UseDNS == "no" {
			return !s.o.CheckAll
		}
	case fid.kind >= text:
		out.ID = idText(fid)
		out.Prefix = parsePrefix(out.ID)
	default:
		// Nobody knows yet who: a later line of the session may tell.
		if !session {
			return false
		}
		rec.pending = true
		out.Pending = true
		if !s.o.CheckAll {
			return true
		}
	}
	if fid.kind >= text && !out.Pending && idText(fid) != out.ID {
		out.ID = idText(fid)
		out.Resolve = false
	}
	s.emit(out)
	return !s.o.CheckAll
}

func idText(v *value) string {
	if v.kind == tuple {
		return string(bytes.Join(toBytes(v.parts), []byte(" ")))
	}
	return string(v.text)
}

// address sets identity and prefix by the text of an address, and the length of
// its network if one was captured.
func (f *Failure) address(s string, cidr *value, bits int) {
	f.ID = s
	a, err := netip.ParseAddr(s)
	if err != nil {
		return
	}
	a = a.Unmap().WithZone("")
	bits = min(bits, a.BitLen())
	if cidr.full() {
		n, err := strconv.Atoi(string(cidr.text))
		if err != nil || n > bits {
			return
		}
		bits = n
	}
	if p, err := a.Prefix(bits); err == nil {
		f.Prefix = p
	}
}

func parsePrefix(s string) netip.Prefix {
	if len(s) > 2 && s[0] == '[' && s[len(s)-1] == ']' {
		s = s[1 : len(s)-1]
	}
	if p, err := netip.ParsePrefix(s); err == nil {
		return p.Masked()
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Prefix{}
	}
	a = a.Unmap().WithZone("")
	return netip.PrefixFrom(a, a.BitLen())
}
