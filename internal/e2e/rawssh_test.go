package e2e

import (
	"bufio"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	endian "encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/netlab"
)

// rawSSH is the client's side of an SSH connection (RFC 4253, 4252, 8731) that
// sends whatever it is told to: the ssh program refuses names with line ends in
// them. It checks nothing of what the server says about itself.
type rawSSH struct {
	conn     net.Conn
	in       *bufio.Reader
	out, got cipher.Stream // nil until the keys are in use
	key      []byte        // of what is sent
	sent     uint32        // packets so far
}

// The numbers of messages.
const (
	msgDisconnect     = 1
	msgServiceRequest = 5
	msgServiceAccept  = 6
	msgKexInit        = 20
	msgNewKeys        = 21
	msgKexInitECDH    = 30
	msgKexReplyECDH   = 31
	msgAuthRequest    = 50
	msgAuthFailure    = 51
)

const rawVersion = "SSH-2.0-x"

// text encodes a string with its length before it.
func text(s string) string { return string(endian.BigEndian.AppendUint32(nil, uint32(len(s)))) + s }

// cut takes a string off the front of b; what is missing is empty.
func cut(b *string) string {
	if len(*b) < 4 {
		return ""
	}
	n := int(endian.BigEndian.Uint32([]byte((*b)[:4])))
	s := (*b)[4:]
	n = min(n, len(s))
	*b = s[n:]
	return s[:n]
}

// dialRaw connects and exchanges versions.
func dialRaw(h *netlab.Host, to netip.AddrPort) (c *rawSSH, version string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := h.Dial(ctx, "tcp", to.String())
	if err != nil {
		return nil, "", err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c = &rawSSH{conn: conn, in: bufio.NewReader(conn)}
	if _, err = io.WriteString(conn, rawVersion+"\r\n"); err == nil {
		version, err = c.in.ReadString('\n')
	}
	if err != nil {
		conn.Close()
		return nil, "", fmt.Errorf("exchange versions: %w", err)
	}
	return c, strings.TrimRight(version, "\r\n"), nil
}

// send sends a packet.
func (c *rawSSH) send(payload string) error {
	padding := aes.BlockSize - (5+len(payload))%aes.BlockSize
	if padding < 4 {
		padding += aes.BlockSize
	}
	b := endian.BigEndian.AppendUint32(nil, uint32(1+len(payload)+padding))
	b = append(append(append(b, byte(padding)), payload...), make([]byte, padding)...)
	if c.out != nil {
		mac := hmac.New(sha256.New, c.key)
		mac.Write(endian.BigEndian.AppendUint32(nil, c.sent))
		mac.Write(b)
		c.out.XORKeyStream(b, b)
		b = mac.Sum(b)
	}
	c.sent++
	_, err := c.conn.Write(b)
	return err
}

// receive returns the payload of the next packet that begins with this number.
func (c *rawSSH) receive(kind byte) (string, error) {
	for {
		b := make([]byte, aes.BlockSize)
		if c.got == nil {
			b = b[:4]
		}
		read := func(b []byte) error {
			_, err := io.ReadFull(c.in, b)
			if c.got != nil {
				c.got.XORKeyStream(b, b)
			}
			return err
		}
		if err := read(b); err != nil {
			return "", err
		}
		n := int(endian.BigEndian.Uint32(b))
		if n < 2 || n > 1<<18 {
			return "", errors.New("the packet has no sensible length")
		}
		rest := make([]byte, 4+n-len(b))
		if err := read(rest); err != nil {
			return "", err
		}
		if c.got != nil {
			if _, err := c.in.Discard(sha256.Size); err != nil { // the server's word is taken
				return "", err
			}
		}
		b = append(b, rest...)
		if payload := b[5 : len(b)-int(b[4])]; payload[0] == kind {
			return string(payload), nil
		}
	}
}

// keys agrees on keys and begins to use them.
func (c *rawSSH) keys(version string) error {
	mine := string(byte(msgKexInit)) + strings.Repeat("c", 16)
	for _, list := range []string{"curve25519-sha256", "ssh-ed25519", "aes128-ctr", "aes128-ctr", "hmac-sha2-256", "hmac-sha2-256", "none", "none", "", ""} {
		mine += text(list)
	}
	mine += strings.Repeat("\x00", 5)
	if err := c.send(mine); err != nil {
		return err
	}
	theirs, err := c.receive(msgKexInit)
	if err != nil {
		return err
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	public := string(private.PublicKey().Bytes())
	if err := c.send(string(byte(msgKexInitECDH)) + text(public)); err != nil {
		return err
	}
	reply, err := c.receive(msgKexReplyECDH)
	if err != nil {
		return err
	}
	reply = reply[1:]
	hostKey, theirPublic := cut(&reply), cut(&reply)
	peer, err := ecdh.X25519().NewPublicKey([]byte(theirPublic))
	if err != nil {
		return err
	}
	shared, err := private.ECDH(peer)
	if err != nil {
		return err
	}
	secret := strings.TrimLeft(string(shared), "\x00")
	if secret != "" && secret[0] >= 0x80 {
		secret = "\x00" + secret
	}
	secret = text(secret)
	hash := sha256.Sum256([]byte(text(rawVersion) + text(version) + text(mine) + text(theirs) + text(hostKey) + text(public) + text(theirPublic) + secret))
	derive := func(letter string) []byte {
		k := sha256.Sum256([]byte(secret + string(hash[:]) + letter + string(hash[:])))
		return k[:]
	}
	stream := func(iv, key string) (cipher.Stream, error) {
		block, err := aes.NewCipher(derive(key)[:16])
		if err != nil {
			return nil, err
		}
		return cipher.NewCTR(block, derive(iv)[:aes.BlockSize]), nil
	}
	if err := c.send(string(byte(msgNewKeys))); err != nil {
		return err
	}
	if _, err := c.receive(msgNewKeys); err != nil {
		return err
	}
	c.key = derive("E")
	if c.out, err = stream("A", "C"); err != nil {
		return err
	}
	c.got, err = stream("B", "D")
	return err
}

// rawLogin tries a password and returns when it was refused.
func rawLogin(h *netlab.Host, to netip.AddrPort, user, password string) error {
	c, version, err := dialRaw(h, to)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.keys(version); err != nil {
		return fmt.Errorf("agree on keys: %w", err)
	}
	if err := c.send(string(byte(msgServiceRequest)) + text("ssh-userauth")); err != nil {
		return err
	}
	if _, err := c.receive(msgServiceAccept); err != nil {
		return fmt.Errorf("ask for authentication: %w", err)
	}
	if err := c.send(string(byte(msgAuthRequest)) + text(user) + text("ssh-connection") + text("password") + "\x00" + text(password)); err != nil {
		return err
	}
	if _, err := c.receive(msgAuthFailure); err != nil {
		return fmt.Errorf("try a password: %w", err)
	}
	return nil
}

// rawGoodbye says good-bye with this text, before any keys, and returns when the
// server has hung up.
func rawGoodbye(h *netlab.Host, to netip.AddrPort, why string) error {
	c, _, err := dialRaw(h, to)
	if err != nil {
		return err
	}
	defer c.conn.Close()
	if err := c.send(string(byte(msgDisconnect)) + "\x00\x00\x00\x0b" + text(why) + text("")); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, c.in)
	return err
}
