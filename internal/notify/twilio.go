package notify

import (
	"context"
	"encoding/xml"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
)

// twilio sends text messages or calls and speaks, through the REST API of Twilio
// (version 2010-04-01) or one like it.
type twilio struct {
	t       *templates
	client  *http.Client
	base    string
	account string
	token   string
	from    string
	to      []string
	voice   bool
}

// twilioAPI is Twilio's own address.
const twilioAPI = "https://api.twilio.com"

// number is a telephone number as ITU-T E.164 writes it.
var number = regexp.MustCompile(`^\+[1-9][0-9]{5,14}$`)

// sid is the name of an account.
var sid = regexp.MustCompile(`^[A-Za-z0-9]{4,64}$`)

func newTwilio(c *Channel, t *templates, o Outside) (Sender, []string, error) {
	w := &twilio{t: t, base: strings.TrimSuffix(c.API, "/"), account: c.Account, from: c.From, to: c.SMS, voice: len(c.Voice) > 0}
	if w.voice {
		w.to = c.Voice
	}
	if w.base == "" {
		w.base = twilioAPI
	}
	if err := checkHTTP(w.base); err != nil {
		return nil, nil, fmt.Errorf("api: write a URL such as %s", twilioAPI)
	}
	if !sid.MatchString(w.account) {
		return nil, nil, fmt.Errorf("account: write the account SID, which begins with AC")
	}
	for _, n := range append([]string{w.from}, w.to...) {
		if !number.MatchString(n) {
			return nil, nil, fmt.Errorf("%q is not a telephone number: write it as +441632960961", n)
		}
	}
	token, err := c.Token.Read(o.Getenv)
	if err == nil && token == "" {
		err = fmt.Errorf("token is missing: write token: {file: /etc/gatehouse/twilio.token}")
	}
	if err != nil {
		return nil, nil, err
	}
	w.token = token
	w.client, err = newClient(c.CA)
	return w, []string{token}, err
}

// Send tells each number. What one of them has taken is not sent to it again
// while this process lives only if all of them take it: at least once.
func (w *twilio) Send(ctx context.Context, m *Message) (string, error) {
	body, err := w.t.write("txt", m)
	if err != nil {
		return "", err
	}
	body = short(ForSMS(strings.TrimSpace(body)), maxSMS)
	var answers []string
	for _, to := range w.to {
		answer, err := w.tell(ctx, to, body, m.ID)
		if err != nil {
			return "", err
		}
		answers = append(answers, to+": "+answer)
	}
	return Clean(strings.Join(answers, "; "), shownText), nil
}

// maxSMS bounds a text message: three parts of 153 characters.
const maxSMS = 459

// short cuts a text of ASCII.
func short(s string, max int) string {
	if len(s) <= max {
		return s
	}
	return s[:max-3] + "..."
}

func (w *twilio) tell(ctx context.Context, to, body, id string) (string, error) {
	form, what := url.Values{"To": {to}, "From": {w.from}}, "Messages.json"
	if w.voice {
		what = "Calls.json"
		form.Set("Twiml", speech(body))
	} else {
		form.Set("Body", body)
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, w.base+"/2010-04-01/Accounts/"+w.account+"/"+what, strings.NewReader(form.Encode()))
	if err != nil {
		return "", &Failure{Why: "the address of the API cannot be used", Permanent: true}
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("User-Agent", "gatehouse")
	r.Header.Set("I-Twilio-Idempotency-Token", id)
	r.SetBasicAuth(w.account, w.token)
	return exchange(ctx, w.client, r)
}

// speech is what a call says, twice, as TwiML.
func speech(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder never fails
	say := "<Say>" + b.String() + "</Say>"
	return "<Response>" + say + `<Pause length="1"/>` + say + "</Response>"
}
