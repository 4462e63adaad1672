package report

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/gate"
)

// Retries of a digest, and how late it may come.
const (
	digestRetry = 10 * time.Minute
	digestLate  = 20 * time.Hour
)

// Last returns when a digest was due for the last time, at or before a moment of
// the zone that counts; the zero time if none ever is.
func (s Schedule) Last(now time.Time) time.Time {
	if s.Every == Never || len(s.To) == 0 {
		return time.Time{}
	}
	for back := range 9 {
		day := time.Date(now.Year(), now.Month(), now.Day()-back, 0, 0, 0, 0, now.Location())
		// By the clock on the wall, also on days of 23 and 25 hours.
		at := time.Date(day.Year(), day.Month(), day.Day(), int(s.At/time.Hour), int(s.At%time.Hour/time.Minute), 0, 0, now.Location())
		if !at.After(now) && (s.Every == Daily || day.Weekday() == time.Monday) {
			return at
		}
	}
	return time.Time{}
}

// Next returns when a digest is due for the first time after a moment.
func (s Schedule) Next(now time.Time) time.Time {
	for ahead := range 9 {
		at := s.Last(now.AddDate(0, 0, ahead+1))
		if at.After(now) {
			return at
		}
	}
	return time.Time{}
}

// Span is how much time a digest is about.
func (s Schedule) Span() time.Duration {
	if s.Every == Daily {
		return gate.Day
	}
	return 7 * gate.Day
}

// digests sends the digest when it is due, until ctx ends.
func (rp *Reporter) digests(ctx context.Context) {
	s := rp.c.Digest
	timer := time.NewTimer(0)
	defer timer.Stop()
	done := map[string]bool{} // channels that have the one that is due
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		now := rp.d.Now().In(rp.c.Zone)
		due := s.Last(now)
		if due.IsZero() {
			<-ctx.Done()
			return
		}
		rp.mu.Lock()
		last := rp.state.Digest
		rp.mu.Unlock()
		wait := s.Next(now).Sub(now)
		if due.After(last) {
			if now.Sub(due) < digestLate && !rp.sendDigest(ctx, due, done) {
				wait = min(wait, digestRetry) // also where we are being stopped: the next run sends it
			} else {
				clear(done)
				rp.mu.Lock()
				rp.state.Digest = due
				rp.save()
				rp.mu.Unlock()
			}
		}
		timer.Reset(max(wait, time.Second))
	}
}

// sendDigest sends the digest that is due to those who do not have it yet; false
// if somebody still lacks it.
func (rp *Reporter) sendDigest(ctx context.Context, due time.Time, done map[string]bool) bool {
	d, err := rp.Sum(ctx, due.Add(-rp.c.Digest.Span()), due)
	var m Mail
	if err == nil {
		m, err = d.mail()
	}
	if err != nil {
		if ctx.Err() == nil {
			rp.d.Fault("digest", clean(err.Error(), 300), "it is tried again; see the log of the daemon")
		}
		return false
	}
	all := true
	for _, channel := range rp.c.Digest.To {
		if done[channel] {
			continue
		}
		m.ID = fmt.Sprintf("digest%d.%s", due.Unix(), channel)
		sctx, cancel := context.WithTimeout(ctx, sendTime)
		_, err := rp.d.Mail(sctx, channel, m)
		cancel()
		if ctx.Err() != nil {
			return false
		}
		if err != nil {
			all = false
			rp.d.Fault("digest", channel+": "+clean(err.Error(), 300), "it is tried again every ten minutes; try the channel with: gatehouse notify test "+channel)
			continue
		}
		done[channel] = true
	}
	if all {
		rp.d.Fault("digest", "", "")
		rp.d.Tell("digest", gate.Subject{}, d.Sentence())
	}
	return all
}

// mail writes a digest as a mail.
func (d *Digest) mail() (m Mail, err error) {
	m.Kind, m.Subject, m.Short = "report.digest", d.Title(), d.Sentence()
	if m.Text, err = d.Text(); err == nil {
		m.HTML, err = d.HTML()
	}
	return m, err
}
