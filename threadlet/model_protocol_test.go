package threadlet

// protocol is what a run of the model is about: the bounds, and what may happen.
type protocol struct {
	threads  int
	bodies   []modelBody
	detector modelDetector
	watcher  bool // the idle detector's
	sampled  bool // periodNs is not 0
	stops    bool // somebody calls Stop at any time
	parks    bool // the loop parks when it has nothing to do, and threads that have ended a body visit
	faults   fault
}

// modelBody is one piece of the application's work.
type modelBody struct {
	kind   modelKind
	blocks bool // it may block, and wakes at any time; if needs is set it must block
	needs  uint8
	// needs is the set of bodies that must be through before this one wakes (or, if it computes, is through).
	late  bool  // it may block before it announces
	after uint8 // the set of bodies that must be through before this one, and those after it, are there
}

type modelKind uint8

const (
	plain    modelKind = iota // Enter, Leave
	handOver                  // Enter, HandOver, Leave
	offering                  // Offer, or else the backlog
	long                      // EnterLong, and computes until needs are through
)

// modelDetector is what a standby hears when it asks whether the head is blocked.
type modelDetector uint8

const (
	never    modelDetector = iota // explicit
	truthful                      // switch: the ring
	onTick                        // timer: at the second tick that finds the same word
	onIdle                        // idle: at a tick; who comes home wakes the watcher
	lying                         // anything: safety must not hang on the detector
)

// fault is a set of mistakes that the protocol could have. The checker must find each.
type fault uint64

const (
	bareWord              fault = 1 << iota // no epoch and no body in the word
	leaveStores                             // Leave without compare-and-swap
	acceptStores                            // a standby accepts without compare-and-swap
	takeStores                              // a standby takes without compare-and-swap
	handOverStores                          // HandOver without compare-and-swap
	claimStores                             // the watcher claims without compare-and-swap
	offerUnreserved                         // Offer without a reservation
	handOverKeeps                           // HandOver keeps the reservation when it lost the word
	takeKeeps                               // a standby keeps the reservation when it lost the word
	watcherKeeps                            // the watcher keeps the reservation when it lost the word
	watcherLostSilent                       // the watcher wakes nobody when it gives a reservation back
	unreserveSilent                         // HandOver wakes nobody when it gives a reservation back
	unreserveForgets                        // who gives a reservation back does not wake the watcher
	sleepsBesideSpare                       // a standby that comes home stands by without a look at the backlog
	spareOnlyAtHome                         // a standby looks at the backlog when it comes home and not when it has been woken
	spareBeforeFree                         // a thread that comes home looks at the backlog before it counts itself free
	pushesLast                              // who adds work looks at free before, not afterwards
	sleepsUnseeing                          // a standby sleeps without a look at the word
	edgeLost                                // a wake-up that finds nobody asleep is forgotten
	leavesUnreserved                        // a standby leaves at Stop without a reservation
	tickOnce                                // the handler of a tick does not look again after it has cleared on
	startBeforeStore                        // Enter starts the timer before it stores the word
	longTickOnce                            // the same of the timer for bodies that overrun
	watcherSleepsUnseeing                   // the watcher sleeps whatever the command is
	napUnseeingWord                         // a watcher that saw no body does not look again when it has said that it sleeps
	napUnseeingFree                         // nor one that found no standby
	napStores                               // the watcher stores that it sleeps, without compare
	enterLooksFirst                         // Enter looks at the command before it stores the word
	homeLooksFirst                          // who comes home looks at the command before it counts itself free
	homeSilent                              // who comes home does not wake the watcher
	stopUnannounced                         // Stop wakes the standbys before it says why
	visitStores                             // Visit without compare-and-swap
	unparkStores                            // a head that wakes stores that it has the role
	unparkUnseeing                          // a head that wants its role back sleeps without another look at the word
	endVisitSilent                          // EndVisit does not look whether the head wants its role
	endVisitLooksFirst                      // EndVisit looks whether the head wants its role before it gives it back
	endVisitKeepsWanted                     // EndVisit wakes the head and does not say so in what the head sleeps on
	moreSilent                              // who takes one of several out of the backlog wakes nobody for the rest

	faultsEnd // the first that is none
)

func (p *protocol) has(f fault) bool { return p.faults&f != 0 }

