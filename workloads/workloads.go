// Package workloads opens server programs and their scripted clients by name.
package workloads

import (
	"context"
	"fmt"
	"strings"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/echo"
	"github.com/syslet/syslet/workloads/fanout"
	"github.com/syslet/syslet/workloads/fileserver"
	"github.com/syslet/syslet/workloads/game/bots"
	"github.com/syslet/syslet/workloads/game/ledger"
	"github.com/syslet/syslet/workloads/game/server"
	"github.com/syslet/syslet/workloads/script"
)

// Names of the workloads.
const (
	Echo   = "echo"
	Fanout = "fanout"
	Game   = "game"
	Files  = "fileserver"
)

// Names lists them.
func Names() []string { return []string{Echo, Fanout, Game, Files} }

// NewApp makes the App of a shard.
type NewApp = func(s *runtime.Shard) (runtime.App, error)

// ServerConfig has the settings of every workload's server.
type ServerConfig struct {
	// DiskFile is echo's file to read from; empty: plain echo.
	DiskFile string
	// Handicap makes a plain echo worse by a known amount.
	Handicap echo.Handicap
	// Game is the game's.
	Game server.Config
	// Ledger is the folder of the game's ledger; empty: none.
	Ledger string
	// Files is the file server's.
	Files fileserver.Config
}

// Server prepares the server program of that name.
func Server(name string, cfg ServerConfig) (NewApp, error) {
	if name != Echo && cfg.Handicap != (echo.Handicap{}) {
		return nil, fmt.Errorf("workloads: %s has no handicaps, %s has", name, Echo)
	}
	switch name {
	case Echo:
		c := echo.Config{DiskFile: cfg.DiskFile, Handicap: cfg.Handicap}
		return c.NewApp, c.Check()
	case Fanout:
		return fanout.NewApp, nil
	case Game:
		if cfg.Ledger != "" {
			cfg.Game.Ledger = func() (server.Ledger, error) { return ledger.Open(cfg.Ledger) }
		}
		return server.New(cfg.Game)
	case Files:
		return fileserver.New(cfg.Files)
	}
	return nil, unknown(name)
}

// Names of the counters of Counters.
const (
	Rankings  = "rankings"
	RankingNs = "ranking_ns"
)

// Counters are what the server program of a workload counts itself, summed over
// the shards; nil if it counts nothing. Any thread but a shard's.
func Counters(ctx context.Context, name string, srv *runtime.Server) (map[string]uint64, error) {
	if name != Game {
		return nil, nil
	}
	r, err := server.Inspect(ctx, srv)
	m := &r.Metrics
	return map[string]uint64{Rankings: m.Rankings, RankingNs: m.RankingNs, "deeds_recorded": m.DeedsRecorded,
		"deeds_lost": m.DeedsLost, "ledger_failures": m.LedgerFailures}, err
}

// LoadConfig has the settings of every workload's clients.
type LoadConfig struct {
	// DiskShare is the share of echo's requests that read from disk, 0 to 1.
	DiskShare float64
	// Size is the length of echo's frames and of fanout's messages in bytes, 16 to
	// 65536; 0: 16.
	Size int
	// Game is the game's mix.
	Game bots.Options
	// Files is what is asked of a file server.
	Files fileserver.Load
}

// Load makes the client side of the workload of that name.
func Load(name string, cfg LoadConfig) (script.Load, error) {
	switch name {
	case Echo:
		l := echo.Load{DiskShare: cfg.DiskShare, Size: cfg.Size}
		return l, l.Check()
	case Fanout:
		l := fanout.Load{Size: cfg.Size}
		return l, l.Check()
	case Game:
		return bots.New(cfg.Game)
	case Files:
		return cfg.Files, cfg.Files.Check()
	}
	return nil, unknown(name)
}

func unknown(name string) error {
	return fmt.Errorf("workloads: no workload %q; there are %s", name, strings.Join(Names(), ", "))
}
