package runtime

import (
	"fmt"
	goruntime "runtime"
	"sync"
)

// blockSitesMax bounds the sites of a shard; what comes after is counted in
// BlockCounting.Overflow. An application has a few lines that block.
const blockSitesMax = 256

// blockTable is where a shard's blocks are booked: any thread, under a lock.
// That is not on a hot path: who books has just lost microseconds at least.
type blockTable struct {
	mu       sync.Mutex
	entries  map[siteKey]*BlockTimes
	totals   [blockKinds]BlockTotal
	overflow uint64
}

// siteKey tells sites apart. Names are made of it only when somebody reads.
type siteKey struct {
	kind     BlockKind
	callback callback
	line     appLine  // a stack's; else zero
	from     callSite // a body: return addresses of Submit and of its caller
	callee   uintptr  // a body: the function; a callback that is one: itself
	op       int      // a body: the op's index
	code     OpCode
}

// book counts one block. Any thread.
func (t *blockTable) book(k siteKey, ns int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	sum := &t.totals[k.kind]
	sum.Kind = k.kind
	sum.Count++
	sum.TotalNs += uint64(max(ns, 0))
	sum.MaxNs = max(sum.MaxNs, uint64(max(ns, 0)))
	times := t.entries[k]
	if times == nil {
		if len(t.entries) >= blockSitesMax {
			t.overflow++
			return
		}
		if t.entries == nil {
			t.entries = map[siteKey]*BlockTimes{}
		}
		times = &BlockTimes{}
		t.entries[k] = times
	}
	times.add(ns)
}

// sites gives a copy, with names. Sites that differ only in what is not shown
// are one.
func (t *blockTable) sites(s *Shard) []BlockSite {
	t.mu.Lock()
	keys := make([]siteKey, 0, len(t.entries))
	times := make([]BlockTimes, 0, len(t.entries))
	for k, v := range t.entries {
		keys, times = append(keys, k), append(times, *v)
	}
	t.mu.Unlock()
	index := map[BlockPlace]int{}
	var all []BlockSite
	for i := range keys {
		place := keys[i].place(fmt.Sprintf("%T", s.app))
		place.Shard = s.index
		at, ok := index[place]
		if !ok {
			at = len(all)
			index[place] = at
			all = append(all, BlockSite{BlockPlace: place})
		}
		all[at].BlockTimes.Add(&times[i])
	}
	return all
}

// place resolves what the key stands for; app is the App's type.
func (k *siteKey) place(app string) BlockPlace {
	b := BlockPlace{Kind: k.kind}
	if k.callback != cbBody {
		b.Callback = k.callback.String()
	}
	switch {
	case k.line.function != "":
		b.Function, b.File, b.Line, b.Call, b.Sampled = k.line.function, k.line.file, k.line.line, k.line.call, true
	case k.callback == cbBody, k.callback == cbSubmit:
		k.bodyPlace(&b)
	case k.callback == cbLoop:
		b.Function = "(between callbacks)"
	case k.callback == cbTurn:
		b.Function = "(a turn of several callbacks of " + app + ")"
	case k.callee != 0:
		b.Function = "(" + shortFunction(functionName(k.callee)) + ", line not sampled)"
	default:
		b.Function = fmt.Sprintf("(%s of %s, line not sampled)", k.callback, app)
	}
	return b
}

// bodyPlace names the line that submitted the body, and what of it blocked.
func (k *siteKey) bodyPlace(b *BlockPlace) {
	if f, ok := submitter(k.from[:]); ok {
		b.Function, b.File, b.Line, b.Sampled = f.Function, f.File, f.Line, true
	} else {
		b.Function = "(submitted by the runtime)"
	}
	b.Call = k.call()
}

// call is what of the body blocked.
func (k *siteKey) call() string {
	if k.callee != 0 {
		return functionName(k.callee)
	}
	return fmt.Sprintf("%s (op %d)", k.code, k.op)
}

// submitter is the first frame of the application.
func submitter(pcs []uintptr) (goruntime.Frame, bool) {
	for len(pcs) > 0 && pcs[len(pcs)-1] == 0 {
		pcs = pcs[:len(pcs)-1]
	}
	if len(pcs) == 0 {
		return goruntime.Frame{}, false
	}
	for frames := goruntime.CallersFrames(pcs); ; {
		f, more := frames.Next()
		if f.Function != "" && !ownFrame(f.Function, f.File) && !goFrame(f.Function, f.File) {
			return f, true
		}
		if !more {
			return goruntime.Frame{}, false
		}
	}
}

func functionName(pc uintptr) string {
	if f := goruntime.FuncForPC(pc); f != nil {
		return f.Name()
	}
	return fmt.Sprintf("%#x", pc)
}
