package ledger

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"testing"
	"time"

	"gatehouse/internal/gate"
)

// The environment of a child of a test.
const (
	childRole   = "LEDGER_TEST_CHILD"  // "crash" or "full"
	childFolder = "LEDGER_TEST_FOLDER" // its state folder
)

// TestMain lets the test binary be the daemon that is killed.
func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "crash":
		crashChild(os.Getenv(childFolder))
	case "full":
		fullChild(os.Getenv(childFolder))
	default:
		os.Exit(m.Run())
	}
}

// crashChild appends decisions from the mark on, and says on standard output
// which ones are committed, until somebody kills it. Decision n is ban(n); a
// Txn's mark, windows and Keep say which decisions it ends behind.
func crashChild(dir string) {
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	l, err := Open(dir, Options{Forget: gate.Day})
	fail(err)
	marks, _, err := l.Checkpoint()
	fail(err)
	next := 0
	if m := marks["log"]; m != "" {
		next, err = strconv.Atoi(m)
		fail(err)
	}
	go func() { fail(l.Run(context.Background())) }()
	// Compaction runs beside it, and takes nothing: all is in force.
	go func() {
		for {
			fail(l.Compact(context.Background(), time.Nanosecond))
		}
	}()
	room := make(chan struct{}, 8) // Txns under way
	r := rand.New(rand.NewPCG(uint64(os.Getpid()), 1))
	for {
		room <- struct{}{}
		from := next
		next += 1 + r.IntN(70)
		if r.IntN(50) == 0 {
			next += 6000
		}
		upTo := next
		ds := bans(from, upTo)
		for i := range ds {
			ds[i].Until = time.Time{}
		}
		l.Keep("test").Put("next", []byte(strconv.Itoa(upTo)))
		l.Append(Txn{Decisions: ds, Marks: map[string]string{"log": strconv.Itoa(upTo)}, Windows: binary.BigEndian.AppendUint64(nil, uint64(upTo)),
			Done: func(_ []gate.Record, err error) {
				fail(err)
				fmt.Println(upTo)
				<-room
			}})
	}
}

// TestKilled kills a process at random moments while it appends: each decision
// that it said was committed is there, once; the marks are never ahead of the
// decisions; the numbers have no gap.
func TestKilled(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 1))
	acked := 0
	for round := range rounds {
		acked = max(acked, killOne(t, dir, time.Duration(20+r.IntN(150))*time.Millisecond))
		l, err := Open(dir, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if h := l.Health(); h.State != OK {
			t.Fatalf("round %d: %+v", round, h)
		}
		count := 0
		for r, err := range l.Current() {
			if err != nil {
				t.Fatal(err)
			}
			if r.Seq != uint64(count+1) || r.Subject != ban(count).Subject || r.Origin != ban(count).Origin {
				t.Fatalf("round %d: record %d is number %d, %v", round, count+1, r.Seq, r.Origin)
			}
			count++
		}
		if l.Newest() != uint64(count) {
			t.Errorf("round %d: %d records, %d in force", round, l.Newest(), count)
		}
		marks, windows, err := l.Checkpoint()
		if err != nil {
			t.Fatal(err)
		}
		mark, _ := strconv.Atoi(marks["log"])
		kept, _, err := l.Keep("test").Get("next")
		if err != nil {
			t.Fatal(err)
		}
		keep, _ := strconv.Atoi(string(kept))
		if acked > count || mark != count || count > 0 && binary.BigEndian.Uint64(windows) != uint64(count) || keep < acked {
			t.Fatalf("round %d: %d acknowledged, %d recorded, the mark is %d, windows %x, kept %d", round, acked, count, mark, windows, keep)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d decisions acknowledged in %d rounds", acked, rounds)
	if acked == 0 {
		t.Error("nothing was ever acknowledged")
	}
}

// killOne runs the child for so long, kills it, and returns how many decisions it
// acknowledged.
func killOne(t *testing.T, dir string, after time.Duration) (acked int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childRole+"=crash", childFolder+"="+dir)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	timer := time.AfterFunc(after, func() {
		if err := cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			t.Error(err)
		}
	})
	defer timer.Stop()
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line without its end is no acknowledgement
		}
		if err != nil {
			t.Fatal(err)
		}
		n, err := strconv.Atoi(line[:len(line)-1])
		if err != nil {
			t.Fatalf("the child says %q", line)
		}
		acked = n
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	return acked
}
