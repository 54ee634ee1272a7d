package runtime

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// RingOptions are what the model iouring may make use of; other models do not look
// at them. The zero value is what has proved best: the table in the comment of
// package uring says what each gives. A Toggle that is On asks for a feature of the
// kernel, and the server refuses to start without it; one that is left alone is
// used where the kernel has it, if it is worth it.
type RingOptions struct {
	// QuietSends: a send that the kernel takes whole posts no completion.
	QuietSends Toggle
	// OneEnter: a loop that sleeps often submits and sleeps in the same system
	// call, instead of looking first whether anything is there.
	OneEnter Toggle
	// StandingTimer: a loop that sleeps often sets one timer for many sleeps.
	StandingTimer Toggle
	// RegisteredRing: the ring is entered without a look into the descriptor table.
	RegisteredRing Toggle
	// NoSQArray spares the kernel one indirection per entry.
	NoSQArray Toggle
	// Direct: connections are also in the ring's own file table, and used from there.
	Direct Toggle
	// Incremental: receive buffers are filled bit by bit. Not with Bundle.
	Incremental Toggle
	// Bundle: one completion may fill several receive buffers.
	Bundle Toggle
	// PollFirst: the first receive of a connection does not try before it waits.
	PollFirst Toggle
	// MessageWakes: a loop is woken by a message to its ring, not by an eventfd.
	MessageWakes Toggle
	// Gather is how long a sleep waits for more than one completion. Default: not.
	Gather time.Duration
	// Spin bounds how long a loop looks for completions before it sleeps; it does so
	// only while that succeeds. Default: not at all. It costs CPU.
	Spin time.Duration
	// Kernel, such as "6.1": use nothing that came with a later Linux. Default: all.
	Kernel string
}

// Toggle is a setting that has a default.
type Toggle uint8

const (
	// Auto leaves the choice to the model.
	Auto Toggle = iota
	// On asks for it.
	On
	// Off does without.
	Off
)

// ringSwitches are the names that ParseRing knows, apart from those with a value.
var ringSwitches = []struct {
	name  string
	field func(*RingOptions) *Toggle
}{
	{"quiet-sends", func(o *RingOptions) *Toggle { return &o.QuietSends }},
	{"one-enter", func(o *RingOptions) *Toggle { return &o.OneEnter }},
	{"standing-timer", func(o *RingOptions) *Toggle { return &o.StandingTimer }},
	{"registered-ring", func(o *RingOptions) *Toggle { return &o.RegisteredRing }},
	{"no-sqarray", func(o *RingOptions) *Toggle { return &o.NoSQArray }},
	{"direct", func(o *RingOptions) *Toggle { return &o.Direct }},
	{"incremental", func(o *RingOptions) *Toggle { return &o.Incremental }},
	{"bundle", func(o *RingOptions) *Toggle { return &o.Bundle }},
	{"poll-first", func(o *RingOptions) *Toggle { return &o.PollFirst }},
	{"message-wakes", func(o *RingOptions) *Toggle { return &o.MessageWakes }},
}

// RingSwitches are the names of the switches that ParseRing takes.
func RingSwitches() []string {
	var names []string
	for _, s := range ringSwitches {
		names = append(names, s.name)
	}
	return names
}

// ParseRing reads options from a list such as "direct,quiet-sends=off,spin=20us,kernel=6.1":
// the name of a switch, which may be followed by =on or =off, or gather, spin (a
// duration) or kernel with a value. An empty list gives the defaults.
func ParseRing(list string) (o RingOptions, err error) {
	for _, item := range strings.FieldsFunc(list, func(r rune) bool { return r == ',' }) {
		name, value, _ := strings.Cut(strings.TrimSpace(item), "=")
		switch name {
		case "gather":
			o.Gather, err = time.ParseDuration(value)
		case "spin":
			o.Spin, err = time.ParseDuration(value)
		case "kernel":
			o.Kernel = value
		default:
			err = o.set(name, value)
		}
		if err != nil {
			return o, fmt.Errorf("%w: ring option %q: %w", ErrBadOption, item, err)
		}
	}
	return o, o.check()
}

func (o *RingOptions) set(name, value string) error {
	for _, s := range ringSwitches {
		if s.name != name {
			continue
		}
		switch value {
		case "", "on":
			*s.field(o) = On
		case "off":
			*s.field(o) = Off
		default:
			return fmt.Errorf("want on or off, not %s", strconv.Quote(value))
		}
		return nil
	}
	return fmt.Errorf("there are %s, gather=, spin=, kernel=", strings.Join(RingSwitches(), ", "))
}

func (o *RingOptions) check() error {
	const longest = 10 * time.Millisecond
	switch {
	case o.Incremental == On && o.Bundle == On:
		return fmt.Errorf("%w: Ring.Incremental and Ring.Bundle exclude each other", ErrBadOption)
	case o.Gather < 0 || o.Gather > longest || o.Spin < 0 || o.Spin > longest:
		return fmt.Errorf("%w: Ring.Gather is %v, Ring.Spin %v: want 0 to %v", ErrBadOption, o.Gather, o.Spin, longest)
	}
	return nil
}
