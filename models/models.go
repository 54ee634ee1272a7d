// Package models opens a server under an execution model by its name. It is the
// one place that knows them all.
package models

import (
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/models/goroutine"
	"github.com/syslet/syslet/models/iouring"
	"github.com/syslet/syslet/models/nonblock"
	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
)

// model is one way to run a server.
type model struct {
	name, what string
	factory    runtime.DriverFactory
	// probe says why this system refuses the model, or nil.
	probe func() error
	set   func(o *runtime.Options)
}

func fine() error { return nil }

// Inline is the pure form of nonblock: runtime.FilesInline under its own name,
// so that experiments can treat it as a model.
const Inline = "nonblock-inline"

var all = []model{
	{name: "nonblock", what: "state machines on epoll, a helper pool for what blocks", factory: nonblock.New, probe: fine},
	{name: "iouring", what: "state machines on io_uring, submissions batched", factory: iouring.New, probe: iouring.Probe},
	{name: "threadlet", what: "straight through; what blocks goes async", factory: threadlet.New, probe: threadlet.Probe},
	{name: "goroutine", what: "a goroutine per connection, net package: the baseline", factory: goroutine.New, probe: fine},
	{name: Inline, what: "state machines on epoll, what blocks blocks the loop", factory: nonblock.New, probe: fine,
		set: func(o *runtime.Options) { o.Files = runtime.FilesInline }},
}

// Names lists the four models, without the variants of one.
func Names() []string { return []string{"nonblock", "iouring", "threadlet", "goroutine"} }

// AllNames lists everything that Open takes.
func AllNames() []string {
	var names []string
	for _, m := range all {
		names = append(names, m.name)
	}
	return names
}

// Describe says in a line what a model is.
func Describe(name string) string {
	if m := find(name); m != nil {
		return m.what
	}
	return ""
}

func find(name string) *model {
	i := slices.IndexFunc(all, func(m model) bool { return m.name == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// Refused says why this system cannot run the model of that name: the missing
// feature and the kernel that has it. nil: it can.
func Refused(name string) error {
	m := find(name)
	if m == nil {
		return fmt.Errorf("%w: no model %q; there are %s", runtime.ErrBadOption, name, strings.Join(AllNames(), ", "))
	}
	if err := m.probe(); err != nil {
		return fmt.Errorf("%w: %s: %w", runtime.ErrModelRefused, name, err)
	}
	return nil
}

// Open makes a server that runs under the model of that name. The error wraps
// runtime.ErrModelRefused if this system cannot run it, and
// runtime.ErrBadOption if o is at fault.
func Open(name string, o runtime.Options) (*runtime.Server, error) {
	if err := Refused(name); err != nil {
		return nil, err
	}
	m := find(name)
	if m.set != nil {
		m.set(&o)
	}
	return runtime.New(o, m.factory)
}
