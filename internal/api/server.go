package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"gatehouse/internal/gate"
)

// Config says where and for whom the Server listens.
type Config struct {
	Socket  string // path of the unix socket, at most 107 bytes (unix(7))
	Group   string // who may look, besides root: `gatehouse`; empty or missing = nobody
	Version string // of the program, for the description of the routes
}

// Server serves the API. Call Listen, then Run.
type Server struct {
	config   Config
	backend  Backend
	logger   *slog.Logger
	group    int // gid of Config.Group, -1 = there is none
	handler  http.Handler
	openAPI  *huma.OpenAPI
	listener *net.UnixListener
	file     fs.FileInfo   // of the socket that we made
	slots    chan struct{} // one value for each request that runs; full = one more is refused
	stopping chan struct{} // closed once, by Run, when it is to end
	once     sync.Once
}

// New returns a Server that answers with the functions of b, all of which must
// be set.
func New(c Config, b Backend, log *slog.Logger) *Server {
	s := &Server{
		config: c, backend: b, logger: log, group: lookupGroup(c.Group),
		slots: make(chan struct{}, maxConcurrent), stopping: make(chan struct{}),
	}
	routes, doc := s.newAPI(c.Version)
	s.handler, s.openAPI = s.guard(routes), doc
	return s
}

// String names the task.
func (s *Server) String() string { return "api on " + s.config.Socket }

// Listen makes the socket: for root and the group where there is one (mode
// 0660), else for its owner only (0600). A socket that nobody answers on any
// more is replaced; where a daemon answers, that is the error.
func (s *Server) Listen() error {
	path := s.config.Socket
	if len(path) > 107 { // sun_path has 108 bytes with the final NUL, unix(7)
		return &Error{Message: fmt.Sprintf("listen on %s: the path is longer than 107 bytes", gate.Quote(path, 120)), Hint: "set a shorter path with socket: in the configuration"}
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return &Error{Message: "listen on " + path + ": " + err.Error(), Hint: "run as root, or name another path with --socket"}
	}
	if err := clearStale(path); err != nil {
		return err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return &Error{Message: "listen on " + path + ": " + reason(err), Hint: "run as root, or name another path with --socket"}
	}
	l.SetUnlinkOnClose(false) // we remove it ourselves, and only if it is still ours
	if err := s.admit(path); err != nil {
		_ = l.Close() // the first error is the one to tell
		_ = os.Remove(path)
		return fmt.Errorf("listen on %s: %w", path, err)
	}
	s.listener = l
	return nil
}

// admit sets owner and mode of the socket.
func (s *Server) admit(path string) error {
	mode := fs.FileMode(0o600)
	if s.group >= 0 {
		if err := os.Lchown(path, -1, s.group); err == nil {
			mode = 0o660
		} else {
			s.logger.Warn("the socket is for its owner only: it cannot be given to the group", "group", s.config.Group, "err", err)
		}
	}
	if err := os.Chmod(path, mode); err != nil {
		return err
	}
	fi, err := os.Lstat(path)
	s.file = fi
	return err
}

// clearStale removes a socket that a daemon left behind when it was killed.
func clearStale(path string) error {
	fi, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at socket: %w", err)
	}
	if fi.Mode().Type() != fs.ModeSocket {
		return &Error{Message: "listen on " + path + ": there is something else that is not a socket", Hint: "move it away, or name another path with --socket"}
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		_ = c.Close()
		return &Error{Message: "listen on " + path + ": a daemon answers there already", Hint: "stop it with: gatehouse stop, or name another path with --socket"}
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("listen on %s: is a daemon there? %w", path, err)
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("remove stale socket: %w", err)
	}
	return nil
}

// Run serves until ctx ends, then lets requests that run finish for up to three
// seconds, and removes the socket. It listens first where Listen was not called.
func (s *Server) Run(ctx context.Context) error {
	if s.listener == nil {
		if err := s.Listen(); err != nil {
			return err
		}
	}
	h := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.logger.Handler(), slog.LevelWarn),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return withCaller(ctx, c, s.group) },
	}
	served := make(chan error, 1) // one send, by Serve's goroutine
	go func() { served <- h.Serve(s.listener) }()
	defer s.remove()
	select {
	case err := <-served:
		s.end()
		return fmt.Errorf("serve on %s: %w", s.config.Socket, err)
	case <-ctx.Done():
	}
	s.remove() // first, so that nobody finds a socket that is about to close
	s.end()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	if err := h.Shutdown(grace); err != nil {
		_ = h.Close() // who does not finish is cut off
	}
	<-served
	return nil
}

func (s *Server) end() { s.once.Do(func() { close(s.stopping) }) }

// whenStopping makes *ctx end with the server, too.
func (s *Server) whenStopping(ctx *context.Context) context.CancelFunc {
	c, cancel := context.WithCancel(*ctx)
	*ctx = c
	go func() {
		select {
		case <-s.stopping:
			cancel()
		case <-c.Done():
		}
	}()
	return cancel
}

// remove takes the socket away, unless somebody else has put his own there.
func (s *Server) remove() {
	fi, err := os.Lstat(s.config.Socket)
	if err == nil && os.SameFile(fi, s.file) {
		_ = os.Remove(s.config.Socket) // a stale one does no harm: the next start replaces it
	}
}

// guard lets only those through who may, at most maxConcurrent at once, and
// turns a panic into an error of that one request.
func (s *Server) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e := s.refuse(callerOf(r.Context()), r.Method); e != nil {
			writeError(w, e)
			return
		}
		select {
		case s.slots <- struct{}{}:
			defer func() { <-s.slots }()
		default:
			writeError(w, &Error{Status: http.StatusServiceUnavailable, Message: "too many requests at once", Hint: "end some `gatehouse log --follow`, or try again"})
			return
		}
		defer func() {
			if p := recover(); p != nil {
				s.logger.Error("a request panicked", "route", r.Method+" "+r.URL.Path, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
				writeError(w, &Error{Message: "internal error", Hint: "the daemon's log has the details"})
			}
		}()
		// Reset with each write of a stream; a connection is used for many requests.
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(bodyTime + answerTime + writeTime))
		r.Body = http.MaxBytesReader(w, r.Body, 2*maxBody)
		next.ServeHTTP(w, r)
	})
}

// refuse returns the error for a caller without the right that the method
// needs, nil for one who has it.
func (s *Server) refuse(c Caller, method string) *Error {
	need := RightWrite
	if method == http.MethodGet || method == http.MethodHead {
		need = RightRead
	}
	switch {
	case c.Right >= need:
		return nil
	case c.Right == RightRead:
		return &Error{Status: http.StatusForbidden, Message: c.By() + " may look, but not change anything", Hint: "use sudo"}
	}
	hint := "use sudo"
	if s.group >= 0 {
		hint = "use sudo; members of the group " + s.config.Group + " may look"
	}
	return &Error{Status: http.StatusForbidden, Message: c.By() + " may not talk to the daemon", Hint: hint}
}

// reason returns what the kernel said, without the names of the calls.
func reason(err error) string {
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		return errno.Error()
	}
	return err.Error()
}
