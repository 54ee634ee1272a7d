package sensor

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/lab/result"
)

const (
	// costThreads is how many threads the process has at least that is looked at:
	// about as many as a server with helpers and standbys.
	costThreads  = 20
	costReadings = 7
	// costTrials of so many events, without and with a sensor in turn.
	costTrials   = 7
	costCalls    = 4000
	costSwitches = 1000
	// costMost bounds the time for one sensor; what was measured until then counts.
	costMost = 150 * time.Millisecond
)

// Costs describes every sensor of a Set with what it costs, measured now on this
// process: the CPU time of one reading (Start and Stop), or by how much it makes an
// event dearer. It takes below two seconds. cpus are those of the server; switches
// are measured on the first of them, or on any if there are none.
func Costs(cpus []int) []result.SensorInfo {
	defer crowd(costThreads)()
	events, err := newEventClock(cpus)
	if err == nil {
		defer events.close()
	}
	target := Target{PID: os.Getpid(), ServerCPUs: cpus, LoadCPUs: cpus}
	why := unavailable(target)
	infos := make([]result.SensorInfo, 0, len(kinds))
	for i, k := range kinds {
		infos = append(infos, k.cost(target, why[i], events))
	}
	return infos
}

// cost measures one, unless why says why it is not to be had. events is nil if
// events cannot be measured.
func (k *kind) cost(t Target, why string, events *eventClock) result.SensorInfo {
	info := result.SensorInfo{Name: k.name, Source: k.source, Unavailable: why}
	for _, q := range k.quantities {
		info.Quantities, info.Units = append(info.Quantities, q.metric()), append(info.Units, q.unit)
	}
	if k.also.name != "" {
		info.Quantities, info.Units = append(info.Quantities, k.also.metric()), append(info.Units, k.also.unit)
	}
	if why != "" {
		return info
	}
	var overheadNs float64
	ok := false
	if k.perEvent == "" {
		overheadNs, ok = readingNs(k.open(t))
	} else if events != nil {
		info.PerEvent = k.perEvent
		overheadNs, ok = events.dearerNs(k.perEvent, func() Sensor { return k.open(t) })
	}
	if ok {
		info.OverheadNs = &overheadNs
	}
	return info
}

// costWindow is long enough for what counts in ticks of 10 ms.
const costWindow = 30 * time.Millisecond

// unavailable is, for each kind, why it gives nothing here; empty if it gives
// something.
func unavailable(t Target) []string {
	why := make([]string, len(kinds))
	sensors := make([]Sensor, len(kinds))
	for i, k := range kinds {
		sensors[i] = k.open(t)
		defer sensors[i].Close()
		sensors[i].Start()
	}
	time.Sleep(costWindow)
	for i, s := range sensors {
		readings, _ := s.Stop()
		for _, r := range readings {
			if r.Metric.Available() {
				why[i] = ""
				break
			}
			why[i] = firstText(why[i], r.Metric.Unavailable)
		}
	}
	return why
}

func firstText(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// readingNs is the CPU time of one Start and Stop, the median of several.
func readingNs(s Sensor) (float64, bool) {
	defer s.Close()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var took []float64
	for until := time.Now().Add(costMost); len(took) < costReadings && time.Now().Before(until); {
		from, err := threadCPUNs()
		if err != nil {
			return 0, false
		}
		s.Start()
		s.Stop()
		now, _ := threadCPUNs()
		took = append(took, float64(now-from))
	}
	return median(took), len(took) > 0
}

func threadCPUNs() (int64, error) {
	var ts unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return ts.Nano(), err
}

// median sorts; of an even number the lower one.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}

// crowd gives this process that many more threads, until what it returns is called.
func crowd(threads int) (disperse func()) {
	leave := make(chan struct{})
	var there, gone sync.WaitGroup
	there.Add(threads)
	for range threads {
		gone.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			there.Done()
			<-leave
		})
	}
	there.Wait()
	return func() { close(leave); gone.Wait() }
}

