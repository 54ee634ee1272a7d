package sim

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"time"

	"github.com/syslet/syslet/workloads"
)

// Config says what to simulate. The zero value of a field is its default.
type Config struct {
	// Binary is the syslet that serves.
	Binary string
	// Model is served; ServerArgs are added to the arguments of syslet serve.
	Model      string
	ServerArgs []string
	// Workload is echo or fileserver. Server and Clients are its settings; a file server
	// without Server.Files.Root gets a folder of its own.
	Workload string
	Server   workloads.ServerConfig
	Clients  workloads.LoadConfig
	// Trace is replayed; nil: one is recorded, of Conns connections (default 1000).
	Trace *Trace
	Conns int
	Seed  uint64
	// Requests are counted in each window after Warmup; defaults 2000 and the larger of
	// 5000 and five times Conns.
	Requests, Warmup int
	// Repeat is the number of starts of the server, each counted on its own; default 5.
	Repeat int
	// Caches default to MachineCaches().FullyAssociative().
	Caches Caches
	// Dir is where temporary files go; default that of the system.
	Dir string
	// OnRepeat, if set, is told each repeat as it ends, on the goroutine of Run.
	OnRepeat func(i int, c Counts)
	// inWindow is called in each window with the monitor stopped; for tests.
	inWindow func()
}

const (
	defaultConns    = 1000
	defaultRequests = 2000
	leastWarmup     = 5000
	warmupPerConn   = 5
	defaultRepeat   = 5
	// settleSteps run with the monitor stopped before the counting begins.
	settleSteps = 100
	// spareStarts may be disturbed and are made again.
	spareStarts = 3
)

func (c Config) withDefaults() (Config, error) {
	if c.Trace != nil {
		c.Conns, c.Workload, c.Seed = c.Trace.Conns, c.Trace.Workload, c.Trace.Seed
	}
	def := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	if c.Workload == "" {
		c.Workload = workloads.Echo
	}
	def(&c.Conns, defaultConns)
	def(&c.Requests, defaultRequests)
	def(&c.Warmup, max(leastWarmup, warmupPerConn*c.Conns))
	def(&c.Repeat, defaultRepeat)
	if c.Caches == (Caches{}) {
		c.Caches = MachineCaches().FullyAssociative()
	}
	switch {
	case c.Binary == "":
		return c, errors.New("sim: Config.Binary is empty: want the path of syslet")
	case c.Conns < 1 || c.Conns > 10000:
		return c, fmt.Errorf("sim: Config.Conns is %d: want 1 to 10000", c.Conns)
	case c.Requests < 100 || c.Warmup < 1 || c.steps() > mostSteps:
		return c, fmt.Errorf("sim: Config.Requests is %d and Warmup %d: want at least 100 and 1, in all at most %d", c.Requests, c.Warmup, mostSteps)
	case c.Repeat < 1 || c.Repeat > 1000:
		return c, fmt.Errorf("sim: Config.Repeat is %d: want 1 to 1000", c.Repeat)
	}
	return c, errors.Join(c.Caches.I1.check(), c.Caches.D1.check(), c.Caches.LL.check())
}

// Run counts what the server does per request. An error is the machine's or the
// caller's fault; ErrNoValgrind says that there is no simulator. A model that does not
// run in the simulator is a Result with the reason in Unavailable. When ctx ends after
// the first repeat, the Result of those that were finished comes with ctx's error.
func Run(ctx context.Context, cfg Config) (*Result, error) {
	version, err := Version(ctx)
	if err != nil {
		return nil, err
	}
	if cfg, err = cfg.withDefaults(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(cfg.Dir, "syslet-sim-")
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	defer os.RemoveAll(dir)
	if cfg.Trace, err = cfg.record(ctx, dir); err != nil {
		return nil, err
	}
	hash := sha256.New()
	if _, err := cfg.Trace.WriteTo(hash); err != nil {
		return nil, err
	}
	r := &Result{Model: cfg.Model, Workload: cfg.Workload, Valgrind: version, Caches: cfg.Caches, Conns: cfg.Conns,
		Requests: cfg.Requests, Warmup: cfg.Warmup, Seed: cfg.Seed, Trace: fmt.Sprintf("sha256:%x", hash.Sum(nil))}
	return r, r.starts(ctx, &cfg, func() (*start, error) { return repeat(ctx, &cfg, dir) })
}

// starts takes cfg.Repeat starts of the server into r.
func (r *Result) starts(ctx context.Context, cfg *Config, next func() (*start, error)) error {
	for len(r.Repeats) < cfg.Repeat {
		s, err := next()
		switch {
		case ctx.Err() != nil && len(r.Repeats) == 0:
			r.Unavailable = ctx.Err().Error()
			return ctx.Err()
		case ctx.Err() != nil:
			r.doubt("ended after %d of %d repeats: %v", len(r.Repeats), cfg.Repeat, ctx.Err())
			r.finish()
			return ctx.Err()
		case errors.Is(err, errDisturbed) && r.Discarded.Starts < spareStarts:
			r.Discarded.Starts++
			r.note("a start was discarded: %v", err)
			continue
		case errors.Is(err, errDisturbed) && len(r.Repeats) > 0:
			r.doubt("only %d of %d starts of the server could be counted: %v", len(r.Repeats), cfg.Repeat, err)
			r.finish()
			return nil
		case err != nil:
			r.Unavailable = err.Error()
			return nil
		}
		r.add(s)
		if cfg.OnRepeat != nil {
			cfg.OnRepeat(len(r.Repeats)-1, r.Repeats[len(r.Repeats)-1])
		}
	}
	r.finish()
	return nil
}

// RecordTrace is the trace that Run would record.
func (c Config) RecordTrace(ctx context.Context) (*Trace, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.Dir, "syslet-sim-")
	if err != nil {
		return nil, fmt.Errorf("sim: %w", err)
	}
	defer os.RemoveAll(dir)
	return c.record(ctx, dir)
}

