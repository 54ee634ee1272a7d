package iouring

import (
	"fmt"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/internal/helper"
	"github.com/syslet/syslet/models/internal/nap"
	"github.com/syslet/syslet/models/internal/outlet"
	"github.com/syslet/syslet/models/internal/switchlog"
	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

const (
	batch    = 256 // completions per harvest
	iovMax   = 64  // segments per send
	bufGroup = 0
)

// Driver implements runtime.Driver. Everything but Wake is for the head.
type Driver struct {
	shard   *srt.Shard
	ring    *uring.Ring
	bufs    *uring.BufRing // receive buffers, shared by all connections
	helpers *helper.Pool
	wakefd  int
	ringfd  int // the ring's, for Wake: it does not change when the ring is closed
	nap     nap.Nap
	spins   spins
	alarmNs int64 // when the standing timeout entry goes off, by the shard's clock; 0: there is none
	tricks  tricks

	events  [batch]uring.CQE
	n, next int // events[next:n] are still to be handled
	conns   []*conn
	ready   []srt.ConnID // have held bytes to deliver, or a receive to arm
	again   []srt.ConnID // scratch
	closing bool         // the loop has ended: nothing is delivered any more
	err     error        // what killed the ring

	listener listener
	syslets  syslets

	views   [iovMax][]byte // scratch of send
	gathers *gather        // free list
	quiet   []quietSend    // sends that complete only if they fail
	outlet  outlet.Outlet  // for connections with ranges of files

	helperOps, sysClose, sysCtl, wakes uint64
	starved                            uint64 // receives that ended because no buffer was free
	unquiet                            uint64 // quiet sends that completed: the socket did not take all
}

// needs are the features that New cannot do without.
var needs = []uring.Feature{
	uring.Setup, uring.CQSize, uring.Clamp, uring.RingDisabled, uring.ExtArg, uring.SubmitAll, uring.TaskrunFlag,
	uring.SingleIssuer, uring.DeferTaskrun, uring.PollMultishot, uring.AcceptMultishot, uring.RecvMultishot, uring.BufferRing,
	uring.OpPoll, uring.OpAccept, uring.OpRecv, uring.OpSend, uring.OpSendmsg, uring.OpConnect, uring.OpCancel, uring.OpTimeout,
	uring.OpOpenat, uring.OpClose, uring.OpRead, uring.OpWrite, uring.OpFsync, uring.OpStatx, uring.OpRenameat,
	uring.OpUnlinkat, uring.OpMkdirat, uring.OpFallocate, uring.OpSplice,
}

// Probe says why this system cannot run the model: the features that are
// missing and the kernels that have them. nil: it can. The kernel is asked once.
// Any thread.
func Probe() error { return uring.Probe().Require(needs...) }

// New makes the driver of s; it is a runtime.DriverFactory.
func New(s *srt.Shard) (srt.Driver, error) {
	if err := Probe(); err != nil {
		return nil, err
	}
	d := &Driver{shard: s, wakefd: -1}
	d.listener.init(d)
	d.syslets.init(d)
	if err := d.open(); err != nil {
		return nil, fmt.Errorf("iouring: shard %d: %w", s.Index(), err)
	}
	return d, nil
}

// open takes what New owns, or nothing. The ring gets its thread in Run.
func (d *Driver) open() (err error) {
	defer func() {
		if err != nil {
			_ = d.free()
		}
	}()
	o := d.shard.Options()
	if d.tricks, err = decide(&o.Ring); err != nil {
		return err
	}
	d.spins.mostNs = d.tricks.spinNs
	config := uring.Config{Entries: uint32(o.RingEntries), Disabled: true, RegisterFd: d.tricks.registered,
		SQArray: !d.tricks.noArray, Features: d.tricks.features}
	if d.ring, err = uring.Open(config); err != nil {
		return fmt.Errorf("cannot open a ring (Options.RingEntries %d): %w", o.RingEntries, err)
	}
	d.ringfd = d.ring.Fd()
	makeBuffers := d.ring.NewBufRing
	if d.tricks.incremental {
		makeBuffers = d.ring.NewIncrementalBufRing
	}
	if d.bufs, err = makeBuffers(bufGroup, o.RingBuffers, o.RingBufferBytes); err != nil {
		return fmt.Errorf("cannot have receive buffers (Options.RingBuffers %d, RingBufferBytes %d): %w", o.RingBuffers, o.RingBufferBytes, err)
	}
	d.syslets.open(d.ring, &d.tricks, min(o.MaxConns, directMax))
	if d.wakefd, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		d.wakefd = -1
		return fmt.Errorf("cannot make an eventfd: %w", err)
	}
	d.helpers = helper.Open(d.shard, o.Helpers, isRingOp)
	return nil
}

