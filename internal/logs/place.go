package logs

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"io"
)

// Sizes of what identifies a file's content, in bytes.
const (
	maxHead   = 256 // of the first line: covers date, host and message of any usual log
	maxBefore = 64  // in front of a position: enough that two logs never agree by chance
)

// fileID is what the kernel knows a file by as long as it exists.
type fileID struct{ dev, ino uint64 }

// digest identifies a few bytes of a file. The zero digest is that of no bytes.
type digest struct {
	at  int64  // where in the file they are
	n   int    // how many bytes
	sum uint64 // the first 8 bytes of their SHA-256, so that nobody can craft a log line that fits
}

func digestOf(b []byte, at int64) digest {
	if len(b) == 0 {
		return digest{}
	}
	h := sha256.Sum256(b)
	return digest{at, len(b), binary.BigEndian.Uint64(h[:])}
}

// read returns the bytes that the file has where those of the digest were, if
// they are the same; ok is true for the zero digest.
func (d digest) read(r io.ReaderAt) (b []byte, ok bool) {
	if d.n == 0 {
		return nil, true
	}
	b = make([]byte, d.n)
	n, _ := r.ReadAt(b, d.at)
	return b, digestOf(b[:n], d.at) == d
}

// headOf returns the part of a line that identifies its file, if it is the first
// that is not made of NUL bytes: at most maxHead bytes; nil while the line is
// unfinished.
func headOf(b []byte) []byte {
	if i := bytes.IndexByte(b[:min(len(b), maxHead)], '\n'); i >= 0 {
		return b[:i+1]
	}
	if len(b) >= maxHead {
		return b[:maxHead]
	}
	return nil
}

// place is a position in a file, told so that the file is found again after it
// was renamed, copied or compressed, and so that another file that took its
// name, or its inode, is not mistaken for it.
type place struct {
	id     fileID // of the file when it was first opened
	gen    uint32 // how many times it was emptied and began with the same first line again
	off    int64  // of the next byte to be read
	head   digest // of the first line
	before digest // of the bytes just before off
	skip   bool   // off lies within a line that is too long
}

// epoch returns what distinguishes this incarnation of the file from every
// other, for [gate.Origin]. It does not change with the position.
func (p place) epoch() uint64 {
	var b [8 * 5]byte
	for i, v := range [...]uint64{p.id.dev, p.id.ino, uint64(p.head.at), p.head.sum, uint64(p.gen)} {
		binary.BigEndian.PutUint64(b[8*i:], v)
	}
	return digestOf(b[:], 0).sum
}
