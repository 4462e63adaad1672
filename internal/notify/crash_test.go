package notify

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/gate"
)

// TestCrash: with a thousand letters queued and waves that gather, the power fails
// again and again: each record is told at least once, and a receiver that drops
// doubles by their identifier counts each exactly once.
func TestCrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(t)
		c := channelNamed("mail")
		c.Wait, c.Every, c.Limit = 0, 0, gate.Threshold{Count: 5000, Within: time.Second}
		config := Config{Channels: []Channel{c, channelNamed("digest")}}
		d.fail = func(string) error { return errors.New("connection refused") }
		d.start(config)
		for i := range 1000 {
			d.book.add(ban(i, time.Now()))
			synctest.Wait()
		}
		if s := d.n.Status()[0]; s.Waiting != 1000 || s.Records != 1000 {
			t.Fatalf("%+v", s)
		}
		all := []*Message{}
		for round := range 20 {
			if err := d.store.flush(t.Context()); err != nil && round%2 == 0 {
				t.Fatal(err)
			}
			taken := 0
			d.mu.Lock()
			d.fail = func(channel string) error {
				if taken++; taken > 60 {
					return errors.New("connection reset")
				}
				return nil
			}
			d.mu.Unlock()
			d.book.add(ban(1000+round, time.Now()))
			time.Sleep(3 * time.Second)
			synctest.Wait()
			d.stop()
			d.store.crash() // what was not flushed is gone, deletions included
			all = append(all, d.took()...)
			d.start(config)
		}
		d.mu.Lock()
		d.fail = nil
		d.mu.Unlock()
		time.Sleep(3 * time.Hour)
		synctest.Wait()
		all = append(all, d.took()...)
		d.stop()
		seen, mail, digest := map[string]int{}, 0, 0
		for _, m := range all {
			if seen[m.ID]++; seen[m.ID] > 1 {
				continue
			}
			if via := m.ID[len(m.ID)-4:]; via == "mail" {
				mail += m.Count
			} else {
				digest += m.Count
			}
		}
		if mail != 1020 || digest != 1020 {
			t.Errorf("of 1020 records %d were told by mail and %d by digest", mail, digest)
		}
		if len(all) == len(seen) {
			t.Error("nothing was told twice: the test proves nothing")
		}
	})
}
