package api

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/user"
	"slices"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Right is what a caller may do.
type Right uint8

// The rights. RightNone is the zero value: nothing is allowed.
const (
	RightNone  Right = iota
	RightRead        // look at everything
	RightWrite       // look and change
)

// String returns `none`, `read` or `write`.
func (r Right) String() string { return [...]string{"none", "read", "write"}[min(r, 2)] }

// Caller is the process at the other end of the socket, as the kernel saw it
// when it connected. The zero value is a caller without a right.
type Caller struct {
	UID    uint32   // effective user
	GID    uint32   // effective group
	PID    int32    // process, 0 where it is in another namespace
	Groups []uint32 // supplementary groups
	Right  Right    // what it may do
}

// By returns who that is, in the words of gate.Ask.By: `root` or `uid 1000`.
func (c Caller) By() string {
	switch {
	case c.UID == 0 && c.Right == RightNone: // root has every right: the kernel did not say who it is
		return "an unknown process"
	case c.UID == 0:
		return "root"
	}
	return "uid " + strconv.FormatUint(uint64(c.UID), 10)
}

// rightOf returns the right of a caller: all for root and for the daemon's own
// user, looking for members of the group (a gid, -1 = there is no such group).
func rightOf(c Caller, own uint32, group int) Right {
	if c.UID == 0 || c.UID == own {
		return RightWrite
	}
	if group >= 0 && (c.GID == uint32(group) || slices.Contains(c.Groups, uint32(group))) {
		return RightRead
	}
	return RightNone
}

// lookupGroup returns the gid of a group, -1 where there is none.
func lookupGroup(name string) int {
	if name == "" {
		return -1
	}
	g, err := user.LookupGroup(name)
	if err != nil {
		return -1
	}
	n, err := strconv.Atoi(g.Gid)
	if err != nil {
		return -1
	}
	return n
}

// callerKey is the key of the Caller in the context of a connection.
type callerKey struct{}

// callerOf returns who sent the request of this context.
func callerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// withCaller asks the kernel who is at the other end and notes it in the
// context. Whoever cannot be identified has no right.
func withCaller(ctx context.Context, conn net.Conn, group int) context.Context {
	c, err := identify(conn)
	if err != nil {
		return ctx
	}
	c.Right = rightOf(c, uint32(os.Geteuid()), group)
	return context.WithValue(ctx, callerKey{}, c)
}

// identify reads the credentials of the peer of a unix socket.
func identify(conn net.Conn) (Caller, error) {
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return Caller{}, fmt.Errorf("identify caller: %T is not a unix socket", conn)
	}
	raw, err := u.SyscallConn()
	if err != nil {
		return Caller{}, fmt.Errorf("identify caller: %w", err)
	}
	var c Caller
	var inner error
	err = raw.Control(func(fd uintptr) {
		cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
		if err != nil {
			inner = fmt.Errorf("identify caller: SO_PEERCRED: %w", err)
			return
		}
		c = Caller{UID: cred.Uid, GID: cred.Gid, PID: cred.Pid, Groups: peerGroups(fd)}
	})
	if err != nil {
		return Caller{}, fmt.Errorf("identify caller: %w", err)
	}
	return c, inner
}

// peerGroups returns the supplementary groups of the peer (SO_PEERGROUPS, Linux
// 4.13; include/uapi/asm-generic/socket.h), none where the kernel does not tell.
func peerGroups(fd uintptr) []uint32 {
	const most = 65536 // NGROUPS_MAX, limits.h
	for n := 64; n <= most; n *= 4 {
		gids := make([]uint32, n)
		size := uint32(4 * n)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&gids[0])), uintptr(unsafe.Pointer(&size)), 0)
		if errno == 0 {
			return gids[:size/4]
		}
		if errno != unix.ERANGE {
			return nil
		}
	}
	return nil
}
