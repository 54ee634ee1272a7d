package files

import (
	"context"
	"fmt"
	"os"
	"reflect"
	goruntime "runtime"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/filework"
)

// Options sizes the thread pools of a model for the depth: with fewer threads than
// syslets in flight it would not reach it. Notes say what was raised.
func Options(model string, depth int, cpus []int) (o runtime.Options, notes []string) {
	o = runtime.Options{CPUs: cpus}
	switch model {
	case "threadlet":
		o.Standbys = depth
		notes = append(notes, fmt.Sprintf("Standbys is %d, from the depth", depth))
	case "nonblock":
		o.Helpers = depth
		notes = append(notes, fmt.Sprintf("Helpers is %d, from the depth", depth))
	}
	return o, notes
}

// stopWithin bounds an orderly end.
const stopWithin = 20 * time.Second

// RunModel runs spec under the model of that name. The error is one of Open, of an
// op, or of an end that took too long.
func RunModel(ctx context.Context, spec Spec, model string, o runtime.Options) (Result, error) {
	job, err := filework.New(spec.Work)
	if err != nil {
		return Result{}, err
	}
	v, err := models.Open(model, o)
	if err != nil {
		return Result{}, err
	}
	if err := v.Start(job.NewApp); err != nil {
		return Result{}, err
	}
	w := window{spec: &spec, model: model, job: job, server: v}
	err = w.measure(ctx)
	// Also when ctx has ended: what runs must end in good order.
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
	defer cancel()
	rep, stopErr := job.Stop(stop, v)
	if stopErr != nil {
		err = stopErr
	}
	if err != nil {
		return Result{}, err
	}
	return w.result(rep), nil
}

// window is the measured part of a run under a model.
type window struct {
	spec   *Spec
	model  string
	job    *filework.Job
	server *runtime.Server

	// Each of these has a window of its own, about the recorded one: at full load the
	// one that measures waits for the CPU, too.
	counts   runtime.Stats // over its window
	mallocs  perSecond
	gcs      uint64
	readings []sensor.Reading
	used     time.Duration // the readings' window
	doubts   []string
}

// perSecond is a count over a window.
type perSecond struct {
	n      uint64
	within time.Duration
}

func (w *window) measure(ctx context.Context) error {
	if err := sleep(ctx, w.spec.Warmup); err != nil {
		return err
	}
	watch := newSensors(os.Getpid(), w.spec.CPUs)
	watch.start()
	began := time.Now()
	before, err := w.server.Stats(ctx)
	if err != nil {
		return err
	}
	var from, until goruntime.MemStats
	goruntime.ReadMemStats(&from)
	fromAt := time.Now()
	if err := w.job.Record(ctx, w.server, true); err != nil {
		return err
	}
	if err := sleep(ctx, w.spec.Duration); err != nil {
		return err
	}
	if err := w.job.Record(ctx, w.server, false); err != nil {
		return err
	}
	w.mallocs.within = time.Since(fromAt)
	goruntime.ReadMemStats(&until)
	w.mallocs.n, w.gcs = until.Mallocs-from.Mallocs, uint64(until.NumGC-from.NumGC)
	if w.counts, err = w.server.Stats(ctx); err != nil {
		return err
	}
	subtract(&w.counts, &before)
	w.used = time.Since(began)
	w.readings, w.doubts = watch.stop()
	return nil
}

// subtract leaves in a what it has more than b. Gauges mean nothing then.
func subtract(a, b *runtime.Stats) {
	va, vb := reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem()
	for i := range va.NumField() {
		va.Field(i).SetUint(va.Field(i).Uint() - vb.Field(i).Uint())
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (w *window) result(rep filework.Report) Result {
	ops, rate := float64(rep.Ops), 0.0
	if s := rep.Duration.Seconds(); s > 0 {
		rate = ops / s
	}
	m := sensor.PerOp(w.readings, rate*w.used.Seconds())
	m[result.Operations] = result.Of(ops, "1", result.SourceServer)
	m[result.Errors] = result.Of(float64(rep.Errors), "1", result.SourceServer)
	m[result.Throughput] = result.Of(rate, "1/s", result.SourceServer)
	for name, q := range quantiles {
		m[name] = latency(rep.Latency, q)
	}
	m[result.LatencyMean] = result.Missing("no op in the window", "us", result.SourceServer)
	if rep.Ops > 0 {
		m[result.LatencyMean] = result.Of(rep.Latency.Mean()/1e3, "us", result.SourceServer)
	}
	m[result.AllocsPerOp] = result.PerOp(float64(w.mallocs.n), rate*w.mallocs.within.Seconds(), "1", result.SourceGo)
	m[result.GCCycles] = result.Of(float64(w.gcs), "1", result.SourceGo)
	c := &w.counts
	m[result.SyscallsPerOp] = result.PerOp(float64(c.SystemCalls()), float64(c.OpsCompleted+c.OpsFinished), "1", result.SourceServer)
	if w.model == "threadlet" {
		m[result.TakeoversAnnounced] = result.Of(float64(c.TakeoversAnnounced), "1", result.SourceServer)
		m[result.TakeoversDetected] = result.Of(float64(c.TakeoversDetected), "1", result.SourceServer)
		m[result.TakeoversAtBound] = result.Of(float64(c.TakeoversAtBound), "1", result.SourceServer)
	}
	return Result{Metrics: m, DurationS: rep.Duration.Seconds(), Reasons: w.doubts}
}

var quantiles = map[string]float64{
	result.LatencyP50: 50, result.LatencyP90: 90, result.LatencyP99: 99, result.LatencyP999: 99.9, result.LatencyMax: 100,
}

func latency(h *hdrhistogram.Histogram, percent float64) result.Metric {
	if h.TotalCount() == 0 {
		return result.Missing("no op in the window", "us", result.SourceServer)
	}
	return result.Of(float64(h.ValueAtQuantile(percent))/1e3, "us", result.SourceServer)
}
