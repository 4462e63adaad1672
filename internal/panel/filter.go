package panel

import "bytes"

// filter reads what a client sends and lets through what it may send. It is a
// state machine over bytes, because TCP cuts them anywhere. The zero value is
// ready to use; it is not for concurrent use.
type filter struct {
	keys, functions, configure bool // rights

	command []byte // a command that is not complete
	telnet  []byte // a telnet command that is not complete
}

// filtered is what became of a piece of what a client sent.
type filtered struct {
	send    []byte // for the adapter, whole
	digits  int    // in send
	others  int    // * and # in send
	special int    // function keys in send, each of three bytes
	ask     []byte // V and C: questions that anybody may ask
	refused int    // bytes that the client has no right to send
	foreign bool   // something no keypad sends: nothing of it may be sent on
}

// maxCommand bounds a command of a client, in bytes: the longest one sets all
// settings.
const maxCommand = 160

// telnet's own bytes (RFC 854).
const (
	telnetIAC  = 0xff
	telnetSB   = 250
	telnetSE   = 240
	telnetWill = 251 // to 254: a byte follows
)

// take reads a piece.
func (f *filter) take(block []byte) filtered {
	var r filtered
	for _, c := range block {
		switch {
		case len(f.telnet) > 0 || c == telnetIAC:
			f.negotiate(c)
		case len(f.command) > 0:
			f.goOn(c, &r)
		default:
			f.begin(c, &r)
		}
		if r.foreign {
			return filtered{foreign: true}
		}
	}
	return r
}

// begin takes a byte outside of commands.
func (f *filter) begin(c byte, r *filtered) {
	switch {
	case c == '\r' || c == '\n' || c == 0:
	case c >= '0' && c <= '9':
		f.key(c, f.keys, &r.digits, r)
	case c == '*' || c == '#':
		f.key(c, f.keys, &r.others, r)
	case c >= 1 && c <= 8:
		f.key(c, f.functions, &r.special, r)
	case c == '=':
		f.key(c, f.configure, &r.others, r)
	case c == 'V' || c == 'C' || c == 'L' || c == 'E' || c == 'R' || c == 'K':
		f.command = append(f.command, c)
	default:
		r.foreign = true
	}
}

func (f *filter) key(c byte, may bool, count *int, r *filtered) {
	if !may {
		r.refused++
		return
	}
	*count++
	r.send = append(r.send, c)
}

// goOn takes a byte of a command.
func (f *filter) goOn(c byte, r *filtered) {
	if f.command[0] == 'K' {
		f.address(c, r)
		return
	}
	if c != '\r' && c != '\n' {
		if len(f.command) == maxCommand || c < ' ' || c > '~' {
			r.foreign = true
			return
		}
		f.command = append(f.command, c)
		return
	}
	cmd := f.command
	f.command = nil
	switch {
	case len(cmd) == 1 && (cmd[0] == 'V' || cmd[0] == 'C'):
		r.ask = append(r.ask, cmd[0])
	case !settles(cmd):
		r.foreign = true
	case !f.configure:
		r.refused += len(cmd)
	default:
		r.send = append(append(r.send, cmd...), '\r')
	}
}

// address takes a byte of `K18`, which chooses the keypad that the keys behind it
// are pressed on. It is held until a key follows.
func (f *filter) address(c byte, r *filtered) {
	if len(f.command) < 3 {
		if c < '0' || c > '9' {
			r.foreign = true
			return
		}
		f.command = append(f.command, c)
		return
	}
	cmd := f.command
	f.command = nil
	if f.configure {
		r.send = append(r.send, cmd...)
		f.begin(c, r)
		return
	}
	// Without the right for it the keys are for another keypad than was meant: they
	// must not be pressed on the adapter's own.
	r.refused += len(cmd)
	if c != '\r' && c != '\n' {
		r.refused++
		f.command = cmd // the keys that follow directly belong to it
	}
}

// settles reports whether a command is one that the adapter knows.
func settles(cmd []byte) bool {
	switch cmd[0] {
	case 'C':
		return CheckSettings(string(cmd[1:])) == nil
	case 'L':
		return len(cmd) == 4 && cmd[1] >= '0' && cmd[1] <= '9' && cmd[2] >= '0' && cmd[2] <= '9' && bytes.IndexByte([]byte("012"), cmd[3]) >= 0
	case 'E', 'R':
		return len(cmd) == 1
	}
	return false
}

// negotiate swallows what a telnet client says of itself.
func (f *filter) negotiate(c byte) {
	f.telnet = append(f.telnet, c)
	n := len(f.telnet)
	switch {
	case n == 1, n == 2 && (c >= telnetWill && c < telnetIAC || c == telnetSB):
	case f.telnet[1] == telnetSB:
		if n > maxCommand || c == telnetSE && f.telnet[n-2] == telnetIAC {
			f.telnet = nil
		}
	default:
		f.telnet = nil
	}
}
