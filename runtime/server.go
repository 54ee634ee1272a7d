package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"
)

// Server is a running set of shards that serve one address.
type Server struct {
	opts    Options
	factory DriverFactory
	host    Host // nil: the system
	shards  []*Shard
	addr    net.Addr

	watcher watcher

	mu      sync.Mutex
	state   serverState
	runErrs chan error
	ended   int // shards whose Run has returned and been asked
}

type serverState uint8

const (
	serverNew serverState = iota
	serverRunning
	serverStopped
)

// New makes a server that runs under the driver that factory makes. Most
// programs call models.Open instead, which knows the drivers by name.
func New(o Options, factory DriverFactory) (*Server, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	return &Server{opts: o, factory: factory}, nil
}

// Start makes one App per shard, starts all shards, and returns when they
// accept connections. On failure nothing is left running.
func (v *Server) Start(newApp func(s *Shard) (App, error)) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.state != serverNew {
		return fmt.Errorf("%w: a Server starts once", ErrBadOption)
	}
	fds, err := v.openSockets()
	if err != nil {
		return err
	}
	if err := v.makeShards(newApp); err != nil {
		closeAll(fds)
		return err
	}
	for i, fd := range fds {
		v.shards[i].listenFd = fd
	}
	v.runErrs = make(chan error, len(v.shards))
	v.startWatcher()
	v.runShards()
	v.state = serverRunning
	if err := v.listenAll(); err != nil {
		v.end()
		return err
	}
	return nil
}

// openSockets gives a listening socket per shard; none on a Host, or without an
// address.
func (v *Server) openSockets() (fds []int, err error) {
	if v.host != nil {
		return nil, nil
	}
	RaiseProcs(v.opts.Shards + 3)
	if v.opts.Listen == "" {
		return nil, nil
	}
	fds, v.addr, err = listen(v.opts.Listen, v.opts.Shards, v.opts.Backlog)
	return fds, err
}

func (v *Server) runShards() {
	if v.host != nil {
		return // its Step runs them
	}
	for _, s := range v.shards {
		go func() { v.runErrs <- s.drv.Run() }()
	}
}

var raising sync.Mutex

// RaiseProcs raises GOMAXPROCS to want, or a little more, if it is lower: a loop
// that computes must not keep a standby, a helper or the garbage collector from
// running, and the Go scheduler needs a processor (P) for each loop and some to
// spare. It matters when the process is bound to one CPU, where Go starts with
// one. It waits for a collection to end: not for loops.
//
// A quarter of the Ps is the collector's. Where that is no whole number (1, 2, 3 and 6
// of them, by its rounding) it takes a share of each P, a loop's too: a loop that
// has been preempted then waits behind a marking worker, for half a second as seen.
func RaiseProcs(want int) {
	raising.Lock()
	defer raising.Unlock()
	if want = max(want, 4); want == 6 {
		want = 7
	}
	if runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}

func (v *Server) makeShards(newApp func(s *Shard) (App, error)) error {
	v.shards = make([]*Shard, v.opts.Shards)
	mail := newMatrix(v.opts.Shards, v.opts.MailboxSlots)
	for i := range v.shards {
		s := &Shard{server: v, opts: &v.opts, index: i, listenFd: -1, mail: mail, mailTo: make([]bool, v.opts.Shards)}
		s.sweeper = NewTimer((*Shard).sweep)
		s.giveUpTimer = NewTimer((*Shard).giveUpClosers)
		s.trimmer = NewTimer((*Shard).trim)
		s.block.init(&v.opts, v.host != nil)
		if v.opts.MaxConnsPerAddr > 0 {
			s.perAddr = map[netip.Addr]int{}
		}
		v.shards[i] = s
	}
	for _, s := range v.shards {
		app, err := newApp(s)
		if err != nil {
			return err
		}
		s.app = app
		s.receiver, _ = app.(Receiver)
		s.ticker, _ = app.(Ticker)
		s.filter, _ = app.(AcceptFilter)
		s.half, _ = app.(HalfCloser)
	}
	for i, s := range v.shards {
		drv, err := v.factory(s)
		if err != nil {
			for _, made := range v.shards[:i] {
				made.quit = true
				_ = made.drv.Run() // ends at once and releases what the factory took
			}
			return err
		}
		s.drv = drv
	}
	return nil
}

// listenAll has each shard listen, on the shard, and waits for all: then they run.
func (v *Server) listenAll() error {
	errs := make(chan error, 2*len(v.shards))
	for _, s := range v.shards {
		s.Do(func(s *Shard) {
			if s.listenFd < 0 && v.host == nil {
				errs <- nil
				return
			}
			errs <- s.drv.Listen(s.listenFd)
		})
	}
	var all []error
	for range v.shards {
		hostUntil(context.Background(), v.host, errs)
		select {
		case err := <-errs:
			all = append(all, err)
		case err := <-v.runErrs: // a shard that could not even begin
			v.ended++
			all = append(all, fmt.Errorf("runtime: a shard ended at once: %w", err))
		}
	}
	return errors.Join(all...)
}

// Addr is the address that the server listens on; nil if it does not listen.
func (v *Server) Addr() net.Addr { return v.addr }

// Options are the server's, with defaults filled in.
func (v *Server) Options() *Options { return &v.opts }

