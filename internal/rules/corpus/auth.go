package corpus

import (
	"fmt"
	"strings"
)

// service is a rule in short: which programs it reads, and its expressions.
type service struct {
	name     string
	programs string // a YAML list without brackets
	matches  []string
}

// yaml returns the text of the rule.
func (s service) yaml() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rule: %s\ntitle: %s\nevidence: proven\nsession: pid\n", s.name, s.name)
	if s.programs != "" {
		fmt.Fprintf(&b, "programs: [%s]\n", s.programs)
	}
	b.WriteString("patterns:\n")
	for i, m := range s.matches {
		fmt.Fprintf(&b, "  - {name: p%d, class: failure, match: '%s'}\n", i+1, strings.ReplaceAll(m, "'", "''"))
	}
	return b.String()
}

func render(list []service) (out []string) {
	for _, s := range list {
		out = append(out, s.yaml())
	}
	return out
}

// pam is what pam_unix writes for a service.
func pam(name string) string {
	return `^pam_[a-z]+\(` + name + `:auth\): authentication failure; logname=[^ ]* uid=[0-9]+ euid=[0-9]+ tty=[^ ]* ruser=[^ ]* rhost=<addr>(?: +user=<user>)? *$`
}

// AuthRules returns 50 rules, as YAML, for services that write to auth.log,
// with 118 expressions.
func AuthRules() []string { return render(authServices) }

