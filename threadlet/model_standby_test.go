package threadlet

// The model of the ownership protocol: the way home, and standing by (thread.go, gate.go).

// returned is run after Loop has returned.
func (t *turn) returned() {
	s := &t.s
	switch t.me().step {
	case atReturned:
		w := s.word.word()
		t.do("looks whether it is head", func(_ *modelState, me *modelThread) {
			me.w, me.step = s.word, atEnd
			if w.thread() != t.i || w.vacant() || w.state() == ended {
				me.w = 0
				t.home(me)
			}
		})
	case atEnd:
		w := t.me().w
		t.swap("ends the loop", w, w.word().withState(ended), false,
			func(_ *modelState, me *modelThread) { me.w, me.step = 0, atEndStop },
			func(_ *modelState, me *modelThread) { me.w, me.step = 0, atReturned })
	case atEndStop:
		t.do("stops the pool", func(n *modelState, me *modelThread) {
			if me.step = atEndWake; n.stopping {
				me.step = atOut
			}
			n.stopping = true
		})
	case atEndWake:
		t.wakeAll("wakes all standbys and is out", func(n *modelState) { n.threads[t.i].step = atOut })
	case atFree:
		t.do("counts itself free", func(n *modelState, me *modelThread) {
			n.free++
			me.why = causeReturn
			me.step = t.freed(me, !t.p.has(homeSilent|homeLooksFirst))
		})
	default:
		t.freeing()
	}
}

// freed is where a thread goes on that has counted a standby free: itself, or one that it had reserved. told: the watcher hears of it.
func (t *turn) freed(me *modelThread, told bool) modelStep {
	if t.p.watcher && told {
		return atFreedWord
	}
	return t.counted(me)
}

// counted is where it goes on then.
func (t *turn) counted(me *modelThread) modelStep {
	switch {
	case me.body == 0 && me.why == 0 && me.w == 0: // a fault
		return atFree
	case me.body == 0 && me.w == 0:
		return atTake
	case t.p.hasSpare() && !t.p.has(unreserveSilent):
		return atUnreserveSpare
	}
	return t.unreserved(me)
}

// unreserved is where HandOver, or a standby, goes on when it has given its reservation back.
func (t *turn) unreserved(me *modelThread) modelStep {
	if me.body == 0 {
		t.tried(me, false)
		return me.step
	}
	return atBody
}

func (t *turn) freeing() {
	switch t.me().step {
	case atFreedWord:
		t.do("has counted a standby free: looks at the word", func(n *modelState, me *modelThread) {
			if me.step = atFreedWatch; n.word.word().state() != inBody {
				me.step = t.counted(me)
			}
		})
	case atFreedWatch:
		t.wakesWatcher("has counted a standby free", atFreedSet, t.counted)
	case atFreedSet:
		t.setsWatcher(atFreedWake, t.counted)
	case atFreedWake:
		t.do("wakes the watcher", func(n *modelState, me *modelThread) { n.futexWake(); me.step = t.counted(me) })
	case atUnreserveSpare:
		t.do("looks at the backlog", func(n *modelState, me *modelThread) {
			if me.step = atUnreserveWake; n.backlog[0] == 0 {
				me.step = t.unreserved(me)
			}
		})
	case atUnreserveWake:
		t.wake("writes to offerFd", func(n *modelState) {
			n.offerReady = true
			n.threads[t.i].step = t.unreserved(&n.threads[t.i])
		})
	}
}

// home is the way of me, which is not head, to the standbys.
func (t *turn) home(me *modelThread) {
	switch me.step = atFree; {
	case t.p.has(homeLooksFirst):
		me.step = atFreedWord
	case t.p.has(spareBeforeFree) && t.p.hasSpare():
		me.spare, me.step = true, atSparePop
	}
}

// wakeAll makes stopFd ready, which stays so.
func (t *turn) wakeAll(did string, change func(n *modelState)) {
	t.do(did, func(n *modelState, _ *modelThread) {
		n.stopReady = true
		for k := range t.p.threads {
			if n.threads[k].step == atAsleep {
				n.threads[k].step = atWait
			}
		}
		change(n)
	})
}

