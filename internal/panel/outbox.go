package panel

import "gatehouse/internal/ad2"

// outbox carries events and notes into the line on a goroutine of its own, in
// order: the line may be busy, and the panel must not wait for it.
type outbox struct {
	items chan outItem  // holds a long burst; full = the loop waits
	stop  chan struct{} // closed by close
	done  chan struct{} // closed when everything is handed on
}

// outItem is an event, or a note of who did what.
type outItem struct {
	event     *ad2.Event
	kind      string
	sentence  string
	partition int
}

func newOutbox() *outbox {
	return &outbox{items: make(chan outItem, 1024), stop: make(chan struct{}), done: make(chan struct{})}
}

// put queues an item; where the outbox is closed it is lost.
func (o *outbox) put(it outItem) {
	select {
	case o.items <- it:
	case <-o.done:
	}
}

// run hands everything on until close, and what is queued then.
func (o *outbox) run(d Deps) {
	defer close(o.done)
	hand := func(it outItem) {
		if it.event != nil {
			d.Tell(*it.event)
		} else {
			d.Note(it.kind, it.sentence, it.partition)
		}
	}
	for {
		select {
		case it := <-o.items:
			hand(it)
		case <-o.stop:
			for {
				select {
				case it := <-o.items:
					hand(it)
				default:
					return
				}
			}
		}
	}
}

// close waits until everything is handed on.
func (o *outbox) close() {
	close(o.stop)
	<-o.done
}
