package threadlet

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Config says what a pool is. The zero value of a field means what its comment says.
type Config struct {
	// Name begins the names of the pool's threads, as ps and top show them: Name-tl0, Name-tl1 and so on. The kernel keeps
	// 15 bytes, so Name is cut to 10.
	Name string
	// CPU is the processor that all threads of the pool are bound to; -1 for none.
	CPU int
	// Standbys is the number of threads beside the head, at least 1: so many bodies can be blocked while the loop goes on.
	Standbys int
	// Detector is one of the Detector constants; "" is DetectorAuto.
	Detector string
	// Loop runs the shard's loop on the calling thread. It returns when Leave said false (the role is lost; what the
	// loop needs lives in the shard, and the next head calls Loop again to go on with it), or when the loop has ended
	// for good, which ends the pool. It must return when Stopping.
	Loop func()
	// Overrun is how long a body that began with EnterLong may compute before it is taken over like one that blocks; 0: for ever.
	Overrun time.Duration
	// Spare, if set, runs work that needs a thread but not the head role: what the loop would have offered when no standby was
	// free. A standby calls it; it runs what there is, may block, and returns. HasSpare says whether there is any. Both are called on
	// any thread of the pool. Who adds work looks at Free afterwards. What is left when the pool ends is not run.
	Spare    func()
	HasSpare func() bool
}

// Pool is the threads of one shard: one head and its standbys.
type Pool struct {
	cfg      Config
	det      detector
	why      string
	warnings []string
	clk      clock
	threads  []*thread

	_ [64]byte // the head writes word in each Enter and Leave: a cache line of its own
	// word decides who is head; see the package comment for each transition. All loads and stores are atomic, and
	// everything the old head did before it gave up the word happens before what the new head does.
	word atomic.Uint64
	_    [56]byte

	// command is the watcher's, if the detector has one: at commandSleep Enter wakes it. Otherwise it is always at commandWatch.
	command *atomic.Uint32

	// free is the number of standbys that wait and are not yet promised to anyone.
	// Invariant: waiting standbys = free + (1 while the role is offered or being offered) + (1 per claim under way).
	free     atomic.Int32
	sample   sampling
	over     overrun
	home     homecoming
	stopping atomic.Bool // set once; the loop and the standbys read it
	count    counters

	mu   sync.Mutex // guards gate against Stop from a foreign thread before and after Run
	gate *gate
	ran  bool
}

// Open checks the configuration and probes detectors. It opens nothing that has to be closed. An error says which field of Config
// is wrong, or why the kernel refused the detector and which setting permits it.
func Open(cfg Config) (*Pool, error) {
	if err := cfg.check(); err != nil {
		return nil, err
	}
	det, why, err := chooseDetector(cfg.Detector, cfg.CPU)
	if err != nil {
		return nil, err
	}
	p := &Pool{cfg: cfg, det: det, why: why, clk: newClock()}
	p.command = new(atomic.Uint32)
	p.command.Store(commandWatch)
	p.free.Store(int32(cfg.Standbys)) // they look at the word before they sleep, so they may be promised before they run
	p.sample.periodNs, p.over.limitNs = det.periodNs(), int64(cfg.Overrun)
	p.over.intervalNs.Store(p.over.limitNs)
	p.threads = make([]*thread, cfg.Standbys+1)
	for i := range p.threads {
		p.threads[i] = &thread{pool: p, index: i, statFd: -1}
		p.threads[i].alarmFd.Store(-1)
	}
	if n := runtime.GOMAXPROCS(0); n < 2 {
		p.warnings = append(p.warnings, fmt.Sprintf("GOMAXPROCS is %d: a standby that wakes up needs a P while the blocked head may still hold one; set it to the number of loops + 1 at least", n))
	}
	return p, nil
}

func (c *Config) check() error {
	switch {
	case c.Loop == nil:
		return errors.New("threadlet: Config.Loop is nil")
	case (c.Spare == nil) != (c.HasSpare == nil):
		return errors.New("threadlet: Config.Spare and Config.HasSpare must be set both or neither")
	case c.Overrun < 0 || c.Overrun > 0 && c.Overrun < 10*time.Microsecond:
		return fmt.Errorf("threadlet: Config.Overrun is %v, must be 0 (for ever) or at least 10us", c.Overrun)
	case c.Standbys < 1 || c.Standbys >= maxThreads:
		return fmt.Errorf("threadlet: Config.Standbys is %d, must be 1 to %d", c.Standbys, maxThreads-1)
	case c.CPU < -1:
		return fmt.Errorf("threadlet: Config.CPU is %d, must be -1 (not bound) or a processor's number", c.CPU)
	case c.CPU == -1:
		return nil
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err == nil && !set.IsSet(c.CPU) {
		return fmt.Errorf("threadlet: Config.CPU %d is not among the %d processors this process may use (sched_getaffinity)", c.CPU, set.Count())
	}
	return nil
}

// Detector names the detector in use and says why it was chosen and why the ones before it were not. Any thread.
func (p *Pool) Detector() (name, why string) { return p.det.name(), p.why }

// Warnings are doubts about the configuration, in words; nil if there are none. Any thread.
func (p *Pool) Warnings() []string { return p.warnings }

// Run starts the threads, makes the first one head, and returns when Stop was called (or Loop ended the loop) and all threads are out;
// bodies that are still blocked are waited for. It may be called once. An error says which thread could not be set up.
func (p *Pool) Run() error {
	if err := p.openForRun(); err != nil {
		return err
	}
	var ready, out sync.WaitGroup
	ready.Add(len(p.threads))
	begin := make(chan struct{})
	for _, t := range p.threads {
		out.Go(func() {
			t.err = t.setUp()
			ready.Done()
			<-begin
			defer t.tearDown() // deferred, as live may end by Goexit
			if !p.stopping.Load() {
				t.live(t.index == 0)
			}
		})
	}
	ready.Wait()
	var err error
	for _, t := range p.threads {
		err = errors.Join(err, t.err)
	}
	if err == nil {
		err = p.det.start(p)
	}
	if err != nil {
		p.Stop()
	}
	close(begin)
	out.Wait()
	p.closeAfterRun()
	return err
}

func (p *Pool) openForRun() (err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ran {
		return errors.New("threadlet: Run was called before; Open another pool")
	}
	p.ran = true
	p.gate, err = openGate()
	return err
}

// closeAfterRun: only here may rings be unmapped, as any standby may look at any ring.
func (p *Pool) closeAfterRun() {
	p.stopping.Store(true)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.det.stop() {
		for _, t := range p.threads {
			p.det.detach(t)
		}
		p.gate.close()
	}
	p.gate = nil
}

// Stop ends the pool: free standbys leave at once, the head when its Loop returns (it can ask Stopping), a blocked body
// when it is through. Any thread, any number of times; it does not wait.
func (p *Pool) Stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.stopping.Swap(true) && p.gate != nil {
		p.gate.wakeAll()
	}
}

// Free is the number of standbys that wait and are not promised. Any thread; a load.
func (p *Pool) Free() int { return int(max(p.free.Load(), 0)) }

// Stopping says whether Stop was called. Any thread; a load.
func (p *Pool) Stopping() bool { return p.stopping.Load() }
