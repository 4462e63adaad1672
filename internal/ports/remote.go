package ports

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"gatehouse/internal/gate"
)

// RemoteConfig says where a remote file is, and what it may want.
type RemoteConfig struct {
	URL      string // https; or
	Path     string // a file of this machine
	Every    time.Duration
	Verify   string // VerifyTOTP, VerifyMinisign, VerifySSH or VerifyNone
	Key      string // file with the secret, the public key, or the allowed signers
	CA       string // file of certificates; "" = those of the machine
	Services []string
	Longest  time.Duration  // how long an opening lasts at most, and where it is not said
	From     []netip.Prefix // who gets in; empty = anybody
	Names    Names
}

// Place is where the file is.
func (c RemoteConfig) Place() string {
	if c.Path != "" {
		return c.Path
	}
	return c.URL
}

// RemoteDeps is what a Remote needs of others.
type RemoteDeps struct {
	Log *slog.Logger
	Now func() time.Time
	// Load and Save keep the state over a restart.
	Load func() ([]byte, error)
	Save func([]byte)
	// Ask hands a wish to the line and returns when it is in the ledger.
	Ask func(ctx context.Context, i Intent, origin gate.Origin) ([]gate.Answer, error)
	// Tell records a sentence about the file.
	Tell func(ctx context.Context, pattern, sentence string)
	// Fault shows what is wrong at present; "" clears it.
	Fault func(why, hint string)
}

// Remote reads a remote file again and again, and asks for what is new in it.
// Run it in one goroutine.
type Remote struct {
	c     RemoteConfig
	d     RemoteDeps
	fetch *fetcher
	state remoteState
	told  map[string]time.Time // kind of failure -> when it was told
	owed  bool                 // a failure was told, and not yet that the file is good again

	mu   sync.Mutex // guards what follows
	view RemoteView
}

// RemoteView is how a remote file fares.
type RemoteView struct {
	Good time.Time // when it was last read and found good; zero = never
	Why  string    // what is wrong now; "" = nothing
}

// remoteState is what must outlive a restart.
type remoteState struct {
	Place   string         `json:"place"` // what the rest is about
	ETag    string         `json:"etag,omitempty"`
	Digest  string         `json:"digest,omitempty"`  // of the last good file
	Done    []string       `json:"done,omitempty"`    // its lines
	Counter uint64         `json:"counter,omitempty"` // of the last good signed file
	Good    time.Time      `json:"good,omitzero"`     // when it was last read and found good
	Used    map[int64]bool `json:"used,omitempty"`    // steps of codes that were used
	Wrong   int            `json:"wrong,omitempty"`   // wrong codes in a row
	Wait    time.Time      `json:"wait,omitzero"`     // no code is looked at before
	Guess   string         `json:"guess,omitempty"`   // digest of the file with the last wrong code
}

// Bounds of codes.
const (
	maxCodeAge  = 15 * time.Minute // how far back a code is good
	firstWait   = time.Minute      // after the first wrong code; doubled with each
	longestWait = time.Hour
	tellEvery   = time.Hour // of one kind of failure
)

// NewRemote makes a Remote. Its error says what is wrong with the files that it
// needs.
func NewRemote(c RemoteConfig, d RemoteDeps) (*Remote, error) {
	f, err := newFetcher(c)
	if err != nil {
		return nil, err
	}
	if d.Now == nil {
		d.Now = time.Now
	}
	r := &Remote{c: c, d: d, fetch: f, told: map[string]time.Time{}}
	if b, err := d.Load(); err != nil {
		return nil, fmt.Errorf("read how far the remote file was done: %w", err)
	} else if b != nil {
		if err := json.Unmarshal(b, &r.state); err != nil {
			d.Log.Warn("what was known of the remote file is lost; its lines count as new", "err", err)
		}
	}
	if place := c.Verify + " " + c.Place(); r.state.Place != place {
		// Another file: what was done is not done there. Codes and counters stay used.
		r.state = remoteState{Place: place, Used: r.state.Used, Counter: r.state.Counter}
	}
	r.view.Good = r.state.Good
	return r, nil
}

// View returns how it fares. It may be called from any goroutine.
func (r *Remote) View() RemoteView {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view
}

