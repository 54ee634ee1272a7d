package threadlet

// The model of the ownership protocol: the watcher (watcher.go and its assembly), a thread that calls Stop, and the end of Run.

func (t *turn) watch() {
	s, w := &t.s, t.s.watcherWord
	switch s.watcher {
	case watcherLook:
		t.do("looks at the command", func(n *modelState, _ *modelThread) {
			n.watcher = [...]modelStep{commandSleep: watcherFutex, commandWatch: watcherWord, commandStop: watcherGone}[s.command]
		})
	case watcherWord:
		if s.word.word().state() == inBody {
			t.do("looks at the word, in a body, and yields", func(n *modelState, _ *modelThread) { n.watcherWord, n.watcher = s.word, watcherYield })
			return
		}
		t.do("looks at the word: in no body", func(n *modelState, _ *modelThread) { n.watcher, n.bound = watcherNap, false })
	case watcherYield:
		if s.word == w {
			t.do("looks at the word: the same body", watcherAt(watcherReserve))
			return
		}
		t.do("looks at the word: it has changed", watcherAt(watcherLook))
	case watcherReserve:
		t.reserve(watcherAt(watcherNote), func(n *modelState, _ *modelThread) { n.watcher, n.watcherWord, n.bound = watcherNap, 0, true })
	case watcherNote:
		t.do("notes when the head had blocked", watcherAt(watcherClaim))
	case watcherClaim:
		t.swap("claims the role", w, w.word().claim(), t.p.has(claimStores), watcherAt(watcherWrite), func(n *modelState, me *modelThread) {
			watcherAt(watcherLost)(n, me)
			if t.p.has(watcherKeeps) {
				n.watcher = watcherLook
			}
		})
	case watcherLost:
		t.do("gives its reservation back", func(n *modelState, _ *modelThread) {
			n.free++
			if n.watcher = watcherWrite; t.p.has(watcherLostSilent) {
				n.watcher = watcherLook
			}
		})
	case watcherWrite:
		t.offerWake("writes to offerFd", watcherLook)
	default:
		t.naps()
	}
}

// watcherAt has the watcher go on at a step; it forgets the word where it needs it no more.
func watcherAt(next modelStep) func(*modelState, *modelThread) {
	return func(n *modelState, _ *modelThread) {
		if n.watcher = next; next != watcherReserve && next != watcherNote && next != watcherClaim {
			n.watcherWord = 0
		}
	}
}

// naps: no body, or no standby.
func (t *turn) naps() {
	s := &t.s
	switch s.watcher {
	case watcherNap:
		t.do("says that it sleeps", func(n *modelState, _ *modelThread) {
			if s.command == commandWatch || t.p.has(napStores) {
				n.command = commandSleep
			}
			n.watcher, n.bound = watcherNapWord, false
			if t.p.has(napUnseeingWord) && !s.bound || t.p.has(napUnseeingFree) && s.bound {
				n.watcher = watcherFutex
			}
		})
	case watcherNapWord:
		t.do("looks at the word again", func(n *modelState, _ *modelThread) {
			if n.watcher = watcherFutex; s.word.word().state() == inBody {
				n.watcher = watcherNapFree
			}
		})
	case watcherNapFree:
		t.do("looks at free again", func(n *modelState, _ *modelThread) {
			if n.watcher = watcherFutex; s.free > 0 {
				n.watcher = watcherNapBack
			}
		})
	case watcherNapBack:
		t.do("says that it does not sleep", func(n *modelState, _ *modelThread) {
			if n.watcher = watcherLook; s.command == commandSleep {
				n.command = commandWatch
			}
		})
	case watcherFutex:
		t.do("sleeps if the command is still to sleep", func(n *modelState, _ *modelThread) {
			if n.watcher = watcherLook; s.command == commandSleep || t.p.has(watcherSleepsUnseeing) {
				n.watcher = watcherSleeps
			}
		})
	}
}

// stop is Pool.Stop, by a thread that is not the pool's.
func (t *turn) stop() {
	first := func(n *modelState, _ *modelThread) { n.stopping, n.stopper = true, stopWakes }
	switch {
	case t.s.stopper == stopBegins && t.s.stopping:
		t.do("stops a pool that is stopping", func(n *modelState, _ *modelThread) { n.stopper = stopDone })
	case t.s.stopper == stopBegins && t.p.has(stopUnannounced):
		t.wakeAll("wakes all standbys", func(n *modelState) { n.stopReady, n.stopper = false, stopWakes })
	case t.s.stopper == stopBegins:
		t.do("says that the pool is stopping", first)
	case t.s.stopper == stopWakes && t.p.has(stopUnannounced):
		t.do("says that the pool is stopping", func(n *modelState, _ *modelThread) { n.stopping, n.stopper = true, stopDone })
	case t.s.stopper == stopWakes:
		t.wakeAll("wakes all standbys", func(n *modelState) { n.stopper = stopDone })
	}
}

// close is the end of Run: when all threads are out the watcher is told to go and waited for.
func (t *turn) close() {
	s := &t.s
	switch s.closer {
	case closeBegins:
		for i := range t.p.threads {
			if step := s.threads[i].step; step != atOut && step != atSkipped {
				return
			}
		}
		if s.stopper == stopWakes {
			return // holds the mutex
		}
		t.do("sees that all threads are out", func(n *modelState, _ *modelThread) {
			if n.closer = closeDone; t.p.watcher {
				n.closer = closeOrders
			}
		})
	case closeOrders:
		t.do("orders the watcher to go", func(n *modelState, _ *modelThread) { n.command, n.closer = commandStop, closeWakes })
	case closeWakes:
		t.do("wakes the watcher if it is asleep", func(n *modelState, _ *modelThread) { n.futexWake(); n.closer = closeWaits })
	case closeWaits:
		if s.watcher == watcherGone {
			t.do("sees that the watcher is gone", func(n *modelState, _ *modelThread) { n.closer = closeDone })
		}
	}
}
