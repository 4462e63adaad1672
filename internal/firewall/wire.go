package firewall

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// Sizes of netlink, in bytes (linux/netlink.h, linux/netfilter/nfnetlink.h).
const (
	headerLen    = 16 // struct nlmsghdr
	genericLen   = 4  // struct nfgenmsg
	attributeLen = 4  // struct nlattr
)

// encoder writes netlink messages for nf_tables one behind the other. Lengths
// are filled in when a message or a nested attribute ends.
type encoder struct {
	b     []byte
	table string
	err   error // the first attribute that was too long: its length would wrap
}

// message starts a message and returns its position for end.
func (e *encoder) message(kind, flags uint16, seq uint32, family byte, res uint16) int {
	at := len(e.b)
	e.b = append(e.b, 0, 0, 0, 0)
	e.b = binary.NativeEndian.AppendUint16(e.b, kind)
	e.b = binary.NativeEndian.AppendUint16(e.b, unix.NLM_F_REQUEST|flags)
	e.b = binary.NativeEndian.AppendUint32(e.b, seq)
	e.b = binary.NativeEndian.AppendUint32(e.b, 0)
	e.b = append(e.b, family, unix.NFNETLINK_V0)
	e.b = binary.BigEndian.AppendUint16(e.b, res)
	return at
}

func (e *encoder) end(at int) {
	binary.NativeEndian.PutUint32(e.b[at:], uint32(len(e.b)-at))
}

// about starts a message about the own table: kind is NFT_MSG_*.
func (e *encoder) about(kind, flags uint16, seq uint32) int {
	at := e.message(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, seq, unix.NFPROTO_INET, 0)
	e.str(1, e.table) // NFTA_*_TABLE is 1 for every kind of object
	return at
}

func (e *encoder) pad() {
	for len(e.b)%4 != 0 {
		e.b = append(e.b, 0)
	}
}

func (e *encoder) attr(kind uint16, n int) {
	e.b = binary.NativeEndian.AppendUint16(e.b, uint16(attributeLen+n))
	e.b = binary.NativeEndian.AppendUint16(e.b, kind)
}

func (e *encoder) str(kind uint16, s string) {
	e.attr(kind, len(s)+1)
	e.b = append(append(e.b, s...), 0)
	e.pad()
}

func (e *encoder) u32(kind uint16, v uint32) {
	e.attr(kind, 4)
	e.b = binary.BigEndian.AppendUint32(e.b, v)
}

func (e *encoder) u64(kind uint16, v uint64) {
	e.attr(kind, 8)
	e.b = binary.BigEndian.AppendUint64(e.b, v)
}

func (e *encoder) bytes(kind uint16, v []byte) {
	e.attr(kind, len(v))
	e.b = append(e.b, v...)
	e.pad()
}

// nest starts a nested attribute and returns its position for close.
func (e *encoder) nest(kind uint16) int {
	at := len(e.b)
	e.attr(kind|unix.NLA_F_NESTED, 0)
	return at
}

func (e *encoder) close(at int) {
	n := len(e.b) - at
	if n > 0xffff && e.err == nil {
		e.err = fmt.Errorf("encode: an attribute of %d bytes does not fit a netlink message", n)
	}
	binary.NativeEndian.PutUint16(e.b[at:], uint16(n))
}

