// Package ballast gives a server's process a heap to collect: what a loop has to
// live with when the rest of the program is a real one. It says nothing by itself; the
// load beside it does (experiment gc).
package ballast

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"sync"
	"time"
)

// Config says how much there is to collect.
type Config struct {
	// Bytes is the live heap, of small linked objects: each has to be looked at.
	Bytes int64
	// GarbagePerS is the bytes allocated each second by a goroutine of its own, of
	// small objects that point at each other and are dropped at once.
	GarbagePerS int64
	// Percent is GOGC while it lasts; 0 leaves it. The default of 100 lets a heap
	// double first, which takes long at a small rate of garbage.
	Percent int
}

// node is 512 bytes: of smaller ones a collection of 1 GiB takes 4 s and more of a
// CPU, too long to see some in a trial.
type node struct {
	left, right *node
	name        *string
	data        [61]int64
}

const (
	nodeBytes = 512
	// mapShare: of so many objects one is an entry of a map, which is what
	// programs keep their objects in.
	mapShare = 8
	mapBytes = 48 // of an entry, about
	// pieceEvery is how often garbage is made: little at a time, as requests do.
	pieceEvery = time.Millisecond
)

// Ballast is live until Stop.
type Ballast struct {
	roots    []*node
	byNumber map[int64]*node
	percent  int // GOGC before; of no use if changed is false
	changed  bool
	end      chan struct{}
	over     sync.WaitGroup
}

// Start builds the heap, which takes about a second per GiB, and begins to make
// garbage. Any goroutine.
func Start(c Config) (*Ballast, error) {
	if c.Bytes < 0 || c.GarbagePerS < 0 || c.Percent < 0 {
		return nil, fmt.Errorf("ballast: %d bytes, %d bytes/s of garbage, GOGC %d: none may be negative", c.Bytes, c.GarbagePerS, c.Percent)
	}
	if c.Percent > 0 && c.Bytes+c.GarbagePerS == 0 {
		return nil, errors.New("ballast: GOGC without ballast or garbage")
	}
	b := &Ballast{end: make(chan struct{})}
	b.build(c.Bytes)
	if c.Percent > 0 {
		b.percent, b.changed = debug.SetGCPercent(c.Percent), true
	}
	if c.GarbagePerS > 0 {
		b.over.Go(func() { b.litter(c.GarbagePerS) })
	}
	return b, nil
}

// build makes trees of nodes in random order, so that the collector jumps about in
// memory, and a map of some of them. It collects nothing meanwhile.
func (b *Ballast) build(bytes int64) {
	if bytes == 0 {
		return
	}
	defer func(percent int) {
		debug.SetGCPercent(percent)
		runtime.GC()
	}(debug.SetGCPercent(-1))
	rng := rand.New(rand.NewPCG(1, 1))
	n := bytes / (nodeBytes + mapBytes/mapShare)
	b.byNumber = make(map[int64]*node, n/mapShare)
	all := make([]*node, n)
	for i := range all {
		all[i] = &node{data: [61]int64{int64(i)}}
		if i%mapShare == 0 {
			b.byNumber[int64(i)] = all[i]
		}
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	// A heap in the array: children of i are 2i+1 and 2i+2, so that no path is long.
	for i := range all {
		if l := 2*i + 1; l < len(all) {
			all[i].left = all[l]
		}
		if r := 2*i + 2; r < len(all) {
			all[i].right = all[r]
		}
	}
	if len(all) > 0 {
		b.roots = []*node{all[0]}
	}
}

// litter makes garbage by the clock: what a late piece has missed, the next makes.
func (b *Ballast) litter(perS int64) {
	tick := time.NewTicker(pieceEvery)
	defer tick.Stop()
	began, made := time.Now(), int64(0)
	for {
		select {
		case <-b.end:
			return
		case <-tick.C:
		}
		due := int64(time.Since(began).Seconds() * float64(perS))
		var list *node
		for ; made < due; made += nodeBytes {
			list = &node{left: list}
			if made%(1<<16) == 0 {
				list = nil
			}
		}
		runtime.KeepAlive(list)
	}
}

// Stop ends the garbage and lets the heap go.
func (b *Ballast) Stop() {
	close(b.end)
	b.over.Wait()
	if b.changed {
		debug.SetGCPercent(b.percent)
	}
	runtime.KeepAlive(b.roots)
	runtime.KeepAlive(b.byNumber)
	b.roots, b.byNumber = nil, nil
}
