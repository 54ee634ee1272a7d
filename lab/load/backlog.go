package load

// backlog keeps the intended times of requests that are held back, a queue per
// connection in one array of nodes. It allocates only when more requests are
// held back at once than ever before.
type backlog struct {
	nodes []held
	free  int32 // first free node, or none
	size  int
}

type held struct {
	intendedNs int64
	next       int32
}

// queue is one connection's part: ends of a list in backlog.nodes.
type queue struct{ first, last int32 }

const none = int32(-1)

func newBacklog(capacity int) backlog {
	return backlog{nodes: make([]held, 0, capacity), free: none}
}

func emptyQueue() queue { return queue{none, none} }

func (q *queue) empty() bool { return q.first == none }

func (b *backlog) push(q *queue, intendedNs int64) {
	at := b.free
	if at != none {
		b.free = b.nodes[at].next
		b.nodes[at] = held{intendedNs, none}
	} else {
		at = int32(len(b.nodes))
		b.nodes = append(b.nodes, held{intendedNs, none})
	}
	if q.empty() {
		q.first = at
	} else {
		b.nodes[q.last].next = at
	}
	q.last = at
	b.size++
}

// pop takes the oldest; the queue must not be empty.
func (b *backlog) pop(q *queue) (intendedNs int64) {
	at := q.first
	intendedNs = b.nodes[at].intendedNs
	q.first = b.nodes[at].next
	if q.first == none {
		q.last = none
	}
	b.nodes[at].next = b.free
	b.free = at
	b.size--
	return intendedNs
}
