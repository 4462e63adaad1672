package firewall

import (
	"bytes"
	"encoding/binary"
	"iter"
	"math"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// message is one netlink message. body aliases the receive buffer.
type message struct {
	kind  uint16
	flags uint16
	seq   uint32
	port  uint32 // who caused it
	body  []byte // behind the netlink header
}

// cut takes the first message off b.
func cut(b []byte) (m message, rest []byte, ok bool) {
	if len(b) < headerLen {
		return m, nil, false
	}
	n := int(binary.NativeEndian.Uint32(b))
	if n < headerLen || n > len(b) {
		return m, nil, false
	}
	m = message{
		kind:  binary.NativeEndian.Uint16(b[4:]),
		flags: binary.NativeEndian.Uint16(b[6:]),
		seq:   binary.NativeEndian.Uint32(b[8:]),
		port:  binary.NativeEndian.Uint32(b[12:]),
		body:  b[headerLen:n],
	}
	return m, b[min((n+3)&^3, len(b)):], true
}

// outcome reads an NLMSG_ERROR: the error number, 0 for success, and the
// kernel's explanation, if there is one.
func (m message) outcome() (syscall.Errno, string) {
	if len(m.body) < 4+headerLen {
		return unix.EBADMSG, ""
	}
	errno := syscall.Errno(-int32(binary.NativeEndian.Uint32(m.body)))
	if m.flags&unix.NLM_F_ACK_TLVS == 0 {
		return errno, ""
	}
	skip := 4 + headerLen
	if m.flags&unix.NLM_F_CAPPED == 0 {
		skip = 4 + int(binary.NativeEndian.Uint32(m.body[4:]))
		skip = (skip + 3) &^ 3
	}
	if skip > len(m.body) {
		return errno, ""
	}
	for kind, v := range attributes(m.body[skip:]) {
		if kind == unix.NLMSGERR_ATTR_MSG {
			return errno, text(v)
		}
	}
	return errno, ""
}

// attributes walks over netlink attributes, without their flag bits. It ends
// at the first one that is damaged.
func attributes(b []byte) iter.Seq2[uint16, []byte] {
	return func(yield func(uint16, []byte) bool) {
		for len(b) >= attributeLen {
			n := int(binary.NativeEndian.Uint16(b))
			if n < attributeLen || n > len(b) {
				return
			}
			kind := binary.NativeEndian.Uint16(b[2:]) &^ (unix.NLA_F_NESTED | unix.NLA_F_NET_BYTEORDER)
			if !yield(kind, b[attributeLen:n]) {
				return
			}
			b = b[min((n+3)&^3, len(b)):]
		}
	}
}

// subject returns the attributes of an nf_tables message behind its family
// byte, or nothing if it is too short.
func (m message) attributes() iter.Seq2[uint16, []byte] {
	return attributes(m.body[min(genericLen, len(m.body)):])
}

func (m message) family() byte {
	if len(m.body) == 0 {
		return unix.NFPROTO_UNSPEC
	}
	return m.body[0]
}

// isTable reports whether an nf_tables message is about the table of this name
// in family inet.
func (m message) isTable(table string) bool {
	if m.family() != unix.NFPROTO_INET {
		return false
	}
	for kind, v := range m.attributes() {
		if kind == 1 { // NFTA_*_TABLE, for every kind of object
			return text(v) == table
		}
	}
	return false
}

func text(b []byte) string {
	if i := bytes.IndexByte(b, 0); i >= 0 {
		b = b[:i]
	}
	return string(b)
}

func number(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}

func number64(b []byte) uint64 {
	if len(b) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}

func decodeDormant(m message) bool {
	for kind, v := range m.attributes() {
		if kind == unix.NFTA_TABLE_FLAGS {
			return number(v)&unix.NFT_TABLE_F_DORMANT != 0
		}
	}
	return false
}

// setCount is NFTA_SET_COUNT (linux/netfilter/nf_tables.h, from 6.16 on).
const setCount = 20

func decodeSet(m message) (name string, s foundSet) {
	s.count = -1
	for kind, v := range m.attributes() {
		switch kind {
		case unix.NFTA_SET_NAME:
			name = text(v)
		case unix.NFTA_SET_FLAGS:
			f := number(v)
			s.unnamed = f&unix.NFT_SET_ANONYMOUS != 0
			s.interval = f&unix.NFT_SET_INTERVAL != 0
			s.timeout = f&unix.NFT_SET_TIMEOUT != 0
			s.verdicts = f&unix.NFT_SET_MAP != 0
			s.dynamic = f&unix.NFT_SET_EVAL != 0
		case unix.NFTA_SET_KEY_TYPE:
			s.keyType = number(v)
		case unix.NFTA_SET_KEY_LEN:
			s.keyLen = int(min(number(v), 1<<10))
		case unix.NFTA_SET_TIMEOUT:
			s.lasts = time.Duration(min(number64(v), uint64(math.MaxInt64/time.Millisecond))) * time.Millisecond
		case unix.NFTA_SET_DESC:
			for kind, v := range attributes(v) {
				if kind == unix.NFTA_SET_DESC_SIZE {
					s.size = number(v)
				}
			}
		case setCount:
			s.count = int(number(v))
		}
	}
	return name, s
}

func decodeChain(m message) (name string, c foundChain) {
	policy, kindName := uint32(policyAccept), ""
	hook := hookSpec{hook: math.MaxUint32}
	for kind, v := range m.attributes() {
		switch kind {
		case unix.NFTA_CHAIN_NAME:
			name = text(v)
		case unix.NFTA_CHAIN_USE:
			c.uses = int(number(v))
		case unix.NFTA_CHAIN_POLICY:
			policy = number(v)
		case unix.NFTA_CHAIN_TYPE:
			kindName = text(v)
		case unix.NFTA_CHAIN_HOOK:
			c.base = true
			for kind, v := range attributes(v) {
				switch kind {
				case unix.NFTA_HOOK_HOOKNUM:
					hook.hook = number(v)
				case unix.NFTA_HOOK_PRIORITY:
					hook.priority = int32(number(v))
				}
			}
		}
	}
	if c.base && policy == policyAccept && kindName == chainType {
		c.hook = &hook
	}
	return name, c
}

func decodeObject(m message) (o foundObject, c Counter) {
	for kind, v := range m.attributes() {
		switch kind {
		case unix.NFTA_OBJ_NAME:
			o.name = text(v)
		case unix.NFTA_OBJ_TYPE:
			o.kind = number(v)
		case unix.NFTA_OBJ_DATA:
			for kind, v := range attributes(v) {
				switch kind {
				case unix.NFTA_COUNTER_BYTES:
					c.Bytes = number64(v)
				case unix.NFTA_COUNTER_PACKETS:
					c.Packets = number64(v)
				}
			}
		}
	}
	return o, c
}

// decodeElements appends the elements of one part of a listing.
func decodeElements(m message, out []element) []element {
	for kind, list := range m.attributes() {
		if kind != unix.NFTA_SET_ELEM_LIST_ELEMENTS {
			continue
		}
		for _, item := range attributes(list) {
			var x element
			for kind, v := range attributes(item) {
				switch kind {
				case unix.NFTA_SET_ELEM_KEY:
					for _, v := range attributes(v) {
						copy(x.key[:], v)
					}
				case unix.NFTA_SET_ELEM_FLAGS:
					x.end = number(v)&unix.NFT_SET_ELEM_INTERVAL_END != 0
				case unix.NFTA_SET_ELEM_EXPIRATION:
					ms := min(number64(v), uint64(math.MaxInt64/time.Millisecond))
					x.life = max(time.Duration(ms)*time.Millisecond, time.Millisecond)
				}
			}
			out = append(out, x)
		}
	}
	return out
}
