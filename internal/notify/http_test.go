package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestWebhook: JSON with the delivery identifier in the document and in the
// header, signed, with further headers and a login.
func TestWebhook(t *testing.T) {
	var got *http.Request
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		body, _ = io.ReadAll(r.Body)
		fmt.Fprint(w, "thank you")
	}))
	defer s.Close()
	c := Channel{Name: "hook", Webhook: Secret{Text: s.URL + "/in?key=t0psecret"}, Secret: Secret{Env: "KEY"}, User: "gate", Password: Secret{Env: "PASS"},
		Headers: []Header{{"X-Api-Key", Secret{Text: "abc"}}}}
	answer, err := sendThrough(t, c, noWorld(map[string]string{"KEY": "signing-key", "PASS": "pass-word"}), SampleMessage("ban", noon, "gate"))
	if err != nil || answer != "HTTP/1.1 200 OK thank you" {
		t.Fatal(answer, err)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	if m.ID != "812/sample" || got.Header.Get("X-Gatehouse-Delivery") != m.ID || m.Items[0].Undo != "gatehouse unban 192.0.2.7" || got.Header.Get("X-Api-Key") != "abc" {
		t.Errorf("%+v", m)
	}
	seconds, signature, _ := strings.Cut(strings.TrimPrefix(got.Header.Get("X-Gatehouse-Signature"), "t="), ",v1=")
	mac := hmac.New(sha256.New, []byte("signing-key"))
	mac.Write([]byte(seconds + "." + string(body)))
	if signature != hex.EncodeToString(mac.Sum(nil)) {
		t.Error("the signature is wrong")
	}
	if user, pass, ok := got.BasicAuth(); !ok || user != "gate" || pass != "pass-word" {
		t.Error("no login")
	}
}

// badServers answer in each way that servers fail.
func badServers(t *testing.T) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"500": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "database is down", 500) },
		"429": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "120")
			http.Error(w, "slow down", http.StatusTooManyRequests)
		},
		"404": func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no such hook", 404) },
		"redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://somewhere.invalid/", http.StatusFound)
		},
		"hangs": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is seen
			<-r.Context().Done()
		},
		"1 GB": func(w http.ResponseWriter, _ *http.Request) {
			b := make([]byte, 1<<20)
			for range 1024 {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
		"1 GB of error": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			b := []byte(strings.Repeat("x", 1<<20))
			for range 1024 {
				if _, err := w.Write(b); err != nil {
					return
				}
			}
		},
	}
}

// wanted is what a channel says about them.
var wanted = map[string]struct {
	why       string // "" = it was taken
	permanent bool
	after     time.Duration
}{
	"500": {"500 Internal Server Error database is down", false, 0}, "429": {"429 Too Many Requests slow down", false, 2 * time.Minute},
	"404": {"404 Not Found no such hook", true, 0}, "redirect": {"redirect", false, 0}, "hangs": {"", false, 0}, "1 GB": {"", false, 0},
	"1 GB of error": {"503 Service Unavailable xxx", false, 0},
}

func TestWebhookFailures(t *testing.T) {
	for name, h := range badServers(t) {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			sender, err := NewSender(Channel{Name: "hook", Webhook: Secret{Text: s.URL + "/t0psecret/hook"}}, "", time.UTC, noWorld(nil))
			if err != nil {
				t.Fatal(err)
			}
			patience := 20 * time.Second
			if name == "hangs" {
				patience = 200 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err = sender.Send(ctx, SampleMessage("ban", noon, "gate"))
			runtime.ReadMemStats(&after)
			if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
				t.Errorf("%d MB were used", grown>>20)
			}
			judge(t, name, err)
			s.CloseClientConnections()
		})
	}
}

// judge compares an error with what is wanted.
func judge(t *testing.T, name string, err error) {
	t.Helper()
	w := wanted[name]
	if name == "1 GB" {
		if err != nil {
			t.Error(err)
		}
		return
	}
	f, ok := err.(*Failure)
	if !ok {
		t.Fatalf("%T %v", err, err)
	}
	if !strings.Contains(f.Why, w.why) || f.Permanent != w.permanent || f.After != w.after || strings.Contains(f.Why, "t0psecret") {
		t.Errorf("%+v", f)
	}
}

// TestRetryAfter reads seconds and dates, and nothing else.
func TestRetryAfter(t *testing.T) {
	for h, want := range map[string]time.Duration{
		"120": 2 * time.Minute, "": 0, "-5": 0, "soon": 0, "99999999999999999999": 0, "999999": longestAsk,
		noon.Add(time.Hour).Format(http.TimeFormat): time.Hour, noon.Add(-time.Hour).Format(http.TimeFormat): 0,
	} {
		if got := retryAfter(h, noon); got != want {
			t.Errorf("%q: %s, want %s", h, got, want)
		}
	}
}

