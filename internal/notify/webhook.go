package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// webhook posts what its template writes to a URL. With a key it is signed:
// X-Gatehouse-Signature is `t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of
// `SECONDS.BODY`.
type webhook struct {
	t      *templates
	client *http.Client
	url    string
	media  string
	key    []byte
	user   string
	pass   string
	extra  http.Header
	isJSON bool
}

func newWebhook(c *Channel, t *templates, o Outside) (Sender, []string, error) {
	var secrets []string
	read := func(s Secret) (string, error) {
		v, err := s.Read(o.Getenv)
		if v != "" && s.Text == "" {
			secrets = append(secrets, v)
		}
		return v, err
	}
	w := &webhook{t: t, media: c.Type, user: c.User, extra: http.Header{}}
	var err error
	if w.url, err = read(c.Webhook); err != nil {
		return nil, secrets, err
	}
	secrets = append(secrets, secretParts(w.url)...)
	if err := checkHTTP(w.url); err != nil {
		return nil, secrets, err
	}
	if w.media == "" {
		w.media = "application/json"
	}
	m, _, err := mime.ParseMediaType(w.media)
	if err != nil {
		return nil, secrets, fmt.Errorf("type %q is not a media type", w.media)
	}
	w.isJSON = m == "application/json" || strings.HasSuffix(m, "+json")
	key, err := read(c.Secret)
	if err != nil {
		return nil, secrets, err
	}
	w.key = []byte(key)
	if w.pass, err = read(c.Password); err != nil {
		return nil, secrets, err
	}
	for _, h := range c.Headers {
		v, err := read(h.Value)
		if err != nil {
			return nil, secrets, err
		}
		if !headerName.MatchString(h.Name) || Clean(v, maxSecret) != v {
			return nil, secrets, fmt.Errorf("header %q is not a header of HTTP", h.Name)
		}
		w.extra.Add(h.Name, v)
	}
	w.client, err = newClient(c.CA)
	return w, secrets, err
}

// headerName is a field name of HTTP (RFC 9110, section 5.6.2), without its odd
// characters.
var headerName = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// checkHTTP wants a URL of http or https with a host.
func checkHTTP(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return fmt.Errorf("webhook: write a URL such as https://example.org/hook")
	}
	return nil
}

// secretParts returns what of a URL is secret: all but scheme and host.
func secretParts(s string) []string {
	u, err := url.Parse(s)
	if err != nil {
		return []string{s}
	}
	parts := []string{s, u.RequestURI(), u.Path, u.RawQuery}
	if u.User != nil {
		pass, _ := u.User.Password()
		parts = append(parts, u.User.Username(), pass, u.User.String())
	}
	return parts
}

// Send posts one message.
func (w *webhook) Send(ctx context.Context, m *Message) (string, error) {
	body, err := w.t.write("json", m)
	if err != nil {
		return "", err
	}
	if w.isJSON && !json.Valid([]byte(body)) {
		return "", &TemplateError{File: w.t.files["json"], What: "what it writes is not JSON"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.url, strings.NewReader(body))
	if err != nil {
		return "", &Failure{Why: "the URL cannot be used", Permanent: true}
	}
	for name, values := range w.extra {
		r.Header[name] = values
	}
	r.Header.Set("Content-Type", w.media)
	r.Header.Set("User-Agent", "gatehouse")
	r.Header.Set("X-Gatehouse-Delivery", m.ID)
	r.Header.Set("Idempotency-Key", m.ID)
	if len(w.key) > 0 {
		r.Header.Set("X-Gatehouse-Signature", sign(w.key, time.Now(), body))
	}
	if w.user != "" {
		r.SetBasicAuth(w.user, w.pass)
	}
	return exchange(ctx, w.client, r)
}

// sign returns the signature of a body at a time.
func sign(key []byte, at time.Time, body string) string {
	seconds := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(seconds + "." + body))
	return "t=" + seconds + ",v1=" + hex.EncodeToString(mac.Sum(nil))
}
