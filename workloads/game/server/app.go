package server

import (
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/game/world"
)

// App is the game on one shard. It implements runtime.App and what belongs to it;
// all methods are for its shard only.
type App struct {
	shard  *runtime.Shard
	config *Config
	world  *world.World // shared by all shards, never changed

	mail    mail
	gate    gate
	atlas   atlas
	home    home
	scribe  scribe
	metrics Metrics
}

var (
	_ runtime.App      = (*App)(nil)
	_ runtime.Receiver = (*App)(nil)
	_ runtime.Starter  = (*App)(nil)
	_ runtime.Stopper  = (*App)(nil)
)

// Start sets the ticks of the maps going.
func (a *App) Start(*runtime.Shard) { a.atlas.start() }

// Opened makes a session for a connection.
func (a *App) Opened(c *runtime.Conn) { a.gate.opened(c) }

// Data reads frames.
func (a *App) Data(c *runtime.Conn, p []byte) int { return a.gate.data(c, p) }

// Closed ends the session; its player is saved.
func (a *App) Closed(c *runtime.Conn, _ error) {
	a.gate.closed(c)
	a.settle()
}

// Message takes what another shard has posted.
func (a *App) Message(_ *runtime.Shard, from int, m *runtime.Message) {
	a.dispatch(from, m)
	a.settle()
}

// Stop tries once more to save what could not be saved, and closes the ledger.
func (a *App) Stop(*runtime.Shard) {
	a.home.saveAgain()
	a.settle()
	a.scribe.close()
}

// settle delivers what the parts of this shard have posted to each other.
func (a *App) settle() {
	if a.mail.settling {
		return
	}
	a.mail.settling = true
	for {
		m, ok := a.mail.local.pop()
		if !ok {
			break
		}
		b := m.Block // dispatch may change m
		a.dispatch(a.shard.Index(), &m)
		release(b)
	}
	a.mail.settling = false
}

// dispatch gives a message to the part of the shard that it is for.
func (a *App) dispatch(from int, m *runtime.Message) {
	switch {
	case m.Kind < toAtlas:
		a.gate.receive(from, m)
	case m.Kind < toHome:
		a.atlas.receive(from, m)
	default:
		a.home.receive(m)
	}
}
