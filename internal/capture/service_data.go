package main

import (
	"encoding/binary"
	"strings"
)

// Redis keeps data in memory; since version 6 it has users and a log of its own for
// them, and it tells of passwords in its log only where it is set so.
func (catalogue) Redis() Service {
	const port = 6379
	return Service{
		Name:     "redis-server",
		Packages: []string{"redis-server"},
		Files: map[string]string{"/etc/redis/gate.conf": `bind * -::*
port 6379
protected-mode no
user default on nopass ~* &* +@all
user alice on >sesame ~* &* +@all
loglevel verbose
logfile /var/log/redis/redis-server.log
save ""
dir /var/lib/redis
`},
		Prepare:  "chown redis /etc/redis/gate.conf /var/log/redis /var/lib/redis",
		Command:  []string{"setpriv", "--reuid=redis", "--regid=redis", "--clear-groups", "redis-server", "/etc/redis/gate.conf"},
		Ready:    Ready{TCP: port},
		Logs:     []Log{{From: "/var/log/redis/redis-server.log"}},
		Volatile: []string{`[0-9a-f]{40}`},
		Attacks: []Attack{
			{"from outside, without a password", func(r *Run) {
				r.V4.Send(port, "INFO\r\n")
				r.V6.Send(port, "INFO\r\n")
				r.V4.Send(port, "AUTH alice wrong\r\n")
				r.V6.Send(port, "AUTH default wrong\r\n")
			}},
			{"another protocol", func(r *Run) {
				r.V4.Send(port, "POST / HTTP/1.1\r\nHost: gate\r\n\r\n")
				r.V6.Send(port, "GET / HTTP/1.1\r\nHost: gate\r\n\r\n")
				r.V4.Send(port, "GET \"x\r\n")
				r.V6.Send(port, "GET \"x\r\n")
				r.V4.Knock(port)
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					r.V4.Send(port, "AUTH \""+strings.ReplaceAll(text, `"`, `\"`)+"\" wrong\r\nPOST "+text+"\r\n")
				}
			}},
		},
	}
}

// pgStart is the first message of PostgreSQL's protocol, version 3.
func pgStart(fields ...string) string {
	body := binary.BigEndian.AppendUint32(nil, 3<<16)
	for _, f := range fields {
		body = append(append(body, f...), 0)
	}
	body = append(body, 0)
	return string(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4))) + string(body)
}

// pgPassword is the message that tells a password in clear.
func pgPassword(p string) string {
	return "p" + string(binary.BigEndian.AppendUint32(nil, uint32(len(p)+5))) + p + "\x00"
}

// Postgresql is a database; where log_connections is on, the address stands in a
// line of its own, as with Debian's log_line_prefix it does not stand in others.
func (catalogue) Postgresql() Service { return postgres("postgresql", "%m [%p] %q%u@%d ") }

// PostgresqlHost is the same with the address in each line.
func (catalogue) PostgresqlHost() Service { return postgres("postgresql-host", "%m [%p] %h %q%u@%d ") }

func postgres(name, prefix string) Service {
	const port = 5432
	try := func(c *Client, user, database, password string) {
		conn := c.Open(port)
		defer conn.Close()
		conn.Send(pgStart("user", user, "database", database))
		conn.answer(rawPatience)
		conn.Send(pgPassword(password))
		conn.answer(rawPatience)
	}
	return Service{
		Name:     name,
		Packages: []string{"postgresql-15"},
		Prepare: `d=/srv/pg; install -d -o postgres $d
setpriv --reuid=postgres --regid=postgres --clear-groups /usr/lib/postgresql/15/bin/initdb -D $d -A trust >/dev/null
cat >>$d/postgresql.conf <<-END
	listen_addresses = '*'
	unix_socket_directories = '/tmp'
	log_connections = on
	log_disconnections = on
	log_line_prefix = '` + prefix + `'
	log_timezone = 'UTC'
END
cat >$d/pg_hba.conf <<-END
	local all all trust
	host alice alice all password
	host all nobody-here all password
	host all alice all reject
END
chown postgres $d/*`,
		Command: []string{"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "/usr/lib/postgresql/15/bin/postgres", "-D", "/srv/pg"},
		Ready:   Ready{TCP: port, Says: "ready to accept connections"},
		Logs:    []Log{{From: "output"}},
		Attacks: []Attack{
			{"made ready", func(r *Run) {
				r.Shell(`psql -q -h /tmp -U postgres -c "create role alice login password 'sesame'" -c "create database alice"`)
			}},
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					try(c, "alice", "alice", "wrong")
					try(c, "nobody-here", "alice", "wrong")
				}
			}},
			{"no entry for the host, a rejected one, an unknown database", func(r *Run) {
				try(r.V4, "mallory", "alice", "wrong")
				try(r.V6, "mallory", "postgres", "wrong")
				try(r.V4, "alice", "postgres", "wrong")
				try(r.Other, "alice", "missing", "sesame")
			}},
			{"correct password", func(r *Run) {
				try(r.Other, "alice", "alice", "sesame")
				try(r.OtherV6, "alice", "alice", "sesame")
			}},
			{"scan: no word, another protocol, an end in the middle", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "\x00\x00\x00")
				r.V4.Send(port, pgStart("database", "x"))
				r.V4.Send(port, "\x00\x00\x00\x08\x04\xd2\x16\x2f")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					try(r.V4, text, "alice", "wrong")
					try(r.V4, "nobody-here", text, "wrong")
				}
				try(r.V4, "x\nLOG:  connection authorized: user=x host="+bystander4, "alice", "wrong")
			}},
		},
	}
}

