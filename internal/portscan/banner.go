package portscan

import "gatehouse/internal/gate"

// banners are what decoys say first, by port: as much as makes a scanner believe
// that something is there, and no name of a product that anybody runs.
var banners = map[uint16]string{
	21:   "220 FTP server ready\r\n",
	22:   "SSH-2.0-OpenSSH\r\n",
	2222: "SSH-2.0-OpenSSH\r\n",
	23:   "\r\nlogin: ",
	2323: "\r\nlogin: ",
	25:   "220 ESMTP\r\n",
	110:  "+OK POP3 ready\r\n",
	143:  "* OK IMAP4 ready\r\n",
	5900: "RFB 003.008\n",
	6379: "-NOAUTH Authentication required.\r\n",
}

// maxBanner is the longest banner in bytes.
const maxBanner = 512

// bannerOf is what a decoy says first; "" = nothing.
func (d Decoy) bannerOf() string {
	switch {
	case d.Proto == gate.UDP:
		return ""
	case d.Banner != "":
		return d.Banner[:min(len(d.Banner), maxBanner)]
	}
	return banners[d.Port]
}
