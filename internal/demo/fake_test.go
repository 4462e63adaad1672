package demo

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/fsnotify/fsnotify"

	"gatehouse/internal/gate"
)

// envFake makes this program play gatehouse: `good`, `toothless` (bans without
// dropping) or `eager` (bans the friend, too).
const envFake = "DEMO_TEST_GATEHOUSE"

const fakeTable = `table inet gatehouse {
	counter drops { }
	set four { type ipv4_addr; }
	set six { type ipv6_addr; flags interval; }
	chain ban {
		type filter hook prerouting priority -300;
		ip saddr @four counter name drops drop
		ip6 saddr @six counter name drops drop
	}
}
`

// runFake is a gatehouse of a hundred lines: run, status, log and why, which meet
// in the folder of the configuration.
func runFake(mode string, args []string) int {
	var config string
	for i, a := range args {
		if a == "--config" {
			config = args[i+1]
		}
	}
	f := fake{dir: filepath.Dir(config), mode: mode, count: map[netip.Prefix]int{}}
	var err error
	switch last := args[len(args)-1]; {
	case slices.Contains(args, "panel"):
		err = f.house(args)
	case last == "run":
		err = f.run(config)
	case last == "status":
		err = f.status()
	case last == "--follow":
		err = f.follow(filepath.Join(f.dir, "records"), func(line string) error { _, err := fmt.Println(line); return err })
	default:
		fmt.Println(last + " is banned for 10m, by 2001:db8:bad::/64 or itself")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake:", err)
		return 1
	}
	return 0
}

type fake struct {
	dir, mode string
	count     map[netip.Prefix]int
	seq       uint64
}

// house is an alarm panel of a few lines: it records what it is told to do.
func (f *fake) house(args []string) error {
	record := func(kind, why string) error {
		b, err := json.Marshal(gate.Record{Seq: 1, Decision: gate.Decision{Time: time.Now(), Verdict: gate.Tell, Rule: "panel", Topic: "panel." + kind, Why: why}})
		if err != nil {
			return err
		}
		out, err := os.OpenFile(filepath.Join(f.dir, "records"), os.O_APPEND|os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		defer out.Close()
		_, err = out.Write(append(b, '\n'))
		return err
	}
	switch {
	case slices.Contains(args, "status"):
		fmt.Println(`{"panel":{"partitions":[{"exit":false}]}}`)
	case slices.Contains(args, "disarm"):
		return record("disarm", "it was disarmed")
	case slices.Contains(args, "arm"):
		return record("arm", "it was armed")
	}
	if !slices.Contains(args, "emulate") {
		return nil
	}
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		if !strings.HasPrefix(in.Text(), "open") {
			continue
		}
		if err := record("alarm", "alarm: Kitchen window"); err != nil {
			return err
		}
		phone, err := net.Dial("unixgram", filepath.Join(f.dir, "phone"))
		if err != nil {
			return err
		}
		fmt.Fprint(phone, "alarm: Kitchen window")
	}
	return nil
}

func nft(script string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %s", err, out)
	}
	return nil
}

func (f *fake) run(config string) error {
	b, err := os.ReadFile(config)
	if err != nil {
		return err
	}
	log := regexp.MustCompile(`files: \[(.*)\]`).FindSubmatch(b)
	if err := nft(fakeTable); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(f.dir, "records"), nil, 0o600); err != nil {
		return err
	}
	c, err := net.Dial("unixgram", os.Getenv("NOTIFY_SOCKET"))
	if err != nil {
		return err
	}
	fmt.Fprint(c, "STATUS=hello\nREADY=1")
	return f.follow(string(log[1]), func(line string) error {
		_, from, failure, ok := loginLine(line)
		if !ok || !failure {
			return nil
		}
		p := netip.PrefixFrom(from, from.BitLen())
		if from.Is6() {
			p, _ = from.Prefix(64)
		}
		if f.count[p]++; f.count[p] == 4 || f.mode == "eager" && from.String() == friend4 {
			return f.ban(p)
		}
		return nil
	})
}

func (f *fake) ban(p netip.Prefix) error {
	set := "four"
	if p.Addr().Is6() {
		set = "six"
	}
	if f.mode != "toothless" && p.Addr().String() != friend4 {
		if err := nft(fmt.Sprintf("add element inet gatehouse %s { %s }", set, gate.PrefixSubject(p))); err != nil {
			return err
		}
	}
	f.seq++
	now := time.Now()
	rec, err := json.Marshal(gate.Record{Seq: f.seq, Decision: gate.Decision{
		Time: now, Until: now.Add(10 * time.Minute), Verdict: gate.Ban, Subject: gate.PrefixSubject(p), Rule: "sshd", Why: "4 failed logins",
	}})
	if err != nil {
		return err
	}
	out, err := os.OpenFile(filepath.Join(f.dir, "records"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	_, err = out.Write(append(rec, '\n'))
	return err
}

func (f *fake) status() error {
	out, err := exec.Command("nft", "list", "counter", "inet", "gatehouse", "drops").Output()
	if err != nil {
		return err
	}
	m := regexp.MustCompile(`packets (\d+)`).FindSubmatch(out)
	fmt.Printf(`{"bans":0,"drops":{"packets":%s},"never":[]}`, m[1])
	return nil
}

// follow calls yield for each whole line of a file, for ever.
func (f *fake) follow(name string, yield func(string) error) error {
	w, err := fsnotify.NewWatcher()
	if err != nil {
		return err
	}
	if err := w.Add(name); err != nil {
		return err
	}
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	in, part := bufio.NewReader(file), ""
	for {
		s, err := in.ReadString('\n')
		if part += s; err == nil {
			if err := yield(strings.TrimSpace(part)); err != nil {
				return err
			}
			part = ""
			continue
		}
		select {
		case <-w.Events:
		case err := <-w.Errors:
			return err
		}
	}
}
