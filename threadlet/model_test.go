package threadlet

import (
	"flag"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var modelBig = flag.Bool("model.big", false, "explore the model of the protocol within wider bounds, too (minutes, 10 GB)")

const modelStatesMax = 40_000_000

// modelCase is a run of the model.
type modelCase struct {
	name string
	p    protocol
}

func set(bodies ...int) (s uint8) {
	for _, b := range bodies {
		s |= 1 << b
	}
	return s
}

// modelCases are small enough for every run. A body that needs later ones makes the loop stand still unless somebody takes over. Where
// nothing is sampled there is no backstop either: what finds the block must not miss one.
var modelCases = []modelCase{
	{"announced", protocol{threads: 3, bodies: []modelBody{
		{kind: handOver, blocks: true, needs: set(1)}, {kind: handOver, blocks: true, needs: set(2)}, {}}}},
	{"announced late", protocol{threads: 3, detector: truthful, bodies: []modelBody{
		{kind: handOver, late: true, blocks: true, needs: set(1)}, {kind: offering, blocks: true}}}},
	{"offered", protocol{threads: 3, bodies: []modelBody{
		{kind: offering, blocks: true, needs: set(1)}, {kind: offering, blocks: true}, {kind: handOver, blocks: true}}}},
	{"blocks in a row", protocol{threads: 2, detector: truthful, bodies: []modelBody{{blocks: true}, {blocks: true}}}},
	{"backlog", protocol{threads: 2, detector: truthful, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true}, {kind: offering, blocks: true}}}},
	{"lies", protocol{threads: 3, detector: lying, bodies: []modelBody{
		{blocks: true}, {kind: handOver, blocks: true}, {blocks: true}}}},
	{"backstop", protocol{threads: 3, detector: truthful, sampled: true, bodies: []modelBody{
		{blocks: true, needs: set(1)}, {}}}},
	{"backstop after bodies", protocol{threads: 2, detector: truthful, sampled: true, bodies: []modelBody{
		{}, {}, {blocks: true, needs: set(3)}, {}}}},
	{"timer", protocol{threads: 3, detector: onTick, sampled: true, bodies: []modelBody{
		{blocks: true, needs: set(1)}, {}}}},
	{"overrun", protocol{threads: 2, bodies: []modelBody{
		{kind: long}, {kind: long, needs: set(2)}, {kind: long}}}},
	{"overrun among others", protocol{threads: 2, bodies: []modelBody{
		{kind: long}, {}, {kind: long}, {}, {kind: long, needs: set(5)}, {}}}},
	{"overrun and backstop", protocol{threads: 3, detector: truthful, sampled: true, bodies: []modelBody{
		{kind: long}, {blocks: true, needs: set(2)}, {kind: long, needs: set(3)}, {}}}},
	{"watcher", protocol{threads: 3, detector: onIdle, watcher: true, bodies: []modelBody{
		{blocks: true, needs: set(1)}, {blocks: true, needs: set(2)}, {}}}},
	{"watcher and a return", protocol{threads: 2, detector: onIdle, watcher: true, bodies: []modelBody{
		{blocks: true}, {blocks: true, needs: set(2)}, {}}}},
	{"watcher and backlog", protocol{threads: 2, detector: onIdle, watcher: true, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true}, {kind: offering}}}},
	{"watcher and backstop", protocol{threads: 2, detector: onIdle, sampled: true, watcher: true, bodies: []modelBody{
		{blocks: true}, {blocks: true, needs: set(2)}, {}}}},
	{"watcher of one that announces late", protocol{threads: 3, detector: onIdle, watcher: true, bodies: []modelBody{
		{kind: handOver, late: true, blocks: true, needs: set(1)}, {blocks: true, needs: set(2)}, {}}}},
	{"visits", protocol{threads: 3, parks: true, bodies: []modelBody{
		{kind: offering, blocks: true}, {kind: offering, blocks: true}, {kind: offering, blocks: true, after: set(0)}}}},
	{"visits of several", protocol{threads: 3, parks: true, bodies: []modelBody{
		{kind: offering, blocks: true}, {kind: offering, blocks: true, needs: set(2), after: set(0)}, {kind: offering, blocks: true}}}},
	{"visits at the bound", protocol{threads: 2, parks: true, bodies: []modelBody{
		{kind: offering, blocks: true}, {kind: offering, blocks: true}, {kind: offering, blocks: true, after: set(0)}}}},
	{"visits after a takeover", protocol{threads: 2, parks: true, detector: truthful, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true, after: set(0)}, {kind: handOver, blocks: true}, {blocks: true, after: set(1)}}}},
	{"visits and watcher", protocol{threads: 2, parks: true, detector: onIdle, watcher: true, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true, after: set(0)}, {}}}},
	{"visits and stop", protocol{threads: 3, parks: true, stops: true, bodies: []modelBody{
		{kind: offering, blocks: true}, {kind: offering, blocks: true, after: set(0)}}}},
	{"stop", protocol{threads: 3, stops: true, bodies: []modelBody{
		{kind: handOver, blocks: true}, {kind: offering, blocks: true}}}},
	{"stop and watcher", protocol{threads: 2, stops: true, watcher: true, detector: onIdle, bodies: []modelBody{
		{blocks: true}, {kind: handOver, blocks: true}}}},
}