func (t *turn) tryTake() {
	w := t.me().w
	switch t.me().step {
	case atTake:
		t.looks()
	case atAccept:
		t.swap("accepts the role", w, w.word().accept(t.i), t.p.has(acceptStores),
			func(_ *modelState, me *modelThread) { me.step = atBook },
			func(_ *modelState, me *modelThread) { t.tried(me, false) })
	case atBook:
		t.books(w.word())
	case atTakeReserve:
		t.reserve(func(_ *modelState, me *modelThread) { me.step = atTakeSwap },
			func(_ *modelState, me *modelThread) { t.tried(me, false) })
	case atTakeSwap:
		if t.s.word == w && !t.mayLose(&t.s.threads[w.word().thread()]) {
			t.broke("takes the role", "a role was taken in a body that never blocked and may not overrun")
			return
		}
		t.swap("takes the role", w, w.word().take(t.i), t.p.has(takeStores),
			func(_ *modelState, me *modelThread) { t.tried(me, true) },
			func(_ *modelState, me *modelThread) {
				if me.step = atTakeUnreserve; t.p.has(takeKeeps) {
					t.tried(me, false)
				}
			})
	case atTakeUnreserve:
		t.do("gives its reservation back", func(n *modelState, me *modelThread) {
			n.free++
			me.step = t.freed(me, !t.p.has(unreserveForgets))
		})
	default:
		t.asks(w)
	}
}

// mayLose says that the head deserves to be replaced in the body that it runs.
func (t *turn) mayLose(head *modelThread) bool {
	return t.p.detector == lying || head.hasBlocked || head.body != 0 && t.p.bodies[head.body-1].kind == long
}

// looks is tryTake's look at the word.
func (t *turn) looks() {
	w := t.s.word
	t.do("looks at the word", func(_ *modelState, me *modelThread) {
		me.w = w
		switch d := t.p.detector; {
		case w.word().vacant():
			me.step = atAccept
		case w.word().state() != inBody:
			t.tried(me, false)
		case d == onTick && me.why&causeTick != 0:
			me.step = atSampled
		case d == truthful, d == lying, d == onIdle && me.why&causeTick != 0:
			me.step = atAsk
		default:
			t.asked(me)
		}
	})
}

// asked is where tryTake goes on when the detector has said no.
func (t *turn) asked(me *modelThread) {
	if me.step = atOverrunLong; me.why&causeOverrun == 0 {
		t.tried(me, false)
	}
}

func (p *protocol) hasLong() bool {
	for _, b := range p.bodies {
		if b.kind == long {
			return true
		}
	}
	return false
}

// asks has the detector say whether the head of w is blocked. What it says was true once; that it is true still nobody says.
func (t *turn) asks(w packed) {
	s := &t.s
	no := func(_ *modelState, me *modelThread) { t.asked(me) }
	body := uint8(w.word().body())
	switch t.me().step {
	case atSampled:
		t.do("compares with what the last tick saw", func(n *modelState, me *modelThread) {
			if n.sampledWord = w; s.sampledWord == w {
				me.step = atAsk
			} else {
				no(n, me)
			}
		})
	case atAsk:
		blocked := s.threads[w.word().thread()].off()
		if blocked || t.p.detector == lying {
			t.to("hears that the head is blocked", atTakeReserve)
		}
		if !blocked || t.p.detector == lying {
			t.do("hears that the head is not blocked", no)
		}
	case atOverrunLong:
		t.do("looks whether this body may overrun", func(n *modelState, me *modelThread) {
			if me.step = atOverrunSeen; n.longBody != body {
				t.tried(me, false)
			}
		})
	case atOverrunSeen:
		t.do("looks whether it is the one of the last tick", func(n *modelState, me *modelThread) {
			if me.step = atTakeReserve; n.over.seen != body {
				t.tried(me, false)
			}
		})
	}
}

// off says that the thread has left the processor of its own accord.
func (m *modelThread) off() bool {
	return m.step == atBlocked || m.step == atEarlyBlocked || m.step == atIdle || m.step == atParked || m.step == atWantAsleep || m.step == atAsleep
}