// Mariadb is a database; it tells of passwords where log_warnings is 2, as is the
// default.
func (catalogue) Mariadb() Service {
	const port = 3306
	mysql := func(c *Client, user, password string) {
		c.Command("mariadb", "--protocol=tcp", "--connect-timeout=5", "-h", c.Server, "-u", user, "-p"+password, "-e", "select 1")
	}
	return Service{
		Name:     "mariadb",
		Packages: []string{"mariadb-server", "mariadb-client"},
		Prepare: `install -d -o mysql /srv/db /run/mysqld
mariadb-install-db --user=mysql --datadir=/srv/db --auth-root-authentication-method=normal >/dev/null
printf "create user 'alice'@'%%' identified by 'sesame';\nset global log_warnings=2;\n" >/etc/mysql/init.sql`,
		Command: []string{"mariadbd", "--user=mysql", "--datadir=/srv/db", "--bind-address=*", "--init-file=/etc/mysql/init.sql", "--log-warnings=2", "--skip-log-bin"},
		Ready:   Ready{TCP: port, Says: "ready for connections"},
		Logs:    []Log{{From: "output"}},
		Attacks: []Attack{
			{"wrong password, unknown user, no password", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					mysql(c, "alice", "wrong")
					mysql(c, "nobody-here", "wrong")
					mysql(c, "root", "")
				}
			}},
			{"correct password", func(r *Run) { mysql(r.Other, "alice", "sesame"); mysql(r.OtherV6, "alice", "sesame") }},
			{"scan: no word, another protocol", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "\x00\x00")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileTexts() {
					if !strings.Contains(text, "\x00") {
						mysql(r.V4, text, "wrong")
					}
				}
			}},
		},
	}
}

// mqttConnect is a CONNECT packet of MQTT 3.1.1.
func mqttConnect(client, user, password string) string {
	text := func(s string) string {
		return string(binary.BigEndian.AppendUint16(nil, uint16(len(s)))) + s
	}
	body := text("MQTT") + "\x04\xc2\x00\x3c" + text(client) + text(user) + text(password)
	n, length := len(body), ""
	for {
		b := byte(n % 128)
		if n /= 128; n > 0 {
			b |= 0x80
		}
		length += string([]byte{b})
		if n == 0 {
			return "\x10" + length + body
		}
	}
}

// Mosquitto is a broker of MQTT.
func (catalogue) Mosquitto() Service {
	const port = 1883
	return Service{
		Name:     "mosquitto",
		Packages: []string{"mosquitto"},
		Files: map[string]string{"/etc/mosquitto/gate.conf": `listener 1883
socket_domain ipv4
listener 1883 ::
allow_anonymous false
password_file /etc/mosquitto/passwd
log_dest stdout
log_timestamp_format %Y-%m-%dT%H:%M:%S
user root
`},
		Prepare: "mosquitto_passwd -b -c /etc/mosquitto/passwd alice sesame",
		Command: []string{"mosquitto", "-c", "/etc/mosquitto/gate.conf"},
		Ready:   Ready{TCP: port},
		Logs:    []Log{{From: "output"}},
		Attacks: []Attack{
			{"wrong password, unknown user", func(r *Run) {
				for _, c := range []*Client{r.V4, r.V6} {
					c.Send(port, mqttConnect("c1", "alice", "wrong"))
					c.Send(port, mqttConnect("c2", "nobody-here", "wrong"))
				}
			}},
			{"correct password", func(r *Run) {
				r.Other.Send(port, mqttConnect("c3", "alice", "sesame"))
				r.OtherV6.Send(port, mqttConnect("c4", "alice", "sesame"))
			}},
			{"scan: no word, another protocol", func(r *Run) {
				r.V4.Knock(port)
				r.V4.Send(port, "GET / HTTP/1.1\r\n\r\n")
				r.V6.Reset(port, "\x10")
			}},
			{"hostile names", func(r *Run) {
				for _, text := range hostileNames() {
					r.V4.Send(port, mqttConnect(text, text, "wrong"))
				}
			}},
		},
	}
}
