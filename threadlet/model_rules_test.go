package threadlet

// What must hold in every state.

// heads are the steps at which a thread may touch the shard: it is head, and in no body.
var heads = modelSteps(atBeginHead, atLoop, atIdle, atPark, atContent, atEnter, atOffer,
	atOfferReserve, atOfferNote, atOfferStore, atPush, atPushFree, atPushStopping, atPop, atEnd, atBook)

// visitors are the steps at which a thread may touch the shard for a head that has parked.
var visitors = modelSteps(atVisitTurn, atVisitPop, atVisitMore, atVisitFree, atVisitWake, atEndVisit)

// waiters are the steps at which a thread is a waiting standby: counted free unless somebody has reserved it.
var waiters = modelSteps(atBegin, atSkipped, atTake, atAccept, atSampled, atAsk, atOverrunLong, atOverrunSeen, atTakeReserve, atTakeSwap,
	atTakeUnreserve, atTick, atTickSeen, atTickTimer, atTickOff, atTickAgain, atLongTick, atLongTickLong, atLongTickSeen, atLongTickTimer,
	atLongTickOff, atLongTickAgain, atLongTickLongAgain, atHasSpare, atSpareReserve, atStopLook,
	atStopReserve, atWait, atAsleep)

// reservers are the steps at which a process holds a reservation that it has not used.
var reservers = modelSteps(atHandOverNote, atHandOverSwap, atHandOverUnreserve, atOfferNote, atOfferStore,
	atTakeSwap, atTakeUnreserve, watcherNote, watcherClaim, watcherLost)

// wakers are the steps at which a process is about to wake a standby.
var wakers = modelSteps(atVisitTurn, atVisitPop, atVisitMore, atVisitFree, atVisitWake, atSpareMore, atSpareFree, atSpareWake, atHandOverWake, atUnreserveSpare, atUnreserveWake, atOfferWake, watcherWrite, watcherLost)

func modelSteps(list ...modelStep) (set [numModelSteps]bool) {
	for _, s := range list {
		set[s] = true
	}
	return set
}

func (p *protocol) rule(s modelState) string {
	if r := p.oneHead(&s); r != "" {
		return r
	}
	if r := p.counted(&s); r != "" {
		return r
	}
	if r := p.oneHandler(&s); r != "" {
		return r
	}
	if r := p.attended(&s); r != "" {
		return r
	}
	return p.ended(&s)
}

// oneHead: the shard is touched by one thread alone, which is the one that the word names.
func (p *protocol) oneHead(s *modelState) string {
	w, guests := s.word.word(), 0
	for i := range p.threads {
		t := &s.threads[i]
		if visitors[t.step] {
			guests++
		}
		if isHead := heads[t.step] || t.taken; isHead && (w.thread() != i || w.state() != running) {
			return "a thread acts as head that the word does not name as the running one: there may be two heads"
		}
	}
	if guests > 1 || guests == 1 && w.state() != lent {
		return "a visitor acts for a head that has not lent its role, or has lent it to another: there may be two heads"
	}
	return ""
}

// counted: the invariant at Pool.free.
func (p *protocol) counted(s *modelState) string {
	waiting, promised := 0, 0
	for i := range p.threads {
		t := &s.threads[i]
		shared := t.body == 0 && (t.step >= atSampleLook && t.step <= atLongTimer || (t.why != 0 || t.w != 0) && t.step >= atFreedWord && t.step <= atUnreserveWake)
		if (waiters[t.step] || shared) && !t.taken {
			waiting++
		}
		if reservers[t.step] {
			promised++
		}
	}
	if reservers[s.watcher] {
		promised++
	}
	if s.word.word().vacant() {
		promised++
	}
	if s.free < 0 || waiting != int(s.free)+promised {
		return "waiting standbys are not as many as free ones and promised ones"
	}
	return ""
}

// oneHandler: the invariant at sampling and at overrun.
func (p *protocol) oneHandler(s *modelState) string {
	ticks, longTicks := 0, 0
	for i := range p.threads {
		t := &s.threads[i]
		if t.step == atSampleTimer || t.why&causeTick != 0 && t.step != atTickAgain && t.step != atSampleLook && t.step != atSampleSet {
			ticks++
		}
		again := t.step == atLongTickAgain || t.step == atLongTickLongAgain || t.step == atLongLook || t.step == atLongSet
		if t.step == atLongSeen || t.step == atLongTimer || t.why&causeOverrun != 0 && !again {
			longTicks++
		}
	}
	if !s.sample.agrees(ticks) || !s.over.agrees(longTicks) {
		return "a timer's on does not say whether it is set or its tick under way"
	}
	return ""
}

// agrees says whether on is right if so many threads have its tick, or are about to set it.
func (m *modelTimer) agrees(n int) bool {
	if m.set {
		n++
	}
	if m.ready {
		n++
	}
	return n == 0 && !m.on || n == 1 && m.on
}

// attended: there is no head, or work in the backlog and a free standby, only while somebody is on the way to see to it.
func (p *protocol) attended(s *modelState) string {
	if s.offerReady || s.stopReady || wakers[s.watcher] {
		return ""
	}
	for i := range p.threads {
		step := s.threads[i].step
		awake := waiters[step] && step != atAsleep && step != atSkipped || step >= atSampleLook && step <= atLongTimer ||
			step >= atFreedWord && step <= atUnreserveWake
		if awake || wakers[step] || step == atPush || step == atPushFree || step == atPushStopping || step == atPop || s.threads[i].taken {
			return ""
		}
	}
	switch {
	case s.word.word().vacant():
		return "there is no head, all standbys are asleep, and no wake-up is under way"
	case s.backlog[0] != 0 && s.free > 0 && !s.stopping:
		return "work waits in the backlog beside a free standby, and nobody is on the way to take it"
	}
	return ""
}

// ended: when Run has returned each body that began is through, or is in the backlog of a pool that was stopped.
func (p *protocol) ended(s *modelState) string {
	if s.closer != closeDone {
		return ""
	}
	through := s.done
	for _, y := range s.backlog {
		if y != 0 && p.stops {
			through |= modelBit(y)
		}
	}
	if through != s.begun || !p.stops && int(s.nextBody) != len(p.bodies) {
		return "Run has returned and a body is not through"
	}
	return ""
}
