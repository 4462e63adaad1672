package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"

	"gatehouse/internal/gate"
)

// Client asks a daemon on its socket. Safe for concurrent use. Its errors are
// of type *Error; those about the socket wrap ErrNoDaemon or ErrNoAccess.
type Client struct {
	socket string
	http   *http.Client
}

// NewClient returns a client for the daemon on this socket. It connects when it
// is first asked for something.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: 5 * time.Second}).DialContext(ctx, "unix", socket)
	}
	return &Client{socket, &http.Client{Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: inFlight, DisableCompression: true}}}
}

// Close ends the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Status returns the state of the daemon.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var out Status
	return out, c.call(ctx, "GET", "/v1/status", nil, &out)
}

// Why returns the whole story of a subject.
func (c *Client) Why(ctx context.Context, s gate.Subject) (Why, error) {
	var out Why
	return out, c.call(ctx, "GET", "/v1/why?subject="+url.QueryEscape(s.String()), nil, &out)
}

// Reload makes the daemon read its configuration again.
func (c *Client) Reload(ctx context.Context) error {
	return c.call(ctx, "POST", "/v1/reload", nil, &done{})
}

// AllowList returns who is never banned because somebody said so.
func (c *Client) AllowList(ctx context.Context) ([]Allowed, error) {
	var out []Allowed
	return out, c.call(ctx, "GET", "/v1/allow", nil, &out)
}

// Allow adds entries to the allow list, or removes them.
func (c *Client) Allow(ctx context.Context, remove bool, in Allowing) ([]Answer, error) {
	path := "/v1/allow"
	if remove {
		path += "/remove"
	}
	var out []Answer
	return out, c.call(ctx, "POST", path, in, &out)
}

// UnbanAll lifts every ban.
func (c *Client) UnbanAll(ctx context.Context, reason string) ([]Answer, error) {
	var out []Answer
	return out, c.call(ctx, "POST", "/v1/bans/lift", Lifting{All: true, Reason: reason}, &out)
}

// Ban bans any number of subjects, in several requests where there are many.
// The answers come in the order of the subjects; where a request failed, those
// of the requests that went well come with the error, the others are zero.
// progress, if not nil, is told how many subjects are done.
func (c *Client) Ban(ctx context.Context, in Banning, progress func(int)) ([]Answer, error) {
	return c.inParts(in.Subjects, progress, func(part []string) ([]Answer, error) {
		in := in
		in.Subjects = part
		var out []Answer
		return out, c.call(ctx, "POST", "/v1/bans", in, &out)
	})
}

// Unban lifts the bans of any number of subjects; see Ban.
func (c *Client) Unban(ctx context.Context, in Lifting, progress func(int)) ([]Answer, error) {
	return c.inParts(in.Subjects, progress, func(part []string) ([]Answer, error) {
		in := in
		in.Subjects = part
		var out []Answer
		return out, c.call(ctx, "POST", "/v1/bans/lift", in, &out)
	})
}

// inFlight is how many requests of a long list are on their way at once: one is
// committed while the next is read.
const inFlight = 3

// inParts cuts a list into requests of at most MaxSubjects.
func (c *Client) inParts(subjects []string, progress func(int), ask func([]string) ([]Answer, error)) ([]Answer, error) {
	out := make([]Answer, len(subjects))
	var (
		wg    sync.WaitGroup
		slots = make(chan struct{}, inFlight) // full = wait for an answer before the next request
		mu    sync.Mutex                      // guards what follows
		count int
		first error
	)
	for at := 0; at < len(subjects); at += MaxSubjects {
		part := subjects[at:min(at+MaxSubjects, len(subjects))]
		slots <- struct{}{}
		mu.Lock()
		failed := first != nil
		mu.Unlock()
		if failed {
			break
		}
		wg.Go(func() {
			defer func() { <-slots }()
			answers, err := ask(part)
			if err == nil && len(answers) != len(part) {
				err = &Error{Message: fmt.Sprintf("asked about %d subjects, got %d answers", len(part), len(answers))}
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				if first == nil {
					first = err
				}
				return
			}
			copy(out[at:], answers)
			count += len(part)
			if progress != nil {
				progress(count)
			}
		})
	}
	wg.Wait()
	return out, first
}

