package demo

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"os"
	"sync"
	"time"

	"gatehouse/internal/gate"
	"gatehouse/internal/netlab"
)

// The pace of the show: pauses in which a person reads.
const (
	breath  = 700 * time.Millisecond
	reading = 2500 * time.Millisecond
	stagger = 1500 * time.Millisecond // between the attackers' entrances
)

// Limits behind which something has not happened.
const (
	banLimit = 30 * time.Second
	tryLimit = 4 * time.Second        // one attempt to log in
	patience = 3 * time.Second        // one knock that should be answered
	silence  = 600 * time.Millisecond // without an answer for so long, a knock was dropped
	knocks   = 3                      // an attacker, before and after
)

// show is the stage while the show goes on.
type show struct {
	script
	*screen
	crew   *netlab.Crew
	lab    *netlab.Lab
	gate   *netlab.Host
	cast   []*attacker
	friend *friend
	sshd   *netlab.SSHD
	guard  *daemon
	house  *house
	result result

	mu       sync.Mutex
	innocent []gate.Subject // banned, but nobody of the cast
	broken   error          // of what follows the daemon
}

// result is what was observed.
type result struct {
	answeredBefore, answeredAfter, knocked int
	dropsBefore, dropsAfter                uint64
}

// perform plays the show in a stage, on w.
func perform(s script, w io.Writer) error {
	c := &netlab.Crew{Dir: s.Dir}
	sh := &show{script: s, screen: newScreen(w, s.Options, s.Begin), crew: c, cast: newCast()}
	return c.Perform(sh.play)
}

// play is the plot.
func (s *show) play() error {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	s.title()
	if err := s.build(); err != nil {
		return err
	}
	s.picture()
	s.rest(ctx, reading)
	if err := s.raiseGuard(ctx); err != nil {
		return err
	}
	followers, stop := context.WithCancel(ctx)
	var tasks sync.WaitGroup
	defer func() {
		stop()
		tasks.Wait()
		s.setStatus("")
	}()
	tasks.Go(func() { s.watchLog(followers) })
	tasks.Go(func() { s.watchDecisions(followers) })
	if err := s.letFriendIn(ctx, followers, &tasks); err != nil {
		return err
	}
	if s.live {
		tasks.Go(func() { s.keepStatus(followers) })
	}
	if err := s.before(ctx); err != nil {
		return err
	}
	s.rest(ctx, breath)
	s.attack(ctx)
	s.rest(ctx, breath)
	if err := s.after(ctx); err != nil {
		return err
	}
	s.rest(ctx, breath)
	if err := s.story(ctx); err != nil {
		return err
	}
	s.rest(ctx, reading)
	if err := s.atHome(ctx); err != nil {
		return err
	}
	s.rest(ctx, breath)
	stop()
	tasks.Wait()
	s.setStatus("")
	return s.checkList()
}

// rest gives the reader time.
func (s *show) rest(ctx context.Context, d time.Duration) {
	if !s.Hasty {
		pause(ctx, d)
	}
}

// pause waits, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// title says what is to be seen.
func (s *show) title() {
	s.line(s.paint(bold, "gatehouse demo") + ": real attackers, a real OpenSSH server, a real firewall,")
	s.line("sealed in namespaces of their own. Nothing of this machine is touched.")
}

// raiseGuard starts the daemon.
func (s *show) raiseGuard(ctx context.Context) error {
	program := s.Program
	if program == "" {
		// By its descriptor: the gate may not see the folder that it lies in.
		program = fmt.Sprintf("/proc/%d/exe", os.Getpid())
	}
	h, err := buildHouse(s.crew, s.gate, program, s.Dir)
	if err != nil {
		return err
	}
	s.house = h
	begin := time.Now()
	d, err := startDaemon(ctx, s.crew, s.gate, program, s.Dir, s.sshd.Log)
	if err != nil {
		return err
	}
	s.guard = d
	s.event("gatehouse", blue, fmt.Sprintf("guards, after %s: %d failed logins within %s, and you are out for %s",
		short(time.Since(begin)), threshold.Count, gate.FormatDuration(threshold.Within), firstBan))
	return nil
}

// letFriendIn logs the friend in, after a slip of the fingers.
func (s *show) letFriendIn(ctx, beating context.Context, tasks *sync.WaitGroup) error {
	slip := s.friend.host.TrySSHContext(ctx, netlab.Login{
		To: netip.AddrPortFrom(netip.MustParseAddr(gate4), sshPort), User: friendID, Password: "open seasme", Timeout: tryLimit,
	})
	if slip.In {
		return fmt.Errorf("the server let the friend in with a wrong password")
	}
	beat, err := s.friend.connect(ctx, s.crew)
	if err != nil {
		return err
	}
	tasks.Go(func() { s.friend.live(beating, beat) })
	s.event("friend", green, "mistyped once, is in now ("+s.friend.how+") and stays: ♥ ten beats a second")
	return nil
}

// before counts what reaches the gate while nobody is banned.
func (s *show) before(ctx context.Context) error {
	st, err := s.guard.status(ctx)
	if err != nil {
		return err
	}
	s.result.dropsBefore = st.Drops.Packets
	s.result.answeredBefore = s.knock(ctx, patience)
	s.result.knocked = knocks * len(s.cast)
	s.event("before", plain, fmt.Sprintf("%d of %d knocks of the attackers are answered, %s dropped so far",
		s.result.answeredBefore, s.result.knocked, packets(s.result.dropsBefore)))
	return nil
}

// after counts the same once all are banned.
func (s *show) after(ctx context.Context) error {
	s.result.answeredAfter = s.knock(ctx, silence)
	st, err := s.guard.status(ctx)
	if err != nil {
		return err
	}
	s.result.dropsAfter = st.Drops.Packets
	s.event("after", plain, fmt.Sprintf("%d of %d knocks are answered, %s dropped",
		s.result.answeredAfter, s.result.knocked, packets(s.result.dropsAfter)))
	return nil
}

// short writes a duration for reading: three digits at most.
func short(d time.Duration) string {
	switch {
	case d < 0:
		return "0 ms"
	case d < 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Second:
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}

// packets writes a number of packets.
func packets(n uint64) string {
	if n == 1 {
		return "1 packet"
	}
	return fmt.Sprintf("%d packets", n)
}
