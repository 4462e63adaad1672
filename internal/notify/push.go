package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"
)

// PushRequest is one message for a push or chat service.
type PushRequest struct {
	URL   string `json:"url"`   // of the service, secrets included
	ID    string `json:"id"`    // delivery identifier
	Title string `json:"title"` // headline, clean
	Text  string `json:"text"`  // the message, clean but for line breaks
}

// PushAnswer is what became of it.
type PushAnswer struct {
	Answer    string        `json:"answer,omitempty"`    // what the service said
	Failed    string        `json:"failed,omitempty"`    // why it was not taken; "" = it was
	Permanent bool          `json:"permanent,omitempty"` // nor will it be
	After     time.Duration `json:"after,omitempty"`     // how long the service asks to wait
}

// PushArg is the one argument with which the program runs [PushMain] and nothing
// else.
const PushArg = "push-one-message"

// refusedServices are those of the library that are no push or chat service.
var refusedServices = []string{"smtp", "logger"}

// push hands messages to a service through the library. The library bounds
// neither the answers of servers nor the time they take and cannot be cancelled,
// so each message gets a process of its own, which is ended when its time is over.
type push struct {
	t   *templates
	url string
	out Outside
}

func newPush(c *Channel, t *templates, o Outside) (Sender, []string, error) {
	address, err := c.URL.Read(o.Getenv)
	if err != nil {
		return nil, nil, err
	}
	pass, err := c.Password.Read(o.Getenv)
	if err != nil {
		return nil, nil, err
	}
	address = strings.ReplaceAll(address, "{password}", url.QueryEscape(pass))
	secrets := append(urlSecrets(address), pass)
	if err := CheckPushURL(address); err != nil {
		return nil, secrets, err
	}
	return &push{t: t, url: address, out: o}, secrets, nil
}

// CheckPushURL reports what is wrong with the URL of a push or chat service,
// without the URL itself, which holds secrets.
func CheckPushURL(address string) error {
	scheme, _, ok := strings.Cut(address, ":")
	if !ok || scheme == "" {
		return errors.New("it is not the URL of a service: write ntfy://host/topic, gotify://host/token, telegram://token@telegram?chats=…")
	}
	name, _, _ := strings.Cut(scheme, "+")
	if slices.Contains(refusedServices, name) {
		return fmt.Errorf("%s is not a push or chat service: a channel with mail: sends mail", name)
	}
	if name == "http" || name == "https" {
		return errors.New("it is an address of the web: write webhook: for it, or the scheme of a service, such as ntfy://host/topic")
	}
	if _, err := new(router.ServiceRouter).Locate(address); err != nil {
		if errors.Is(err, router.ErrUnknownService) {
			return fmt.Errorf("there is no service %s: known are %s", Clean(name, 32), strings.Join(services(), ", "))
		}
		return fmt.Errorf("%s: %s", Clean(name, 32), Clean(hide(err.Error(), urlSecrets(address)), shownText))
	}
	return nil
}

// services returns the names of the services that can be used.
func services() []string {
	names := new(router.ServiceRouter).ListServices()
	names = slices.DeleteFunc(names, func(n string) bool { return slices.Contains(refusedServices, n) })
	slices.Sort(names)
	return names
}

// urlSecrets returns the parts of the URL of a service that errors could repeat:
// all but its scheme, longest first.
func urlSecrets(address string) []string {
	list := []string{address}
	u, err := url.Parse(address)
	if err != nil {
		return list
	}
	list = append(list, u.RequestURI(), u.RawQuery)
	if u.User != nil {
		pass, _ := u.User.Password()
		list = append(list, u.User.String(), u.User.Username(), pass)
	}
	for part := range strings.SplitSeq(u.Path, "/") {
		list = append(list, part)
	}
	for _, values := range u.Query() {
		for _, v := range values {
			if len(v) > 7 { // shorter ones are settings
				list = append(list, v)
			}
		}
	}
	slices.SortStableFunc(list, func(a, b string) int { return len(b) - len(a) })
	return slices.DeleteFunc(list, func(s string) bool { return len(s) < 4 })
}

// Send hands one message over.
func (p *push) Send(ctx context.Context, m *Message) (string, error) {
	title, err := p.t.line("title", m)
	if err != nil {
		return "", err
	}
	body, err := p.t.write("txt", m)
	if err != nil {
		return "", err
	}
	a, err := p.out.Push(ctx, PushRequest{URL: p.url, ID: m.ID, Title: title, Text: cut(strings.TrimSpace(body), maxChat)})
	if err != nil {
		return "", &Failure{Why: Clean(err.Error(), shownText)}
	}
	if a.Failed != "" {
		return "", &Failure{Why: Clean(a.Failed, shownText), Permanent: a.Permanent, After: a.After}
	}
	return Clean(a.Answer, shownText), nil
}