// eventClock times system calls and switches of threads. The switches are between
// two threads on one CPU that pass a byte to each other.
type eventClock struct {
	ask         chan func() // run on the first thread
	there, back [2]int      // pipes
	gone        sync.WaitGroup
}

func newEventClock(cpus []int) (*eventClock, error) {
	e := &eventClock{ask: make(chan func())}
	if err := unix.Pipe2(e.there[:], unix.O_CLOEXEC); err != nil {
		return nil, fmt.Errorf("sensors' costs: %w", err)
	}
	if err := unix.Pipe2(e.back[:], unix.O_CLOEXEC); err != nil {
		unix.Close(e.there[0])
		unix.Close(e.there[1])
		return nil, fmt.Errorf("sensors' costs: %w", err)
	}
	e.gone.Go(func() {
		defer onOneCPU(cpus)()
		defer unix.Close(e.there[1]) // ends the other
		for f := range e.ask {
			f()
		}
	})
	e.gone.Go(func() {
		defer onOneCPU(cpus)()
		for b := make([]byte, 1); pass(unix.Read, e.there[0], b) && pass(unix.Write, e.back[1], b); {
		}
	})
	return e, nil
}

func (e *eventClock) close() {
	close(e.ask)
	e.gone.Wait()
	unix.Close(e.there[0])
	unix.Close(e.back[0])
	unix.Close(e.back[1])
}

// pass moves one byte; false at the end.
func pass(move func(int, []byte) (int, error), fd int, b []byte) bool {
	for {
		n, err := move(fd, b)
		if err != unix.EINTR {
			return n == 1 && err == nil
		}
	}
}

// onOneCPU ties the calling goroutine to its thread and that to one CPU, until what
// it returns is called. Where that is not allowed it stays where it is.
func onOneCPU(cpus []int) (back func()) {
	runtime.LockOSThread()
	var own, one unix.CPUSet
	if unix.SchedGetaffinity(0, &own) != nil {
		return runtime.UnlockOSThread
	}
	for cpu := range len(own) * 64 {
		if own.IsSet(cpu) && (len(cpus) == 0 || slices.Contains(cpus, cpu)) {
			one.Set(cpu)
			break
		}
	}
	if one.Count() == 0 || unix.SchedSetaffinity(0, &one) != nil {
		return runtime.UnlockOSThread
	}
	return func() {
		_ = unix.SchedSetaffinity(0, &own)
		runtime.UnlockOSThread()
	}
}

// eventNs is what one event takes now.
func (e *eventClock) eventNs(event string) (ns float64) {
	done := make(chan struct{})
	e.ask <- func() {
		defer close(done)
		if event == perCall {
			start := time.Now()
			for range costCalls {
				unix.RawSyscall(unix.SYS_GETPPID, 0, 0, 0) // cannot block
			}
			ns = float64(time.Since(start)) / costCalls
			return
		}
		b := make([]byte, 1)
		start := time.Now()
		for range costSwitches / 2 {
			if !pass(unix.Write, e.there[1], b) || !pass(unix.Read, e.back[0], b) {
				return
			}
		}
		ns = float64(time.Since(start)) / costSwitches
	}
	<-done
	return ns
}

// dearerNs is by how much an event takes longer with a sensor than without: the
// median of several pairs; 0 if that is less than the noise.
func (e *eventClock) dearerNs(event string, open func() Sensor) (float64, bool) {
	var more []float64
	for until := time.Now().Add(costMost); len(more) < costTrials && (len(more) < 3 || time.Now().Before(until)); {
		without := e.eventNs(event)
		s := open()
		s.Start()
		with := e.eventNs(event)
		s.Stop()
		s.Close()
		if with > 0 && without > 0 {
			more = append(more, with-without)
		} else {
			return 0, false
		}
	}
	return max(0, median(more)), true
}
