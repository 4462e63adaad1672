package host

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fsnotify/fsnotify"
	mdl "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// settle is how long changes of addresses and routes are collected: an
	// interface that comes up makes a dozen.
	settle = 20 * time.Millisecond
	// restFactor keeps the listing of a large, busy routing table below a
	// twentieth of a core.
	restFactor = 20
	// eventBuffer is the receive buffer for rtnetlink events, in bytes. When it
	// overflows, everything is read again.
	eventBuffer = 1 << 20
)

// Run keeps the Snapshot up to date until ctx ends; then it returns nil. It may be
// run again after it has returned.
func (w *Watcher) Run(ctx context.Context) error {
	conn, err := mdl.Dial(unix.NETLINK_ROUTE, &mdl.Config{
		Groups: unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE,
	})
	if err != nil {
		return fmt.Errorf("subscribe to changes of addresses and routes: %w", err)
	}
	if err := conn.SetReadBuffer(eventBuffer); err != nil {
		w.log.Debug("small buffer for rtnetlink events", "err", err)
	}
	files, err := fsnotify.NewWatcher()
	if err != nil {
		conn.Close()
		return fmt.Errorf("watch resolv.conf: %w (raise fs.inotify.max_user_instances)", err)
	}
	ended, err := newEnds()
	if err != nil {
		conn.Close()
		files.Close()
		return fmt.Errorf("watch the end of SSH sessions: %w", err)
	}
	var tasks sync.WaitGroup
	dirty := make(chan struct{}, 1) // one place: addresses are read whole anyway
	broken := make(chan error, 1)   // the first error of a task
	tasks.Go(func() { receive(conn, dirty, broken) })
	tasks.Go(func() {
		for ended.wait() == nil {
			w.Refresh()
		}
	})
	defer func() {
		w.mu.Lock()
		w.ends = nil
		if w.routes != nil {
			w.routes.Close()
			w.routes = nil
		}
		if w.diag != nil {
			w.diag.Close()
			w.diag = nil
		}
		ended.close()
		w.mu.Unlock()
		w.witness.close()
		conn.Close()
		files.Close()
		tasks.Wait()
	}()

	// From here on nothing is missed, so what changed since New is seen now.
	w.mu.Lock()
	w.ends = ended
	w.readSessions()
	w.mu.Unlock()
	w.resolversChanged(files)
	return w.loop(ctx, dirty, broken, files)
}

// loop turns events into readings.
func (w *Watcher) loop(ctx context.Context, dirty <-chan struct{}, broken <-chan error, files *fsnotify.Watcher) error {
	due := time.NewTimer(0) // the first reading of the network
	defer due.Stop()
	pending, ready := true, time.Now()
	for {
		select {
		case <-ctx.Done():
			return nil
		case err := <-broken:
			return err
		case <-dirty:
			if !pending {
				pending = true
				due.Reset(max(settle, time.Until(ready)))
			}
		case <-due.C:
			pending = false
			begin := time.Now()
			w.mu.Lock()
			err := w.readNetwork()
			w.mu.Unlock()
			if err != nil {
				return err
			}
			ready = time.Now().Add(restFactor * time.Since(begin))
		case ev, ok := <-files.Events:
			if !ok {
				return errors.New("watch resolv.conf: the watch ended")
			}
			if w.concerns(ev.Name) {
				w.resolversChanged(files)
			}
		case err := <-files.Errors:
			// An overflow: an event may be missing.
			w.log.Debug("watch resolv.conf", "err", err)
			w.resolversChanged(files)
		}
	}
}

// receive turns rtnetlink events into a mark, until conn is closed.
func receive(conn *mdl.Conn, dirty chan<- struct{}, broken chan<- error) {
	for {
		_, err := conn.Receive()
		if err != nil && !errors.Is(err, unix.ENOBUFS) { // with ENOBUFS events are missing, which is a change too
			select {
			case broken <- fmt.Errorf("receive changes of addresses and routes: %w", err):
			default: // Run is ending
			}
			return
		}
		select {
		case dirty <- struct{}{}:
		default: // marked already
		}
	}
}

// concerns reports whether an event at this path can change the name servers: at
// one of the files, or in a folder that one of them still lacks a part of.
func (w *Watcher) concerns(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	dir := filepath.Dir(path)
	own := false
	for _, f := range w.resolv {
		if f == path {
			return true
		}
		own = own || filepath.Dir(f) == dir
	}
	return !own
}

// resolversChanged reads the name servers and watches the folders they depend on.
func (w *Watcher) resolversChanged(files *fsnotify.Watcher) {
	w.mu.Lock()
	before := foldersOf(w.resolv)
	w.readResolvers()
	folders := foldersOf(w.resolv)
	w.mu.Unlock()
	fresh := false
	watched := files.WatchList()
	for _, f := range folders {
		if slices.Contains(watched, f) {
			continue
		}
		if err := files.Add(f); err != nil {
			w.log.Warn("cannot watch for changes of name servers", "folder", f, "err", err)
			continue
		}
		fresh = true
	}
	for _, f := range before {
		if !slices.Contains(folders, f) {
			files.Remove(f) // it may have gone
		}
	}
	if fresh { // a change between reading and watching
		w.mu.Lock()
		w.readResolvers()
		w.mu.Unlock()
	}
}
