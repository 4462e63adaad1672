package main

import "strings"

// hostileWords are texts without spaces and line ends with which a peer tries to
// have a bystander banned, or to break a reader.
func hostileWords() []string {
	return []string{
		bystander4,
		bystander6,
		"[" + bystander4 + "]",
		"::ffff:" + bystander4,
		"x@" + bystander4 + ":22",
		"rhost=" + bystander4,
		"x'" + bystander4 + "'",
		`x"` + bystander4 + `"`,
		"x<" + bystander4 + ">",
		"x(" + bystander4 + "):",
		`x\` + bystander4,
		"%s%n%d" + bystander4,
		"\u00fc\u20ac\u202e" + bystander4,
	}
}

// hostileNames are texts without line ends.
func hostileNames() []string {
	return append(hostileWords(),
		"root from "+bystander4+" port 22 ssh2",
		"root' from "+bystander4+":22",
		`root" from "`+bystander4+`", client: `+bystander4,
		"root ("+bystander4+")",
		"root rhost="+bystander4+"  user=root",
		"root, rip="+bystander4+", lip=192.0.2.10",
		"unknown["+bystander4+"]: SASL LOGIN authentication failed",
		"authentication failure; rhost="+bystander6,
		"\x1b[31mroot\t"+bystander4,
		"\xff\xfe "+bystander4,
		strings.Repeat("A", 300)+" from "+bystander4,
	)
}

// hostileTexts are texts of any kind, for protocols that carry line ends.
func hostileTexts() []string {
	return append(hostileNames(),
		"x\nNov 21 08:00:00 gate sshd[1]: Failed password for root from "+bystander4+" port 22 ssh2",
		"x\r\n"+bystander4+" - - [21/Nov/2026:08:00:00 +0000] \"GET /wp-login.php HTTP/1.1\" 401 1 \"-\" \"-\"\r\n",
		"x\x00 from "+bystander4,
		"x\\n from "+bystander4+"#012 from "+bystander4,
	)
}
