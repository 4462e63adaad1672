package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/google/nftables/expr"
)

// kernel is what the firewall needs of nf_tables: one table, written in
// transactions. *socket is the real one.
type kernel interface {
	// commit applies all operations as one transaction, or none of them. It
	// returns a *refusal where the kernel said no, and errUncertain where the
	// transaction may or may not have happened.
	commit(ops []op) error
	// inspect lists what the table consists of, the elements of sets excepted.
	inspect() (*contents, error)
	// elements lists the elements of a set of addresses. It is slow for large
	// sets and used for small ones, and where nothing else can verify a load.
	elements(set string) ([]element, error)
	// element reads one element of a set of addresses; false if it is not there.
	element(set string, spec setSpec, k key) (element, bool, error)
	// counters reads the named counters of the table.
	counters() (map[string]Counter, error)
}

// verb says what an operation does.
type verb uint8

// The verbs. The order is that of a person's reading, not the kernel's numbers.
const (
	addTable        verb = iota + 1 // it may be there already
	wakeTable                       // take the flag dormant off it
	deleteTable                     // with all in it
	addCounter                      // a named counter
	addSet                          //
	deleteSet                       //
	addChain                        //
	deleteChain                     // it must be empty and unused
	emptyChain                      // delete all its rules
	addRule                         // at the end of a chain
	addElements                     // an element that is there already stays, with the new timeout where the kernel can do that
	deleteElements                  // ENOENT if one of them is not there
	deleteObject                    // a named object, by type
	deleteFlowtable                 //
)

var verbNames = [...]string{
	"", "add table", "wake table", "delete table", "add counter", "add set", "delete set", "add chain", "delete chain",
	"empty chain", "add rule to chain", "add elements to set", "delete elements from set", "delete object", "delete flowtable",
}

// op is one operation of a transaction.
type op struct {
	verb  verb
	name  string     // of the set, chain, object or flowtable
	set   setSpec    // addSet; for elements only keyLen counts
	hook  *hookSpec  // addChain: nil = a chain that others jump to
	rule  []expr.Any // addRule
	elems []element  // addElements, deleteElements: at most maxElements, in a map at most maxVerdicts
	kind  uint32     // deleteObject: NFT_OBJECT_*
}

// maxElements is how many elements one message may carry. An element takes at
// most 60 bytes and the list's length field has 16 bits, which overflows in
// silence: 1000 stays below 64 kB.
const maxElements = 1000

// maxVerdicts is the same for maps, whose elements also name a chain of at most
// 32 bytes.
const maxVerdicts = 400

// setSpec describes a set.
type setSpec struct {
	keyType  uint32        // nft's number of the data type: it is what `nft list` goes by
	keyLen   int           // bytes: 4, 16, or 2 for ports; the parts of a concatenation fill 4 bytes each, or a multiple
	timeout  bool          // elements may carry a timeout: a hash set
	interval bool          // elements are the starts and ends of ranges
	unnamed  bool          // found only: it belongs to a rule and goes with it
	verdicts bool          // a map: each element says which chain a packet goes to
	dynamic  bool          // rules add elements to it
	size     uint32        // most elements; 0 = no bound. A dynamic set needs one
	lasts    time.Duration // what an element without a life of its own gets, whole milliseconds; 0 = it stays
}

// concatType is nft's number of the data type of a concatenation: six bits a part.
func concatType(types ...uint32) (t uint32) {
	for _, x := range types {
		t = t<<6 | x
	}
	return t
}

// nft's numbers of data types (include/datatype.h of nftables).
const (
	typeIPv4  = 7
	typeIPv6  = 8
	typeProto = 12
	typePort  = 13
)

// hookSpec says where a base chain sits. Family inet, type filter and policy
// accept are understood.
type hookSpec struct {
	hook     uint32 // NF_INET_*
	priority int32
}

// key is an address in network byte order; IPv4 fills the first four bytes,
// ports the first two. Protocol and port together are the protocol in the first
// byte and the port in the fifth and sixth.
type key [16]byte

func keyOf(a netip.Addr) (k key) {
	copy(k[:], a.AsSlice())
	return k
}

func (k key) addr(v6 bool) netip.Addr {
	if v6 {
		return netip.AddrFrom16(k)
	}
	return netip.AddrFrom4([4]byte(k[:4]))
}

// element is one member of a set.
type element struct {
	key  key
	wide *[20]byte     // in place of key where a concatenation is longer than that; written only, never read back
	end  bool          // in an interval set: the first key behind a range
	life time.Duration // what is left of it; 0 = it stays. Whole milliseconds, rounded up
	goes string        // in a map to verdicts: the chain that a packet goes to; written only, never read back
}

// contents is what a table consists of.
type contents struct {
	exists     bool
	dormant    bool   // its rules sleep
	revision   uint32 // of the whole rule set of this network namespace, before the rest was read
	sets       map[string]foundSet
	chains     map[string]foundChain
	objects    []foundObject
	flowtables []string
}

type foundSet struct {
	setSpec
	count int // elements, expired ones included until they are collected; -1 where the kernel does not say (before 6.16)
}

type foundChain struct {
	hook *hookSpec // set only where the chain is as this package makes them: filter, accept
	base bool      // it has a hook, of any kind
	uses int       // rules in it, and jumps to it
}

type foundObject struct {
	name string
	kind uint32 // NFT_OBJECT_*
}

// refusal is the kernel's answer to an operation that it does not take; the
// whole transaction is void then.
type refusal struct {
	op    int // index of the operation; -1 = the transaction as such
	verb  verb
	name  string
	errno syscall.Errno
	note  string // the kernel's own words, if any
}

func (r *refusal) Error() string {
	s := "commit transaction"
	if r.op >= 0 {
		s = verbNames[r.verb]
		if r.name != "" {
			s += " " + r.name
		}
	}
	s = fmt.Sprintf("%s: %v", s, r.errno)
	if r.note != "" {
		s += " (" + r.note + ")"
	}
	return s
}

func (r *refusal) Unwrap() error { return r.errno }

// errUncertain says that a transaction was sent and its outcome is unknown:
// read back, or build anew.
var errUncertain = errors.New("the kernel's answer was lost, so the outcome is unknown")

// missing reports whether the transaction failed only because an element that
// it deletes is not there: it has just expired.
func missing(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.verb == deleteElements && r.errno == syscall.ENOENT
}
