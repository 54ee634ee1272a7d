// Package admin is the side door of a running server: counters for Prometheus
// and for the lab, profiles, and the cache probe's switch. It is HTTP on an
// address of its own and meant for loopback.
//
//	GET  /metrics       Prometheus text
//	GET  /stats         Snapshot as JSON; /stats?gc collects garbage before
//	POST /probe/start   the cache probe begins to sample
//	POST /probe/stop    it ends; answers sensor.ProbeResult as JSON
//	GET  /debug/blocks  what held the heads up, by call site; /debug/blocks?json
//	GET  /debug/pprof/  profiles of the Go runtime
package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	goruntime "runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/runtime"
)

// Config is what an admin server shows.
type Config struct {
	Server          *runtime.Server
	Model, Workload string
	// Detail is shown in Snapshot as it is: choices that were made by probe.
	Detail map[string]string
	// Counters, if set, gives the server program's own counters.
	Counters func(ctx context.Context) (map[string]uint64, error)
	// Probe may be nil: then ProbeRefused says why.
	Probe        *sensor.CacheProbe
	ProbeRefused string
}

// Snapshot is what /stats answers.
type Snapshot struct {
	Model      string            `json:"model"`
	Workload   string            `json:"workload"`
	PID        int               `json:"pid"`
	Detail     map[string]string `json:"detail,omitempty"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	Goroutines int               `json:"goroutines"`
	GCCycles   uint32            `json:"gc_cycles"`
	GCPauseNs  uint64            `json:"gc_pause_ns"`
	Mallocs    uint64            `json:"mallocs"`
	HeapBytes  uint64            `json:"heap_bytes"`
	StackBytes uint64            `json:"stack_bytes"`
	// Go is nil from a server that does not tell.
	Go     *GoRuntime      `json:"go,omitempty"`
	Shards []runtime.Stats `json:"shards"`
	Sum    runtime.Stats   `json:"sum"`
	// App are the server program's own counters.
	App map[string]uint64 `json:"app,omitempty"`
}

// Admin is a running side door.
type Admin struct {
	cfg  Config
	http *http.Server
	addr net.Addr
	done chan error
}

// Start listens on addr.
func Start(addr string, cfg Config) (*Admin, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("admin: cannot listen on %q (--admin): %w", addr, err)
	}
	a := &Admin{cfg: cfg, addr: l.Addr(), done: make(chan error, 1)}
	a.http = &http.Server{Handler: a.handler(), ReadHeaderTimeout: 5 * time.Second}
	go func() { a.done <- a.http.Serve(l) }()
	return a, nil
}

// Addr is where it listens.
func (a *Admin) Addr() net.Addr { return a.addr }

// Stop ends it.
func (a *Admin) Stop(ctx context.Context) error {
	err := a.http.Shutdown(ctx)
	if e := <-a.done; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}

func (a *Admin) handler() http.Handler {
	reg := prometheus.NewRegistry()
	reg.MustRegister(newCollector(a.cfg))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(reg, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /stats", a.stats)
	mux.HandleFunc("POST /probe/start", a.probe(func(p *sensor.CacheProbe) { p.Start() }))
	mux.HandleFunc("POST /probe/stop", a.probe(func(p *sensor.CacheProbe) { p.Stop() }))
	mux.HandleFunc("GET /debug/blocks", a.blocks)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return mux
}

func (a *Admin) stats(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), 5*time.Second)
	defer cancel()
	per, err := a.cfg.Server.ShardStats(ctx)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	if r.URL.Query().Has("gc") {
		goruntime.GC() // what is left is in use: the figure to watch for leaks
	}
	snap := a.snapshot(per)
	if a.cfg.Counters != nil {
		if snap.App, err = a.cfg.Counters(ctx); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
	}
	answer(w, snap)
}

func (a *Admin) snapshot(per []runtime.Stats) Snapshot {
	var mem goruntime.MemStats
	goruntime.ReadMemStats(&mem)
	s := Snapshot{
		Model: a.cfg.Model, Workload: a.cfg.Workload, PID: os.Getpid(), Detail: a.cfg.Detail,
		GOMAXPROCS: goruntime.GOMAXPROCS(0), Goroutines: goruntime.NumGoroutine(),
		GCCycles: mem.NumGC, GCPauseNs: mem.PauseTotalNs, Mallocs: mem.Mallocs, HeapBytes: mem.HeapAlloc, StackBytes: mem.StackInuse, Shards: per,
		Go: readGoRuntime(),
	}
	for i := range per {
		s.Sum.Add(&per[i])
	}
	return s
}

// blocks does not wait for the shards: it answers while one of them is held up.
func (a *Admin) blocks(w http.ResponseWriter, r *http.Request) {
	report := a.cfg.Server.Blocks()
	if r.URL.Query().Has("json") {
		answer(w, report)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	// The only failure is a client that has gone.
	_, _ = report.WriteTo(w)
}

func (a *Admin) probe(act func(*sensor.CacheProbe)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		if a.cfg.Probe == nil {
			http.Error(w, "the cache probe is not there: "+a.cfg.ProbeRefused, http.StatusNotFound)
			return
		}
		act(a.cfg.Probe)
		answer(w, a.cfg.Probe.Result())
	}
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	// The only failure is a client that has gone.
	_ = json.NewEncoder(w).Encode(v)
}
