package threadlet

import "sync/atomic"

// overrun finds bodies that compute for too long, by a timer of its own that goes while such bodies (EnterLong) are run. Its invariant
// and its two looks are those of sampling; it is not the same timer, because two periods on one timer make two handlers.
//
// A tick costs a few us, in a virtual machine 10 and more. So the interval doubles with each tick that finds nothing
// overrun, and goes back when one is: where such bodies are short they soon cost no more than others, where they are long each is found
// soon.
type overrun struct {
	on atomic.Bool
	// long is the last body that may overrun. Stored by the head, after the word and before it loads on; read by the handler.
	long       atomic.Uint32
	seen       atomic.Uint32 // the body that the last tick, or the start of the timer, found
	limitNs    int64         // 0: no body overruns
	intervalNs atomic.Int64  // limitNs to intervalMaxNs; changed by the handler
}

// intervalMaxNs bounds the interval: a long body among many short ones is found after twice as long at worst.
const intervalMaxNs = 1_000_000

// start sets the timer, unless it is set, for the body of w. The head's thread, inside the body.
func (o *overrun) start(g *gate, w word) {
	if o.limitNs == 0 {
		return
	}
	o.long.Store(w.body())
	o.startTimer(g, w)
}

func (o *overrun) startTimer(g *gate, w word) {
	if !o.on.Load() && o.on.CompareAndSwap(false, true) {
		o.seen.Store(w.body()) // so that the next tick may judge
		g.overrunAfterNs(o.intervalNs.Load())
	}
}

// covers says whether the head is in a body that may overrun.
func (o *overrun) covers(w word) bool { return w.state() == inBody && o.long.Load() == w.body() }

// has says, at a tick, whether the body of w was there at the tick before already.
func (o *overrun) has(w word) bool { return o.covers(w) && o.seen.Load() == w.body() }

// overrunTick is called by the standby that got the tick, when it has looked at the head; taken if it took its body over.
func (p *Pool) overrunTick(taken bool) {
	o := &p.over
	if taken {
		o.intervalNs.Store(o.limitNs)
	}
	w := word(p.word.Load())
	if o.covers(w) {
		o.seen.Store(w.body())
		next := o.intervalNs.Load()
		o.intervalNs.Store(min(2*next, max(intervalMaxNs, o.limitNs)))
		p.gate.overrunAfterNs(next)
		return
	}
	o.on.Store(false)
	if w = word(p.word.Load()); o.covers(w) {
		o.startTimer(p.gate, w)
	}
}
