package runtime

import "reflect"

// Stats are a shard's counters since it began; Server.Stats adds them up. All
// but the gauges only grow.
type Stats struct {
	Turns         uint64 // loop turns
	Waits         uint64 // turns in which the thread slept or could have
	Stalls        uint64 // turns that held the loop longer than Options.StallBudget
	StallMaxNs    uint64 // gauge: the longest turn, without its wait
	DataCallbacks uint64 // calls of App.Data
	TimersFired   uint64
	Ticks         uint64

	Accepted       uint64
	RefusedConns   uint64 // closed at once: Options.MaxConns, MaxConnsPerAddr, AcceptFilter
	ClosedByPeer   uint64
	ClosedByApp    uint64
	ClosedByLimit  uint64
	ClosedByIdle   uint64
	ClosedByError  uint64
	LingerTimeouts uint64
	UnsentDropped  uint64 // writes refused by PolicyDrop
	ReadPauses     uint64 // by PolicyPause
	Conns          uint64 // gauge

	BytesIn, BytesOut uint64
	Fetches           uint64 // windows of queued files that had to be read from disk first

	OpsSubmitted uint64 // syslets and threadlets
	OpsCompleted uint64 // of them, at once, without a completion
	OpsFinished  uint64 // of them, with a completion
	OpsBusy      uint64 // refused: Options.MaxInFlight
	SyncOps      uint64 // ops that blocked the shard because their maker said Sync
	InlineOps    uint64 // ops that could block and were made in the loop (FilesInline)
	HelperOps    uint64 // syslets that went to a helper thread

	MailSent, MailReceived, MailBacklogged, MailBusy uint64
	Wakes                                            uint64 // wake-ups of this shard that cost a system call

	// System calls that the runtime itself made, by what they are for. Ops run
	// by syslets are in SysOps. What Go's own scheduler calls is not here.
	SysWait, SysRecv, SysSend, SysAccept, SysClose, SysCtl, SysOps, SysEnter uint64

	// Threadlet model.
	TakeoversAnnounced, TakeoversDetected, TakeoversAtBound uint64
	// Of the detected ones, what noticed them: the watcher that got the CPU, a
	// switch record, the sampling timer, the timed look behind the first two, a
	// thread that came home. Overrun: the body did not block but computed for
	// longer than Options.Overrun.
	TakeoversByIdle, TakeoversByOverrun, TakeoversBySwitch, TakeoversByTimer, TakeoversByBackstop, TakeoversByReturn uint64
	TakeoverFalseAlarms                                                                                              uint64
	// Gauges: from the announcement, or from the block, to the loop going on.
	AnnouncedP50Ns, AnnouncedP99Ns, DetectedP50Ns, DetectedP99Ns uint64
}

// SystemCalls is the sum of the system-call counters.
func (st *Stats) SystemCalls() uint64 {
	return st.SysWait + st.SysRecv + st.SysSend + st.SysAccept + st.SysClose + st.SysCtl + st.SysOps + st.SysEnter
}

// gaugeMax are the fields of which a sum makes no sense: Add takes the larger.
var gaugeMax = map[string]bool{
	"StallMaxNs": true, "AnnouncedP50Ns": true, "AnnouncedP99Ns": true, "DetectedP50Ns": true, "DetectedP99Ns": true,
}

// Add adds the counters of o.
func (st *Stats) Add(o *Stats) {
	a, b := reflect.ValueOf(st).Elem(), reflect.ValueOf(o).Elem()
	for i := range a.NumField() {
		x, y := a.Field(i).Uint(), b.Field(i).Uint()
		if gaugeMax[a.Type().Field(i).Name] {
			a.Field(i).SetUint(max(x, y))
		} else {
			a.Field(i).SetUint(x + y)
		}
	}
}

// Each calls f with the name and value of every counter, in order.
func (st *Stats) Each(f func(name string, value uint64)) {
	v := reflect.ValueOf(st).Elem()
	for i := range v.NumField() {
		f(v.Type().Field(i).Name, v.Field(i).Uint())
	}
}