var authServices = []service{
	{"sshd", "sshd, sshd-session", []string{
		`^Failed (?:password|keyboard-interactive/pam) for (?P<user>[^ ]+) from <addr> port <port> ssh[12]$`,
		`^Failed (?:password|keyboard-interactive/pam|none) for (?:invalid user )?<user> from <addr> port <port> ssh[12]$`,
		`^(?:error: )?PAM: .*? for (?:illegal user )?<user> from <addr>(?: \[preauth\])?$`,
		`^Invalid user <user> from <addr>(?: port <port>)?$`,
		`^User (?P<user>[^ ]+) from <addr> not allowed because `,
		`^(?:error: )?maximum authentication attempts exceeded for (?:invalid user )?<user> from <addr> port <port> ssh[12](?: \[preauth\])?$`,
		`^Disconnecting (?:authenticating|invalid) user (?P<user>[^ ]*) <addr> port <port>: Too many authentication failures(?: \[preauth\])?$`,
		`^(?:Connection (?:closed|reset) by|Disconnected from) (?:authenticating|invalid) user (?P<user>[^ ]*) <addr> port <port>(?: \[preauth\])?$`,
		`^(?:fatal: )?Unable to negotiate with <addr>(?: port <port>)?: `,
		`^banner exchange: Connection from <addr> port <port>: (?:invalid format|could not read protocol version)$`,
		`^(?:error: )?Received disconnect from <addr>(?: port <port>)?: ?(?:3: .*Auth (?:fail|cancel)|14: No supported authentication methods available)`,
		pam("sshd"),
	}},
	{"dropbear", "dropbear", []string{`^Bad (?:password|PAM password) attempt for '(?P<user>[^ ']+)' from <addr>:<port>$`, `^Login attempt for nonexistent user from <addr>:<port>$`, `^Exit before auth from <<addr>:<port>>: \(user '(?P<user>[^']*)', [0-9]+ fails\): Max auth tries reached`}},
	{"vsftpd", "vsftpd", []string{pam("vsftpd"), `^\[pid [0-9]+\] \[(?P<user>[^\]]*)\] FAIL LOGIN: Client "<addr>"`}},
	{"proftpd", "proftpd", []string{`^[^ ]+ \([^ ]*\[<addr>\]\)(?: -|:) USER (?P<user>[^ ]*): no such user found from [^ ]+ `, `^[^ ]+ \([^ ]*\[<addr>\]\)(?: -|:) USER (?P<user>[^ ]*) \(Login failed\): `, `^[^ ]+ \([^ ]*\[<addr>\]\)(?: -|:) Maximum login attempts \([0-9]+\) exceeded`}},
	{"pure-ftpd", "pure-ftpd", []string{`^\([^ ]*@<addr>\) \[WARNING\] Authentication failed for user \[(?P<user>[^\]]*)\]$`}},
	{"wu-ftpd", "wu-ftpd, ftpd", []string{`^failed login from [^ ]+ \[<addr>\]$`, pam("(?:wu-ftpd|ftp)")}},
	{"postfix-sasl", "postfix/smtpd, postfix/submission/smtpd, postfix/smtps/smtpd", []string{`^warning: [^ ]+\[<addr>\]: SASL (?:LOGIN|PLAIN|(?:CRAM|DIGEST)-MD5) authentication failed:`, `^lost connection after AUTH from [^ ]+\[<addr>\]$`, `^improper command pipelining after [A-Z]+ from [^ ]+\[<addr>\]`}},
	{"postfix-reject", "postfix/smtpd, postfix/postscreen", []string{`^NOQUEUE: reject: RCPT from [^ ]+\[<addr>\]: (?:450|454|550|554) `, `^PREGREET [0-9]+ after [0-9.]+ from \[<addr>\]:<port>: `}},
	{"dovecot", "dovecot, dovecot-auth, auth", []string{`^(?:imap|pop3|submission|managesieve)-login: (?:Info: )?(?:Disconnected|Login aborted|Aborted login)[^(]*\((?:auth failed, [0-9]+ attempts|tried to use disallowed [^)]+)[^)]*\): (?:user=<(?P<user>[^>]*)>, )?(?:method=[^ ,]+, )?rip=<addr>, `, pam("dovecot"), `^auth-worker\([^)]*\): (?:Info: )?pam\((?P<user>[^,]*),<addr>(?:,[^)]*)?\): (?:pam_authenticate\(\) failed|unknown user)`}},
	{"exim", "exim, exim4", []string{`^[^ ]+ authenticator failed for (?:[^ ]+ )?(?:\([^)]*\) )?\[<addr>\](?::<port>)?(?: I=[^ ]+)?: 535 Incorrect authentication data`, `^H=[^ ]* (?:\([^)]*\) )?\[<addr>\] (?:F=<[^>]*> )?rejected (?:RCPT|EHLO|HELO) `}},
	{"opensmtpd", "smtpd", []string{`^[0-9a-f]+ smtp failed-command address=<addr> host=[^ ]+ command="AUTH[^"]*" result="535 `}},
	{"sendmail", "sendmail, sm-mta", []string{`^[^ ]+: (?:[^ ]+ )?\[<addr>\](?: \(may be forged\))?: possible SMTP attack: command=AUTH, count=[0-9]+$`, `^AUTH failure \([A-Z0-9-]+\): .*, relay=(?:[^ ]+ )?\[<addr>\]`}},
	{"courier", "courieresmtpd, imapd, imapd-ssl, pop3d", []string{`^(?:error,relay=<addr>,.*: 535|LOGIN FAILED, (?:user=(?P<user>[^,]*), )?ip=\[(?:::ffff:)?[0-9.:a-f]+\])`}},
	{"cyrus", "cyrus/imap, cyrus/pop3, imaps", []string{`^badlogin: [^\[]*\[<addr>\] (?:plaintext|PLAIN|LOGIN|CRAM-MD5) `}},
	{"bind", "named", []string{`^client (?:@0x[0-9a-f]+ )?<addr>#<port>(?: \([^)]*\))?: (?:view [^:]+: )?query(?: \(cache\))? '[^']*' denied`, `^client (?:@0x[0-9a-f]+ )?<addr>#<port>(?: \([^)]*\))?: zone transfer '[^']*' denied`}},
	{"openvpn", "openvpn, ovpn-server", []string{`^<addr>:<port> TLS Auth Error: Auth Username/Password verification failed for peer`, `^(?:[^ /]+/)?<addr>:<port> (?:VERIFY ERROR|TLS Error: TLS handshake failed)`}},
	{"strongswan", "charon, ipsec", []string{`^[0-9]+\[IKE\] <addr> is initiating an IKE_SA .* failed$`, `^[0-9]+\[IKE\] EAP method [A-Z0-9_]+ failed for peer <addr>$`}},
	{"xrdp", "xrdp-sesman", []string{`^\[(?:INFO |ERROR)\] AUTHFAIL: user=(?P<user>[^ ]*) ip=(?:::ffff:)?<addr> time=[0-9]+$`}},
	{"samba", "smbd", []string{`^  Auth: \[SMB2?,[^\]]*\] user \[[^\]]*\]\\\[(?P<user>[^\]]*)\] .* status \[NT_STATUS_(?:WRONG_PASSWORD|NO_SUCH_USER)\] .* remote host \[ipv[46]:<addr>:<port>\]`}},
	{"sudo", "sudo", []string{`^pam_unix\(sudo:auth\): authentication failure; .* rhost=<addr> +user=<user>$`}},
	{"su", "su", []string{pam("su(?:-l)?")}},
	{"login", "login", []string{`^FAILED LOGIN (?:SESSION )?\([0-9]+\) on '[^']+' from '<addr>' FOR '(?P<user>[^']*)', `, pam("login")}},
	{"telnetd", "telnetd, in.telnetd", []string{`^connect from .* refused: <addr>$`, pam("remote")}},
	{"slapd", "slapd", []string{`^conn=[0-9]+ fd=[0-9]+ ACCEPT from IP=<addr>:<port> \(denied\)`}},
	{"squid", "squid, (squid-1)", []string{`^TCP_DENIED/407 .* <addr> `}},
	{"mysqld", "mysqld, mariadbd", []string{`^(?:[0-9-]+ +[0-9:]+ )?[0-9]+ \[(?:Warning|Note)\] Access denied for user '(?P<user>[^']*)'@'<addr>' \(using password: (?:YES|NO)\)$`}},
	{"postgres", "postgres", []string{`^\[[0-9-]+\] .*FATAL: +password authentication failed for user "(?P<user>[^"]*)" host=<addr>$`, `^\[[0-9-]+\] .*FATAL: +no pg_hba\.conf entry for (?:host|replication connection from host) "<addr>", `}},
	{"redis", "redis-server", []string{`^[0-9]+:M .* # Possible SECURITY ATTACK detected.* from <addr>:<port>`, `^WRONGPASS .* addr=<addr>:<port>`}},
	{"mongod", "mongod", []string{`^.*"msg":"(?:Supported )?Authentication failed".*"remote":"<addr>:<port>"`}},
	{"mosquitto", "mosquitto", []string{`^(?:[0-9]+: )?Client [^ ]+ \[?<addr>\]?(?::<port>)? disconnected, not authorised\.$`, `^(?:[0-9]+: )?Socket error on client [<]unknown> from <addr>`}},
	{"asterisk", "asterisk", []string{`^NOTICE\[[0-9]+\](?:\[C-[0-9a-f]+\])?: (?:chan_sip|res_pjsip)[^:]*: Registration from '[^']*' failed for '<addr>(?::<port>)?' - (?:Wrong password|No matching peer found)`, `^SECURITY\[[0-9]+\].*SecurityEvent="(?:InvalidAccountID|ChallengeResponseFailed|InvalidPassword)".*RemoteAddress="IPV[46]/[A-Z]+/<addr>/<port>"`}},
	{"freeswitch", "freeswitch", []string{`^\[WARNING\] sofia_reg\.c:[0-9]+ SIP auth (?:failure|challenge) \((?:REGISTER|INVITE)\) on sofia profile '[^']+' for \[[^\]]*\] from ip <addr>$`}},
	{"kamailio", "kamailio, /usr/sbin/kamailio", []string{`^(?:WARNING|NOTICE): [<]script>: .*authentication failed .*src=<addr>`}},
	{"prosody", "prosody", []string{`^c2s[0-9a-f]+ +info +Failed authentication attempt \(not-authorized\) (?:for user (?P<user>[^ ]+) )?from IP: <addr>$`}},
	{"ejabberd", "ejabberd", []string{`^.*Failed c2s [A-Z0-9-]+ authentication for [^ ]+ from (?:::ffff:)?<addr>: `}},
	{"ngircd", "ngircd", []string{`^User "(?P<user>[^"]*)" .* connection [0-9]+ from \[<addr>\]: Bad (?:server )?password`}},
	{"cockpit", "cockpit-session, cockpit-ws", []string{pam("cockpit"), `^cockpit-session: .* authentication failed: <addr>`}},
	{"webmin", "webmin", []string{`^(?:Non-existent|Invalid) login as (?P<user>[^ ]*) from <addr>$`}},
	{"proxmox", "pvedaemon, pveproxy", []string{`^authentication failure; rhost=(?:::ffff:)?<addr> user=(?P<user>[^ ]*) msg=`}},
	{"gitea", "gitea", []string{`^.*Failed authentication attempt for (?P<user>[^ ]*) from <addr>(?::<port>)?(?::|$)`}},
	{"gitlab", "gitlab", []string{`^Failed Login: username=(?P<user>[^ ]*) ip=<addr>$`}},
	{"vaultwarden", "vaultwarden", []string{`^\[[^\]]*\]\[(?:vaultwarden::api::identity|ERROR)\].*Username or password is incorrect\. Try again\. IP: <addr>\. Username: `, `^.*Invalid admin token\. IP: <addr>$`}},
	{"nextcloud", "nextcloud, Nextcloud", []string{`^.*"remoteAddr":"<addr>".*"message":"Login failed: (?P<user>[^ "]*) `, `^\{core\} Login failed: '?(?P<user>[^ ']*)'? \(Remote IP: '?<addr>'?\)`}},
	{"roundcube", "roundcube", []string{`^(?:<[a-z0-9]+> )?(?:IMAP Error: )?(?:FAILED login|Login failed) for (?P<user>[^ ]*) (?:against [^ ]+ )?from <addr>`}},
	{"sogo", "sogod", []string{`^SOGoRootPage Login from '<addr>' for user '(?P<user>[^']*)' might not have worked`}},
	{"zimbra", "zimbra", []string{`^.*\[(?:ip|oip)=<addr>;.*(?:authentication failed for|invalid password)`}},
	{"grafana", "grafana, grafana-server", []string{`^.*lvl=eror msg="Invalid username or password" .*remote_addr=<addr> `, `^.*level=(?:error|info) msg="Request Completed" .*status=401 remote_addr=<addr> `}},
	{"jellyfin", "jellyfin", []string{`^.*Authentication request for "?(?P<user>[^" ]*)"? has been denied \(IP: "?<addr>"?\)`}},
	{"haproxy", "haproxy", []string{`^<addr>:<port> \[[^\]]*\] [^ ]+ [^ ]+/[<]NOSRV> .* 4(?:01|29) `}},
	{"portsentry", "portsentry", []string{`^attackalert: (?:TCP|UDP) .* from host: [^ /]+/<addr> to (?:TCP|UDP) port: [0-9]+`}},
}

