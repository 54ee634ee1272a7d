package iouring

import (
	"fmt"

	srt "github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/uring"
)

// tricks are runtime.RingOptions, decided: what this ring does. The table in the
// comment of package uring says what each gives.
type tricks struct {
	features *uring.Features

	quiet, oneEnter, standing, registered, noArray   bool
	direct, incremental, bundle, pollFirst, messages bool

	gatherNs, spinNs int64
}

// decide reads o. A trick that is asked for and cannot be had is an error.
func decide(o *srt.RingOptions) (t tricks, err error) {
	t.features = uring.Probe()
	if o.Kernel != "" {
		if t.features, err = t.features.AsOf(o.Kernel); err != nil {
			return t, err
		}
	}
	if err := t.features.Require(needs...); err != nil {
		return t, err
	}
	for _, x := range []struct {
		name   string
		choice srt.Toggle
		auto   bool // used where it can be, if nothing is said
		to     *bool
		needs  []uring.Feature
	}{
		{"QuietSends", o.QuietSends, true, &t.quiet, []uring.Feature{uring.CQESkip}},
		{"OneEnter", o.OneEnter, true, &t.oneEnter, nil},
		{"StandingTimer", o.StandingTimer, true, &t.standing, nil},
		{"RegisteredRing", o.RegisteredRing, true, &t.registered, nil},
		{"NoSQArray", o.NoSQArray, true, &t.noArray, []uring.Feature{uring.NoSQArray}},
		{"Direct", o.Direct, true, &t.direct, []uring.Feature{uring.SparseFiles}},
		{"Incremental", o.Incremental, false, &t.incremental, []uring.Feature{uring.BufferRingInc}},
		{"Bundle", o.Bundle, false, &t.bundle, []uring.Feature{uring.RecvSendBundle}},
		{"PollFirst", o.PollFirst, false, &t.pollFirst, []uring.Feature{uring.PollFirst}},
		{"MessageWakes", o.MessageWakes, false, &t.messages, []uring.Feature{uring.SyncMessage}},
	} {
		lacks := t.features.Require(x.needs...)
		if x.choice == srt.On && lacks != nil {
			return t, fmt.Errorf("Options.Ring.%s: %w", x.name, lacks)
		}
		*x.to = lacks == nil && (x.choice == srt.On || x.choice == srt.Auto && x.auto)
	}
	if o.Gather > 0 {
		if err := t.features.Require(uring.MinTimeout); err != nil {
			return t, fmt.Errorf("Options.Ring.Gather: %w", err)
		}
	}
	t.gatherNs, t.spinNs = int64(o.Gather), int64(o.Spin)
	return t, nil
}
