package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"
)

// snapshot is what /stats answers; the names are those of lab/admin.Snapshot.
type snapshot struct {
	Engine     string   `json:"engine"`
	Version    string   `json:"version"`
	Workload   string   `json:"workload"`
	Tune       []string `json:"tune,omitempty"`
	PID        int      `json:"pid"`
	GOMAXPROCS int      `json:"gomaxprocs"`
	Goroutines int      `json:"goroutines"`
	GCCycles   uint32   `json:"gc_cycles"`
	GCPauseNs  uint64   `json:"gc_pause_ns"`
	Mallocs    uint64   `json:"mallocs"`
	HeapBytes  uint64   `json:"heap_bytes"`
}

// admin is the side door: /stats (/stats?gc collects garbage before) and
// /debug/pprof/, on an address of its own.
type admin struct {
	cfg  *config
	addr net.Addr
	http *http.Server
}

func startAdmin(cfg *config) (*admin, error) {
	l, err := net.Listen("tcp", cfg.admin)
	if err != nil {
		return nil, fmt.Errorf("--admin %q: cannot listen: %w", cfg.admin, err)
	}
	a := &admin{cfg: cfg, addr: l.Addr()}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", a.stats)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	a.http = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		if err := a.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "peers: admin:", err)
		}
	}()
	return a, nil
}

// stop ends it; what a client still reads is cut off.
func (a *admin) stop() { _ = a.http.Close() }

func (a *admin) stats(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Has("gc") {
		runtime.GC()
	}
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	w.Header().Set("Content-Type", "application/json")
	// The only failure is a client that has gone.
	_ = json.NewEncoder(w).Encode(snapshot{
		Engine: a.cfg.engine, Version: version(engines[a.cfg.engine].module), Workload: a.cfg.workload, Tune: a.cfg.tune,
		PID: os.Getpid(), GOMAXPROCS: runtime.GOMAXPROCS(0), Goroutines: runtime.NumGoroutine(),
		GCCycles: mem.NumGC, GCPauseNs: mem.PauseTotalNs, Mallocs: mem.Mallocs, HeapBytes: mem.HeapAlloc,
	})
}

// version is the version of a module in this program, Go's own for "".
func version(module string) string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, d := range info.Deps {
			if d.Path == module && gnetPollOpt && strings.HasPrefix(module, "github.com/panjf2000/gnet/") {
				return d.Version + " (poll_opt)"
			}
			if d.Path == module {
				return d.Version
			}
		}
	}
	return runtime.Version()
}