// IdleRules returns n rules, as YAML, of services that write nothing to
// auth.log, in the words that such services use.
func IdleRules(n int) (out []string) {
	shapes := []string{
		`^login failed for user "(?P<user>[^"]*)" on %[1]s from <addr>$`,
		`^.*%[2]s: authentication failure for (?P<user>[^ ]+), client <addr>$`,
		`^\[(?:warn|error)\] invalid password for '(?P<user>[^']*)' from <addr>:<port>$`,
		`^(?:error: )?access denied by %[2]s policy: user=(?P<user>[^ ]*) rhost=<addr>$`,
		`^session rejected after [0-9]+ attempts, peer %[1]s\[<addr>\]$`,
		`^.* "(?:GET|POST) /%[1]s/login[^"]*" 401 .* client=<addr>$`,
	}
	words := []string{"ledger", "courier", "atlas", "harbor", "beacon", "quartz", "meadow", "falcon", "timber", "canyon"}
	for i := range n {
		name := fmt.Sprintf("%s%d", words[i%len(words)], i)
		s := service{name: name, programs: name + "d"}
		for k := range 3 {
			s.matches = append(s.matches, strings.NewReplacer("%[1]s", name, "%[2]s", words[(i+k+3)%len(words)]).Replace(shapes[(i+k*2)%len(shapes)]))
		}
		out = append(out, s.yaml())
	}
	return out
}
