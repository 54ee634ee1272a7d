package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/datapack"
	"github.com/syslet/syslet/workloads/game/store"
	"github.com/syslet/syslet/workloads/game/world"
)

// Config says how a game is served. The zero value of a field means its default.
type Config struct {
	// Dir is the players' folder; it is made if it is missing. Required. Only one
	// server at a time may use it.
	Dir string
	// Datapack is a folder with maps. Default: the maps that are compiled in.
	Datapack string
	// ViewEvery is the period in which each map tells its players what has changed.
	// Default 150ms.
	ViewEvery time.Duration
	// SaveEvery is how long a player who keeps changing goes without being saved.
	// Default 30s; negative: saved on demand and at the end only.
	SaveEvery time.Duration
	// RetryEvery is how soon a save that failed is tried again. Default 5s.
	RetryEvery time.Duration
	// Rate is how many frames per second a connection may send for long, Burst how
	// many at once. Default 100 and 200; a negative Rate: no limit.
	Rate, Burst int
	// Ledger, if set, opens a shard's access to the ledger; the shard closes it at its
	// end. nil: there is none, and RANKING is refused.
	Ledger func() (Ledger, error)
	// RecordEvery is how long the ledger may not know of what a player has done who
	// has left. Default 1s.
	RecordEvery time.Duration
	// Rankings bounds those that a shard has under way. Default 64.
	Rankings int
	// MaxPerMap bounds the players on a map. Default, and at most, 65535. Who would
	// exceed it is refused, or, on his way from another map, saved and disconnected.
	MaxPerMap int
}

// ErrConfig is wrapped by errors that a Config causes.
var ErrConfig = errors.New("game: bad configuration")

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, fmt.Errorf("%w: Dir, the players' folder, is not set", ErrConfig)
	}
	setDefault(&c.ViewEvery, 150*time.Millisecond)
	setDefault(&c.SaveEvery, 30*time.Second)
	setDefault(&c.RetryEvery, 5*time.Second)
	setDefault(&c.Rate, 100)
	setDefault(&c.Burst, 200)
	setDefault(&c.RecordEvery, time.Second)
	setDefault(&c.Rankings, 64)
	setDefault(&c.MaxPerMap, world.MaxMembers)
	if c.MaxPerMap < 1 || c.MaxPerMap > world.MaxMembers {
		return c, fmt.Errorf("%w: MaxPerMap is %d, want 1 to %d", ErrConfig, c.MaxPerMap, world.MaxMembers)
	}
	if c.Burst < 0 || c.RetryEvery < 0 || c.RecordEvery < 0 || c.Rankings < 0 {
		return c, fmt.Errorf("%w: Burst %d, RetryEvery %v, RecordEvery %v and Rankings %d must not be negative", ErrConfig, c.Burst, c.RetryEvery, c.RecordEvery, c.Rankings)
	}
	if c.ViewEvery < 0 {
		return c, fmt.Errorf("%w: ViewEvery is %v, want a period", ErrConfig, c.ViewEvery)
	}
	return c, nil
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// New prepares a game: it reads the datapack and makes the players' folder. What it
// returns makes the App of each shard, as runtime.Server.Start wants it.
func New(c Config) (newApp func(s *runtime.Shard) (runtime.App, error), err error) {
	if c, err = c.withDefaults(); err != nil {
		return nil, err
	}
	w, err := datapack.Load(c.Datapack)
	if err != nil {
		return nil, err
	}
	if _, err := store.Open(c.Dir); err != nil {
		return nil, err
	}
	return func(s *runtime.Shard) (runtime.App, error) {
		st, err := store.Open(c.Dir)
		if err != nil {
			return nil, err
		}
		var l Ledger
		if c.Ledger != nil {
			if l, err = c.Ledger(); err != nil {
				return nil, err
			}
		}
		return makeApp(s, &c, w, st, l), nil
	}, nil
}

func makeApp(s *runtime.Shard, c *Config, w *world.World, st *store.Store, l Ledger) *App {
	a := &App{shard: s, config: c, world: w}
	a.mail.init(s)
	a.gate.init(a)
	a.atlas.init(a)
	a.home.init(a, st)
	a.scribe.init(a, l)
	return a
}