// bigModelCases take minutes.
var bigModelCases = []modelCase{
	{"big: announced", protocol{threads: 4, bodies: []modelBody{
		{kind: handOver, blocks: true, needs: set(3)}, {kind: offering, blocks: true, needs: set(2)}, {kind: handOver, blocks: true}, {kind: offering}}}},
	{"big: backlog", protocol{threads: 3, detector: truthful, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true}, {kind: handOver, late: true, blocks: true}, {kind: offering, blocks: true}}}},
	{"big: lies", protocol{threads: 4, detector: lying, bodies: []modelBody{
		{blocks: true}, {kind: handOver, blocks: true}, {kind: offering, blocks: true}}}},
	{"big: sampled", protocol{threads: 3, detector: truthful, sampled: true, bodies: []modelBody{
		{kind: long}, {blocks: true, needs: set(3)}, {kind: long, needs: set(3)}, {kind: long}}}},
	{"big: watcher at the bound", protocol{threads: 2, detector: onIdle, sampled: true, watcher: true, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true}, {blocks: true, needs: set(3)}, {}}}},
	{"big: watcher announced late", protocol{threads: 3, detector: onIdle, sampled: true, watcher: true, bodies: []modelBody{
		{kind: handOver, late: true, blocks: true, needs: set(1)}, {blocks: true, needs: set(2)}, {}}}},
	{"big: stop, watcher, backstop", protocol{threads: 3, stops: true, watcher: true, sampled: true, detector: onIdle, bodies: []modelBody{
		{blocks: true}, {kind: offering, blocks: true}}}},
	{"big: visits", protocol{threads: 4, parks: true, detector: truthful, bodies: []modelBody{
		{kind: offering, blocks: true}, {kind: offering, blocks: true}, {blocks: true, after: set(0)}, {kind: offering, blocks: true}}}},
	{"big: stop, all bodies", protocol{threads: 3, stops: true, sampled: true, detector: truthful, bodies: []modelBody{
		{kind: handOver, late: true, blocks: true}, {kind: offering, blocks: true}, {kind: long}}}},
}

func TestModel(t *testing.T) {
	cases := modelCases
	if *modelBig {
		cases = append(cases, bigModelCases...)
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Now()
			n, f := explore(&c.p, modelStatesMax)
			require.Nil(t, f, "%v", f)
			t.Logf("%d states, %d steps, %v", n.states, n.steps, time.Since(begin).Round(time.Millisecond))
		})
	}
}
