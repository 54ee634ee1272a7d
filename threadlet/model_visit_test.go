package threadlet

// The model of the ownership protocol: parking and visits (visit.go, and visit.go in models/threadlet).

// park is a head that has nothing to do. Its wait may end at any time: for an event, for a deadline, because somebody wakes it.
func (t *turn) park() {
	s := &t.s
	switch t.me().step {
	case atPark:
		t.do("parks and waits", func(n *modelState, me *modelThread) {
			n.word, me.step = t.p.pack(s.word.word().withState(parked)), atParked
		})
	case atParked:
		t.to("wakes from its wait", atUnpark)
	case atUnpark:
		if s.word.word().state() == parked || t.p.has(unparkStores) {
			t.do("takes its role back", func(n *modelState, me *modelThread) {
				n.word, me.step = t.p.pack(s.word.word().withState(running)), atContent
			})
			return
		}
		t.to("finds a visitor", atWant)
	case atWant:
		t.do("says that it wants its role", func(n *modelState, me *modelThread) {
			if n.home, me.step = wanted, atWantLook; t.p.has(unparkUnseeing) {
				me.step = atWantSleep
			}
		})
	case atWantLook:
		t.do("looks at the word again", func(_ *modelState, me *modelThread) {
			if me.step = atUnpark; s.word.word().state() == lent {
				me.step = atWantSleep
			}
		})
	case atWantSleep:
		t.do("sleeps if its role is still only wanted", func(_ *modelState, me *modelThread) {
			if me.step = atUnpark; s.home == wanted {
				me.step = atWantAsleep
			}
		})
	case atContent:
		t.do("says that it has its role", func(n *modelState, me *modelThread) { n.home, me.step = content, atLoop })
	}
}

// handIn is where a thread goes on that has run a body alone.
func (t *turn) handIn() modelStep {
	if t.p.parks {
		return atVisit
	}
	return atFinishFrom
}

func (t *turn) visit() {
	s := &t.s
	switch t.me().step {
	case atVisit:
		t.do("looks whether the head has parked", func(_ *modelState, me *modelThread) {
			if me.step = atFinishFrom; s.word.word().state() == parked {
				me.w, me.step = s.word, atVisitHome
			}
		})
	case atVisitHome:
		t.do("looks whether the head wants its role", func(_ *modelState, me *modelThread) {
			if me.step = atVisitSwap; s.home != content {
				me.w, me.step = 0, atFinishFrom
			}
		})
	case atVisitSwap:
		w := t.me().w
		t.swap("visits", w, w.word().withState(lent), t.p.has(visitStores),
			func(_ *modelState, me *modelThread) { me.w, me.step = 0, atVisitTurn },
			func(_ *modelState, me *modelThread) { me.w, me.step = 0, atFinishFrom })
	case atVisitTurn, atVisitPop, atVisitMore, atVisitFree, atVisitWake:
		t.visits()
	default:
		t.endVisit()
	}
}

// visits is the driver's: the body is through, those that are next and need a thread are set aside, and one is taken along.
func (t *turn) visits() {
	s := &t.s
	switch t.me().step {
	case atVisitTurn:
		if t.me().body != 0 {
			t.completes("gives the shard its body's result", func(_ *modelState, _ *modelThread) {})
			return
		}
		if t.due() && t.p.bodies[s.nextBody].kind == offering && !s.stopping {
			t.do("sets the next body aside", func(n *modelState, _ *modelThread) {
				n.nextBody++
				n.begun |= modelBit(n.nextBody)
				n.push(n.nextBody)
			})
			return
		}
		t.to("has made its turn", atVisitPop)
	case atVisitPop:
		t.pop("takes the oldest of the backlog along", t.more(atVisitMore, atEndVisit), t.endsVisit())
	case atVisitMore, atVisitFree, atVisitWake:
		t.wakesForMore(atVisitMore, t.endsVisit())
	}
}

// more is where who has taken from the backlog goes on.
func (t *turn) more(more, next modelStep) modelStep {
	if t.p.has(moreSilent) {
		return next
	}
	return more
}

// wakesForMore is the rest of the driver's fromBacklog: three steps from more on.
func (t *turn) wakesForMore(more, next modelStep) {
	switch t.me().step {
	case more:
		t.do("looks whether there is more", func(n *modelState, me *modelThread) {
			if me.step = more + 1; n.backlog[0] == 0 {
				me.step = next
			}
		})
	case more + 1:
		t.do("looks at free", func(n *modelState, me *modelThread) {
			if me.step = more + 2; n.free <= 0 {
				me.step = next
			}
		})
	case more + 2:
		t.offerWake("writes to offerFd", next)
	}
}

// endsVisit is where EndVisit begins.
func (t *turn) endsVisit() modelStep {
	if t.p.has(endVisitLooksFirst) {
		return atEndVisitHome
	}
	return atEndVisit
}

func (t *turn) endVisit() {
	s := &t.s
	looked := t.visited // where it goes on when it has looked
	if t.p.has(endVisitLooksFirst) {
		looked = func(me *modelThread) { me.step = atEndVisit }
	}
	switch t.me().step {
	case atEndVisit:
		t.do("gives the role back", func(n *modelState, me *modelThread) {
			n.word = t.p.pack(s.word.word().withState(parked))
			if me.step = atEndVisitHome; t.p.has(endVisitSilent | endVisitLooksFirst) {
				t.visited(me)
			}
		})
	case atEndVisitHome:
		t.do("looks whether the head wants it", func(_ *modelState, me *modelThread) {
			if me.step = atEndVisitGrant; s.home != wanted {
				looked(me)
			}
		})
	case atEndVisitGrant:
		t.do("grants it", func(n *modelState, me *modelThread) {
			if s.home != wanted {
				looked(me)
				return
			}
			if me.step = atEndVisitWake; !t.p.has(endVisitKeepsWanted) {
				n.home = granted
			}
		})
	case atEndVisitWake:
		t.do("wakes the head if it is asleep", func(n *modelState, me *modelThread) {
			for k := range t.p.threads {
				if n.threads[k].step == atWantAsleep {
					n.threads[k].step = atUnpark
				}
			}
			looked(me)
		})
	}
}

// visited is where a visitor goes on.
func (t *turn) visited(me *modelThread) {
	switch {
	case me.body != 0:
		me.step = atBody
	case me.spare:
		me.step = atSparePop
	default:
		me.step = atReturned
	}
}
