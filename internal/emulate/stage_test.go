package emulate

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestWords does what words say, at a port and at a terminal.
func TestWords(t *testing.T) {
	s := New(Villa(false), 1)
	a, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(t.TempDir(), "panel")
	if _, err := s.Terminal(link); err != nil {
		t.Skip("no pseudo-terminal here: ", err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	conn, err := net.Dial("tcp", a.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	tty, err := os.OpenFile(link, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	for name, r := range map[string]*bufio.Reader{"port": bufio.NewReader(conn), "terminal": bufio.NewReader(tty)} {
		for _, c := range []struct{ say, want string }{
			{"open 9", "!EXP:07,01,01"}, {"close 9", "!EXP:07,01,00"}, {"open 23", "!RFX:0180036,80"}, {"close 23", "!RFX:0180036,00"}, {"mains off", "[1001000"}, {"mains on", "[10010001"},
			{"check 2 on", "CHECK 02"}, {"check 2 off", ""}, {"lobat 23 on", "!RFX:0180036,02"}, {"lobat 23 off", "!RFX:0180036,00"}, {"panic 1", "CID_1123"}, {"key *", "!Sending.done"},
			{"deaf 1", ""}, {"key *", "!Sending.....done"}, {"noise", "!!"}, {"# nothing", ""}, {"", ""},
		} {
			if err := s.Say(c.say); err != nil {
				t.Fatalf("%s: %v", c.say, err)
			}
			for c.want != "" {
				line, err := r.ReadString('\n')
				if err != nil {
					t.Fatalf("%s, %s: %v", name, c.say, err)
				}
				if strings.Contains(line, c.want) {
					break
				}
			}
		}
	}
	if err := s.Say("dance"); err == nil || !strings.Contains(err.Error(), "open ZONE") {
		t.Errorf("an unknown word: %v", err)
	}
	if err := s.Say("quit"); !errors.Is(err, ErrQuit) {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(link); !os.IsNotExist(err) {
		t.Error("the link is left")
	}
}
