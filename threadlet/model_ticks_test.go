package threadlet

// The model of the ownership protocol: the two timers (sampling.go, overrun.go).

// sample is sampling.start and overrun.start, by the head that has entered a body, or by the handler of a tick.
func (t *turn) sample() {
	s := &t.s
	body := uint8(0)
	if w := t.me().w; w != 0 {
		body = uint8(w.word().body())
	}
	switch t.me().step {
	case atSampleLook:
		t.do("looks whether the timer goes", func(_ *modelState, me *modelThread) {
			if me.step = atSampleSet; s.sample.on {
				me.step = t.entered(me)
			}
		})
	case atSampleSet:
		t.do("makes the timer its own to start", func(n *modelState, me *modelThread) {
			n.sample.on = true
			if me.step = atSampleTimer; s.sample.on {
				me.step = t.entered(me)
			}
		})
	case atSampleTimer:
		t.do("sets the timer", func(n *modelState, me *modelThread) { n.sample.set = true; me.step = t.entered(me) })
	case atLongBody:
		t.do("names the body as one that may overrun", func(n *modelState, me *modelThread) { n.longBody, me.step = body, atLongLook })
	case atLongLook:
		t.do("looks whether the other timer goes", func(_ *modelState, me *modelThread) {
			if me.step = atLongSet; s.over.on {
				me.step = t.longEntered(me)
			}
		})
	case atLongSet:
		t.do("makes the other timer its own to start", func(n *modelState, me *modelThread) {
			if n.over.on, me.step = true, atLongSeen; s.over.on {
				me.step = t.longEntered(me)
			}
		})
	case atLongSeen:
		t.do("calls the body seen", func(n *modelState, me *modelThread) { n.over.seen, me.step = body, atLongTimer })
	case atLongTimer:
		t.do("sets the other timer", func(n *modelState, me *modelThread) { n.over.set = true; me.step = t.longEntered(me) })
	}
}

// longEntered is where startTimer returns to: into the body, or to the handler of a tick.
func (t *turn) longEntered(me *modelThread) modelStep {
	if me.body != 0 {
		return atBody
	}
	return t.afterLongTick(me)
}

// tick is Pool.tick.
func (t *turn) tick() {
	s, k := &t.s, t.me().w
	switch t.me().step {
	case atTick:
		t.do("handles the tick: looks at the word", func(_ *modelState, me *modelThread) { me.w, me.step = s.word, atTickSeen })
	case atTickSeen:
		t.do("notes which body it saw", func(n *modelState, me *modelThread) {
			n.sample.seen = uint8(k.word().body())
			if me.step = atTickOff; s.sample.seen != n.sample.seen || k.word().state() == inBody {
				me.step = atTickTimer
			}
		})
	case atTickTimer:
		t.do("sets the timer again", func(n *modelState, me *modelThread) { n.sample.set = true; me.step = t.afterTick(me) })
	case atTickOff:
		t.do("says that the timer is off", func(n *modelState, me *modelThread) {
			n.sample.on = false
			if me.step = atTickAgain; t.p.has(tickOnce) {
				me.step = t.afterTick(me)
			}
		})
	case atTickAgain:
		t.do("looks at the word again", func(n *modelState, me *modelThread) {
			if me.step = atSampleLook; n.word.word().body() == k.word().body() {
				me.step = t.afterTick(me)
			}
		})
	}
}

// longTick is Pool.overrunTick.
func (t *turn) longTick() {
	s, body := &t.s, uint8(0)
	if w := t.me().w; w != 0 {
		body = uint8(w.word().body())
	}
	isIn := s.word.word().state() == inBody
	switch t.me().step {
	case atLongTick:
		t.do("handles the other tick: looks at the word", func(_ *modelState, me *modelThread) {
			if me.w, me.step = s.word, atLongTickOff; isIn {
				me.step = atLongTickLong
			}
		})
	case atLongTickLong:
		t.do("looks whether the body may overrun", func(_ *modelState, me *modelThread) {
			if me.step = atLongTickSeen; s.longBody != body {
				me.step = atLongTickOff
			}
		})
	case atLongTickSeen:
		t.do("calls the body seen", func(n *modelState, me *modelThread) { n.over.seen, me.step = body, atLongTickTimer })
	case atLongTickTimer:
		t.do("sets the other timer again", func(n *modelState, me *modelThread) { n.over.set = true; me.step = t.afterLongTick(me) })
	case atLongTickOff:
		t.do("says that the other timer is off", func(n *modelState, me *modelThread) {
			n.over.on = false
			if me.step = atLongTickAgain; t.p.has(longTickOnce) {
				me.step = t.afterLongTick(me)
			}
		})
	case atLongTickAgain:
		t.do("looks at the word again", func(_ *modelState, me *modelThread) {
			if me.w, me.step = s.word, atLongTickLongAgain; !isIn {
				me.step = t.afterLongTick(me)
			}
		})
	case atLongTickLongAgain:
		t.do("looks again whether the body may overrun", func(_ *modelState, me *modelThread) {
			if me.step = atLongLook; s.longBody != body {
				me.step = t.afterLongTick(me)
			}
		})
	}
}
