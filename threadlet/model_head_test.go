package threadlet

// The model of the ownership protocol: a thread while it runs Loop, as head or in a body that it keeps (role.go).

func (t *turn) thread() {
	switch step := t.me().step; {
	case step < atLoop:
		t.begin()
	case step < atEnter:
		t.loop()
	case step < atEarly:
		t.enter()
	case step < atBody:
		t.handOver()
	case step < atVisit:
		t.body()
	case step < atOffer:
		t.visit()
	case step < atReturned:
		t.offer()
	case step < atTake:
		t.returned()
	case step < atTick:
		t.tryTake()
	case step < atLongTick:
		t.tick()
	case step < atHasSpare:
		t.longTick()
	default:
		t.standBy()
	}
}

func (t *turn) begin() {
	switch t.me().step {
	case atBegin, atBeginHead:
		if t.s.stopping {
			next := atSkipped
			if t.me().step == atBeginHead {
				next = atOut
			}
			t.to("sees before it begins that the pool is stopping", next)
			return
		}
		t.do("begins", func(n *modelState, me *modelThread) {
			if me.step, me.why = atTake, causeReturn; t.me().step == atBeginHead {
				me.step, me.why = atLoop, 0
			}
		})
	}
}

// loop is the application: it runs its bodies in order and ends when all are through, or the pool stops.
func (t *turn) loop() {
	s, all := &t.s, uint8(1)<<len(t.p.bodies)-1
	switch t.me().step {
	case atLoop:
		switch {
		case s.stopping:
			t.to("returns from Loop, as the pool is stopping", atReturned)
		case t.due():
			t.nextBody()
		case s.done == all:
			t.to("returns from Loop: all is done", atReturned)
		case t.p.parks:
			t.to("has nothing to do", atPark)
		default:
			t.to("has nothing to do and waits", atIdle)
		}
	case atIdle:
		if s.stopping || s.done == all || t.due() {
			t.to("wakes from its idle wait", atLoop)
		}
	default:
		t.park()
	}
}

// due says whether there is a next body.
func (t *turn) due() bool {
	if int(t.s.nextBody) == len(t.p.bodies) {
		return false
	}
	after := t.p.bodies[t.s.nextBody].after
	return t.s.done&after == after
}

func (t *turn) nextBody() {
	t.do("takes the next body", func(n *modelState, me *modelThread) {
		n.nextBody++
		me.body = n.nextBody
		n.begun |= modelBit(me.body)
		switch {
		case t.p.bodies[me.body-1].kind == offering:
			me.step = atOffer
		case t.p.has(enterLooksFirst):
			me.step = atWatch
		case t.p.has(startBeforeStore):
			me.step = atSampleLook
		default:
			me.step = atEnter
		}
	})
}

func (t *turn) enter() {
	s := &t.s
	switch t.me().step {
	case atEnter:
		t.do("stores the word: in a body", func(n *modelState, me *modelThread) {
			n.word = t.p.pack(s.word.word().enter())
			me.w, me.hasBlocked = n.word, false
			switch {
			case t.p.watcher && !t.p.has(enterLooksFirst):
				me.step = atWatch
			case t.p.has(startBeforeStore):
				me.step = t.entered(me)
			default:
				me.step = t.watched(me)
			}
		})
	case atWatch:
		t.wakesWatcher("enters", atWatchSet, t.watched)
	case atWatchSet:
		t.setsWatcher(atWatchWake, t.watched)
	case atWatchWake:
		t.do("wakes the watcher", func(n *modelState, me *modelThread) { n.futexWake(); me.step = t.watched(me) })
	default:
		t.sample()
	}
}

// wakesWatcher is the look at the command with which watch.wake begins; setsWatcher is its compare-and-swap.
func (t *turn) wakesWatcher(why string, sleeping modelStep, done func(me *modelThread) modelStep) {
	t.do(why+": looks whether the watcher sleeps", func(n *modelState, me *modelThread) {
		if me.step = sleeping; n.command != commandSleep {
			me.step = done(me)
		}
	})
}

func (t *turn) setsWatcher(wake modelStep, done func(me *modelThread) modelStep) {
	t.do("has the watcher watch", func(n *modelState, me *modelThread) {
		if n.command != commandSleep {
			me.step = done(me)
			return
		}
		n.command, me.step = commandWatch, wake
	})
}

// watched is where Enter goes on when the watcher is awake.
func (t *turn) watched(me *modelThread) modelStep {
	switch {
	case me.w == 0: // a fault
		return atEnter
	case t.p.sampled:
		return atSampleLook
	}
	return t.entered(me)
}

