package ledger

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/internal/gate"
)

// shuffled returns n bans in no order of their addresses, each with a proof of
// that many events.
func shuffled(n, events int) []gate.Decision {
	ds := bans(0, n)
	r := rand.New(rand.NewPCG(1, 2))
	r.Shuffle(n, func(i, j int) { ds[i].Subject, ds[j].Subject = ds[j].Subject, ds[i].Subject })
	if events > 0 {
		for i := range ds {
			ds[i] = withProof(ds[i], events)
		}
	}
	return ds
}

// cpu reports the processor time of the whole process for one round, which says
// more than the clock where others use the machine too.
func cpu(b *testing.B) {
	var before unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &before); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		var after unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &after); err != nil {
			b.Fatal(err)
		}
		spent := after.Utime.Nano() + after.Stime.Nano() - before.Utime.Nano() - before.Stime.Nano()
		b.ReportMetric(float64(spent)/1e6/float64(b.N), "cpu-ms/op")
	})
}

func BenchmarkAppend100k(b *testing.B) {
	for _, events := range []int{0, 1} {
		b.Run(fmt.Sprintf("events=%d", events), func(b *testing.B) {
			ds := shuffled(100_000, events)
			for b.Loop() {
				b.StopTimer()
				l, stop := start(b, b.TempDir(), Options{})
				b.StartTimer()
				commit(b, l, Txn{Decisions: ds})
				b.StopTimer()
				stop()
				b.StartTimer()
			}
		})
	}
}

func BenchmarkAppendOne(b *testing.B) {
	l, _ := start(b, b.TempDir(), Options{})
	n := 0
	for b.Loop() {
		n++
		commit(b, l, Txn{Decisions: []gate.Decision{withProof(ban(n), 5)}})
	}
}

// BenchmarkAppendIdle leaves the ledger alone between decisions, as life does:
// what counts is how long one takes to be durable.
func BenchmarkAppendIdle(b *testing.B) {
	l, _ := start(b, b.TempDir(), Options{})
	n := 0
	var worst time.Duration
	for b.Loop() {
		b.StopTimer()
		n++
		x := Txn{Decisions: []gate.Decision{withProof(ban(n), 5)}}
		time.Sleep(2 * gather)
		b.StartTimer()
		begun := time.Now()
		commit(b, l, x)
		worst = max(worst, time.Since(begun))
	}
	b.ReportMetric(float64(worst.Microseconds()), "us-worst")
}

func BenchmarkCurrent100k(b *testing.B) {
	l, _ := start(b, b.TempDir(), Options{})
	commit(b, l, Txn{Decisions: shuffled(100_000, 0)})
	cpu(b)
	for b.Loop() {
		n := 0
		for _, err := range l.Current() {
			if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != 100_000 {
			b.Fatal(n)
		}
	}
}

func BenchmarkOpen100k(b *testing.B) {
	dir := b.TempDir()
	l, stop := start(b, dir, Options{})
	commit(b, l, Txn{Decisions: shuffled(100_000, 1)})
	stop()
	for b.Loop() {
		l, err := Open(dir, Options{})
		if err != nil {
			b.Fatal(err)
		}
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
	}
	_ = l
}

func BenchmarkPast(b *testing.B) {
	l, _ := start(b, b.TempDir(), Options{Forget: 90 * gate.Day})
	commit(b, l, Txn{Decisions: shuffled(100_000, 0)})
	n := 0
	for b.Loop() {
		n = (n + 7919) % 100_000
		if k, _ := l.Past(ban(n).Subject); k != 1 {
			b.Fatal(k)
		}
	}
}

func BenchmarkKnown(b *testing.B) {
	dir := b.TempDir()
	l, stop := start(b, dir, Options{})
	commit(b, l, Txn{Decisions: shuffled(100_000, 0)})
	stop()
	l, _ = start(b, dir, Options{})
	n := 0
	for b.Loop() {
		n = (n + 7919) % 100_000
		if !l.Known(ban(n).Origin, "sshd") {
			b.Fatal(n)
		}
	}
}

func BenchmarkRecordsCovering(b *testing.B) {
	l, _ := start(b, b.TempDir(), Options{})
	commit(b, l, Txn{Decisions: shuffled(100_000, 0)})
	n := 0
	for b.Loop() {
		n = (n + 7919) % 100_000
		rs, err := l.Records(Query{Subject: ban(n).Subject, Covering: true})
		if err != nil || len(rs) != 1 {
			b.Fatal(rs, err)
		}
	}
}

func BenchmarkProof(b *testing.B) {
	for _, events := range []int{1, 5, 32} {
		d := withProof(ban(1), events)
		b.Run(fmt.Sprintf("pack/events=%d", events), func(b *testing.B) {
			var p prover
			b.ReportAllocs()
			var n int
			for b.Loop() {
				out, err := p.pack(&d)
				if err != nil {
					b.Fatal(err)
				}
				n = len(out)
			}
			b.ReportMetric(float64(n), "B-stored")
		})
	}
}

// BenchmarkSize is not about time: how large the file is for a record.
func BenchmarkSize(b *testing.B) {
	for b.Loop() {
		l, stop := start(b, b.TempDir(), Options{})
		commit(b, l, Txn{Decisions: shuffled(20_000, 5)})
		stop()
		fi, err := os.Stat(l.Path())
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(fi.Size())/20_000, "B/record")
	}
}
