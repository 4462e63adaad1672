package netlab

import (
	"fmt"
	"os"
	"strings"
)

// Password is the password of every account that a lab makes.
const Password = "open sesame"

// passwordHash is Password as crypt(5) keeps it, method sha512crypt.
const passwordHash = "$6$gatehouse$J0apGytWoNbSBdgz5r4aWDnf9aOKi2clKhF1Y89eNNYHR0jTjQMwGk3KrbkkBfzvWHUzY30FiFukwJlPeCLtK0"

// The user numbers of a lab's accounts.
const (
	sshdUID  = 990  // privilege separation, real root only
	nestedID = 1000 // the one ordinary user of a lab without real root
	firstUID = 2001 // accounts of a lab with real root
)

// accounts gives the host its own users, in place of the machine's: root, sshd
// and these, each with Password. Without real root all of them share one number.
func (h *Host) accounts(users []string) {
	h.lab.tb.Helper()
	passwd := "root:x:0:0:root:/:/bin/sh\nsshd:x:990:990:sshd:/run/sshd:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n"
	group := "root:x:0:\nsshd:x:990:\nnogroup:x:65534:\n"
	shadow := "root:" + passwordHash + ":19000::::::\nsshd:!:19000::::::\n"
	for i, u := range users {
		if u == "root" {
			continue
		}
		id := firstUID + i
		if !rooted() {
			id = nestedID
		}
		passwd += fmt.Sprintf("%s:x:%d:%d:%s:/:/bin/sh\n", u, id, id, u)
		shadow += u + ":" + passwordHash + ":19000::::::\n"
		if line := fmt.Sprintf("%s:x:%d:\n", u, id); !strings.Contains(group, fmt.Sprintf(":x:%d:\n", id)) {
			group += line
		}
	}
	h.File("/etc/passwd", passwd, 0o644)
	h.File("/etc/group", group, 0o644)
	h.File("/etc/shadow", shadow, 0o600)
	if _, err := os.Stat("/etc/nsswitch.conf"); err == nil {
		h.File("/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n", 0o644)
	}
}