// books reads what the one who gave the role away has written.
func (t *turn) books(w word) {
	giver := t.s.threads[w.thread()].step
	if w.state() == offered && (giver == atHandOverNote || giver == atOfferNote) ||
		w.state() == claimed && t.s.watcher == watcherNote {
		t.broke("reads when it was offered", "offeredAtNs or claimedAtNs is read while it may be written")
		return
	}
	t.do("reads when it was offered", func(_ *modelState, me *modelThread) { t.tried(me, true) })
}

// tried is the end of tryTake.
func (t *turn) tried(me *modelThread, taken bool) {
	me.w, me.taken = 0, taken
	switch {
	case me.why&causeTick != 0:
		me.step = atTick
	case me.why&causeOverrun != 0:
		me.step = atLongTick
	default:
		me.step = t.afterLongTick(me)
	}
}

// afterTick is where standBy goes on when a tick is handled.
func (t *turn) afterTick(me *modelThread) modelStep {
	me.w, me.why = 0, me.why&^causeTick
	if me.why&causeOverrun != 0 {
		return atLongTick
	}
	return t.afterLongTick(me)
}

// afterLongTick is where standBy goes on when all ticks are handled.
func (t *turn) afterLongTick(me *modelThread) modelStep {
	why := me.why
	me.w, me.why = 0, 0
	switch {
	case me.taken:
		me.taken = false
		return atLoop
	case !t.p.hasSpare(),
		t.p.has(sleepsBesideSpare) && why&causeReturn != 0,
		t.p.has(spareBeforeFree),
		t.p.has(spareOnlyAtHome) && why&causeReturn == 0:
		return atStopLook
	}
	return atHasSpare
}

func (t *turn) standBy() {
	switch t.me().step {
	case atHasSpare:
		t.do("looks at the backlog", func(n *modelState, me *modelThread) {
			if me.step = atStopLook; n.backlog[0] != 0 {
				me.step = atSpareReserve
			}
		})
	case atSpareReserve:
		t.reserve(func(_ *modelState, me *modelThread) { me.spare, me.step = true, atSparePop },
			func(_ *modelState, me *modelThread) { me.step = atStopLook })
	case atSparePop:
		t.do("takes from the backlog", func(n *modelState, me *modelThread) {
			if me.step = atFree; n.backlog[0] != 0 {
				me.body, me.step = n.backlog[0], t.more(atSpareMore, atBody)
				copy(n.backlog[:], n.backlog[1:])
				n.backlog[modelBodiesMax-1] = 0
			} else {
				me.spare = false
			}
		})
	case atSpareMore, atSpareFree, atSpareWake:
		t.wakesForMore(atSpareMore, atBody)
	case atStopLook:
		t.do("looks whether we are stopping", func(n *modelState, me *modelThread) {
			if me.step = atWait; n.stopping {
				me.step = atStopReserve
			}
		})
	case atStopReserve:
		if t.p.has(leavesUnreserved) {
			t.to("leaves", atOut)
			return
		}
		t.reserve(func(_ *modelState, me *modelThread) { me.step = atOut },
			func(_ *modelState, me *modelThread) {
				if me.step = atTake; t.p.has(sleepsUnseeing) {
					me.step = atStopLook
				}
			})
	case atWait:
		t.wait()
	}
}

// wait is epoll_wait: who comes first collects all that is ready, but what is level triggered stays.
func (t *turn) wait() {
	s := &t.s
	if !s.offerReady && !s.sample.ready && !s.over.ready && !s.stopReady {
		t.to("goes to sleep", atAsleep)
		return
	}
	t.do("collects what has happened", func(n *modelState, me *modelThread) {
		me.why = 0
		if s.sample.ready {
			me.why |= causeTick
		}
		if s.over.ready {
			me.why |= causeOverrun
		}
		n.offerReady, n.sample.ready, n.over.ready = false, false, false
		if me.step = atTake; t.p.has(sleepsUnseeing) && !s.offerReady {
			t.tried(me, false)
		}
	})
}
