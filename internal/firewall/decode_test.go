package firewall

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What the encoder writes, the decoder must read: elements of a transaction
// come back as they were.
func TestElementsComeBack(t *testing.T) {
	for _, spec := range []setSpec{addressSet(false, true), addressSet(true, true), portSet} {
		var want []element
		for i := range maxElements {
			x := element{end: i%2 == 1 && spec.interval}
			copy(x.key[:spec.keyLen], bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 8))
			if spec.timeout {
				x.life = time.Duration(i) * time.Second
			}
			want = append(want, x)
		}
		e := encoder{table: "gatehouse"}
		e.transaction([]op{{verb: addElements, name: "s", set: spec, elems: want}}, 1)
		if e.err != nil {
			t.Fatal(e.err)
		}
		if len(e.b) > 0xffff {
			t.Errorf("%d bytes: the list's length does not fit", len(e.b))
		}
		var got []element
		seqs := []uint32{}
		for b := e.b; ; {
			m, rest, ok := cut(b)
			if !ok {
				break
			}
			seqs = append(seqs, m.seq)
			if m.kind == unix.NFNL_SUBSYS_NFTABLES<<8|unix.NFT_MSG_NEWSETELEM {
				if !m.isTable("gatehouse") || m.isTable("gate") {
					t.Error("not about the table")
				}
				got = decodeElements(m, nil)
			}
			b = rest
		}
		if !slices.Equal(got, want) {
			t.Errorf("%+v: %d elements come back, or others", spec, len(got))
		}
		if !slices.Equal(seqs, []uint32{1, 2, 3}) {
			t.Errorf("sequence numbers %v", seqs)
		}
	}
}

// A list that does not fit its length field must fail: the kernel would take
// it and store nothing.
func TestTooLongIsAnError(t *testing.T) {
	e := encoder{table: "gatehouse"}
	e.transaction([]op{{verb: addElements, name: "s", set: addressSet(false, true), elems: make([]element, 5000)}}, 1)
	if e.err == nil {
		t.Error("no error")
	}
}

func FuzzDecodersNeverPanic(f *testing.F) {
	e := encoder{table: "gatehouse"}
	g := newGeneration(1, false, nil)
	x := newExempt(prefixes("127.0.0.0/8"), nil)
	e.transaction(slices.Concat([]op{{verb: addTable}, {verb: addCounter, name: "ban"}, {verb: addChain, name: "ban", hook: &hookSpec{unix.NF_INET_PRE_ROUTING, -300}}}, g.newExempt(1, &x), g.rules(nil)), 7)
	f.Add(e.b)
	f.Add([]byte{20, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 255})
	f.Fuzz(func(t *testing.T, b []byte) {
		m := listener{table: "gatehouse", rest: b}
		for range len(b) + 1 {
			if _, ok := m.parse(); !ok {
				break
			}
		}
		for {
			msg, rest, ok := cut(b)
			if !ok {
				return
			}
			if len(rest) >= len(b) {
				t.Fatal("no way forward")
			}
			b = rest
			msg.outcome()
			msg.isTable("gatehouse")
			decodeSet(msg)
			decodeChain(msg)
			decodeObject(msg)
			decodeRevision(msg)
			for _, x := range decodeElements(msg, nil) {
				if x.life < 0 {
					t.Fatalf("life %v", x.life)
				}
			}
		}
	})
}

func TestOutcome(t *testing.T) {
	errno := func(e int32) []byte { return []byte{byte(e), byte(e >> 8), byte(e >> 16), byte(e >> 24)} }
	head := make([]byte, headerLen)
	head[0] = headerLen
	note := append([]byte{12, 0, unix.NLMSGERR_ATTR_MSG, 0}, "no good\x00"...)
	for _, tc := range []struct {
		name  string
		flags uint16
		body  []byte
		errno unix.Errno
		note  string
	}{
		{"success", unix.NLM_F_CAPPED, append(errno(0), head...), 0, ""},
		{"refused", unix.NLM_F_CAPPED, append(errno(-2), head...), unix.ENOENT, ""},
		{"with a note", unix.NLM_F_CAPPED | unix.NLM_F_ACK_TLVS, slices.Concat(errno(-1), head, note), unix.EPERM, "no good"},
		{"with the question and a note", unix.NLM_F_ACK_TLVS, slices.Concat(errno(-1), head, note), unix.EPERM, "no good"},
		{"cut off", 0, errno(-1), unix.EBADMSG, ""},
	} {
		if e, n := (message{flags: tc.flags, body: tc.body}).outcome(); e != tc.errno || n != tc.note {
			t.Errorf("%s: %v %q", tc.name, e, n)
		}
	}
}

// The kernel's own words reach the operator.
func TestRefusalText(t *testing.T) {
	k := realKernel(t)
	err := k.commit([]op{{verb: addTable}, {verb: deleteElements, name: "nosuch", set: addressSet(false, true), elems: []element{{}}}})
	if err == nil || !strings.Contains(err.Error(), "delete elements from set nosuch: no such file or directory") {
		t.Errorf("%v", err)
	}
	if missing(err) != true {
		t.Error("a missing set looks like a missing element: both are built anew or ignored")
	}
	if err := k.commit([]op{{verb: deleteTable}}); err == nil {
		t.Error("the transaction before was carried out in part")
	}
}