// Run reads the file at once, and then every so often, until ctx ends.
func (r *Remote) Run(ctx context.Context) error {
	for {
		r.Look(ctx)
		wait := r.c.Every
		if r.state.Wait.After(r.d.Now().Add(wait)) {
			wait = r.state.Wait.Sub(r.d.Now())
		}
		t := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			t.Stop()
			return nil
		case <-t.C:
		}
	}
}

// Look reads the file once and asks for what is new in it.
func (r *Remote) Look(ctx context.Context) {
	if r.d.Now().Before(r.state.Wait) {
		return
	}
	err := r.look(ctx)
	if ctx.Err() != nil {
		return
	}
	now := r.d.Now()
	r.mu.Lock()
	r.view.Good, r.view.Why = r.state.Good, ""
	if err != nil {
		r.view.Why = err.Error()
	}
	r.mu.Unlock()
	if err == nil {
		r.d.Fault("", "")
		if r.owed {
			r.owed = false
			r.d.Tell(ctx, "restored", "the remote file is read and good again")
		}
		return
	}
	r.d.Fault(err.Error(), "nothing was changed; the file is read again every "+gate.FormatDuration(r.c.Every))
	if last, ok := r.told[err.Error()]; !ok || now.Sub(last) >= tellEvery {
		if len(r.told) > maxIntents {
			clear(r.told)
		}
		r.told[err.Error()], r.owed = now, true
		r.d.Tell(ctx, "refused", "the remote file is refused, and nothing was changed: "+err.Error())
	}
}

// look is Look without the telling.
func (r *Remote) look(ctx context.Context) error {
	now := r.d.Now()
	got, err := r.fetch.fetch(ctx, r.state.ETag)
	if err != nil {
		return err
	}
	if got.same {
		r.state.Good = now
		r.save()
		return nil
	}
	sum := sha256.Sum256(append(slices.Clone(got.content), got.signature...))
	digest := hex.EncodeToString(sum[:])
	if digest == r.state.Digest {
		r.state.Good, r.state.ETag = now, got.etag
		r.save()
		return nil
	}
	sheet, fresh, err := r.accept(got, digest, now)
	if err != nil {
		return err
	}
	for n, i := range fresh {
		if err := r.ask(ctx, i, sheet.Counter, n); err != nil {
			return err
		}
	}
	done := make([]string, len(sheet.Intents))
	for n, i := range sheet.Intents {
		done[n] = i.Text
	}
	r.state.Done, r.state.Digest, r.state.ETag, r.state.Good = done, digest, got.etag, now
	r.state.Wrong, r.state.Guess = 0, ""
	if sheet.Counter > 0 {
		r.state.Counter = sheet.Counter
	}
	r.save()
	return nil
}

// accept verifies a file that is another than before and returns what is new in
// it.
func (r *Remote) accept(got fetched, digest string, now time.Time) (s Sheet, fresh []Intent, err error) {
	if err := r.verifyWhole(got, now); err != nil {
		return s, nil, err
	}
	if s, err = ParseSheet(got.content, r.c.Names); err != nil {
		return s, nil, err
	}
	signed := r.c.Verify == VerifyMinisign || r.c.Verify == VerifySSH
	if signed {
		switch {
		case s.Counter == 0:
			return s, nil, errors.New("it has no line # counter: and a number")
		case s.Expires.IsZero():
			return s, nil, errors.New("it has no line # expires: and a time")
		case !now.Before(s.Expires):
			return s, nil, errors.New("it has expired")
		case s.Counter < r.state.Counter:
			return s, nil, errors.New("its counter is older than that of a file that was done")
		case s.Counter == r.state.Counter:
			return s, nil, errors.New("it is another file with the same counter: count up")
		}
	}
	for n := range s.Intents {
		i := &s.Intents[n]
		if err := r.limit(i); err != nil {
			return s, nil, err
		}
		if signed || !slices.Contains(r.state.Done, i.Text) {
			fresh = append(fresh, *i)
		}
	}
	if r.c.Verify == VerifyTOTP {
		err = r.codes(fresh, digest, now)
	}
	return s, fresh, err
}