func (p *protocol) initial() modelState {
	s := modelState{word: pack(0), free: int8(p.threads - 1), stopper: stopBegins, closer: closeBegins, watcher: watcherLook}
	for i := range p.threads {
		s.threads[i].step = atBegin
	}
	s.threads[0].step = atBeginHead
	return s
}

// over: Run has returned.
func (p *protocol) over(s modelState) bool { return s.closer == closeDone }

func (p *protocol) next(s modelState, emit func(modelState, made)) {
	for i := range p.threads {
		t := turn{p: p, s: s, i: i, who: modelThreadNames[i], emit: emit}
		t.thread()
	}
	t := turn{p: p, s: s, i: -1, emit: emit}
	if p.watcher {
		t.who = "watcher"
		t.watch()
	}
	if s.sample.set {
		t.who = "timer"
		t.wake("fires", func(n *modelState) { n.sample.set, n.sample.ready = false, true })
	}
	if s.over.set {
		t.who = "the other timer"
		t.wake("fires", func(n *modelState) { n.over.set, n.over.ready = false, true })
	}
	if p.stops {
		t.who = "stopper"
		t.stop()
	}
	t.who = "Run"
	t.close()
}

var modelThreadNames = [modelThreadsMax]string{"thread 0", "thread 1", "thread 2", "thread 3"}

// turn is the moment at which one process, in state s, may make its next step.
type turn struct {
	p    *protocol
	s    modelState
	i    int // the thread's number
	who  string
	emit func(modelState, made)
}

func (t *turn) me() *modelThread { return &t.s.threads[t.i] }

// do makes the one step that is possible: change says what is different afterwards.
func (t *turn) do(did string, change func(n *modelState, me *modelThread)) {
	n := t.s
	var me *modelThread
	if t.i >= 0 {
		me = &n.threads[t.i]
	}
	change(&n, me)
	t.emit(n, made{t.who, did, ""})
}

// to is a step that changes nothing but where the thread is.
func (t *turn) to(did string, next modelStep) {
	t.do(did, func(_ *modelState, me *modelThread) { me.step = next })
}

// broke says that the step that would come next breaks a rule.
func (t *turn) broke(did, rule string) { t.emit(t.s, made{t.who, did, rule}) }

// wake is a step that makes a descriptor of the gate ready. One of the sleepers is woken, any one; it looks then what there is.
func (t *turn) wake(did string, change func(n *modelState)) {
	woken := false
	for k := range t.p.threads {
		if t.s.threads[k].step == atAsleep {
			woken = true
			t.do(did+", wakes "+modelThreadNames[k], func(n *modelState, _ *modelThread) {
				change(n)
				n.threads[k].step = atWait
			})
		}
	}
	if !woken {
		t.do(did+", nobody sleeps", func(n *modelState, _ *modelThread) {
			change(n)
			if t.p.has(edgeLost) {
				n.offerReady, n.sample.ready, n.over.ready = t.s.offerReady, t.s.sample.ready, t.s.over.ready
			}
		})
	}
}

// offerWake writes to offerFd.
func (t *turn) offerWake(did string, next modelStep) {
	t.wake(did, func(n *modelState) {
		n.offerReady = true
		if t.i >= 0 {
			n.threads[t.i].step = next
		} else {
			n.watcher = next
		}
	})
}

// futexWake wakes a watcher that sleeps.
func (n *modelState) futexWake() {
	if n.watcher == watcherSleeps {
		n.watcher = watcherLook
	}
}

// pack keeps what the protocol keeps of a word.
func (p *protocol) pack(w word) packed {
	if p.has(bareWord) {
		w = w &^ epochMask & (bodyOne - 1)
	}
	return pack(w)
}

// reserve is Pool.reserve.
func (t *turn) reserve(yes, no func(n *modelState, me *modelThread)) {
	if t.s.free > 0 {
		t.do("reserves a standby", func(n *modelState, me *modelThread) { n.free--; yes(n, me) })
		return
	}
	t.do("finds no standby free", no)
}

// swap is a compare-and-swap of the word; blind stores whatever is there.
func (t *turn) swap(did string, from packed, to word, blind bool, yes, no func(n *modelState, me *modelThread)) {
	if t.s.word == from || blind {
		t.do(did, func(n *modelState, me *modelThread) { n.word = t.p.pack(to); yes(n, me) })
		return
	}
	t.do(did+": too late", no)
}

func modelBit(b uint8) uint8 { return 1 << (b - 1) }