// transaction writes a whole batch, sequence numbers from seq on: seq is the
// start's, seq+1+i that of operation i, seq+1+n the end's. Only the last
// operation asks for an answer; refusals come unasked.
func (e *encoder) transaction(ops []op, seq uint32) {
	e.end(e.message(unix.NFNL_MSG_BATCH_BEGIN, 0, seq, unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
	for i := range ops {
		flags := uint16(0)
		if i == len(ops)-1 {
			flags = unix.NLM_F_ACK
		}
		e.operation(&ops[i], flags, seq+1+uint32(i))
	}
	e.end(e.message(unix.NFNL_MSG_BATCH_END, 0, seq+1+uint32(len(ops)), unix.NFPROTO_UNSPEC, unix.NFNL_SUBSYS_NFTABLES))
}

// operation is a flat table: one verb, one message.
func (e *encoder) operation(o *op, flags uint16, seq uint32) {
	create := flags | unix.NLM_F_CREATE
	var at int
	switch o.verb {
	case addTable:
		at = e.about(unix.NFT_MSG_NEWTABLE, create, seq)
	case wakeTable:
		at = e.about(unix.NFT_MSG_NEWTABLE, flags, seq)
		e.u32(unix.NFTA_TABLE_FLAGS, 0)
	case deleteTable:
		at = e.about(unix.NFT_MSG_DELTABLE, flags, seq)
	case addCounter:
		at = e.about(unix.NFT_MSG_NEWOBJ, create, seq)
		e.str(unix.NFTA_OBJ_NAME, o.name)
		e.u32(unix.NFTA_OBJ_TYPE, unix.NFT_OBJECT_COUNTER)
		e.close(e.nest(unix.NFTA_OBJ_DATA))
	case deleteObject:
		at = e.about(unix.NFT_MSG_DELOBJ, flags, seq)
		e.str(unix.NFTA_OBJ_NAME, o.name)
		e.u32(unix.NFTA_OBJ_TYPE, o.kind)
	case deleteFlowtable:
		at = e.about(unix.NFT_MSG_DELFLOWTABLE, flags, seq)
		e.str(flowtableName, o.name)
	case addSet:
		at = e.about(unix.NFT_MSG_NEWSET, create|unix.NLM_F_EXCL, seq)
		e.setSpec(o, seq)
	case deleteSet:
		at = e.about(unix.NFT_MSG_DELSET, flags, seq)
		e.str(unix.NFTA_SET_NAME, o.name)
	case addChain:
		at = e.about(unix.NFT_MSG_NEWCHAIN, create|unix.NLM_F_EXCL, seq)
		e.chainSpec(o)
	case deleteChain:
		at = e.about(unix.NFT_MSG_DELCHAIN, flags, seq)
		e.str(unix.NFTA_CHAIN_NAME, o.name)
	case emptyChain:
		at = e.about(unix.NFT_MSG_DELRULE, flags, seq)
		e.str(unix.NFTA_RULE_CHAIN, o.name)
	case addRule:
		at = e.about(unix.NFT_MSG_NEWRULE, create|unix.NLM_F_APPEND, seq)
		e.str(unix.NFTA_RULE_CHAIN, o.name)
		e.rule(o.rule)
	case addElements:
		at = e.about(unix.NFT_MSG_NEWSETELEM, create, seq)
		e.elements(o)
	case deleteElements:
		at = e.about(unix.NFT_MSG_DELSETELEM, flags, seq)
		e.elements(o)
	}
	e.end(at)
}

// flowtableName is NFTA_FLOWTABLE_NAME (linux/netfilter/nf_tables.h).
const flowtableName = 2

func (e *encoder) setSpec(o *op, id uint32) {
	var flags uint32
	if o.set.timeout {
		flags |= unix.NFT_SET_TIMEOUT
	}
	if o.set.interval {
		flags |= unix.NFT_SET_INTERVAL
	}
	if o.set.verdicts {
		flags |= unix.NFT_SET_MAP
	}
	if o.set.dynamic {
		flags |= unix.NFT_SET_EVAL
	}
	e.str(unix.NFTA_SET_NAME, o.name)
	e.u32(unix.NFTA_SET_FLAGS, flags)
	e.u32(unix.NFTA_SET_KEY_TYPE, o.set.keyType)
	e.u32(unix.NFTA_SET_KEY_LEN, uint32(o.set.keyLen))
	e.u32(unix.NFTA_SET_ID, id)
	if o.set.verdicts {
		e.u32(unix.NFTA_SET_DATA_TYPE, unix.NFT_DATA_VERDICT)
	}
	if o.set.size > 0 {
		n := e.nest(unix.NFTA_SET_DESC)
		e.u32(unix.NFTA_SET_DESC_SIZE, o.set.size)
		e.close(n)
	}
	if o.set.lasts > 0 {
		e.u64(unix.NFTA_SET_TIMEOUT, uint64(o.set.lasts/time.Millisecond))
	}
	// User data that nft reads back: the byte order of keys (2 = big endian),
	// without which it prints addresses and ports the wrong way round.
	e.bytes(unix.NFTA_SET_USERDATA, binary.NativeEndian.AppendUint32([]byte{0, 4}, 2))
}

func (e *encoder) chainSpec(o *op) {
	e.str(unix.NFTA_CHAIN_NAME, o.name)
	if o.hook == nil {
		return
	}
	n := e.nest(unix.NFTA_CHAIN_HOOK)
	e.u32(unix.NFTA_HOOK_HOOKNUM, o.hook.hook)
	e.u32(unix.NFTA_HOOK_PRIORITY, uint32(o.hook.priority))
	e.close(n)
	e.u32(unix.NFTA_CHAIN_POLICY, policyAccept)
	e.str(unix.NFTA_CHAIN_TYPE, chainType)
}

// What every base chain of the own table is.
const (
	policyAccept = 1 // NF_ACCEPT
	chainType    = "filter"
)

func (e *encoder) rule(exprs []expr.Any) {
	list := e.nest(unix.NFTA_RULE_EXPRESSIONS)
	for _, x := range exprs {
		b, err := expr.Marshal(unix.NFPROTO_INET, x)
		if err != nil && e.err == nil {
			e.err = fmt.Errorf("encode %T: %w", x, err)
		}
		e.bytes(unix.NFTA_LIST_ELEM|unix.NLA_F_NESTED, b)
	}
	e.close(list)
}

// verdict writes the data of a map's element: go to a chain.
func (e *encoder) verdict(chain string) {
	data := e.nest(unix.NFTA_SET_ELEM_DATA)
	v := e.nest(unix.NFTA_DATA_VERDICT)
	code := int32(unix.NFT_GOTO)
	e.u32(unix.NFTA_VERDICT_CODE, uint32(code))
	e.str(unix.NFTA_VERDICT_CHAIN, chain)
	e.close(v)
	e.close(data)
}

func (e *encoder) elements(o *op) {
	e.str(unix.NFTA_SET_ELEM_LIST_SET, o.name)
	list := e.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	for i := range o.elems {
		x := &o.elems[i]
		item := e.nest(unix.NFTA_LIST_ELEM)
		k := e.nest(unix.NFTA_SET_ELEM_KEY)
		value := x.key[:]
		if x.wide != nil {
			value = x.wide[:]
		}
		e.bytes(unix.NFTA_DATA_VALUE, value[:o.set.keyLen])
		e.close(k)
		if x.end {
			e.u32(unix.NFTA_SET_ELEM_FLAGS, unix.NFT_SET_ELEM_INTERVAL_END)
		}
		if o.verb == addElements && x.goes != "" {
			e.verdict(x.goes)
		}
		if o.verb == addElements && x.life > 0 {
			// The expiration is said too, so that adding an element again
			// renews it even where the timeout is the same.
			ms := uint64((x.life + time.Millisecond - 1) / time.Millisecond)
			e.u64(unix.NFTA_SET_ELEM_TIMEOUT, ms)
			e.u64(unix.NFTA_SET_ELEM_EXPIRATION, ms)
		}
		e.close(item)
	}
	e.close(list)
}
