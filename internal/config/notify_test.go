package config

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// notifyOptions are the checks that other parts do, in short.
func notifyOptions() Options {
	return Options{
		RuleExists: known,
		PushURLProblem: func(s string) error {
			if !strings.HasPrefix(s, "ntfy:") {
				return errors.New("there is no such service")
			}
			return nil
		},
		KindExists: func(k string) bool { return k == "ban" || k == "panel.*" },
		SecretProblem: func(s Secret) error {
			if s.File == "/missing" {
				return errors.New("secret: open /missing: no such file or directory")
			}
			return nil
		},
	}
}

// TestNotifyBad: each mistake with its line and column, and without any secret.
func TestNotifyBad(t *testing.T) {
	for _, c := range []struct{ name, channel, want string }{
		{"nobody", "{name: a}", "3:7: a channel that reaches nobody | write one of mail, sms, voice, url, webhook, syslog"},
		{"two ways", "{name: a, mail: [a@b.c], syslog: local}", "3:40: mail and syslog in one channel | write a channel for each"},
		{"no address", "{name: a, mail: [ann]}", "3:24: \"ann\" is not a mail address | write you@example.org"},
		{"an option", "{name: a, mail: [\"-oQ@b.c\"]}", "3:24: \"-oQ@b.c\" is not a mail address | write you@example.org"},
		{"unknown service", "{name: a, url: \"telegrm://t0psecret@telegram\"}", "3:22: there is no such service | docs/notify.md shows the addresses of the usual services"},
		{"password in the file", "{name: a, mail: [a@b.c], server: h, user: u, password: t0psecret}", "3:62: a secret does not belong in this file | write {file: /etc/gatehouse/name.secret}, {env: NAME} or {credential: name}"},
		{"missing secret", "{name: a, mail: [a@b.c], server: h, user: u, password: {file: /missing}}", "3:62: secret: open /missing: no such file or directory | the daemon leaves off what needs it until it is there"},
		{"unknown place", "{name: a, mail: [a@b.c], server: h, user: u, password: {vault: x}}", "3:63: this does not say where a secret is | write {file: /etc/gatehouse/name.secret}, {env: NAME} or {credential: name}"},
		{"two places", "{name: a, mail: [a@b.c], server: h, user: u, password: {file: /a, env: B}}", "3:62: a secret is in one place | write {file: /etc/gatehouse/name.secret}, {env: NAME} or {credential: name}"},
		{"relative file", "{name: a, url: \"file:secret\"}", "3:22: \"secret\" is not an absolute path | paths start with /; ~ and $VARIABLES are not expanded"},
		{"key of another", "{name: a, syslog: local, server: h}", "3:32: server has no meaning for syslog | remove it"},
		{"user alone", "{name: a, mail: [a@b.c], server: h, user: u}", "3:49: user without password | add password"},
		{"open password", "{name: a, mail: [a@b.c], server: h, user: u, password: {env: P}, tls: none}", "3:77: the password would cross the network unencrypted | write tls: starttls"},
		{"no token", "{name: a, sms: [\"+441632960961\"], account: AC1, from: \"+441632960960\"}", "3:22: sms without token | add token: {file: /etc/gatehouse/twilio.token}"},
		{"no country", "{name: a, sms: [\"01632960961\"], account: AC1, token: {env: T}, from: \"+441632960960\"}", "3:23: \"01632960961\" is not a telephone number | write it with its country and in quotes: \"+441632960961\""},
		{"unknown fallback", "{name: a, syslog: local, fallback: b}", "3:42: there is no channel \"b\" | did you mean a?"},
		{"circle", "{name: a, syslog: local, fallback: a}", "3:14: the fallbacks of a lead back to it | let the last of them have none"},
		{"hours", "{name: a, syslog: local, quiet: [\"22-7\"]}", "3:40: \"22-7\": write days as mon-fri or sat,sun | write 22:00-07:00, or days and hours: mon-fri 08:00-18:00"},
		{"severity", "{name: a, syslog: local, through: loud}", "3:41: \"loud\" is not one of info, notice, warning, critical | write info or notice or warning or critical"},
		{"limit", "{name: a, syslog: local, limit: 5 in forever}", "3:7: a limit without an end would silence the channel for good | write limit: 30 in 1h"},
		{"syslog", "{name: a, syslog: here}", "3:25: \"here\" is no place for syslog | write local, udp://192.0.2.9:514, tcp://192.0.2.9:514 or unix:///dev/log"},
		{"webhook", "{name: a, webhook: \"t0psecret\"}", "3:26: this is not the address of a web server | write https://example.org/hook"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte("notify:\n  channels:\n    - "+c.channel+"\n"), notifyOptions())
			problems(t, err, c.want)
		})
	}
	for _, c := range []struct{ name, text, want string }{
		{"twice", "notify:\n  channels: [{name: a, syslog: local}, {name: a, syslog: local}]\n", "2:47: channel \"a\" is defined twice | line 2 has it already: give this one another name"},
		{"unknown channel", "notify:\n  channels: [{name: mail, syslog: local}]\n  routes:\n    - {to: [mial]}\n", "4:13: there is no channel \"mial\" | did you mean mail?"},
		{"nobody said", "notify:\n  channels: [{name: mail, syslog: local}]\n  routes:\n    - {kinds: [ban]}\n", "4:7: the key to is missing | write to: [NAME], or to: [] for nobody"},
		{"unknown kind", "notify:\n  routes:\n    - {kinds: [bann], to: []}\n", "3:16: no record is of kind \"bann\" | docs/notify.md lists the kinds; panel.* stands for all of a part"},
		{"unknown network", "notify:\n  routes:\n    - {networks: [lan], to: []}\n", "3:19: there is no network \"lan\" | name one of networks, or define it there"},
		{"channel of a network", "networks: [{name: lan, match: [192.0.2.0/24], notify: [mail]}]\n", "1:56: there is no channel \"mail\" | define it under notify: channels:"},
		{"zone", "notify: {zone: Europe/Atlantis}\n", "1:16: \"Europe/Atlantis\" is not a time zone that this machine knows | write it as Europe/Berlin or UTC"},
		{"broker", "mqtt: {server: \"http://h\"}\n", "1:16: this is not the address of an MQTT broker | write mqtt://192.0.2.9:1883, or mqtts://broker.example.org:8883 with TLS"},
		{"login in the broker", "mqtt: {server: \"mqtt://u:t0psecret@h\"}\n", "1:16: a user name in the address of the broker | write user: and password: of their own"},
		{"command", "mqtt: {server: \"mqtt://h\", commands: [stop]}\n", "1:39: \"stop\" is not one of ban, unban, ports, arm, disarm | write ban or unban or ports or arm or disarm"},
		{"topic", "mqtt: {server: \"mqtt://h\", topic: \"a/#\"}\n", "1:35: \"a/#\" is not a topic to begin with | use letters, digits, - and _, and / between levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Parse("f.yaml", []byte(c.text), notifyOptions())
			problems(t, err, c.want)
		})
	}
}

