// Package nonblock is the model of nonblocking state machines: readiness from
// epoll, nonblocking forms of file calls, and a pool of helper threads for what
// has none. With Options.Files = FilesInline such calls are made in the loop
// instead: the pure form, which 2007's argument is about.
package nonblock

import (
	"fmt"
	"runtime"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/helper"
	"github.com/syslet/syslet/models/internal/poller"
	"github.com/syslet/syslet/models/internal/switchlog"
	"github.com/syslet/syslet/models/internal/waits"
	srt "github.com/syslet/syslet/runtime"
)

// Driver implements runtime.Driver. The embedded poller is the socket half.
type Driver struct {
	*poller.Poller
	shard     *srt.Shard
	helpers   *helper.Pool // nil: FilesInline
	waits     *waits.Waits
	inlineOps uint64
	helperOps uint64
}

// New makes the driver of s; it is a runtime.DriverFactory.
func New(s *srt.Shard) (srt.Driver, error) {
	p, err := poller.Open(s)
	if err != nil {
		return nil, err
	}
	d := &Driver{Poller: p, shard: s}
	d.waits = waits.New(p, s, d.Submit)
	if s.Options().Files == srt.FilesInline {
		return d, nil
	}
	d.helpers = helper.Open(s, s.Options().Helpers, waits.ForOthers)
	return d, nil
}

// Run runs the loop on one locked thread.
func (d *Driver) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer d.release()
	srt.NameThread(fmt.Sprintf("shard%d", d.shard.Index()))
	defer srt.NameThread("go")
	unbind, err := srt.BindThread(d.shard.CPU())
	if err != nil {
		return err
	}
	defer unbind()
	defer srt.PreferThread()()
	defer switchlog.Attach(d.shard)()
	d.shard.Loop()
	return nil
}

func (d *Driver) release() {
	if d.helpers != nil {
		d.helpers.Close()
	}
	d.waits.Close()
	d.Poller.Close()
}

// Turn handles one batch.
func (d *Driver) Turn(timeoutNs int64) bool {
	d.Wait(timeoutNs)
	for d.Step() {
	}
	return true
}

// Submit runs y as far as it goes without blocking. The rest waits for a
// descriptor or the clock in the loop, or goes to a helper, needed or not.
func (d *Driver) Submit(y *srt.Syslet) srt.Outcome {
	for {
		if y.RunNonblocking() {
			return srt.Completed
		}
		if op := y.Op(); waits.ForOthers(op) {
			if d.waits.Add(y) {
				return srt.Queued
			}
			continue // it did not have to wait, or cannot: applied
		}
		if d.helpers != nil {
			d.helperOps++
			d.helpers.Give(y)
			return srt.Queued
		}
		d.inlineOps++
		d.runInline(y)
	}
}

// runInline runs the current op while the loop waits: FilesInline. A call has a
// goroutine of its own for that, because it may end it.
func (d *Driver) runInline(y *srt.Syslet) {
	if y.Op().Code != srt.OpCall {
		y.Apply(d.shard.ExecHere(y))
		return
	}
	op, mark := y.PC(), d.shard.SwitchMark()
	defer func() { d.shard.BookHere(y, op, mark) }()
	done := make(chan struct{})
	go func() {
		defer close(done)
		y.Apply(y.Exec())
	}()
	<-done
}

// Cancel ends a wait; a call that a helper has begun goes on to its end.
func (d *Driver) Cancel(y *srt.Syslet) {
	if d.waits.Remove(y) {
		y.Abort(unix.ECANCELED)
		d.shard.FinishFrom(y)
	}
}

// ReadStats adds the driver's counters.
func (d *Driver) ReadStats(st *srt.Stats) {
	d.Poller.ReadStats(st)
	st.InlineOps += d.inlineOps
	st.HelperOps += d.helperOps
	if d.helpers != nil {
		st.SysOps += d.helpers.Wakes
	}
}
