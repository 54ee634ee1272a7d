package runtime

// Threadlet runs fn, an ordinary Go function that may block, and then done on
// the shard with fn's error. Under the threadlet model fn runs in the head's
// own context, after the current callback has returned, and goes async only if
// it blocks; under the others a helper runs it. fn must not touch what the
// shard owns. A panic in fn is reported to done as a *PanicError, runtime.Goexit
// as ErrGoexit.
//
// fn may block in any way: a lock, a channel, a database driver, a page fault. As
// many functions as there are helpers or standbys may be blocked at once; others
// wait for one of them to end, so functions must not wait for each other.
//
// The outcome is Queued, or Busy when Options.MaxInFlight is reached; then
// neither function is called. On the shard only.
func (s *Shard) Threadlet(fn func() error, done func(err error)) Outcome {
	t := s.takeThreadlet()
	t.fn, t.done = fn, done
	t.y.callee, t.y.doneCode = codeOf(fn), codeOf(done)
	out := s.submit(&t.y, false)
	if out == Busy {
		s.putThreadlet(t)
	}
	return out
}

// threadlet is a syslet of one call op, kept for reuse. The op has no function of
// its own: a closure between would be one more to return through.
type threadlet struct {
	fn   func() error
	done func(error)
	err  error
	next *threadlet // link of the shard's free list
	y    Syslet
	ops  [1]Op
}

func (s *Shard) takeThreadlet() *threadlet {
	t := s.freeThreadlets
	if t != nil {
		s.freeThreadlets, t.next = t.next, nil
		return t
	}
	t = &threadlet{}
	t.ops[0].Code = OpCall // of fn: see Exec
	t.y.Ops, t.y.threadlet = t.ops[:], t
	t.y.checked, t.y.checkedLen, t.y.callsGo = &t.ops[0], 1, true
	t.y.Done = func(s *Shard, y *Syslet) { s.endThreadlet(t) }
	return t
}

func (s *Shard) endThreadlet(t *threadlet) {
	done, err := t.done, t.err
	switch {
	case t.y.err != nil:
		err = t.y.err
	case t.y.res < 0:
		err = t.y.Errno()
	}
	s.putThreadlet(t)
	if done != nil {
		done(err)
	}
}

func (s *Shard) putThreadlet(t *threadlet) {
	t.fn, t.done, t.err = nil, nil, nil
	t.next, s.freeThreadlets = s.freeThreadlets, t
}
