package files

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/workloads/filework"
)

// Engines are fio's, under our names: psync is a thread per op in flight with
// plain calls; io_uring-fixed is io_uring with buffers and file registered.
func Engines() []string { return []string{"psync", "libaio", "io_uring", "io_uring-fixed"} }

// sourceFio is what fio says of itself.
const sourceFio = "fio"

// FioAbsent says why fio cannot be run here, and what to install; nil: it can.
func FioAbsent() error {
	if _, err := exec.LookPath("fio"); err != nil {
		return fmt.Errorf("fio is not installed (Debian, Ubuntu, Fedora: the package fio): %w", err)
	}
	return nil
}

// fioStart bounds how long fio takes to begin, and fioSlack what it takes beside
// its run time in all.
const (
	fioStart = 500 * time.Millisecond
	fioSlack = 20 * time.Second
)

// RunFio has fio do the work of spec with one of its engines. The sensors look at it
// from outside in the midst of the run, when all its threads are at work.
func RunFio(ctx context.Context, spec Spec, engine string) (Result, error) {
	args, err := fioArgs(spec, engine)
	if err != nil {
		return Result{}, err
	}
	if err := FioAbsent(); err != nil {
		return Result{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, fioStart+spec.Warmup+spec.Duration+fioSlack)
	defer cancel()
	cmd := exec.CommandContext(ctx, "fio", args...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		return Result{}, fmt.Errorf("cannot start fio: %w", err)
	}
	usage := watchFio(ctx, cmd.Process.Pid, spec)
	if err := cmd.Wait(); err != nil {
		return Result{}, fmt.Errorf("fio: %w: %s", err, strings.TrimSpace(errs.String()+lastLines(out.String())))
	}
	rep, err := parseFio(out.Bytes())
	if err != nil {
		return Result{}, err
	}
	return rep.result(spec, usage, args), nil
}

func lastLines(s string) string { return s[max(0, len(s)-500):] }

func fioArgs(spec Spec, engine string) ([]string, error) {
	w := &spec.Work
	if !slices.Contains(Engines(), engine) {
		return nil, fmt.Errorf("no engine %q of fio's; there are %s", engine, strings.Join(Engines(), ", "))
	}
	a := []string{
		"--name=files", "--output-format=json", "--filename=" + w.File, "--size=" + strconv.FormatInt(w.Bytes, 10),
		"--bs=" + strconv.Itoa(w.BlockBytes), "--direct=" + bit(w.Direct), "--time_based", "--runtime=" + ms(spec.Duration),
		"--ramp_time=" + ms(fioStart+spec.Warmup),
		// As ours: offsets by a cheap generator, none remembered; the cache is left as
		// it was found; the whole time of an op is its latency.
		"--norandommap", "--random_generator=tausworthe64", "--randseed=" + strconv.FormatUint(w.Seed, 10), "--invalidate=0", "--fadvise_hint=1",
		"--lat_percentiles=1", "--clat_percentiles=0", "--percentile_list=50:90:99:99.9", "--thread=1", "--group_reporting",
	}
	switch w.Pattern {
	case filework.RandRead:
		a = append(a, "--rw=randread")
	case filework.WriteSync:
		a = append(a, "--rw=randwrite", "--fsync=1")
	case filework.WriteDatasync:
		a = append(a, "--rw=randwrite", "--fdatasync=1")
	}
	if w.Pattern != filework.RandRead && engine != "psync" && w.Depth > 1 {
		return nil, errors.New("fio's asynchronous engines do not wait with the sync for its write: only psync does the same work at this depth")
	}
	depth := strconv.Itoa(w.Depth)
	switch engine {
	case "psync":
		a = append(a, "--ioengine=psync", "--numjobs="+depth)
	case "libaio":
		a = append(a, "--ioengine=libaio", "--iodepth="+depth)
	case "io_uring":
		a = append(a, "--ioengine=io_uring", "--iodepth="+depth)
	case "io_uring-fixed":
		a = append(a, "--ioengine=io_uring", "--iodepth="+depth, "--fixedbufs", "--registerfiles")
	}
	return a, nil
}

func bit(b bool) string {
	if b {
		return "1"
	}
	return "0"
}

func ms(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }

// fioUsage is what fio used in the midst of its run.
type fioUsage struct {
	readings []sensor.Reading
	seconds  float64
	doubts   []string
}

// watchFio looks at fio from when it has begun until shortly before it ends.
func watchFio(ctx context.Context, pid int, spec Spec) (u fioUsage) {
	watch := newSensors(pid, spec.CPUs)
	if sleep(ctx, fioStart+spec.Warmup) != nil {
		return u
	}
	begin := time.Now()
	watch.start()
	_ = sleep(ctx, spec.Duration-fioEnd) // what comes of an early end, Wait tells
	u.readings, u.doubts = watch.stop()
	u.seconds = time.Since(begin).Seconds()
	return u
}

// fioEnd is left out of the sensors' window: its threads end one by one.
const fioEnd = 50 * time.Millisecond

// fioReport is what we want of fio's JSON.
type fioReport struct {
	Version string   `json:"fio version"`
	Jobs    []fioJob `json:"jobs"`
}

type fioJob struct {
	Error int    `json:"error"`
	Read  fioDir `json:"read"`
	Write fioDir `json:"write"`
	Sync  struct {
		Lat fioLat `json:"lat_ns"`
	} `json:"sync"`
}

type fioDir struct {
	IOPS  float64 `json:"iops"`
	Total uint64  `json:"total_ios"`
	Lat   fioLat  `json:"lat_ns"`
}

type fioLat struct {
	Max        float64            `json:"max"`
	Mean       float64            `json:"mean"`
	Percentile map[string]float64 `json:"percentile"`
}

func parseFio(text []byte) (*fioReport, error) {
	if i := bytes.IndexByte(text, '{'); i > 0 {
		text = text[i:] // notes of fio's come first
	}
	var rep fioReport
	if err := json.Unmarshal(text, &rep); err != nil {
		return nil, fmt.Errorf("fio's report is no JSON: %w", err)
	}
	if len(rep.Jobs) != 1 {
		return nil, fmt.Errorf("fio reports on %d jobs, want 1 (group_reporting)", len(rep.Jobs))
	}
	return &rep, nil
}

func (rep *fioReport) result(spec Spec, u fioUsage, args []string) Result {
	job := &rep.Jobs[0]
	dir := &job.Read
	if spec.Work.Pattern != filework.RandRead {
		dir = &job.Write
	}
	// The window of the sensors is not fio's: what they saw is per second, and fio's
	// rate makes it per op.
	m := sensor.PerOp(u.readings, dir.IOPS*u.seconds)
	maps.DeleteFunc(m, func(name string, _ result.Metric) bool { // by role: fio's threads have none of ours
		return strings.HasPrefix(name, "switches_go_") || strings.HasPrefix(name, "switches_loop_") || strings.HasPrefix(name, "switches_helper_")
	})
	m[result.Throughput] = result.Of(dir.IOPS, "1/s", sourceFio)
	m[result.Operations] = result.Of(float64(dir.Total), "1", sourceFio)
	m[result.Errors] = result.Of(float64(job.Error), "1", sourceFio)
	mean := dir.Lat.Mean
	if spec.Work.Pattern != filework.RandRead {
		mean += job.Sync.Lat.Mean
	}
	m[result.LatencyMean] = result.Of(mean/1e3, "us", sourceFio)
	for name, percentile := range map[string]string{
		result.LatencyP50: "50.000000", result.LatencyP90: "90.000000", result.LatencyP99: "99.000000", result.LatencyP999: "99.900000",
	} {
		ns, ok := dir.Lat.Percentile[percentile]
		switch {
		case spec.Work.Pattern != filework.RandRead:
			m[name] = result.Missing("fio times a write and its sync apart, and percentiles do not add up; see "+result.LatencyMean, "us", sourceFio)
		case !ok:
			m[name] = result.Missing("fio does not report the "+percentile+" percentile", "us", sourceFio)
		default:
			m[name] = result.Of(ns/1e3, "us", sourceFio)
		}
	}
	const why = "fio does not count them"
	m[result.AllocsPerOp] = result.Missing(why, "1", sourceFio)
	m[result.SyscallsPerOp] = result.Missing(why, "1", sourceFio)
	return Result{
		Metrics: m, DurationS: spec.Duration.Seconds(), Reasons: u.doubts,
		Notes: []string{rep.Version + ": fio " + strings.Join(args, " ")},
	}
}
