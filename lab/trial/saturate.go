package trial

import (
	"context"
	"fmt"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
)

// saturate drives the server in a closed loop and says what it did at its most,
// and what that cost.
func (r *run) saturate(ctx context.Context) error {
	cpu, switches := sensor.NewCPUTime(r.server.ready.PID), sensor.NewSwitches(r.server.ready.PID)
	var readings []sensor.Reading
	rep, err := r.drive(ctx, r.spec.saturateArgs(r.server.ready.Listen), func(_ context.Context, p load.Phase) {
		switch p.Name {
		case load.PhaseMeasure:
			switches.Start()
			cpu.Start()
		case load.PhaseDrain:
			used, _ := cpu.Stop()
			switched, _ := switches.Stop()
			readings = append(used, switched...)
		}
	})
	if err != nil {
		return err
	}
	m := r.out.Metrics
	m[result.SaturationThroughput] = result.Of(rep.Throughput, "1/s", result.SourceLoad)
	r.evidence.Errors += rep.Counts.Errors()
	if s := &rep.All.Latency; s.Count > 0 {
		for name, us := range map[string]float64{result.SaturationP50: s.P50Us, result.SaturationP99: s.P99Us, result.SaturationP999: s.P999Us} {
			m[name] = result.Of(us, "us", result.SourceLoad)
		}
	}
	perOp := sensor.PerOp(readings, float64(rep.Counts.AnsweredInWindow))
	m[result.SaturationCPUPerOp] = perOp[result.CPUPerOp]
	m[result.SaturationSwitchesPerOp] = sumOf(perOp[result.SwitchesVoluntaryPerOp], perOp[result.SwitchesInvoluntaryPerOp])
	if rep.Counts.Delivered > 0 {
		m[result.SaturationDeliveries] = result.Of(rep.Deliveries, "1/s", result.SourceLoad)
		m[result.SaturationCPUPerDelivery] = sensor.PerOp(readings, rep.Counts.Delivered)[result.CPUPerOp]
	}
	r.whoWasTheLimit(rep)
	return nil
}

func sumOf(a, b result.Metric) result.Metric {
	switch {
	case a.Unit == "" || b.Unit == "":
		return result.Missing("not read", "1", result.SourceProc)
	case !a.Available():
		return a
	case !b.Available():
		return b
	}
	return result.Of(a.Value+b.Value, a.Unit, a.Source)
}

// Above serverFull a server has no CPU time left, as far as a window of half a
// second can tell; above loadFull the load had something to do all the time.
const (
	serverFull = 0.95
	loadFull   = 0.9
)

// whoWasTheLimit notes how much of its CPUs the server used: where it was not all
// of it, its most is more than what was seen.
func (r *run) whoWasTheLimit(rep *load.Report) {
	m := r.out.Metrics
	m[result.SaturationLoadBusy] = result.Of(100*rep.Self.Busy, "%", result.SourceLoad)
	cpu := m[result.SaturationCPUPerOp]
	if cpu.Unit == "" {
		cpu = result.Missing("not read", "us", result.SourceProc)
		m[result.SaturationCPUPerOp] = cpu
	}
	if !cpu.Available() || rep.DurationS <= 0 {
		m[result.SaturationServerBusy] = result.Missing("the server's CPU time in the closed loop is not known", "%", cpu.Source)
		return
	}
	busy := cpu.Value / 1e6 * rep.Throughput / float64(max(1, len(r.spec.ServerCPUs)))
	m[result.SaturationServerBusy] = result.Of(100*busy, "%", cpu.Source)
	if busy < serverFull && rep.Self.Busy > loadFull {
		r.out.Notes = append(r.out.Notes, fmt.Sprintf(
			"in the closed loop the load was the limit, not the server: it was busy for %.0f %% of the time, the server for %.0f %%", 100*rep.Self.Busy, 100*busy))
	}
}
