package firewall

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Errors that a caller branches on: after either of them it may go on in
// observe mode.
var (
	// ErrNoPermission says that the process may not change the kernel's rules.
	ErrNoPermission = errors.New("no permission to change the firewall")
	// ErrUnavailable says that the kernel lacks what a firewall needs.
	ErrUnavailable = errors.New("the kernel has no usable nf_tables")
)

// Error is a failure with what a person can do about it. It wraps its cause
// and, where that is known, ErrNoPermission or ErrUnavailable.
type Error struct {
	Op   string // what was tried: "open a netlink socket to netfilter"
	Err  error  // why not
	Hint string // what to do, without a full stop; "" = nothing to say
}

// Error returns the operation and the cause, without the hint.
func (e *Error) Error() string { return e.Op + ": " + e.Err.Error() }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

const (
	hintPermission = "run it as root, or with the capability CAP_NET_ADMIN; gatehouse run --observe needs neither"
	hintModule     = "load the kernel's modules nf_tables and nf_conntrack (modprobe nf_tables nft_ct), or use a kernel that has them: Linux 5.9 or later with CONFIG_NF_TABLES_INET and CONFIG_NFT_CT; gatehouse run --observe works without"
	hintOwned      = "another program holds the table for itself (flag owner): end it, or delete the table with nft delete table inet gatehouse"
)

// unavailable classifies the failure of a first contact with nf_tables.
func unavailable(doing string, err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return &Error{doing, fmt.Errorf("%w: %w", ErrNoPermission, err), hintPermission}
	case errors.Is(err, unix.EPROTONOSUPPORT), errors.Is(err, unix.EAFNOSUPPORT), errors.Is(err, unix.ESOCKTNOSUPPORT),
		errors.Is(err, unix.EINVAL), errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.ECONNREFUSED):
		return &Error{doing, fmt.Errorf("%w: %w", ErrUnavailable, err), hintModule}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// explain adds a class and a hint to the refusal of a whole table.
func explain(doing string, err error) error {
	var r *refusal
	if !errors.As(err, &r) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	switch r.errno {
	case unix.EPERM, unix.EACCES:
		if r.op >= 0 { // the batch as such was let in, so it is the table
			return &Error{doing, fmt.Errorf("%w: %w", ErrNoPermission, err), hintOwned}
		}
		return &Error{doing, fmt.Errorf("%w: %w", ErrNoPermission, err), hintPermission}
	case unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.EPROTONOSUPPORT:
		return &Error{doing, fmt.Errorf("%w: %w", ErrUnavailable, err), hintModule}
	case unix.ENOENT: // an expression of a rule is not known
		if r.verb == addRule {
			return &Error{doing, fmt.Errorf("%w: %w", ErrUnavailable, err), hintModule}
		}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// notSupported reports whether the kernel lacks the expression of a rule.
func notSupported(err error) bool {
	var r *refusal
	return errors.As(err, &r) && r.verb == addRule && (r.errno == unix.EOPNOTSUPP || r.errno == unix.ENOENT || r.errno == unix.EINVAL)
}

// uncleanable reports whether the kernel refused to take something away that
// was in the table before.
func uncleanable(err error) bool {
	var r *refusal
	if !errors.As(err, &r) || r.errno == unix.EPERM || r.errno == unix.ENOENT {
		return false
	}
	switch r.verb {
	case emptyChain, deleteSet, deleteChain, deleteObject, deleteFlowtable, addChain:
		return true
	}
	return false
}
