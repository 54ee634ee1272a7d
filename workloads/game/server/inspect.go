package server

import (
	"context"
	"fmt"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

// Report is a look at a running game.
type Report struct {
	// WorldHash is the sum over all players who are logged in of world.State.Hash
	// and world.HeardHash. Two runs that did the same have the same, whatever the
	// model and the number of shards, when nothing is under way any more.
	WorldHash uint64
	Players   int // logged in, on a map
	Sessions  int // connections, and players whose connection has ended but who are not home yet
	Accounts  int // in memory
	Metrics   Metrics
	Store     store.Counts
}

// Inspect asks all shards of a server that runs the game. Any thread but a shard's may call
// it; it waits as long as ctx allows.
func Inspect(ctx context.Context, v *runtime.Server) (Report, error) {
	shards := v.Shards()
	parts := make(chan Report, len(shards))
	for _, s := range shards {
		s.Do(func(s *runtime.Shard) {
			var r Report
			if a, ok := s.App().(*App); ok {
				r = a.report()
			}
			parts <- r
		})
	}
	var sum Report
	for range shards {
		select {
		case r := <-parts:
			sum.add(&r)
		case <-ctx.Done():
			return sum, fmt.Errorf("game: a shard did not answer: %w", ctx.Err())
		}
	}
	return sum, nil
}

func (a *App) report() Report {
	r := Report{
		Metrics: a.metrics, Store: a.home.store.Counts,
		Accounts: len(a.home.byName), Sessions: len(a.gate.sessions.at) - len(a.gate.sessions.free),
	}
	for _, p := range a.atlas.players.at {
		if p != nil {
			r.Players++
			r.WorldHash += p.state.Hash(p.name)
		}
	}
	for _, acc := range a.home.byName {
		if acc.where == atPlay || acc.where == atReturn {
			r.WorldHash += world.HeardHash(acc.player.Name, acc.player.Heard)
		}
	}
	return r
}

func (r *Report) add(o *Report) {
	r.WorldHash += o.WorldHash
	r.Players += o.Players
	r.Sessions += o.Sessions
	r.Accounts += o.Accounts
	r.Metrics.add(&o.Metrics)
	r.Store.Loads += o.Store.Loads
	r.Store.LoadErrors += o.Store.LoadErrors
	r.Store.LoadsCorrupt += o.Store.LoadsCorrupt
	r.Store.Saves += o.Store.Saves
	r.Store.SaveErrors += o.Store.SaveErrors
	r.Store.SavesCoalesced += o.Store.SavesCoalesced
}