// Bans yields the bans in force; it stops with yield's error.
func (c *Client) Bans(ctx context.Context, q BansQuery, yield func(Ban) error) error {
	v := url.Values{}
	set(v, "rule", q.Rule)
	set(v, "list", q.List)
	return streamOf(ctx, c, "/v1/bans?"+v.Encode(), yield)
}

// Log yields records; with Follow until ctx ends or the daemon does.
func (c *Client) Log(ctx context.Context, q LogQuery, yield func(gate.Record) error) error {
	v := url.Values{}
	set(v, "rule", q.Rule)
	set(v, "kind", q.Kind)
	set(v, "subject", q.Subject.String())
	if q.After > 0 {
		v.Set("after", strconv.FormatUint(q.After, 10))
	}
	if q.Last > 0 {
		v.Set("last", strconv.Itoa(q.Last))
	}
	if q.Limit > 0 {
		v.Set("limit", strconv.Itoa(q.Limit))
	}
	if q.Follow {
		v.Set("follow", "true")
	}
	if !q.Since.IsZero() {
		v.Set("since", q.Since.UTC().Format(time.RFC3339Nano))
	}
	return streamOf(ctx, c, "/v1/log?"+v.Encode(), yield)
}

func set(v url.Values, key, value string) {
	if value != "" {
		v.Set(key, value)
	}
}

// OpenAPI returns the description of the routes.
func (c *Client) OpenAPI(ctx context.Context) ([]byte, error) {
	body, err := c.send(ctx, "GET", "/openapi.json", nil)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	return io.ReadAll(body)
}

// call sends a request and reads the document that answers it.
func (c *Client) call(ctx context.Context, method, path string, in, out any) error {
	body, err := c.send(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer body.Close()
	data, err := io.ReadAll(body)
	if err == nil {
		err = json.Unmarshal(data, out)
	}
	if err != nil {
		return &Error{Message: "read the daemon's answer: " + err.Error()}
	}
	return nil
}

// send sends a request and returns the body of the answer, if it is a success.
func (c *Client) send(ctx context.Context, method, path string, in any) (io.ReadCloser, error) {
	var body io.Reader
	if in != nil {
		data, err := json.Marshal(in)
		if err != nil {
			return nil, &Error{Message: "write request: " + err.Error()}
		}
		body = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://gatehouse"+path, body)
	if err != nil {
		return nil, &Error{Message: "write request: " + err.Error()}
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.socketError(err)
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	e := &Error{Status: resp.StatusCode}
	data, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil || json.Unmarshal(data, e) != nil || e.Message == "" {
		e.Message = "the daemon answered " + resp.Status
	}
	return nil, e
}

// socketError says what is wrong with the socket, and what to do.
func (c *Client) socketError(err error) error {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return &Error{Message: "no daemon answers on " + c.socket, Hint: "start it with: sudo gatehouse run, or systemctl start gatehouse", is: ErrNoDaemon}
	case errors.Is(err, fs.ErrPermission):
		return &Error{Message: "no permission on " + c.socket, Hint: "use sudo; members of the group gatehouse may look", is: ErrNoAccess}
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return &Error{Message: "the daemon ended before it answered", Hint: "see its log: journalctl -u gatehouse"}
	}
	return &Error{Message: "talk to the daemon on " + c.socket + ": " + reason(err)}
}

// maxLine bounds one line of a stream, in bytes.
const maxLine = 1 << 20

// streamOf reads a stream of JSON documents, one a line.
func streamOf[T any](ctx context.Context, c *Client, path string, yield func(T) error) error {
	body, err := c.send(ctx, "GET", path, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	sc := bufio.NewScanner(body)
	sc.Buffer(make([]byte, 64<<10), maxLine)
	for sc.Scan() {
		line := sc.Bytes()
		if bytes.HasPrefix(line, []byte(`{"error":`)) {
			e := &Error{}
			if json.Unmarshal(line, e) == nil {
				return e
			}
		}
		var v T
		if err := json.Unmarshal(line, &v); err != nil {
			return &Error{Message: "read the daemon's answer: " + err.Error()}
		}
		if err := yield(v); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return c.socketError(err)
	}
	return nil
}
