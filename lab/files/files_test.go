package files

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/filework"
)

const testBytes = 1 << 20

func testFile(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "data")
	made, err := Make(file, testBytes)
	require.NoError(t, err)
	require.True(t, made)
	return file
}

func specOf(file string, p filework.Pattern) Spec {
	return Spec{
		Work:   filework.Config{File: file, Pattern: p, Depth: 8, BlockBytes: 4096, Bytes: testBytes, Seed: 1},
		Warmup: 50 * time.Millisecond, Duration: 200 * time.Millisecond,
	}
}

// TestModels: every model does every pattern, without an address to listen on, and
// in steady state an op allocates nothing (the baseline's are its goroutines).
func TestModels(t *testing.T) {
	for _, model := range models.AllNames() {
		for _, p := range filework.Patterns() {
			t.Run(model+"/"+string(p), func(t *testing.T) {
				if err := models.Refused(model); err != nil {
					t.Skip(err)
				}
				spec := specOf(testFile(t), p)
				o, _ := Options(model, spec.Work.Depth, nil)
				res, err := RunModel(context.Background(), spec, model, o)
				require.NoError(t, err)
				m := res.Metrics
				require.Positive(t, m[result.Operations].Value)
				require.Positive(t, m[result.Throughput].Value)
				require.Zero(t, m[result.Errors].Value)
				require.LessOrEqual(t, m[result.LatencyP50].Value, m[result.LatencyMax].Value)
				require.Positive(t, m[result.CPUPerOp].Value)
				if p == filework.RandRead && model != "goroutine" {
					require.Less(t, m[result.AllocsPerOp].Value, 0.1)
				}
			})
		}
	}
}

// TestShortFile: an op that fails ends the run with its error.
func TestShortFile(t *testing.T) {
	spec := specOf(testFile(t), filework.RandRead)
	require.NoError(t, os.Truncate(spec.Work.File, 4096))
	_, err := RunModel(context.Background(), spec, "nonblock", runtime.Options{})
	require.ErrorContains(t, err, "shorter than the range")
	spec.Work.File += "x"
	_, err = RunModel(context.Background(), spec, "nonblock", runtime.Options{})
	require.ErrorIs(t, err, os.ErrNotExist)
	spec.Work.Depth = 0
	_, err = RunModel(context.Background(), spec, "nonblock", runtime.Options{})
	require.ErrorContains(t, err, "Depth")
}

func TestPrepare(t *testing.T) {
	file := testFile(t)
	made, err := Make(file, testBytes)
	require.NoError(t, err)
	require.False(t, made, "what is long enough stays")
	require.NoError(t, Heat(file, testBytes))
	require.Error(t, Heat(file, 2*testBytes), "shorter than it is to be")
	require.NoError(t, Chill(file))
	made, err = Make(file, 2*testBytes)
	require.NoError(t, err)
	require.True(t, made)
	st, err := os.Stat(file)
	require.NoError(t, err)
	require.EqualValues(t, 2*testBytes, st.Size())
}

func TestFioArguments(t *testing.T) {
	spec := specOf("/x", filework.RandRead)
	spec.Work.Direct = true
	for engine, want := range map[string]string{
		"psync": "--ioengine=psync --numjobs=8", "libaio": "--ioengine=libaio --iodepth=8", "io_uring": "--ioengine=io_uring --iodepth=8",
		"io_uring-fixed": "--ioengine=io_uring --iodepth=8 --fixedbufs --registerfiles",
	} {
		a, err := fioArgs(spec, engine)
		require.NoError(t, err)
		line := strings.Join(a, " ")
		require.True(t, strings.HasSuffix(line, want), line)
		for _, part := range []string{"--direct=1", "--bs=4096", "--rw=randread", "--runtime=200ms", "--filename=/x"} {
			require.Contains(t, line, part)
		}
	}
	_, err := fioArgs(spec, "nonsense")
	require.ErrorContains(t, err, "io_uring-fixed")
	spec.Work.Pattern = filework.WriteSync
	_, err = fioArgs(spec, "libaio")
	require.ErrorContains(t, err, "only psync")
	a, err := fioArgs(spec, "psync")
	require.NoError(t, err)
	require.Contains(t, a, "--fsync=1")
}

// A report as fio 3.33 writes it, shortened.
const fioSample = `fio: some note
{"fio version":"fio-3.33","jobs":[{"jobname":"files","error":0,
 "read":{"iops":50000.5,"total_ios":100001,"lat_ns":{"max":5000,"mean":2500.0,"percentile":{"50.000000":2000,"90.000000":3000,"99.000000":4000,"99.900000":4500}}},
 "write":{"iops":100.0,"total_ios":200,"lat_ns":{"mean":1000.0}},"sync":{"lat_ns":{"mean":9000.0}}}]}`

func TestFioReport(t *testing.T) {
	rep, err := parseFio([]byte(fioSample))
	require.NoError(t, err)
	m := rep.result(specOf("/x", filework.RandRead), fioUsage{}, nil).Metrics
	require.Equal(t, 50000.5, m[result.Throughput].Value)
	require.Equal(t, 100001.0, m[result.Operations].Value)
	require.Equal(t, 4.5, m[result.LatencyP999].Value)
	require.Equal(t, 2.5, m[result.LatencyMean].Value)
	require.False(t, m[result.AllocsPerOp].Available())
	m = rep.result(specOf("/x", filework.WriteSync), fioUsage{}, nil).Metrics
	require.Equal(t, 100.0, m[result.Throughput].Value)
	require.Equal(t, 10.0, m[result.LatencyMean].Value, "the write and its sync")
	require.False(t, m[result.LatencyP99].Available())
	_, err = parseFio([]byte("no JSON"))
	require.Error(t, err)
}

// TestFio runs it.
func TestFio(t *testing.T) {
	if err := FioAbsent(); err != nil {
		t.Skip(err)
	}
	res, err := RunFio(context.Background(), specOf(testFile(t), filework.RandRead), "psync")
	require.NoError(t, err)
	require.Positive(t, res.Metrics[result.Throughput].Value)
	require.Positive(t, res.Metrics[result.CPUPerOp].Value)
	require.True(t, res.Metrics[result.SwitchesVoluntaryPerOp].Available())
}