// Shards are the server's loops.
func (v *Server) Shards() []*Shard { return v.shards }

// Stats adds up the counters of all shards, each read on its shard. It waits
// for shards that are busy, as long as ctx allows.
func (v *Server) Stats(ctx context.Context) (Stats, error) {
	per, err := v.ShardStats(ctx)
	var sum Stats
	for i := range per {
		sum.Add(&per[i])
	}
	return sum, err
}

// ShardStats gives the counters of each shard.
func (v *Server) ShardStats(ctx context.Context) ([]Stats, error) {
	if !v.running() {
		return nil, ErrNotRunning
	}
	per := make([]Stats, len(v.shards))
	err := v.onAll(ctx, func(s *Shard) {
		st := s.Stats
		st.Conns = uint64(s.open)
		s.drv.ReadStats(&st)
		per[s.index] = st
	})
	if err != nil {
		return nil, err
	}
	return per, nil
}

func (v *Server) running() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state == serverRunning
}

// onAll runs fn on every shard and waits for it.
func (v *Server) onAll(ctx context.Context, fn func(s *Shard)) error {
	done := make(chan struct{}, len(v.shards))
	for _, s := range v.shards {
		s.Do(func(s *Shard) { fn(s); done <- struct{}{} })
	}
	for range v.shards {
		hostUntil(ctx, v.host, done)
		select {
		case <-done:
		case <-ctx.Done():
			return fmt.Errorf("a shard did not answer: %w", ctx.Err())
		}
	}
	return nil
}

// Stop ends the server in good order: no more connections are accepted, all
// are closed after their output is sent, each App's Stop is called, and the
// shards end when nothing is in flight or in the mail any more. When ctx ends
// first the rest is cut off and ErrStopTimeout returned.
func (v *Server) Stop(ctx context.Context) error {
	v.mu.Lock()
	if v.state != serverRunning {
		v.mu.Unlock()
		return errDuplicateStop
	}
	v.state = serverStopped
	v.mu.Unlock()
	err := v.wind(ctx)
	if e := v.end(); err == nil {
		err = e
	}
	return err
}

// wind brings the shards to rest.
func (v *Server) wind(ctx context.Context) error {
	rest := errors.Join(
		v.onAll(ctx, (*Shard).closeAllConns),
		v.await(ctx, func(r restReport) bool { return r.open == 0 && r.quiet() }))
	rest = errors.Join(rest, v.onAll(ctx, (*Shard).stopApp),
		v.await(ctx, restReport.quiet))
	if rest != nil {
		return fmt.Errorf("%w: %w", ErrStopTimeout, rest)
	}
	return nil
}

// restReport is what is still going on.
type restReport struct {
	open, inFlight, backlog int
	sent, received          uint64
}

func (r restReport) quiet() bool {
	return r.inFlight == 0 && r.backlog == 0 && r.sent == r.received
}

// await asks the shards until the answer pleases twice in a row: messages that
// pass between two shards while they are asked could fool a single look.
func (v *Server) await(ctx context.Context, ok func(restReport) bool) error {
	var mu sync.Mutex
	var last restReport
	for good := 0; good < 2; {
		var sum restReport
		err := v.onAll(ctx, func(s *Shard) {
			mu.Lock()
			defer mu.Unlock()
			sum.open += s.open
			sum.inFlight += s.inFlight
			sum.sent += s.Stats.MailSent
			sum.received += s.Stats.MailReceived
			for to := range s.mail[s.index] {
				sum.backlog += s.mail[s.index][to].waiting()
			}
		})
		if err != nil {
			return fmt.Errorf("%w; left: %d connections, %d operations", err, last.open, last.inFlight)
		}
		if ok(sum) && (good == 0 || sum == last) {
			good++
		} else {
			good = 0
		}
		last = sum
		switch {
		case good > 0:
		case v.host != nil:
			v.host.Step()
		default:
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// end makes every loop return and collects what their drivers say.
func (v *Server) end() error {
	for _, s := range v.shards {
		s.Do((*Shard).cutOff)
	}
	v.hostRuns()
	var errs []error
	for ; v.ended < len(v.shards); v.ended++ {
		errs = append(errs, <-v.runErrs)
	}
	v.stopWatcher()
	for _, s := range v.shards {
		s.finishInbox()
		if s.listenFd >= 0 {
			closeAll([]int{s.listenFd})
		}
	}
	return errors.Join(errs...)
}

// cutOff ends the loop and whatever connections are left.
func (s *Shard) cutOff() {
	s.quit = true
	for slot := range s.conns.n {
		s.abort(s.conns.at(slot), ErrShutdown)
	}
	s.sayClosed()
}

func (s *Shard) closeAllConns() {
	s.stopping = true
	s.drv.StopListening()
	for slot := range s.conns.n {
		c := s.conns.at(slot)
		if c.state == connOpen {
			s.drain(c, ErrShutdown)
		}
	}
}

func (s *Shard) stopApp() {
	for slot := range s.conns.n {
		c := s.conns.at(slot)
		if c.state == connDraining || c.state == connLingering {
			s.giveUp(c)
		}
	}
	if st, ok := s.app.(Stopper); ok {
		s.calling(cbStop)
		st.Stop(s)
		if s.called() {
			s.bookCalled(cbStop, 0)
		}
	}
}