// verifyWhole checks the signature of a file.
func (r *Remote) verifyWhole(got fetched, now time.Time) error {
	switch r.c.Verify {
	case VerifyMinisign, VerifySSH:
		key, err := readSmall(r.c.Key, maxKey)
		if err != nil {
			return fmt.Errorf("read the key: %w", err)
		}
		if r.c.Verify == VerifyMinisign {
			return verifyMinisign(got.content, got.signature, string(key))
		}
		signers, err := parseSigners(string(key))
		if err != nil {
			return err
		}
		return verifySSH(got.content, got.signature, signers, now)
	case VerifyTOTP, VerifyNone:
		return nil
	}
	return fmt.Errorf("there is no way %s to verify", gate.Quote(r.c.Verify, 32))
}

// limit holds an intent against what the file may want.
func (r *Remote) limit(i *Intent) error {
	if r.c.Verify != VerifyTOTP && i.Code != "" {
		return errors.New("it has a code at the end of a line, and no codes are asked for")
	}
	if len(r.c.Services) > 0 && !slices.Contains(r.c.Services, i.What.Service) {
		return errors.New("it wants something of what it may not: " + gate.Quote(hideCode(i.Text), 64))
	}
	if i.Verdict != gate.Open {
		return nil
	}
	if i.For == 0 {
		i.For = r.c.Longest
	}
	if i.For > r.c.Longest {
		return errors.New("it opens for longer than " + gate.FormatDuration(r.c.Longest) + ": " + gate.Quote(hideCode(i.Text), 64))
	}
	if len(r.c.From) > 0 && i.From.IsValid() && !slices.ContainsFunc(r.c.From, func(p netip.Prefix) bool {
		return p.Bits() <= i.From.Bits() && p.Contains(i.From.Addr())
	}) {
		return errors.New("it opens to somebody that it may not: " + gate.Quote(hideCode(i.Text), 64))
	}
	return nil
}

// errWrongCode is what a file with a wrong code is refused for: it says no more,
// for whoever guesses.
var errWrongCode = errors.New("a code is wrong, too old, or was used before")

// codes checks the code of each new line. Any wrong one refuses the file: so a
// file is one guess, however many lines it has.
func (r *Remote) codes(fresh []Intent, digest string, now time.Time) error {
	if len(fresh) == 0 {
		return nil
	}
	if digest == r.state.Guess {
		return errWrongCode // nothing new to guess by
	}
	text, err := readSecret(r.c.Key)
	if err != nil {
		return err
	}
	secret, err := parseOTPSecret(text)
	if err != nil {
		return fmt.Errorf("%s: %w", r.c.Key, err)
	}
	last := stepOf(now)
	first := stepOf(now.Add(-maxCodeAge))
	if !r.state.Good.IsZero() {
		first = max(first, stepOf(r.state.Good))
	}
	used := map[int64]bool{}
	for n := range r.state.Used {
		if n >= stepOf(now.Add(-2*maxCodeAge)) {
			used[n] = true
		}
	}
	for _, i := range fresh {
		step, ok := secret.find(i.Code, first, last, used)
		if !ok {
			r.state.Wrong++
			r.state.Guess = digest
			r.state.Wait = now.Add(min(longestWait, firstWait<<min(r.state.Wrong-1, 10)))
			r.save()
			return errWrongCode
		}
		used[step] = true
	}
	r.state.Used = used
	return nil
}

// ask asks for one thing.
func (r *Remote) ask(ctx context.Context, i Intent, counter uint64, n int) error {
	froms := []netip.Prefix{i.From}
	if i.Verdict == gate.Open && !i.From.IsValid() && len(r.c.From) > 0 {
		froms = r.c.From
	}
	for k, from := range froms {
		i.From = from
		h := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d\x00%s\x00%v", r.state.Place, counter, i.Text, from))
		var epoch uint64
		for _, b := range h[:8] {
			epoch = epoch<<8 | uint64(b)
		}
		answers, err := r.d.Ask(ctx, i, gate.Origin{Source: "remote", Epoch: epoch, Offset: int64(n*len(froms) + k)})
		if err != nil {
			return fmt.Errorf("ask: %w", err)
		}
		for _, a := range answers {
			if a.Refused != "" {
				r.d.Tell(ctx, "refused", "the remote file asked to "+hideCode(i.Text)+", which was not granted: "+a.Refused)
			}
		}
	}
	return nil
}

// save keeps the state.
func (r *Remote) save() {
	b, err := json.Marshal(&r.state)
	if err != nil {
		r.d.Log.Error("keep how far the remote file was done", "err", err)
		return
	}
	r.d.Save(b)
}