// problems compares the one problem of an error with what is wanted, and wants no
// secret in it.
func problems(t *testing.T, err error, want string) {
	t.Helper()
	ps, ok := errors.AsType[Problems](err)
	if !ok {
		t.Fatalf("accepted: %v", err)
	}
	if got := fmt.Sprintf("%d:%d: %s | %s", ps[0].Line, ps[0].Column, ps[0].What, ps[0].Hint); got != want || len(ps) != 1 {
		t.Errorf("%d problems, the first\n%s, want\n%s", len(ps), got, want)
	}
	if strings.Contains(err.Error(), "t0psecret") {
		t.Errorf("the secret is told: %v", err)
	}
}

// TestNotifyGood: what is written comes back, secrets in both of their forms.
func TestNotifyGood(t *testing.T) {
	const text = `networks: [{name: lan, match: [192.168.0.0/16], notify: [log]}]
notify:
  zone: UTC
  channels:
    - {name: mail, mail: [Ann <ann@example.org>], server: "smtp.example.org:587", user: ann, password: {file: /etc/p}, quiet: ["22:00-07:00"], fallback: phone}
    - {name: phone, url: "env:PHONE", every: 10m}
    - {name: hook, webhook: https://example.org/h, headers: {X-Key: {credential: key}}, limit: 5 in 1h}
    - {name: log, syslog: local, through: warning}
  routes:
    - {kinds: ["panel.*"], severity: warning, networks: [lan], hours: [sat], to: [phone, mail]}
mqtt: {server: "mqtt://127.0.0.1", user: u, password: "credential:mqtt", commands: [ban, ports]}
`
	c, err := Parse("f.yaml", []byte(text), notifyOptions())
	if err != nil {
		t.Fatal(err)
	}
	n := c.Notify
	if n.Channels[0].Password != (Secret{File: "/etc/p"}) || n.Channels[1].URL != (Secret{Env: "PHONE"}) || n.Channels[2].Headers["X-Key"] != (Secret{Credential: "key"}) ||
		n.Channels[1].Every != 10*time.Minute || n.Channels[0].Wait != 30*time.Second || n.Channels[0].Through != "critical" || c.MQTT.Password != (Secret{Credential: "mqtt"}) {
		t.Errorf("%+v", n)
	}
	again, err := Parse("again.yaml", append([]byte("notify:\n"), notifyOf(t, c)...), Options{})
	if err != nil {
		t.Fatalf("%v\n%s", err, notifyOf(t, c))
	}
	if !reflect.DeepEqual(again.Notify.Channels, n.Channels) {
		t.Errorf("%+v comes back as %+v", n.Channels, again.Notify.Channels)
	}
}

// notifyOf writes the channels of a configuration as it writes itself.
func notifyOf(t *testing.T, c *Config) []byte {
	t.Helper()
	var w writer
	w.section(reflect.ValueOf(&Notify{Channels: c.Notify.Channels, Templates: "/t"}).Elem(), "  ")
	return []byte(w.String())
}

// TestMasked: addresses that may hold secrets are hidden in excerpts, column by
// column.
func TestMasked(t *testing.T) {
	for in, want := range map[string]string{
		"url: telegram://abc@telegram?chats=1":  "url: telegram://••••••••••••••••••••",
		"server: mqtt://192.0.2.9:1883":         "server: mqtt://192.0.2.9:1883",
		"webhook: https://u:p@h/x?k=v":          "webhook: https://••••h/x••••",
		"syslog: udp://127.0.0.1:514":           "syslog: udp://127.0.0.1:514",
		"url: https://example.org/a.txt # list": "url: https://example.org/a.txt # list",
	} {
		if got := masked(in); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}
