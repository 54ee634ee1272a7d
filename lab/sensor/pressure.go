package sensor

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/syslet/syslet/lab/result"
	"golang.org/x/sys/unix"
)

// Pressure measures stalls of the whole machine (Documentation/accounting/psi.rst):
// the share of the window in which at least one task waited for a CPU, for I/O or
// for memory: "psi_cpu_some", "psi_io_some", "psi_memory_some", in percent. The
// totals count in us, so that short windows are measured too.
type Pressure struct {
	root  string
	from  [len(pressures)]uint64 // us
	err   [len(pressures)]error
	begun time.Time
}

var pressures = [...]string{"cpu", "io", "memory"}

// NewPressure makes the sensor.
func NewPressure() *Pressure { return &Pressure{root: "/proc/pressure"} }

// Name implements Sensor.
func (p *Pressure) Name() string { return "pressure" }

// Close implements Sensor.
func (p *Pressure) Close() {}

// Start implements Sensor.
func (p *Pressure) Start() {
	for i, what := range pressures {
		p.from[i], p.err[i] = p.read(what)
	}
	p.begun = time.Now()
}

// Stop implements Sensor.
func (p *Pressure) Stop() (readings []Reading, notes []string) {
	us := float64(time.Since(p.begun)) / 1e3
	for i, what := range pressures {
		until, err := p.read(what)
		if err = errors.Join(p.err[i], err); err == nil && p.begun.IsZero() {
			err = errNeverStarted
		}
		m := result.Of(stalledShare(p.from[i], until, us), "%", result.SourceProc)
		if err != nil {
			m = result.Missing(err.Error(), "%", result.SourceProc)
		}
		readings = append(readings, state("psi_"+what+"_some", m))
	}
	return readings, nil
}

// stalledShare is in percent. The kernel books a stall when it ends or is asked for,
// so that a little of another window's may be in it.
func stalledShare(from, until uint64, windowUs float64) float64 {
	return min(100, 100*float64(grown(from, until))/windowUs)
}

var errNeverStarted = errors.New("the sensor was never started")

func (p *Pressure) read(what string) (us uint64, err error) {
	text, err := os.ReadFile(filepath.Join(p.root, what))
	switch {
	case ended(err):
		return 0, errors.New("the kernel has no pressure stall information (CONFIG_PSI)")
	case errors.Is(err, unix.EOPNOTSUPP):
		return 0, errors.New("pressure stall information is switched off (boot with psi=1)")
	case err != nil:
		return 0, err
	}
	return parsePressure(text)
}

// parsePressure returns total= of the line "some", in us.
func parsePressure(text []byte) (us uint64, err error) {
	for line := range bytes.Lines(text) {
		rest, ok := bytes.CutPrefix(line, []byte("some "))
		if !ok {
			continue
		}
		for field := range bytes.FieldsSeq(rest) {
			if value, ok := bytes.CutPrefix(field, []byte("total=")); ok {
				us, err := parseCount(value)
				if err != nil {
					return 0, fmt.Errorf("pressure: total: %w", err)
				}
				return us, nil
			}
		}
	}
	return 0, errors.New("pressure: no line \"some … total=\"")
}
