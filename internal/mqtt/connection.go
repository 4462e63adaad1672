package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/packets"
	"github.com/eclipse/paho.golang/paho"

	"gatehouse/internal/gate"
)

// Run connects, again and again, and keeps the topics as they are to be until ctx
// ends; then it says that it is offline and returns nil.
func (f *Follower) Run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	for _, s := range f.d.More {
		wg.Go(func() { f.watch(ctx, s.Changed) })
	}
	wg.Go(func() { f.watch(ctx, f.d.News) })
	for try := 0; ctx.Err() == nil; try++ {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backOff(try)):
		}
		begun := time.Now()
		err := f.converse(ctx)
		if ctx.Err() != nil {
			break
		}
		f.down(reason(err))
		if time.Since(begun) > time.Minute {
			try = 0
		}
	}
	return nil
}

// converse is one connection, from its first to its last packet.
func (f *Follower) converse(ctx context.Context) error {
	conn, err := f.dial(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	f.mu.Lock()
	f.conn = conn
	f.mu.Unlock()
	broken := make(chan error, 4) // holds what the library tells at most before it is done; more is dropped
	tell := func(err error) {
		select {
		case broken <- err:
		default:
		}
	}
	client := paho.NewClient(paho.ClientConfig{
		ClientID: "gatehouse-" + f.node, Conn: conn, PacketTimeout: 10 * time.Second,
		OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
			f.received(r.Packet)
			return true, nil
		}},
		OnClientError:      tell,
		OnServerDisconnect: func(d *paho.Disconnect) { tell(fmt.Errorf("the broker ended the connection (code %d)", d.ReasonCode)) },
	})
	within, stop := context.WithCancel(context.WithoutCancel(ctx)) // the farewell comes after ctx has ended
	defer stop()
	hello, cancel := context.WithTimeout(within, 10*time.Second)
	defer cancel()
	end := context.AfterFunc(ctx, cancel)
	answer, err := client.Connect(hello, f.hello())
	if err != nil {
		if answer != nil && (answer.ReasonCode == packets.ConnackBadUsernameOrPassword || answer.ReasonCode == packets.ConnackNotAuthorized) {
			return errors.New("the broker refuses the login")
		}
		return err
	}
	f.connected(hello, client)
	end()
	defer func() {
		f.mu.Lock()
		f.up = false
		f.mu.Unlock()
	}()
	talk, hush := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { f.desk(talk, client) })
	wg.Go(func() { f.publish(talk, client) })
	select {
	case <-ctx.Done():
		hush()
		wg.Wait()
		farewell, cancel := context.WithTimeout(within, 2*time.Second)
		defer cancel()
		_ = f.put(farewell, client, f.base+"/availability", []byte("offline")) // else the broker says so by our will
		_ = client.Disconnect(&paho.Disconnect{})                              // it ends either way
		return nil
	case err = <-broken:
	case <-client.Done():
		err = errors.New("the broker closed the connection")
	}
	hush()
	_ = conn.Close() // ends what the library still does
	wg.Wait()
	return err
}

// hello is the first packet of a connection.
func (f *Follower) hello() *paho.Connect {
	most := uint32(maxPacket)
	p := &paho.Connect{
		ClientID: "gatehouse-" + f.node, KeepAlive: 30, CleanStart: true, Properties: &paho.ConnectProperties{MaximumPacketSize: &most},
		WillMessage: &paho.WillMessage{Topic: f.base + "/availability", Payload: []byte("offline"), QoS: 1, Retain: true},
	}
	if f.c.User != "" {
		p.Username, p.UsernameFlag, p.Password, p.PasswordFlag = f.c.User, true, []byte(f.c.Password), true
	}
	return p
}

// backOff is how long to wait before a try to connect.
func backOff(try int) time.Duration {
	if try == 0 {
		return 0
	}
	return min(time.Second<<min(try-1, 6), time.Minute)
}

// reason is what a person can use of an error of the connection.
func reason(err error) string {
	text := gate.Quote(err.Error(), 200)
	if plain := text[1 : len(text)-1]; !strings.Contains(plain, `\`) && strings.HasSuffix(text, `"`) {
		return plain
	}
	return text
}

// Bounds of what a broker may send.
const (
	maxPacket = 64 << 10 // bytes of a packet, which it is told
	maxBurst  = 4 << 20  // bytes at once, which it is held to
	maxFlow   = 64 << 10 // bytes a second in the long run
)

// dial connects and bounds what the broker may send.
func (f *Follower) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", f.server.Host)
	if err != nil {
		return nil, err
	}
	b := &bounded{Conn: c, left: maxBurst, at: time.Now()}
	if f.server.Scheme != "mqtts" {
		return packets.NewThreadSafeConn(b), nil
	}
	t := tls.Client(b, f.tls.Clone())
	if err := t.HandshakeContext(ctx); err != nil {
		_ = c.Close() // the first error is the one to tell
		return nil, err
	}
	return packets.NewThreadSafeConn(t), nil
}

// bounded is a connection that ends when the other side sends too much.
type bounded struct {
	net.Conn
	left int
	at   time.Time
}

// Read implements net.Conn.
func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	now := time.Now()
	b.left = min(maxBurst, b.left+int(now.Sub(b.at).Seconds()*maxFlow)) - n
	if b.left < maxBurst {
		b.at = now
	}
	if b.left < 0 {
		return 0, errors.New("the broker sends too much")
	}
	return n, err
}
