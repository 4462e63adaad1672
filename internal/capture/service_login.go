package main

import "strings"

// Openssh is the SSH server that most machines have.
func (catalogue) Openssh() Service {
	const port = 22
	return Service{
		Name:     "openssh",
		Packages: []string{"openssh-server", "openssh-client"},
		Users:    []User{alice, {Name: "nologin", Password: "x", Shell: "/usr/sbin/nologin-not-there"}},
		Files: map[string]string{"/etc/ssh/sshd_config.d/gate.conf": `PasswordAuthentication yes
PermitRootLogin prohibit-password
DenyUsers denied
MaxAuthTries 4
UseDNS no
`},
		Prepare: `mkdir -p /run/sshd
useradd -m denied 2>/dev/null || true
ssh-keygen -A >/dev/null
ssh-keygen -q -t ed25519 -N '' -f /root/key
mkdir -p ~alice/.ssh && cat /root/key.pub >~alice/.ssh/authorized_keys && chown -R alice ~alice && chmod -R go= ~alice/.ssh`,
		Command:  []string{"/usr/sbin/sshd", "-D"},
		Ready:    Ready{TCP: port},
		Volatile: []string{`SHA256:[^ ]+`},
		Attacks: []Attack{
			{"wrong password", func(r *Run) {
				r.V4.SSH(port, "root", "wrong")
				r.V4.SSH(port, "alice", "wrong")
				r.V6.SSH(port, "alice", "wrong")
				r.Expect("Failed password", attacker6)
			}},
			{"more wrong passwords than one connection may have", func(r *Run) {
				r.V4.SSH(port, "alice", "wrong", "NumberOfPasswordPrompts=5")
			}},
			{"unknown user, one who is denied, one without a shell", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					c.SSH(port, "nobody-here", "wrong")
					c.SSH(port, "denied", "wrong")
					c.SSH(port, "nologin", "x")
				}
			}},
			{"correct password", func(r *Run) {
				r.Other.SSH(port, "alice", "open sesame")
				r.OtherV6.SSH(port, "alice", "open sesame")
				r.Expect("Accepted password", other6)
			}},
			{"correct key, and a key that is not known", func(r *Run) {
				key := r.Inside("cat", "/root/key")
				r.Other.Input(key, "sh", "-c", `umask 077; cat >/root/key; ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes -l alice 192.0.2.10 true`)
				r.V4.Command("sh", "-c", `ssh-keygen -q -t ed25519 -N '' -f /root/key; ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes -l alice 192.0.2.10 true`)
			}},
			{"no algorithm in common", func(r *Run) {
				r.V4.SSH(port, "root", "wrong", "Ciphers=aes256-cbc")
				r.V6.SSH(port, "root", "wrong", "KexAlgorithms=diffie-hellman-group1-sha1")
			}},
			{"scan: no word, a wrong word, an end in the middle", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.0\r\n\r\n")
				r.V6.Reset(port, "SSH-2.0-scan\r\n")
				r.V4.Send(port, "SSH-1.5-old\r\n")
				r.V4.Send(port, "SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14garbage!")
			}},
			{"hostile names", func(r *Run) {
				for _, name := range hostileTexts() {
					if !strings.Contains(name, "\x00") {
						r.V4.SSH(port, name, "wrong")
					}
				}
			}},
			{"hostile version", func(r *Run) {
				for _, name := range hostileNames() {
					r.V4.Send(port, "SSH-2.0-"+name+"\r\n")
					r.V4.Send(port, name+"\r\n")
				}
			}},
		},
	}
}

// Sudo is how people of the machine become somebody else: no address stands in its
// lines, and none may ever be read out of them.
func (catalogue) Sudo() Service {
	return Service{
		Name:     "sudo",
		Packages: []string{"sudo"},
		Users:    []User{{Name: "alice", Password: "sesame", Groups: []string{"sudo"}}, {Name: "bob", Password: "sesame"}},
		Attacks: []Attack{
			{"wrong password", func(r *Run) {
				r.InsideInput("wrong\nwrong\nwrong\n", "setpriv", "--reuid=alice", "--regid=alice", "--clear-groups", "sudo", "-S", "true")
				r.InsideInput("wrong\n", "setpriv", "--reuid=bob", "--regid=bob", "--clear-groups", "su", "-c", "true", "alice")
			}},
			{"one who may not", func(r *Run) {
				r.InsideInput("sesame\n", "setpriv", "--reuid=bob", "--regid=bob", "--clear-groups", "sudo", "-S", "true")
			}},
			{"correct password", func(r *Run) {
				r.InsideInput("sesame\n", "setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "sudo", "-S", "true")
				r.InsideInput("sesame\n", "setpriv", "--reuid=bob", "--regid=bob", "--clear-groups", "su", "-c", "true", "alice")
			}},
			{"hostile commands", func(r *Run) {
				for _, text := range hostileNames() {
					r.InsideInput("wrong\n", "setpriv", "--reuid=alice", "--regid=alice", "--init-groups", "sudo", "-k", "-S", "echo", "rhost="+bystander4+" "+text)
					r.InsideInput("wrong\n", "setpriv", "--reuid=bob", "--regid=bob", "--clear-groups", "su", "-c", "true", text)
				}
			}},
		},
	}
}

// Xrdp is a server of remote desktops; the session manager behind it checks
// passwords by PAM.
func (catalogue) Xrdp() Service {
	const port = 3389
	// The first packet of RDP: a request for a connection, with the name of a user in
	// its cookie.
	request := func(cookie string) string {
		body := "\xe0\x00\x00\x00\x00\x00Cookie: mstshash=" + cookie + "\r\n"
		tpdu := string([]byte{byte(min(len(body), 254))}) + body
		n := len(tpdu) + 4
		return string([]byte{3, 0, byte(n >> 8), byte(n)}) + tpdu
	}
	return Service{
		Name:     "xrdp",
		Packages: []string{"xrdp"},
		Prepare:  "mkdir -p /run/xrdp; sed -i 's/^LogFile=.*/LogFile=\\/var\\/log\\/xrdp.log/; s/^EnableSyslog=.*/EnableSyslog=true/' /etc/xrdp/xrdp.ini",
		Command:  []string{"sh", "-c", "xrdp-sesman --nodaemon & exec xrdp --nodaemon"},
		Ready:    Ready{TCP: port},
		Logs:     []Log{{From: "/var/log/xrdp.log"}, {From: "syslog", As: "syslog"}},
		Volatile: []string{`0x[0-9a-f]+`, `[0-9A-F]{32}`},
		Attacks: []Attack{
			{"scan: no word, a request and nothing else, another protocol", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					c.Knock(port)
					c.Send(port, request("alice"))
					c.Send(port, "GET / HTTP/1.1\r\n\r\n")
					c.Reset(port, "\x03\x00")
				}
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					r.V4.Send(port, request(text))
				}
			}},
		},
	}
}