// Run runs the loop on one locked thread.
func (d *Driver) Run() (err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer func() { err = d.release(err) }()
	srt.NameThread(fmt.Sprintf("shard%d", d.shard.Index()))
	defer srt.NameThread("go")
	unbind, err := srt.BindThread(d.shard.CPU())
	if err != nil {
		return err
	}
	defer unbind()
	defer srt.PreferThread()()
	if err := d.ring.Enable(); err != nil {
		return err
	}
	d.watchWakes()
	defer switchlog.Attach(d.shard)()
	d.shard.Loop()
	return d.err
}

// Turn handles one batch. It gives the shard up only if its ring is dead.
func (d *Driver) Turn(timeoutNs int64) bool {
	if !d.wait(timeoutNs) {
		return false
	}
	for d.step() {
	}
	return true
}

// step handles one completion and reports whether there was one.
func (d *Driver) step() bool {
	if d.next >= d.n {
		return d.stepReady()
	}
	e := &d.events[d.next]
	d.next++
	switch k := key(e.UserData()); k.kind() {
	case kindRecv:
		d.recvDone(k, e)
	case kindSend:
		d.sendDone(k, int(e.Res()))
	case kindAlarm:
		d.alarmNs = 0
	case kindCancel, kindClose:
		d.endingDone(k, e.Errno())
	case kindAccept:
		d.listener.done(e)
	case kindSyslet:
		d.syslets.done(k, e.Res())
	case kindWake:
		d.wakes++
		if !e.More() && !e.Message() && !d.closing {
			d.watchWakes()
		}
	}
	return true
}

// stepReady goes on with a connection that has something due without a
// completion. Those that it adds wait for the next batch.
func (d *Driver) stepReady() bool {
	if len(d.again) == 0 {
		d.again, d.ready = d.ready, d.again[:0]
		if len(d.again) == 0 {
			return false
		}
	}
	last := len(d.again) - 1
	id := d.again[last]
	d.again = d.again[:last]
	if c := d.shard.ConnAt(id); c != nil {
		d.goOnReceiving(d.at(c))
	}
	return last > 0
}

// watchWakes arms the poll that Wake ends. Multishot, so that the counter need
// not be read.
func (d *Driver) watchWakes() {
	d.ring.Next(uint64(wakeKey)).PrepPollMultishot(d.wakefd, unix.POLLIN)
}

// Wake ends a wait. Any thread.
func (d *Driver) Wake() {
	if d.tricks.messages && uring.Message(d.ringfd, uint64(wakeKey), 0) == nil {
		return
	}
	one := uint64(1)
	_, _, _ = unix.RawSyscall(unix.SYS_WRITE, uintptr(d.wakefd), uintptr(unsafe.Pointer(&one)), 8)
}

// ReadStats adds the driver's counters.
func (d *Driver) ReadStats(st *srt.Stats) {
	st.SysEnter += d.ring.Stats.Enters
	st.SysAccept += d.listener.sysAddr
	st.SysClose += d.sysClose
	st.SysSend += d.outlet.Calls
	st.SysCtl += d.sysCtl
	st.SysOps += d.helpers.Wakes
	st.HelperOps += d.helperOps
	st.Wakes += d.wakes
}
