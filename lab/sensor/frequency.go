package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// Frequency reads the clock of a set of CPUs at both ends of the window:
// "frequency_min" and "frequency_mean" in MHz, and how often they were slowed down
// for heat in between: "thermal_throttles". Both from sysfs (cpufreq/scaling_cur_freq,
// thermal_throttle/*_throttle_count), the clock else from /proc/cpuinfo where that
// shows a measured one.
type Frequency struct {
	cpus     []int
	sys      string
	cpuinfo  string
	samples  []float64 // MHz, of all CPUs and both ends
	err      error
	heat     uint64
	heatErr  error
	wasBegun bool
}

const (
	sourceSysfs   = "sysfs"
	sourceCPUInfo = "/proc/cpuinfo"
)

// NewFrequency makes the sensor for these CPUs, or all if there are none given.
func NewFrequency(cpus []int) *Frequency {
	return &Frequency{cpus: slices.Clone(cpus), sys: sysCPU, cpuinfo: sourceCPUInfo}
}

// Name implements Sensor.
func (f *Frequency) Name() string { return "frequency" }

// Close implements Sensor.
func (f *Frequency) Close() {}

// Start implements Sensor.
func (f *Frequency) Start() {
	f.wasBegun = true
	f.samples, _, f.err = f.read()
	f.heat, f.heatErr = f.throttles()
}

// Stop implements Sensor.
func (f *Frequency) Stop() ([]Reading, []string) {
	now, source, err := f.read()
	heat, heatErr := f.throttles()
	if !f.wasBegun {
		f.err, f.heatErr = errNeverStarted, errNeverStarted
	}
	throttled := result.Of(float64(grown(f.heat, heat)), "1", sourceSysfs)
	if err := firstError(f.heatErr, heatErr); err != nil {
		throttled = result.Missing(err.Error(), "1", sourceSysfs)
	}
	if err := firstError(f.err, err); err != nil {
		m := result.Missing(err.Error(), "MHz", source)
		return []Reading{state("frequency_min", m), state("frequency_mean", m), state("thermal_throttles", throttled)}, nil
	}
	all, sum := append(f.samples, now...), 0.0
	for _, mhz := range all {
		sum += mhz
	}
	return []Reading{
		state("frequency_min", result.Of(slices.Min(all), "MHz", source)),
		state("frequency_mean", result.Of(sum/float64(len(all)), "MHz", source)),
		state("thermal_throttles", throttled),
	}, nil
}

// firstError: the same reason at both ends is said once.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// read returns the clock of each CPU, in MHz, at least one.
func (f *Frequency) read() (mhz []float64, source string, err error) {
	for _, dir := range f.dirs() {
		text, err := os.ReadFile(filepath.Join(dir, "cpufreq/scaling_cur_freq"))
		if err != nil {
			continue
		}
		khz, err := parseCount(text)
		if err != nil {
			return nil, sourceSysfs, fmt.Errorf("%s: scaling_cur_freq: %w", dir, err)
		}
		mhz = append(mhz, float64(khz)/1e3)
	}
	if len(mhz) > 0 {
		return mhz, sourceSysfs, nil
	}
	text, err := os.ReadFile(f.cpuinfo)
	if err != nil {
		return nil, sourceCPUInfo, err
	}
	mhz, err = parseMHz(text, f.cpus)
	return mhz, sourceCPUInfo, err
}

// throttles sums the counts of these CPUs. That of a package shows at each of its
// CPUs: it is the change that matters, not the number.
func (f *Frequency) throttles() (sum uint64, err error) {
	found := false
	for _, dir := range f.dirs() {
		for _, name := range []string{"core_throttle_count", "package_throttle_count"} {
			text, err := os.ReadFile(filepath.Join(dir, "thermal_throttle", name))
			if err != nil {
				continue
			}
			n, err := parseCount(text)
			if err != nil {
				return 0, fmt.Errorf("%s: %s: %w", dir, name, err)
			}
			sum, found = sum+n, true
		}
	}
	if !found {
		return 0, errors.New("these CPUs count no thermal throttling (no thermal_throttle in sysfs: an Intel CPU and no virtual machine would)")
	}
	return sum, nil
}

// dirs are the CPUs' folders.
func (f *Frequency) dirs() (dirs []string) {
	all, _ := filepath.Glob(filepath.Join(f.sys, "cpu[0-9]*"))
	for _, dir := range all {
		number, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), "cpu"))
		if err == nil && (len(f.cpus) == 0 || slices.Contains(f.cpus, number)) {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// parseMHz reads "cpu MHz" of /proc/cpuinfo. On x86 that is measured only if the
// CPU counts its cycles for it (aperfmperf); a virtual machine shows the nominal clock.
func parseMHz(text []byte, cpus []int) (mhz []float64, err error) {
	wanted, measured := false, false
	for line := range bytes.Lines(text) {
		key, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimSpace(value)
		switch string(bytes.TrimSpace(key)) {
		case "processor":
			number, err := strconv.Atoi(string(value))
			if err != nil {
				return nil, fmt.Errorf("cpuinfo: processor: %w", err)
			}
			wanted = len(cpus) == 0 || slices.Contains(cpus, number)
		case "cpu MHz":
			v, err := strconv.ParseFloat(string(value), 64)
			if err != nil || !(v > 0 && v < 1e6) {
				return nil, fmt.Errorf("cpuinfo: cpu MHz is %q", value)
			}
			if wanted {
				mhz = append(mhz, v)
			}
		case "flags":
			measured = bytes.Contains(value, []byte("aperfmperf")) && !bytes.Contains(value, []byte("hypervisor"))
		}
	}
	if !measured || len(mhz) == 0 {
		return nil, errors.New("no cpufreq in sysfs and no measured clock in /proc/cpuinfo, as is usual in a virtual machine")
	}
	return mhz, nil
}