// maxChat bounds a chat message in bytes: what Discord, the narrowest, takes.
const maxChat = 1900

// cut shortens a text at the end of a line.
func cut(s string, max int) string {
	if len(s) <= max {
		return s
	}
	s = s[:max-4]
	if i := strings.LastIndexByte(s, '\n'); i > max/2 {
		s = s[:i+1]
	}
	return strings.ToValidUTF8(s, "") + "…"
}

// PushMain is the process of one message: it reads a [PushRequest] and writes a
// [PushAnswer], both as JSON. It bounds answers, takes no redirect, and changes the
// library's ways of HTTP for the whole process: it must be the only thing that the
// process does. Its caller bounds the memory of the process to PushMemory.
func PushMain(in io.Reader, out io.Writer) error {
	var p PushRequest
	if err := json.NewDecoder(io.LimitReader(in, 4*maxWritten)).Decode(&p); err != nil {
		return fmt.Errorf("read the message: %w", err)
	}
	answer := pushOne(p, func(w *witness) {
		http.DefaultTransport = w // services without a transport of their own
	})
	return json.NewEncoder(out).Encode(answer)
}

// PushMemory is the most memory of that process in bytes: five times what it takes.
const PushMemory = 256 << 20

// pushOne sends one message; install puts the witness where the library finds it.
func pushOne(p PushRequest, install func(*witness)) PushAnswer {
	w := &witness{next: http.DefaultTransport, id: p.ID}
	install(w)
	service, err := new(router.ServiceRouter).Locate(p.URL)
	if err != nil {
		return PushAnswer{Failed: err.Error(), Permanent: true}
	}
	w.watch(service)
	params := types.Params{types.TitleKey: p.Title}
	err = service.Send(p.Text, &params)
	if err == nil && w.status/100 <= 2 {
		return PushAnswer{Answer: w.answer}
	}
	a := PushAnswer{Failed: w.answer, Permanent: w.permanent, After: w.after}
	if a.Failed == "" || err != nil && w.status/100 == 2 {
		a.Failed = "not sent"
		if err != nil {
			a.Failed = err.Error()
		}
	}
	return a
}

// witness is a way to servers that bounds what they answer, remembers the last
// answer, follows no redirect, and adds the delivery identifier.
type witness struct {
	next      http.RoundTripper
	id        string
	status    int
	answer    string
	permanent bool
	after     time.Duration
}

// watch puts the witness between a service and a transport of its own.
func (w *witness) watch(service types.Service) {
	if s, ok := service.(interface{ GetHTTPClient() *http.Client }); ok {
		if c := s.GetHTTPClient(); c != nil {
			w.wrap(c)
		}
	}
	if s, ok := service.(interface{ SetHTTPClient(*http.Client) }); ok {
		c := &http.Client{Timeout: sendTime}
		w.wrap(c)
		s.SetHTTPClient(c)
	}
}

func (w *witness) wrap(c *http.Client) {
	inner := *w
	if c.Transport != nil {
		inner.next = c.Transport
	}
	c.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
		resp, err := inner.RoundTrip(r)
		w.status, w.answer, w.permanent, w.after = inner.status, inner.answer, inner.permanent, inner.after
		return resp, err
	})
}

// roundTrip is a function as an http.RoundTripper.
type roundTrip func(*http.Request) (*http.Response, error)

// RoundTrip implements http.RoundTripper.
func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// errRedirect is what a request gets that a server wants to send elsewhere.
var errRedirect = errors.New("the server redirects, which is not followed: write the new address")

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("X-Gatehouse-Delivery", w.id)
	resp, err := w.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 3 {
		_ = resp.Body.Close() // there is nothing to read
		return nil, errRedirect
	}
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came is judged
	_ = resp.Body.Close()
	code := resp.StatusCode
	w.status = code
	w.answer = Clean(resp.Proto+" "+resp.Status+" "+string(body[:min(len(body), 2*shownText)]), shownText)
	w.permanent = code/100 == 4 && code != http.StatusRequestTimeout && code != http.StatusConflict && code != http.StatusTooEarly && code != http.StatusTooManyRequests
	w.after = retryAfter(resp.Header.Get("Retry-After"), time.Now())
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}