// entered is where me goes on when its body has begun and the timer is seen to.
func (t *turn) entered(me *modelThread) modelStep {
	switch {
	case me.body == 0:
		return t.afterTick(me)
	case me.w == 0: // a fault
		return atEnter
	}
	switch b := t.p.bodies[me.body-1]; {
	case b.kind == handOver && b.late:
		return atEarly
	case b.kind == handOver:
		return atHandOver
	case b.kind == long:
		return atLongBody
	}
	return atBody
}

func (t *turn) handOver() {
	w := t.me().w
	switch t.me().step {
	case atEarly:
		t.to("comes to its call that blocks", atHandOver)
		t.do("blocks before that", func(_ *modelState, me *modelThread) { me.step, me.hasBlocked = atEarlyBlocked, true })
	case atEarlyBlocked:
		t.to("goes on and comes to its call that blocks", atHandOver)
	case atHandOver:
		t.do("announces: looks at the word", func(n *modelState, me *modelThread) {
			if me.step = atHandOverStopping; n.word != w {
				me.step = atBody // taken over before
			}
		})
	case atHandOverStopping:
		t.do("announces: looks whether we are stopping", func(n *modelState, me *modelThread) {
			if me.step = atHandOverReserve; n.stopping {
				me.step = atBody
			}
		})
	case atHandOverReserve:
		t.reserve(func(_ *modelState, me *modelThread) { me.step = atHandOverNote },
			func(_ *modelState, me *modelThread) { me.step = atBody })
	case atHandOverNote:
		t.to("notes the time of its offer", atHandOverSwap)
	case atHandOverSwap:
		t.swap("gives the role away", w, w.word().offer(), t.p.has(handOverStores),
			func(_ *modelState, me *modelThread) { me.step = atHandOverWake },
			func(_ *modelState, me *modelThread) {
				if me.step = atHandOverUnreserve; t.p.has(handOverKeeps) {
					me.step = atBody
				}
			})
	case atHandOverUnreserve:
		t.do("gives its reservation back", func(n *modelState, me *modelThread) {
			n.free++
			me.step = t.freed(me, !t.p.has(unreserveForgets))
		})
	case atHandOverWake:
		t.offerWake("writes to offerFd", atBody)
	}
}

// body is what is between Enter and Leave, and the bodies that a thread runs alone.
func (t *turn) body() {
	s, me := &t.s, t.me()
	switch me.step {
	case atBody:
		t.runs(t.p.bodies[me.body-1])
	case atBlocked, atComputing:
		b := t.p.bodies[me.body-1]
		if s.stopping || s.done&b.needs == b.needs {
			t.do("goes on with its body, which ends", t.bodyEnds)
		}
	case atLeave:
		t.leave()
	case atFinishFrom:
		t.completes("gives its body's result to the shard", func(_ *modelState, me *modelThread) {
			if me.step = atReturned; me.spare {
				me.step = atSparePop
			}
		})
	}
}

func (t *turn) runs(b modelBody) {
	waits := t.s.done&b.needs != b.needs && !t.s.stopping
	switch {
	case b.kind == long && waits:
		t.to("computes and computes", atComputing)
	case b.blocks:
		t.do("blocks", func(_ *modelState, me *modelThread) { me.step, me.hasBlocked = atBlocked, true })
	}
	if !waits {
		t.do("runs its body to the end", t.bodyEnds)
	}
}

func (t *turn) bodyEnds(_ *modelState, me *modelThread) {
	if me.step = t.handIn(); me.w != 0 {
		me.step = atLeave
	}
}

func (t *turn) leave() {
	w := t.me().w
	if t.s.word == w && w.word().thread() != t.i {
		t.broke("leaves", "a ticket of a head that was replaced was honoured")
		return
	}
	if t.s.word == w || t.p.has(leaveStores) {
		t.completes("leaves: still head", func(n *modelState, me *modelThread) {
			n.word = t.p.pack(w.word().withState(running))
			me.w, me.step = 0, atLoop
		})
		return
	}
	t.do("leaves: head no more", func(_ *modelState, me *modelThread) { me.w, me.step = 0, t.handIn() })
}

// completes is a step with which the thread's body is through.
func (t *turn) completes(did string, change func(n *modelState, me *modelThread)) {
	bit := modelBit(t.me().body)
	if t.s.done&bit != 0 {
		t.broke(did, "a body completed twice")
		return
	}
	t.do(did, func(n *modelState, me *modelThread) {
		n.done |= bit
		me.body, me.hasBlocked = 0, false
		change(n, me)
	})
}
