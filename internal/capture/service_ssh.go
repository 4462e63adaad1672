package main

// alice is the account that most services have.
var alice = User{Name: "alice", Password: "open sesame"}

// Dropbear is a small SSH server.
func (catalogue) Dropbear() Service {
	const port = 22
	return Service{
		Name:     "dropbear",
		Packages: []string{"dropbear-bin", "openssh-client"},
		Users:    []User{alice, {Name: "nologin", Password: "x", Shell: "/usr/sbin/nologin-not-there"}},
		Prepare: `mkdir -p /etc/dropbear
dropbearkey -t ed25519 -f /etc/dropbear/dropbear_ed25519_host_key
ssh-keygen -q -t ed25519 -N '' -f /root/key
mkdir -p ~alice/.ssh && cat /root/key.pub >~alice/.ssh/authorized_keys && chown -R alice ~alice && chmod -R go= ~alice/.ssh`,
		Command:  []string{"dropbear", "-F", "-R", "-p", "22"},
		Ready:    Ready{TCP: port},
		Volatile: []string{`SHA256:[^ ]+`},
		Attacks: []Attack{
			{"wrong password", func(r *Run) {
				r.V4.SSH(port, "root", "wrong")
				r.V4.SSH(port, "alice", "wrong")
				r.V6.SSH(port, "alice", "wrong")
				r.Expect("Bad password attempt", attacker6)
			}},
			{"three wrong passwords in one connection", func(r *Run) {
				r.V4.SSH(port, "alice", "wrong", "NumberOfPasswordPrompts=3")
			}},
			{"unknown user", func(r *Run) {
				r.V4.SSH(port, "nobody-here", "wrong")
				r.V6.SSH(port, "nobody-here", "wrong")
			}},
			{"account without a valid shell", func(r *Run) { r.V4.SSH(port, "nologin", "x") }},
			{"correct password", func(r *Run) {
				r.Other.SSH(port, "alice", "open sesame")
				r.OtherV6.SSH(port, "alice", "open sesame")
				r.Expect("auth succeeded", other6)
			}},
			{"correct key, and a key that is not known", func(r *Run) {
				key := r.Inside("cat", "/root/key")
				r.Other.Input(key, "sh", "-c", `umask 077; cat >/root/key; ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes -l alice 192.0.2.10 true`)
				r.V4.Command("sh", "-c", `ssh-keygen -q -t ed25519 -N '' -f /root/key; ssh -i /root/key -o StrictHostKeyChecking=no -o BatchMode=yes -l alice 192.0.2.10 true`)
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
					r.V4.SSH(port, name, "wrong")
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
