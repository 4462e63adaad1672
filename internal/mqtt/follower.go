package mqtt

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/eclipse/paho.golang/paho"
)

// Config says which broker and what is shown to it.
type Config struct {
	Server    string   // mqtt://host:port or mqtts://host:port
	User      string   // "" = no login
	Password  string   // never logged
	CA        string   // file with certificates that are trusted besides the system's
	Topic     string   // what own topics begin with
	Discovery string   // what discovery topics begin with
	Commands  []string // rights: ban, unban, ports
	Host      string   // name of this machine
	Version   string   // of the program
}

// Deps is what a Follower uses of the rest.
type Deps struct {
	Log   *slog.Logger                                                   // required
	State func() State                                                   // the guard as it is now. Required
	News  func() <-chan struct{}                                         // closed at the next change of it. Required
	Ask   func(ctx context.Context, c Command) (changed bool, err error) // brings a wish into the line. Required
	Fault func(why, hint string)                                         // notes what is wrong; why "" = nothing. May be nil
	More  []Source                                                       // what other parts show
}

// calm is how long it takes at least from one publication to the next: a storm of
// bans is a few messages.
const calm = 500 * time.Millisecond

// Follower makes the topics of a broker equal to what is to be shown. Make one
// with New, and Run it.
type Follower struct {
	c      Config
	d      Deps
	base   string // TOPIC/NODE
	node   string
	server *url.URL
	tls    *tls.Config

	wake     chan struct{} // holds 1: there is something to publish
	commands chan request  // holds maxWaiting; more are dropped

	mu      sync.Mutex
	have    map[string][]byte // retained topic -> what we know the broker holds; nil before a connection
	set     map[string]func(context.Context, string) error
	up      bool
	conn    net.Conn // of the present connection
	since   time.Time
	why     string
	tokens  float64 // of commands
	counted time.Time
}

// request is a message to a command topic.
type request struct {
	topic   string
	payload []byte
}

// Status is how the connection fares.
type Status struct {
	Server string
	Up     bool
	Since  time.Time // since when it is as it is
	Why    string    // why it is down
	Topics int       // retained topics that are ours
}

// New returns a Follower. Its error says what is wrong with the configuration.
func New(c Config, d Deps) (*Follower, error) {
	u, err := url.Parse(c.Server)
	if err != nil || u.Scheme != "mqtt" && u.Scheme != "mqtts" || u.Hostname() == "" {
		return nil, errors.New("server: write mqtt://192.0.2.9:1883, or mqtts://broker.example.org:8883 with TLS")
	}
	if u.Port() == "" {
		u.Host = net.JoinHostPort(u.Hostname(), map[string]string{"mqtt": "1883", "mqtts": "8883"}[u.Scheme])
	}
	f := &Follower{c: c, d: d, node: nodeOf(c.Host), server: u, wake: make(chan struct{}, 1), commands: make(chan request, maxWaiting), since: time.Now()}
	f.base = c.Topic + "/" + f.node
	f.tls = &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("ca: %w", err)
		}
		if f.tls.RootCAs, err = x509.SystemCertPool(); err != nil {
			f.tls.RootCAs = x509.NewCertPool()
		}
		if !f.tls.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("ca: %s holds no certificate in PEM", c.CA)
		}
	}
	return f, nil
}

// Status returns how the connection fares.
func (f *Follower) Status() Status {
	f.mu.Lock()
	defer f.mu.Unlock()
	return Status{Server: f.server.Host, Up: f.up, Since: f.since, Why: f.why, Topics: len(f.have)}
}

// connected is what is done on a new connection: the topics that the broker holds
// are asked for, and all is published again.
func (f *Follower) connected(ctx context.Context, client *paho.Client) {
	f.mu.Lock()
	f.have = map[string][]byte{}
	f.up, f.since, f.why = true, time.Now(), ""
	f.mu.Unlock()
	_, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{
		{Topic: f.c.Discovery + "/+/" + f.node + "/+/config", QoS: 1},
		{Topic: f.base + "/command", QoS: 1},
		{Topic: f.base + "/+/set", QoS: 1},
	}})
	if err != nil {
		f.d.Log.Warn("mqtt: the broker lets us read nothing", "err", err)
		f.fault("the broker lets us read no commands: "+reason(err), "let the user read "+f.base+"/# and "+f.c.Discovery+"/#")
	} else {
		f.fault("", "")
	}
	f.nudge()
}