// TestGateway: any HTTP gateway for text messages by a template.
func TestGateway(t *testing.T) {
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "gateway.json"), []byte(`to=%2B441632960961&text={{query (sms .Title)}}&id={{query .ID}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	var form url.Values
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err == nil {
			form = r.PostForm
		}
	}))
	defer s.Close()
	c := Channel{Name: "gateway", Webhook: Secret{Text: s.URL}, Type: "application/x-www-form-urlencoded"}
	sender, err := NewSender(c, folder, time.UTC, noWorld(nil))
	if err != nil {
		t.Fatal(err)
	}
	m := SampleMessage("tell", noon, "gate")
	m.Title = "a&to=+1&text=forged\n%s…"
	if _, err := sender.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if len(form["to"]) != 1 || form.Get("to") != "+441632960961" || form.Get("text") != "a&to=+1&text=forged\n%s." {
		t.Errorf("%q", form)
	}
}

// TestTwilio: a text message and a call.
func TestTwilio(t *testing.T) {
	var mu sync.Mutex
	var asked []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		user, pass, _ := r.BasicAuth()
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		asked = append(asked, r.URL.Path+" "+user+":"+pass+" "+r.PostForm.Get("To")+" "+r.PostForm.Get("From")+" "+r.PostForm.Get("Body")+r.PostForm.Get("Twiml"))
		w.WriteHeader(201)
		fmt.Fprint(w, `{"sid": "SM1", "status": "queued"}`)
	}))
	defer s.Close()
	c := Channel{Name: "sms", SMS: []string{"+441632960961", "+441632960962"}, From: "+441632960960", Account: "AC123", Token: Secret{Env: "T"}, API: s.URL}
	answer, err := sendThrough(t, c, noWorld(map[string]string{"T": "tok-en"}), SampleMessage("ban", noon, "gate"))
	if err != nil || !strings.Contains(answer, "queued") {
		t.Fatal(answer, err)
	}
	want := "/2010-04-01/Accounts/AC123/Messages.json AC123:tok-en +441632960961 +441632960960 gate: banned 192.0.2.7 for 1h (sshd). 5 failed logins in 3m20s (sshd allows 4 in 10m); second offence within 90d, so 1h [gatehouse unban 192.0.2.7] #812/sample"
	if len(asked) != 2 || asked[0] != want {
		t.Errorf("%q", asked)
	}
	c.Name, c.Voice, c.SMS = "voice", c.SMS[:1], nil
	m := SampleMessage("panel.alarm", noon, "gate")
	m.Items[0].Why = "zone 7 <Play>http://evil</Play> & more"
	if _, err := sendThrough(t, c, noWorld(map[string]string{"T": "tok-en"}), m); err != nil {
		t.Fatal(err)
	}
	if call := asked[2]; !strings.Contains(call, "/Calls.json") || strings.Contains(call, "<Play>") || !strings.Contains(call, "zone 7 &lt;Play&gt;") {
		t.Error(call)
	}
	for _, bad := range []Channel{
		{Name: "sms", SMS: []string{"441632960961"}, From: c.From, Account: "AC123", Token: Secret{Env: "T"}},
		{Name: "sms", SMS: []string{"+441632960961&To=+1"}, From: c.From, Account: "AC123", Token: Secret{Env: "T"}},
		{Name: "sms", SMS: []string{"+441632960961"}, From: c.From, Account: "../AC", Token: Secret{Env: "T"}},
		{Name: "sms", SMS: []string{"+441632960961"}, From: c.From, Account: "AC123", Token: Secret{Env: "NONE"}},
	} {
		if _, err := NewSender(bad, "", nil, noWorld(map[string]string{"T": "x"})); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
}

// pushChild runs this test program as the process of one message.
func pushChild(to string) Outside {
	o := noWorld(nil)
	o.Push = func(ctx context.Context, p PushRequest) (PushAnswer, error) {
		in, err := json.Marshal(p)
		if err != nil {
			return PushAnswer{}, err
		}
		cmd := exec.CommandContext(ctx, "/proc/self/exe", PushArg)
		cmd.Env = append(os.Environ(), "GATEHOUSE_TEST_PUSH="+to)
		cmd.Stdin = strings.NewReader(string(in))
		out, err := cmd.Output()
		if err != nil {
			return PushAnswer{}, err
		}
		var a PushAnswer
		return a, json.Unmarshal(out, &a)
	}
	return o
}

// TestPush: the services that people use, against a server on this machine.
func TestPush(t *testing.T) {
	var mu sync.Mutex
	var got []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		mu.Lock()
		got = append(got, r.Header.Get("X-Was-For")+r.URL.Path+" "+r.Header.Get("X-Gatehouse-Delivery")+" "+r.Header.Get("Title")+" "+string(b))
		mu.Unlock()
		switch {
		case strings.Contains(r.URL.Path, "/login"):
			fmt.Fprint(w, `{"flows": [{"type": "m.login.password"}], "access_token": "a", "user_id": "@u:h"}`)
		case strings.Contains(r.URL.Path, "bot"):
			fmt.Fprint(w, `{"ok": true, "result": {}}`)
		case r.Header.Get("X-Was-For") == "https://hooks.slack.com", strings.Contains(r.URL.Path, "hooks/"):
			fmt.Fprint(w, "ok")
		default:
			fmt.Fprint(w, `{"id": 1, "status": 1, "ok": true, "event_id": "e"}`)
		}
	}))
	defer s.Close()
	here := strings.TrimPrefix(s.URL, "http://")
	for name, address := range map[string]string{
		"ntfy":       "ntfy://" + here + "/gatehouse?scheme=http",
		"gotify":     "gotify://" + here + "/Aaa.bbb.ccc.ddd?disabletls=yes",
		"pushover":   "pushover://shoutrrr:apptoken12345678901234567890@userkey12345678901234567890",
		"telegram":   "telegram://110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw@telegram?chats=@gatehouse",
		"discord":    "discord://tokentokentoken@1234567890",
		"slack":      "slack://hook:WNA3PBYV6-F20DUQND3RQ-Webc4MAvoacrpPakR8phF0zi@webhook",
		"mattermost": "mattermost://" + here + "/tokentokentoken?disabletls=yes",
		"matrix":     "matrix://user:passw0rd@" + here + "/?rooms=!room:h&disableTLS=yes",
	} {
		t.Run(name, func(t *testing.T) {
			mu.Lock()
			got = nil
			mu.Unlock()
			answer, err := sendThrough(t, Channel{Name: "phone", URL: Secret{Text: address}}, pushChild(here), SampleMessage("ban", noon, "gate"))
			if err != nil {
				t.Fatal(err)
			}
			mu.Lock()
			defer mu.Unlock()
			all := strings.Join(got, "\n")
			if !strings.Contains(all, "812/sample") || !strings.Contains(all, "192.0.2.7") || !strings.Contains(all, "unban") || !strings.Contains(answer, "200 OK") {
				t.Errorf("%s\n%s", answer, all)
			}
		})
	}
}

// TestPushFailures: the process of a message bounds what servers do.
func TestPushFailures(t *testing.T) {
	for name, h := range badServers(t) {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(h)
			defer s.Close()
			here := strings.TrimPrefix(s.URL, "http://")
			sender, err := NewSender(Channel{Name: "phone", URL: Secret{Text: "ntfy://" + here + "/t0psecret?scheme=http"}}, "", time.UTC, pushChild(here))
			if err != nil {
				t.Fatal(err)
			}
			patience := 20 * time.Second
			if name == "hangs" {
				patience = time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err = sender.Send(ctx, SampleMessage("ban", noon, "gate"))
			if name == "1 GB" && err == nil {
				return // whether zeros are an answer is for the service to say
			}
			if name == "1 GB" {
				name = "hangs" // any failure that passes
			}
			judge(t, name, err)
			s.CloseClientConnections()
		})
	}
}

// TestPushURL: what is wrong is said, and never the address itself.
func TestPushURL(t *testing.T) {
	for address, want := range map[string]string{
		"ntfy://ntfy.example.org/topic":       "",
		"telegrm://t0psecret@telegram":        "there is no service telegrm: known are bark,",
		"telegram://t0psecret@telegram":       "telegram: ",
		"smtp://user:t0psecret@h/?to=a@b":     "smtp is not a push or chat service",
		"https://hooks.example.org/t0psecret": "write webhook:",
		"t0psecret":                           "it is not the URL of a service",
		"":                                    "it is not the URL of a service",
		"gotify://host/%zz":                   "",
	} {
		err := CheckPushURL(address)
		switch {
		case want == "" && address == "gotify://host/%zz":
			if err == nil {
				t.Error("a broken escape is taken")
			}
		case want == "" && err != nil, want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%s: %v", address, err)
		}
		if err != nil && strings.Contains(err.Error(), "t0psecret") {
			t.Errorf("the secret is told: %v", err)
		}
	}
}
