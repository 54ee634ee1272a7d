package threadlet

// modelStep is where a process of the model is: the operation that it makes next. Function names are the code's.
type modelStep uint8

const (
	// A thread. In run and Run.
	atBegin modelStep = iota // a standby: are we stopping already?
	atBeginHead
	atSkipped // it was stopping before this standby began
	atOut

	// Loop, as head and in no body.
	atLoop
	atIdle // waits, in the application, for the last body

	// Park and Unpark.
	atPark // word
	atParked
	atUnpark // word
	atWant   // home
	atWantLook
	atWantSleep // the futex
	atWantAsleep
	atContent

	// Enter.
	atEnter // word
	atWatch // command
	atWatchSet
	atWatchWake  // the futex
	atSampleLook // sampling.start
	atSampleSet
	atSampleTimer
	atLongBody // overrun.start: long
	atLongLook // startTimer: on
	atLongSet
	atLongSeen
	atLongTimer

	// HandOver.
	atEarly
	atEarlyBlocked
	atHandOver // word
	atHandOverStopping
	atHandOverReserve
	atHandOverNote // offeredAtNs
	atHandOverSwap
	atHandOverUnreserve // free
	atHandOverWake

	atBody
	atBlocked
	atComputing // longer than Overrun
	atLeave
	atFinishFrom

	// Visit, what the driver makes of it, and EndVisit.
	atVisit // word
	atVisitHome
	atVisitSwap
	atVisitTurn
	atVisitPop
	atVisitMore // the driver's fromBacklog: is there more?
	atVisitFree
	atVisitWake
	atEndVisit // word
	atEndVisitHome
	atEndVisitGrant
	atEndVisitWake // the futex

	// Offer, and what the driver makes of it.
	atOffer // stopping
	atOfferReserve
	atOfferNote
	atOfferStore
	atOfferWake
	atPush
	atPushFree
	atPushStopping
	atPop

	// run, when Loop has returned.
	atReturned // endIfHead: word
	atEnd
	atEndStop
	atEndWake
	atFree
	atFreedWord  // the idle detector's freed, of whoever has counted a standby free: word
	atFreedWatch // command
	atFreedSet
	atFreedWake      // the futex
	atUnreserveSpare // HasSpare
	atUnreserveWake

	// standBy.
	atTake // tryTake: word
	atAccept
	atBook
	atSampled // the timer detector: seen
	atAsk
	atOverrunLong // overrun.has
	atOverrunSeen
	atTakeReserve
	atTakeSwap
	atTakeUnreserve
	atTick // tick: word
	atTickSeen
	atTickTimer
	atTickOff
	atTickAgain
	atLongTick // overrunTick: word
	atLongTickLong
	atLongTickSeen
	atLongTickTimer
	atLongTickOff
	atLongTickAgain
	atLongTickLongAgain
	atHasSpare // runSpare
	atSpareReserve
	atSparePop
	atSpareMore
	atSpareFree
	atSpareWake
	atStopLook
	atStopReserve
	atWait // epoll_wait begins, or goes on
	atAsleep

	// The watcher, by the labels of the assembly.
	watcherLook // command
	watcherWord
	watcherYield // word again
	watcherReserve
	watcherNote // claimedAt
	watcherClaim
	watcherLost // free
	watcherWrite
	watcherNap // command
	watcherNapWord
	watcherNapFree
	watcherNapBack // command
	watcherFutex
	watcherSleeps
	watcherGone

	// Stop, and the end of Run.
	stopBegins
	stopWakes
	stopDone
	closeBegins
	closeOrders
	closeWakes
	closeWaits
	closeDone

	numModelSteps
)

func (t modelStep) String() string { return modelStepNames[t] }

