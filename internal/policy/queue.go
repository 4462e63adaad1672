package policy

// The queue is a binary heap of the numbers of bans that end, the first to end
// at its top; among equals the order is that of their numbers.

func (b *bans) sooner(x, y uint32) bool {
	p, q := b.at(x), b.at(y)
	return p.until < q.until || p.until == q.until && x < y
}

func (b *bans) set(at int, i uint32) {
	b.queue[at] = i
	b.at(i).pos = uint32(at + 1)
}

func (b *bans) enqueue(i uint32) {
	if b.at(i).until == 0 {
		return
	}
	b.queue = append(b.queue, i)
	b.up(len(b.queue)-1, i)
}

func (b *bans) dequeue(i uint32) {
	at := int(b.at(i).pos) - 1
	if at < 0 {
		return
	}
	b.at(i).pos = 0
	n := len(b.queue) - 1
	last := b.queue[n]
	b.queue = b.queue[:n]
	if last == i {
		return
	}
	if at > 0 && b.sooner(last, b.queue[(at-1)/2]) {
		b.up(at, last)
	} else {
		b.down(at, last)
	}
}

func (b *bans) up(at int, i uint32) {
	for at > 0 && b.sooner(i, b.queue[(at-1)/2]) {
		b.set(at, b.queue[(at-1)/2])
		at = (at - 1) / 2
	}
	b.set(at, i)
}

func (b *bans) down(at int, i uint32) {
	for {
		kid := 2*at + 1
		if kid >= len(b.queue) {
			break
		}
		if kid+1 < len(b.queue) && b.sooner(b.queue[kid+1], b.queue[kid]) {
			kid++
		}
		if !b.sooner(b.queue[kid], i) {
			break
		}
		b.set(at, b.queue[kid])
		at = kid
	}
	b.set(at, i)
}

// end gives ban i another end.
func (b *bans) end(i uint32, until int64) {
	b.dequeue(i)
	b.at(i).until = until
	b.enqueue(i)
}

// reorder builds the queue anew after many ends changed.
func (b *bans) reorder() {
	for at := len(b.queue)/2 - 1; at >= 0; at-- {
		b.down(at, b.queue[at])
	}
}
