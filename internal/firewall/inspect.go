package firewall

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// revision asks for the number that every transaction in this network
// namespace increments.
func (s *socket) revision() (rev uint32, err error) {
	seq := s.next(1)
	s.enc.b, s.enc.err = s.enc.b[:0], nil
	s.enc.end(s.enc.message(unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_GETGEN, 0, seq, unix.NFPROTO_UNSPEC, 0))
	if err := s.send(); err != nil {
		return 0, err
	}
	rerr := s.receive(func(m message) bool {
		if m.seq != seq {
			return true
		}
		if m.kind == unix.NLMSG_ERROR {
			if errno, _ := m.outcome(); errno != 0 {
				err = errno
			}
			return false
		}
		rev = decodeRevision(m)
		return false
	})
	return rev, errors.Join(err, rerr)
}

func decodeRevision(m message) uint32 {
	for kind, v := range m.attributes() {
		if kind == unix.NFTA_GEN_ID {
			return number(v)
		}
	}
	return 0
}

func (s *socket) inspect() (*contents, error) {
	rev, err := s.revision()
	if err != nil {
		return nil, fmt.Errorf("inspect the table: %w", err)
	}
	c := &contents{revision: rev, sets: map[string]foundSet{}, chains: map[string]foundChain{}}
	steps := []struct {
		kind  uint16
		reset func() // before a listing, and before it is made again
		take  func(message)
	}{
		{unix.NFT_MSG_GETTABLE, func() { c.exists = false }, func(m message) { c.exists, c.dormant = true, decodeDormant(m) }},
		{unix.NFT_MSG_GETSET, func() { clear(c.sets) }, func(m message) {
			name, set := decodeSet(m)
			c.sets[name] = set
		}},
		{unix.NFT_MSG_GETCHAIN, func() { clear(c.chains) }, func(m message) {
			name, chain := decodeChain(m)
			c.chains[name] = chain
		}},
		{unix.NFT_MSG_GETOBJ, func() { c.objects = nil }, func(m message) {
			o, _ := decodeObject(m)
			c.objects = append(c.objects, o)
		}},
		{unix.NFT_MSG_GETFLOWTABLE, func() { c.flowtables = nil }, func(m message) {
			for kind, v := range m.attributes() {
				if kind == flowtableName {
					c.flowtables = append(c.flowtables, text(v))
				}
			}
		}},
	}
	for _, step := range steps {
		err := s.dump(func(flags uint16, seq uint32) {
			s.enc.end(s.enc.about(step.kind, flags, seq))
		}, step.reset, func(m message) {
			if m.isTable(s.enc.table) {
				step.take(m)
			}
		})
		if err != nil && !errors.Is(err, unix.ENOENT) { // ENOENT: no such table
			return nil, fmt.Errorf("inspect the table: %w", err)
		}
	}
	return c, nil
}

func (s *socket) elements(set string) (out []element, err error) {
	err = s.dump(func(flags uint16, seq uint32) {
		at := s.enc.about(unix.NFT_MSG_GETSETELEM, flags, seq)
		s.enc.str(unix.NFTA_SET_ELEM_LIST_SET, set)
		s.enc.end(at)
	}, func() { out = out[:0] }, func(m message) {
		out = decodeElements(m, out)
	})
	if err != nil {
		return nil, fmt.Errorf("list the elements of set %s: %w", set, err)
	}
	return out, nil
}

func (s *socket) element(set string, spec setSpec, k key) (x element, ok bool, err error) {
	seq := s.next(1)
	s.enc.b, s.enc.err = s.enc.b[:0], nil
	at := s.enc.about(unix.NFT_MSG_GETSETELEM, 0, seq)
	s.enc.elements(&op{name: set, set: spec, elems: []element{{key: k}}})
	s.enc.end(at)
	if err := s.send(); err != nil {
		return x, false, err
	}
	rerr := s.receive(func(m message) bool {
		if m.seq != seq {
			return true
		}
		if m.kind == unix.NLMSG_ERROR {
			if errno, _ := m.outcome(); errno != 0 && errno != unix.ENOENT {
				err = errno
			}
			return false
		}
		if list := decodeElements(m, nil); len(list) > 0 && list[0].key == k {
			x, ok = list[0], true
		}
		return false
	})
	if err := errors.Join(err, rerr); err != nil {
		return x, false, fmt.Errorf("read one element of set %s: %w", set, err)
	}
	return x, ok, nil
}

func (s *socket) counters() (map[string]Counter, error) {
	out := map[string]Counter{}
	err := s.dump(func(flags uint16, seq uint32) {
		at := s.enc.about(unix.NFT_MSG_GETOBJ, flags, seq)
		s.enc.u32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
		s.enc.end(at)
	}, func() { clear(out) }, func(m message) {
		if o, c := decodeObject(m); m.isTable(s.enc.table) && o.kind == unix.NFT_OBJECT_COUNTER {
			out[o.name] = c
		}
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return nil, fmt.Errorf("read the counters of the table: %w", err)
	}
	return out, nil
}
