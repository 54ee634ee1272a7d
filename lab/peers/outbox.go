package main

import "sync"

// outbox lets anyone send to a connection whose library can only write
// blocking: what the kernel does not take at once waits here, and one
// goroutine at a time writes it, all that has gathered in one go.
type outbox struct {
	// spawn runs the writer in a goroutine.
	spawn func(func())
	// write sends all of bufs and may block; called by one goroutine at a time.
	write func(bufs [][]byte) error
	// try, if set, sends what it can without blocking; called with mu held.
	try func(p []byte) (int, error)
	// kill ends the connection after an error; called without mu.
	kill func()

	mu    sync.Mutex
	idle  sync.Cond // signalled when busy becomes false
	queue [][]byte
	spare [][]byte
	// bytes is the sum of queue's lengths and of what write has in hand.
	bytes int
	busy  bool // a writer runs; invariant: queue is empty otherwise
	dead  bool
}

func (o *outbox) init(spawn func(func()), write func([][]byte) error, kill func()) {
	o.spawn, o.write, o.kill = spawn, write, kill
	o.idle.L = &o.mu
}

// send sends p. If p is reused by the caller it is copied where it has to wait.
func (o *outbox) send(p []byte, reused bool) {
	if reused {
		o.sendShared(p, nil)
	} else {
		o.sendShared(p, p)
	}
}

// sendShared sends p, of which shared is a copy that does not change any more,
// or nil: then one is made where p has to wait, and returned for the next receiver.
func (o *outbox) sendShared(p, shared []byte) []byte {
	o.mu.Lock()
	if o.dead {
		o.mu.Unlock()
		return shared
	}
	sent := 0
	if !o.busy && o.try != nil {
		var err error
		sent, err = o.try(p)
		if sent == len(p) {
			o.mu.Unlock()
			return shared
		}
		if err != nil {
			o.fail()
			return shared
		}
	}
	if o.bytes+len(p)-sent > maxUnsentBytes {
		o.fail()
		return shared
	}
	if shared == nil {
		shared = append([]byte(nil), p...)
	}
	o.queue = append(o.queue, shared[sent:])
	o.bytes += len(p) - sent
	start := !o.busy
	o.busy = true
	o.mu.Unlock()
	if start {
		o.spawn(o.drain)
	}
	return shared
}

// fail ends the connection and unlocks mu.
func (o *outbox) fail() {
	o.dead = true
	o.queue = nil
	o.mu.Unlock()
	o.kill()
}

func (o *outbox) drain() {
	o.mu.Lock()
	var err error
	for len(o.queue) > 0 && !o.dead && err == nil {
		batch, n := o.queue, o.bytes
		o.queue, o.spare = o.spare[:0], nil
		o.mu.Unlock()
		err = o.write(batch)
		o.mu.Lock()
		o.bytes -= n
		clear(batch)
		o.spare = batch[:0]
	}
	o.busy = false
	o.idle.Broadcast()
	if err != nil && !o.dead {
		o.fail()
		return
	}
	o.mu.Unlock()
}

// close refuses what is sent later and waits for the writer.
func (o *outbox) close() {
	o.mu.Lock()
	o.dead = true
	for o.busy {
		o.idle.Wait()
	}
	o.mu.Unlock()
}
