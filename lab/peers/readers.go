package main

import "sync"

// readerGoroutines read blocks at the same time: enough to keep any disk's
// queue full. A bound, because each of them costs a thread while it waits.
const readerGoroutines = 64

// readers is the pool that keeps the disk off an event loop, for connections
// of type C. Most libraries leave such a pool to their users; those that
// bring one make it reachable by --tune for comparison.
type readers[C any] struct {
	disk   *disk
	answer func(C, *frame)
	// jobs is deep enough that the loop does not wait for the readers unless
	// they are far behind; then it must, or memory would grow without end.
	jobs chan job[C]
	// spawn, if set, starts a goroutine for each request instead.
	spawn  func(func())
	blocks sync.Pool
	wg     sync.WaitGroup
}

type job[C any] struct {
	conn C
	f    frame
}

// newReaders starts a pool. answer is called in one of its goroutines and must
// not keep the frame.
func newReaders[C any](d *disk, spawn func(func()), answer func(C, *frame)) *readers[C] {
	r := &readers[C]{disk: d, answer: answer, jobs: make(chan job[C], 4096), spawn: spawn}
	r.blocks.New = func() any { b := alignedBlock(); return &b }
	if d == nil || spawn != nil {
		return r
	}
	for range readerGoroutines {
		r.wg.Go(func() {
			block := alignedBlock()
			for j := range r.jobs {
				d.answer(&j.f, block)
				answer(j.conn, &j.f)
			}
		})
	}
	return r
}

// read has a request answered. f is copied.
func (r *readers[C]) read(c C, f *frame) {
	j := job[C]{c, *f}
	if r.spawn == nil {
		r.jobs <- j
		return
	}
	r.spawn(func() {
		block := r.blocks.Get().(*[]byte)
		r.disk.answer(&j.f, *block)
		r.blocks.Put(block)
		r.answer(j.conn, &j.f)
	})
}

// stop ends the pool once nothing is submitted any more.
func (r *readers[C]) stop() {
	close(r.jobs)
	r.wg.Wait()
}