// down notes that there is no connection.
func (f *Follower) down(why string) {
	f.mu.Lock()
	if f.up || f.why == "" {
		f.since = time.Now()
	}
	first := f.why != why
	f.up, f.why, f.have = false, why, nil
	f.mu.Unlock()
	if first {
		f.d.Log.Warn("mqtt: no connection to the broker", "server", f.server.Host, "err", why)
	}
	f.fault("no connection to "+f.server.Host+": "+why, "it is tried again and again; is the broker there, and are user and password right?")
}

func (f *Follower) fault(why, hint string) {
	if f.d.Fault != nil {
		f.d.Fault(why, hint)
	}
}

func (f *Follower) nudge() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// watch passes on that something changed.
func (f *Follower) watch(ctx context.Context, changed func() <-chan struct{}) {
	for news := changed(); ; {
		select {
		case <-ctx.Done():
			return
		case <-news:
			news = changed() // before the state is looked at, so that no change is missed
			f.nudge()
		}
		select { // bans by the hundred are one change
		case <-ctx.Done():
			return
		case <-time.After(calm):
		}
	}
}

// refresh is how often the state is looked at even if nothing tells of a change:
// what does not work is not always a record.
const refresh = 15 * time.Second

// publish makes the broker equal to what is to be shown, until ctx ends.
func (f *Follower) publish(ctx context.Context, client *paho.Client) {
	tick := time.NewTicker(refresh)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.wake:
		case <-tick.C:
		}
		if err := f.equalise(ctx, client); err != nil && ctx.Err() == nil {
			f.d.Log.Warn("mqtt: publish", "err", err)
		}
	}
}

// wanted is what the broker is to hold, and who takes commands.
func (f *Follower) wanted() (topics map[string][]byte, set map[string]func(context.Context, string) error, err error) {
	topics, set = map[string][]byte{f.base + "/availability": []byte("online")}, map[string]func(context.Context, string) error{}
	list := f.entities()
	for _, s := range f.d.More {
		list = append(list, s.Entities()...)
	}
	for i := range list {
		e := &list[i]
		topic, doc, err := f.discovery(e)
		if err != nil {
			return nil, nil, fmt.Errorf("entity %s: %w", e.ID, err)
		}
		topics[topic] = doc
		topics[f.base+"/"+e.ID+"/state"] = []byte(e.State)
		if e.Attributes != nil {
			b, err := json.Marshal(e.Attributes)
			if err != nil {
				return nil, nil, fmt.Errorf("attributes of %s: %w", e.ID, err)
			}
			topics[f.base+"/"+e.ID+"/attributes"] = b
		}
		if e.Command != nil {
			set[f.base+"/"+e.ID+"/set"] = e.Command
		}
	}
	return topics, set, nil
}

// equalise publishes what differs, and takes away what is ours and no longer
// wanted.
func (f *Follower) equalise(ctx context.Context, client *paho.Client) error {
	want, set, err := f.wanted()
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.set = set
	var change []string
	if f.up {
		for topic, payload := range want {
			if have, known := f.have[topic]; !known || !bytes.Equal(have, payload) {
				change = append(change, topic)
			}
		}
		for topic := range f.have {
			if _, wanted := want[topic]; !wanted {
				change = append(change, topic)
				if rest, ok := strings.CutSuffix(topic, "/config"); ok { // of an entity that is gone
					id := f.base + rest[strings.LastIndexByte(rest, '/'):]
					change = append(change, id+"/state", id+"/attributes")
				}
			}
		}
	}
	f.mu.Unlock()
	for _, topic := range change {
		payload := want[topic]
		f.mu.Lock()
		if f.have != nil {
			if payload == nil {
				delete(f.have, topic)
			} else {
				f.have[topic] = payload
			}
		}
		f.mu.Unlock()
		if err := f.put(ctx, client, topic, payload); err != nil {
			f.mu.Lock()
			delete(f.have, topic) // unknown: with the next round
			f.mu.Unlock()
			return err
		}
	}
	return nil
}

// put publishes one retained topic; without a payload it is taken away.
func (f *Follower) put(ctx context.Context, client *paho.Client, topic string, payload []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := client.Publish(ctx, &paho.Publish{Topic: topic, Payload: payload, QoS: 1, Retain: true}); err != nil {
		return fmt.Errorf("publish %s: %w", topic, err)
	}
	return nil
}
