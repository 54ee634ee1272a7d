//go:build linux

package uring

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
)

// State is what a probe found out about a feature.
type State uint8

const (
	// Unknown: not probed, because something it needs is not there.
	Unknown State = iota
	// Present: the kernel has it and lets us use it.
	Present
	// Missing: the kernel is too old or was built without.
	Missing
	// Forbidden: the kernel has it, an administrator's setting keeps us from it.
	Forbidden
	// Failed: the probe itself went wrong (out of descriptors or memory, say), which
	// tells nothing about the kernel; the next Probe tries again.
	Failed
)

// String is the state in a word.
func (s State) String() string {
	return [...]string{"unknown", "present", "missing", "forbidden", "probe failed"}[s]
}

// Finding is one line of [Features.List].
type Finding struct {
	Feature Feature
	Name    string // the kernel's
	Since   string // the first Linux that has it
	State   State
	Err     error // why, unless Present
}

// Features is what this kernel lets this process do with io_uring. It does not
// change; any thread may read it.
type Features struct {
	kernel   string // release, such as "6.18.1"
	findings [featureCount]struct {
		state State
		err   error
	}
}

var probed struct {
	sync.Mutex
	features *Features
}

// Probe finds out what io_uring can do here. The first call opens some small rings
// (about a millisecond); later ones return the same answer, unless a probe Failed.
// Any goroutine may call it.
func Probe() *Features {
	probed.Lock()
	defer probed.Unlock()
	if probed.features == nil {
		f := newProber().probe()
		if f.anyFailed() {
			return f
		}
		probed.features = f
	}
	return probed.features
}

// AsOf is f as it would be on an older Linux, such as "6.1": what came later is
// Missing. It is for tests of fallbacks and for measuring what newer kernels give.
// A version that is no MAJOR.MINOR is an error.
func (f *Features) AsOf(version string) (*Features, error) {
	limit, ok := parseVersion(version)
	if !ok {
		return nil, fmt.Errorf("uring: %q is no Linux version; want one such as 6.1", version)
	}
	older := *f
	older.kernel = version
	for x := range older.findings {
		since, ok := parseVersion(Feature(x).Since())
		if ok && since > limit && older.findings[x].state == Present {
			older.set(Feature(x), Missing, errors.New("not used: as on Linux "+version))
		}
	}
	return &older, nil
}

// parseVersion makes MAJOR.MINOR a number that grows with the version.
func parseVersion(s string) (n int, ok bool) {
	major, minor, found := strings.Cut(s, ".")
	a, errA := strconv.Atoi(major)
	b, errB := strconv.Atoi(minor)
	return a<<16 | b, found && errA == nil && errB == nil && a >= 0 && b >= 0 && b < 1<<16
}

// Kernel is the kernel's release.
func (f *Features) Kernel() string { return f.kernel }

// Has says that a feature is Present.
func (f *Features) Has(x Feature) bool { return f.State(x) == Present }

// State is what was found out about a feature.
func (f *Features) State(x Feature) State {
	if !x.known() {
		return Unknown
	}
	return f.findings[x].state
}

// List gives every feature known to this package, those of setup and register
// first, then the ops by number.
func (f *Features) List() []Finding {
	list := make([]Finding, 0, len(nonOps)+len(ops))
	for x := Feature(firstNonOp); x < featureCount; x++ {
		list = append(list, f.finding(x))
	}
	for x := range ops {
		list = append(list, f.finding(Feature(x)))
	}
	return list
}

// Require gives nil if all features are Present, else one error that names each
// that is not, the Linux that has it, and what to do. It is a *MissingError.
func (f *Features) Require(features ...Feature) error {
	var lacking []Finding
	for _, x := range features {
		if !f.Has(x) {
			lacking = append(lacking, f.finding(x))
		}
	}
	if lacking == nil {
		return nil
	}
	return &MissingError{Kernel: f.kernel, Lacking: lacking}
}

func (f *Features) finding(x Feature) Finding {
	found := Finding{Feature: x, Name: x.Name(), Since: x.Since(), State: f.State(x)}
	if x.known() {
		found.Err = f.findings[x].err
	}
	return found
}

func (f *Features) set(x Feature, state State, err error) {
	f.findings[x].state, f.findings[x].err = state, err
}

func (f *Features) anyFailed() bool {
	for i := range f.findings {
		if f.findings[i].state == Failed {
			return true
		}
	}
	return false
}

// MissingError says which features are not there, and why.
type MissingError struct {
	Kernel  string
	Lacking []Finding
}

// Error names the first cause that hides others (io_uring as a whole), or else
// every feature that is lacking.
func (e *MissingError) Error() string {
	if first := e.Lacking[0]; first.Feature == Setup {
		return fmt.Sprintf("uring: io_uring is %s here (Linux %s): %v", first.State, e.Kernel, first.Err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "uring: Linux %s does not do: ", e.Kernel)
	for i, x := range e.Lacking {
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%s (%s; Linux %s has it", x.Name, x.State, x.Since)
		if x.Err != nil && x.State != Missing {
			fmt.Fprintf(&b, "; %v", x.Err)
		}
		b.WriteByte(')')
	}
	return b.String()
}

// Unwrap gives the causes, so that errors.Is finds an errno among them.
func (e *MissingError) Unwrap() []error {
	var errs []error
	for _, x := range e.Lacking {
		if x.Err != nil {
			errs = append(errs, x.Err)
		}
	}
	return errs
}