var modelStepNames = [numModelSteps]string{
	atBegin: "begin", atBeginHead: "begin", atSkipped: "skipped", atOut: "out",
	atLoop: "loop", atIdle: "idle", atPark: "Park", atParked: "PARKED", atUnpark: "Unpark.cas", atWant: "Unpark.want", atWantLook: "Unpark.word?",
	atWantSleep: "Unpark.futex", atWantAsleep: "ASLEEP", atContent: "Unpark.content",
	atEnter: "Enter.store", atWatch: "Enter.command?", atWatchSet: "Enter.watch", atWatchWake: "Enter.wake", atSampleLook: "start.on?", atSampleSet: "start.cas",
	atSampleTimer: "start.timer", atLongBody: "long.body", atLongLook: "long.on?", atLongSet: "long.cas", atLongSeen: "long.seen",
	atLongTimer: "long.timer",
	atEarly:     "body", atEarlyBlocked: "BLOCKED",
	atHandOver: "HandOver", atHandOverStopping: "HandOver.stopping?", atHandOverReserve: "HandOver.reserve",
	atHandOverNote: "HandOver.note", atHandOverSwap: "HandOver.cas", atHandOverUnreserve: "HandOver.unreserve",
	atFreedWord: "freed.word?", atFreedWatch: "freed.command?", atFreedSet: "freed.watch", atFreedWake: "freed.wake",
	atUnreserveSpare: "unreserve.spare?", atUnreserveWake: "unreserve.wake", atHandOverWake: "HandOver.wake",
	atBody: "body", atBlocked: "BLOCKED", atComputing: "COMPUTING", atLeave: "Leave",
	atFinishFrom: "FinishFrom",
	atVisit:      "Visit.word?", atVisitHome: "Visit.home?", atVisitSwap: "Visit.cas", atVisitTurn: "VISIT", atVisitPop: "visit.pop",
	atVisitMore: "visit.more?", atVisitFree: "visit.free?", atVisitWake: "visit.wake", atEndVisit: "EndVisit.store",
	atEndVisitHome: "EndVisit.home?", atEndVisitGrant: "EndVisit.grant", atEndVisitWake: "EndVisit.wake",
	atOffer: "Offer.stopping?", atOfferReserve: "Offer.reserve", atOfferNote: "Offer.note",
	atOfferStore: "Offer.store", atOfferWake: "Offer.wake", atPush: "push", atPushFree: "push.free?", atPushStopping: "push.stopping?", atPop: "pop",
	atReturned: "Loop returned", atEnd: "end.cas", atEndStop: "end.stop", atEndWake: "end.wake", atFree: "home.free",
	atTake: "tryTake", atAccept: "accept.cas", atBook: "book", atSampled: "ask.seen", atAsk: "ask", atOverrunLong: "overruns.long?",
	atOverrunSeen: "overruns.seen?", atTakeReserve: "take.reserve", atTakeSwap: "take.cas", atTakeUnreserve: "take.unreserve",
	atTick: "tick", atTickSeen: "tick.seen", atTickTimer: "tick.timer", atTickOff: "tick.off", atTickAgain: "tick.again?",
	atLongTick: "overrunTick", atLongTickLong: "overrunTick.long?", atLongTickSeen: "overrunTick.seen", atLongTickTimer: "overrunTick.timer",
	atLongTickOff: "overrunTick.off", atLongTickAgain: "overrunTick.again?", atLongTickLongAgain: "overrunTick.long again?",
	atHasSpare: "spare?", atSpareReserve: "spare.reserve", atSparePop: "spare.pop", atSpareMore: "spare.more?",
	atSpareFree: "spare.free?", atSpareWake: "spare.wake", atStopLook: "stopping?",
	atStopReserve: "stop.reserve", atWait: "wait", atAsleep: "ASLEEP",
	watcherLook: "look", watcherWord: "word", watcherYield: "yield", watcherReserve: "reserve", watcherNote: "note", watcherClaim: "claim",
	watcherLost: "lost", watcherWrite: "write", watcherNap: "nap", watcherNapWord: "nap.word?", watcherNapFree: "nap.free?",
	watcherNapBack: "nap.back", watcherFutex: "futex", watcherSleeps: "ASLEEP", watcherGone: "gone",
	stopBegins: "before", stopWakes: "wakes", stopDone: "done",
	closeBegins: "before", closeOrders: "orders", closeWakes: "wakes", closeWaits: "waits", closeDone: "done",
}
