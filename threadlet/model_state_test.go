package threadlet

import (
	"fmt"
	"strings"
)

// The model of the ownership protocol: its state. Each process is at a step, which is one atomic operation (or one system call)
// of the code and what the code then does with it alone. What one thread alone reads and writes is no step of its own. A loop of
// load and compare-and-swap on a counter is one step, as nobody can see its parts. The ownership word and all that happens to it
// is the real one (word.go). Bodies are few, so epochs and bodies do not wrap around.

const (
	modelThreadsMax = 4
	modelBodiesMax  = 6
)

// modelState is everything that is shared, and where each process is.
type modelState struct {
	threads [modelThreadsMax]modelThread
	word    packed
	free    int8

	// The application: a list of bodies, and who is through.
	nextBody    uint8
	begun, done uint8 // sets of bodies
	backlog     [modelBodiesMax]uint8

	stopping bool
	stopper  modelStep // of a thread that calls Stop
	closer   modelStep // of Run, when all threads are out

	// The gate: descriptors that are ready and that nobody has collected yet.
	offerReady, stopReady bool

	sample, over modelTimer
	longBody     uint8
	sampledWord  packed // what the timer detector saw last

	home uint8 // homecoming.state

	command     uint8
	watcher     modelStep
	watcherWord packed
	bound       bool // why the watcher naps
}

// modelThread is a thread of the pool.
type modelThread struct {
	step         modelStep
	body         uint8  // the body it runs, plus one
	w            packed // the ticket of its body, or the word it has read
	why          causes
	spare, taken bool // spare: it runs the backlog. taken: tryTake said true
	hasBlocked   bool // in the body it runs; for rules only
}

// modelTimer is sampling, or overrun: a timer, and what is said of it.
type modelTimer struct {
	on         bool
	set, ready bool  // ready: it has fired and nobody has collected that
	seen       uint8 // body
}

// packed is a word in two bytes: one that is stored in a state stays small and comparable. 0 is none.
type packed uint16

const (
	packedThread = stateBits
	packedEpoch  = packedThread + 2
	packedBody   = packedEpoch + 5
)

func pack(w word) packed {
	if w.thread() >= modelThreadsMax || w.epoch() > 30 || w.body() > 30 {
		panic("model: bounds too wide for a packed word")
	}
	return 1 + packed(w.state()) + packed(w.thread())<<packedThread + packed(w.epoch())<<packedEpoch + packed(w.body())<<packedBody
}

func (k packed) word() word {
	k--
	return word(k)&stateMask | word(k>>packedThread&3)<<threadShift | word(k>>packedEpoch&31)<<epochShift | word(k>>packedBody)<<bodyShift
}

// renamed is the same word with the threads renamed.
func (k packed) renamed(to *[modelThreadsMax]uint8) packed {
	if k == 0 {
		return 0
	}
	w := k.word()
	return pack(w.withThread(int(to[w.thread()])))
}

// canonical puts the threads into an order that does not depend on their names. It is a renaming, so it is always right; where two
// threads look alike but for the words they hold it may miss that two states are the same.
func (p *protocol) canonical(s modelState) modelState {
	var key [modelThreadsMax]uint64
	var order, to [modelThreadsMax]uint8
	head := s.word.word().thread()
	for i := range p.threads {
		order[i], key[i] = uint8(i), s.threads[i].key(i, i == head)
		for k := i; k > 0 && key[order[k]] < key[order[k-1]]; k-- {
			order[k], order[k-1] = order[k-1], order[k]
		}
	}
	n := s
	for k, i := range order[:p.threads] {
		to[i] = uint8(k)
		n.threads[k] = s.threads[i]
	}
	for i := range p.threads {
		n.threads[i].w = n.threads[i].w.renamed(&to)
	}
	n.word, n.sampledWord, n.watcherWord = s.word.renamed(&to), s.sampledWord.renamed(&to), s.watcherWord.renamed(&to)
	return n
}

// key is what the thread looks like whatever it is called.
func (t *modelThread) key(i int, isHead bool) uint64 {
	k := uint64(t.step)<<40 | uint64(t.body)<<32 | uint64(t.why)<<24
	for bit, on := range [...]bool{isHead, t.spare, t.taken, t.hasBlocked, t.w != 0 && t.w.word().thread() == i} {
		if on {
			k |= 1 << bit
		}
	}
	if t.w != 0 {
		k |= uint64(pack(t.w.word().withThread(0))) << 8
	}
	return k
}

func (p *protocol) show(s modelState) string {
	var b strings.Builder
	w := s.word.word()
	fmt.Fprintf(&b, "word %v head %d epoch %d body %d, free %d |", stateNames[w.state()], w.thread(), w.epoch(), w.body(), s.free)
	for i := range p.threads {
		t := &s.threads[i]
		fmt.Fprintf(&b, " %d:%v", i, t.step)
		if t.body != 0 {
			fmt.Fprintf(&b, "(b%d)", t.body-1)
		}
	}
	if p.watcher {
		fmt.Fprintf(&b, " watcher:%v command %d", s.watcher, s.command)
	}
	flag := func(on bool, name string) {
		if on {
			b.WriteString(" +" + name)
		}
	}
	b.WriteString(" |")
	flag(s.offerReady, "offer")
	flag(s.stopReady, "stop")
	for _, x := range []struct {
		timer modelTimer
		name  string
	}{{s.sample, "tick"}, {s.over, "overrun"}} {
		flag(x.timer.on, x.name+" on")
		flag(x.timer.set, x.name+" set")
		flag(x.timer.ready, x.name+" ready")
	}
	if p.hasLong() {
		fmt.Fprintf(&b, " long %d seen %d", s.longBody, s.over.seen)
	}
	flag(s.home == wanted, "wanted")
	flag(s.home == granted, "granted")
	flag(s.stopping, "stopping")
	for _, y := range s.backlog {
		flag(y != 0, fmt.Sprintf("backlog b%d", y-1))
	}
	return b.String()
}

var stateNames = [...]string{running: "running", inBody: "inBody", offered: "offered", claimed: "claimed", parked: "parked", lent: "lent", ended: "ended"}
