package firewall

import (
	"encoding/binary"

	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// Knock says which UDP packets are shown to whoever reads knocks, before they are
// dropped as if nobody were there.
type Knock struct {
	Port  uint16 // 0 = none
	Group uint16 // of NFLOG, that they are shown in
}

// Bounds of what is shown: a flood costs no more than this. Packets of another
// size are not shown.
const (
	knockRate  = 50  // packets a second
	knockBurst = 100 // packets
	knockSnap  = 320 // bytes of a packet, headers included
)

// counterKnocks counts packets to the port of knocks.
const counterKnocks = "knocks"

// knocks shows packets to one port and drops them.
type knocks struct{ want Knock }

func (k *knocks) plan(g *generation, _ uint32) []op {
	if k.want.Port == 0 {
		return nil
	}
	return g.newCounter(counterKnocks)
}

// rules puts the two rules in front of everything but bans, never and allow.
func (k *knocks) rules(_ *generation, b *book) {
	if k.want.Port == 0 {
		return
	}
	to := join(
		l4proto(byte(gate.UDP)),
		[]expr.Any{payload(expr.PayloadBaseTransportHeader, 2, 2), equal(binary.BigEndian.AppendUint16(nil, k.want.Port)...)},
		[]expr.Any{
			&expr.Fib{Register: reg, ResultADDRTYPE: true, FlagDADDR: true},
			&expr.Cmp{Op: expr.CmpOpEq, Register: reg, Data: binary.NativeEndian.AppendUint32(nil, unix.RTN_LOCAL)},
		},
		loadDirection(0), // answers to what this machine sends from that port pass
	)
	b.put(placeLive, to, []expr.Any{
		&expr.Limit{Type: expr.LimitTypePkts, Rate: knockRate, Unit: expr.LimitTimeSecond, Burst: knockBurst},
		&expr.Log{Key: 1<<unix.NFTA_LOG_GROUP | 1<<unix.NFTA_LOG_SNAPLEN, Group: k.want.Group, Snaplen: knockSnap},
	})
	b.put(placeLive, to, count(counterKnocks), verdict(expr.VerdictDrop))
}

func (k *knocks) whole(*contents) bool { return true }

func (k *knocks) gone() {}

// SetKnock shows packets to a port from now on, in place of those of another one.
func (f *Firewall) SetKnock(k Knock) error {
	f.mu.Lock()
	defer f.unlock()
	if f.knocks.want == k {
		return nil
	}
	f.knocks.want = k
	if !f.writable() {
		return nil
	}
	if err := f.replace(f.knocks); err != nil {
		f.fail("change what is shown as a knock", err)
		return f.fault
	}
	return nil
}
