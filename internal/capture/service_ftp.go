package main

// ftpAttacks are what any FTP server sees on port 21 where alice has an account.
func ftpAttacks() []Attack {
	const port = 21
	return []Attack{
		{"wrong password", func(r *Run) {
			r.V4.Say(port, "USER alice", "PASS wrong", "QUIT")
			r.V6.Say(port, "USER alice", "PASS wrong", "QUIT")
		}},
		{"unknown user", func(r *Run) {
			r.V4.Say(port, "USER nobody-here", "PASS wrong", "QUIT")
			r.V6.Say(port, "USER nobody-here", "PASS wrong", "QUIT")
			r.V4.Say(port, "USER anonymous", "PASS me@example.com", "QUIT")
			r.V4.Say(port, "USER root", "PASS wrong", "QUIT")
		}},
		{"correct password", func(r *Run) {
			r.Other.Say(port, "USER alice", "PASS open sesame", "PWD", "QUIT")
			r.OtherV6.Say(port, "USER alice", "PASS open sesame", "PWD", "QUIT")
		}},
		{"many passwords in one connection", func(r *Run) {
			var lines []string
			for range 5 {
				lines = append(lines, "USER alice", "PASS wrong")
			}
			r.V4.Say(port, lines...)
		}},
		{"scan: no word, another protocol, an end in the middle", func(r *Run) {
			r.V4.Knock(port)
			r.V6.Reset(port, "USER ")
			r.V4.Say(port, "GET / HTTP/1.1", "Host: gate", "SYST", "STAT", "SITE HELP", "PASS before user", "QUIT")
			r.V4.Say(port, "\x16\x03\x01\x02\x00", longPath, "QUIT")
			r.V4.Say(port, "AUTH TLS", "PBSZ 0", "QUIT")
		}},
		{"hostile names", func(r *Run) {
			for _, name := range hostileNames() {
				r.V4.Say(port, "USER "+name, "PASS wrong", "QUIT")
			}
			r.V4.Say(port, "USER x\nNov 21 08:00:00 gate x: "+bystander4, "PASS wrong", "QUIT")
			r.V4.Say(port, "USER x\rfrom "+bystander4, "PASS wrong", "QUIT")
			r.V4.Say(port, "USER x\x00 from "+bystander4, "PASS wrong", "QUIT")
		}},
		{"hostile name of the attacker's address", func(r *Run) {
			for _, name := range []string{bystander4, "198-51-100-77.example.com"} {
				r.Reverse(attacker4, name)
				r.V4.Say(port, "USER alice", "PASS wrong", "QUIT")
			}
			r.Reverse(attacker4, "")
		}},
	}
}

// Vsftpd is an FTP server; passwords are PAM's, and its own log tells of logins.
func (catalogue) Vsftpd() Service {
	return Service{
		Name:     "vsftpd",
		Packages: []string{"vsftpd"},
		Users:    []User{alice},
		// Debian's configuration, which keeps anonymous users out.
		Prepare: "mkdir -p /var/run/vsftpd/empty; echo background=NO >>/etc/vsftpd.conf",
		Command: []string{"vsftpd", "/etc/vsftpd.conf"},
		Ready:   Ready{TCP: 21},
		Logs:    []Log{{From: "/var/log/vsftpd.log"}, {From: "syslog", As: "auth"}},
		Attacks: ftpAttacks(),
	}
}

// Proftpd is an FTP server.
func (catalogue) Proftpd() Service {
	return Service{
		Name:     "proftpd",
		Packages: []string{"proftpd-core"},
		Users:    []User{alice},
		Command:  daemon("proftpd", "/run/proftpd.pid"),
		Ready:    Ready{TCP: 21},
		Logs:     []Log{{From: "/var/log/proftpd/proftpd.log"}, {From: "syslog", As: "auth"}},
		Attacks:  ftpAttacks(),
	}
}