// record makes what the server needs in dir, and the trace unless there is one.
func (c *Config) record(ctx context.Context, dir string) (*Trace, error) {
	if c.Workload == workloads.Files && c.Server.Files.Root == "" {
		if err := makeFiles(c, filepath.Join(dir, "root")); err != nil {
			return nil, err
		}
	}
	if c.Trace != nil {
		return c.Trace, nil
	}
	return Record(ctx, c.Workload, c.Server, c.Clients, c.Conns, c.steps(), c.Seed)
}

// steps are whole turns of all connections: where the trace begins anew, a connection
// must not come sooner after its last request than elsewhere.
func (c *Config) steps() int {
	n := c.Warmup + settleSteps + c.Requests
	return (n + c.Conns - 1) / c.Conns * c.Conns
}

// fileTime is the time of change of makeFiles's files: it is in the answers.
var fileTime = time.Date(2007, 2, 13, 0, 0, 0, 0, time.UTC)

// makeFiles makes a folder of four small files to serve.
func makeFiles(cfg *Config, root string) error {
	if err := os.Mkdir(root, 0o755); err != nil {
		return fmt.Errorf("sim: %w", err)
	}
	cfg.Server.Files.Root, cfg.Clients.Files.Paths = root, nil
	for i := range 4 {
		name := fmt.Sprintf("file%d.txt", i)
		body := make([]byte, 512<<i)
		for j := range body {
			body[j] = 'a' + byte(j%26)
		}
		path := filepath.Join(root, name)
		err := errors.Join(os.WriteFile(path, body, 0o644), os.Chtimes(path, fileTime, fileTime))
		if err != nil {
			return fmt.Errorf("sim: %w", err)
		}
		cfg.Clients.Files.Paths = append(cfg.Clients.Files.Paths, "/"+name)
	}
	return nil
}

// argv is the server's command: nothing in it works by the clock.
func (c *Config) argv() []string {
	argv := []string{c.Binary, "serve", "--model", c.Model, "--workload", c.Workload, "--listen", "127.0.0.1:0",
		"--max-conns", strconv.Itoa(2 * c.Conns), "--block-threshold", "-1s"}
	if c.Model == "threadlet" {
		argv = append(argv, "--detector", "explicit", "--overrun", "-1s")
	}
	if c.Workload == workloads.Files {
		argv = append(argv, "--root", c.Server.Files.Root, "--file-valid", "24h")
	}
	return append(argv, c.ServerArgs...)
}

// repeat starts the server and counts its windows, on a thread of its own: the guest's
// life and the tracing hang on it.
func repeat(ctx context.Context, cfg *Config, dir string) (s *start, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		s, err = count(ctx, cfg, dir)
	}()
	<-done
	return s, err
}

// count counts the windows of one start of the server.
func count(ctx context.Context, cfg *Config, dir string) (s *start, err error) {
	g, err := startGuest(ctx, cfg.argv(), guestProcs(cfg.Model), cfg.Caches, dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, g.lastWords())
		}
		err = errors.Join(err, g.end())
	}()
	stop := context.AfterFunc(ctx, func() { _ = g.cmd.Process.Kill() })
	defer stop()
	watched, err := openThreads(g.pid())
	if err != nil {
		return nil, err
	}
	defer func() { watched.close() }()
	p := &player{trace: cfg.Trace, busy: func() bool { return watched.busy() }, stalled: func() {}}
	defer p.close()
	if err := p.connect(g.port); err != nil {
		return nil, err
	}
	if err := p.play(cfg.Warmup); err != nil {
		return nil, err
	}
	again, err := openThreads(g.pid())
	if err != nil {
		return nil, err
	}
	watched.close()
	watched = again
	m, err := g.findMonitor(ctx)
	if err != nil {
		return nil, err
	}
	c := counter{g: g, p: p, cfg: cfg, monitor: m, freezer: freezer{tid: m.tid}}
	defer c.freezer.thaw()
	return c.count(ctx)
}
