package models_test

import (
	"flag"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/models/goroutine"
	"github.com/syslet/syslet/models/iouring"
	"github.com/syslet/syslet/models/nonblock"
	"github.com/syslet/syslet/models/threadlet"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
	"github.com/syslet/syslet/runtime/conformance/differential"
)

var (
	diffSeed     = flag.Uint64("diff.seed", 0, "seed of the first programs of the differential test; 0: the time's")
	diffPrograms = flag.Int("diff.programs", 0, "programs per driver; 0: as many as -diff.for allows")
	diffFor      = flag.Duration("diff.for", 4*time.Second, "time of the differential test, over all drivers")
	diffDir      = flag.String("diff.dir", "", "directory for the programs' files, such as /dev/shm; empty: the test's own")
)

// diffDriver is a driver to be compared, in one of its forms.
type diffDriver struct {
	name    string
	factory runtime.DriverFactory
	options runtime.Options
	refused error
}

// diffDrivers are every model, each also with few threads or a short ring, and
// the threadlet model with every detector and strategy.
func diffDrivers(t *testing.T) []diffDriver {
	ring := iouring.Probe()
	all := []diffDriver{
		{name: "nonblock", factory: nonblock.New},
		{name: "nonblock-one-helper", factory: nonblock.New, options: runtime.Options{Helpers: 1}},
		{name: "nonblock-inline", factory: nonblock.New, options: runtime.Options{Files: runtime.FilesInline}},
		{name: "iouring", factory: iouring.New, refused: ring},
		{name: "iouring-short-ring", factory: iouring.New, refused: ring, options: runtime.Options{RingEntries: 4, Helpers: 1}},
		{name: "goroutine", factory: goroutine.New},
	}
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		t.Fatal(err)
	}
	cpu := 0
	for !set.IsSet(cpu) {
		cpu++
	}
	add := func(name, detector string, o runtime.Options) {
		o.Detector, o.CPUs = detector, []int{cpu}
		all = append(all, diffDriver{name: "threadlet-" + name, factory: threadlet.New, options: o, refused: threadlet.Refused(detector, cpu)})
	}
	for _, detector := range []string{"idle", "switch", "timer", "explicit"} {
		add(detector, detector, runtime.Options{})
	}
	add("detect", "auto", runtime.Options{Strategy: runtime.StrategyDetect})
	add("one-standby", "auto", runtime.Options{Strategy: runtime.StrategyTry, Standbys: 1})
	return all
}

// TestDifferential runs random syslets under every model and on a plain
// interpreter.
func TestDifferential(t *testing.T) {
	drivers := diffDrivers(t)
	for _, d := range drivers {
		t.Run(d.name, func(t *testing.T) {
			if d.refused != nil {
				t.Skipf("model refused: %v", d.refused)
			}
			conformance.CheckLeaks(t)
			c := differential.Config{Options: d.options, Seed: *diffSeed, Programs: *diffPrograms, Dir: *diffDir,
				For: *diffFor / time.Duration(len(drivers))}
			t.Log(differential.Run(t, d.factory, c).String())
		})
	}
}
