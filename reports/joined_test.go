package reports

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/lab/result"
)

// fileRun is a run of file work beside fio; the figures are invented.
func fileRun() *result.Run {
	run := &result.Run{}
	for round := 1; round <= 10; round++ {
		for i, server := range []string{"nonblock", "iouring", "fio-psync", "fio-io_uring"} {
			source := result.SourceServer
			if strings.HasPrefix(server, "fio") {
				source = "fio"
			}
			t := result.Trial{Schema: 1, Experiment: result.Files, Workload: fileWork, Model: server, Round: round, Verdict: result.Valid,
				Factors: result.Factors{"file_work": "direct-32"}, Metrics: map[string]result.Metric{}}
			t.Metrics[result.Throughput] = result.Of(float64(50000+1000*i+round), "1/s", source)
			t.Metrics[result.LatencyP99] = result.Of(float64(900-100*i+round), "us", source)
			t.Metrics[result.CPUPerOp] = result.Of(9, "us", "clock "+source)
			t.Metrics[result.AllocsPerOp] = result.Of(0.01, "1", "go")
			if source == "fio" {
				t.Metrics[result.AllocsPerOp] = result.Missing("not counted", "1", source)
			}
			run.Trials = append(run.Trials, t)
		}
	}
	return run
}

// TestOwnFigures: what each server measures of itself is one column, and the table
// says so; what two sources measure of servers stays two.
func TestOwnFigures(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, Readme(&b, fileRun()))
	require.Contains(t, b.String(), "| server | ops, /s | CPU per op, µs | CPU per op, µs | allocations per op | p99, µs |\n")
	require.Contains(t, b.String(), "| nonblock | 50,006 [50,002 to 50,009] | – | 9 [9 to 9] |")
	require.Contains(t, b.String(), "| fio-io_uring | **53,006** [53,002 to 53,009] | 9 [9 to 9] | – | – | **605.5** [602 to 609] |")
	require.Contains(t, b.String(), "\nNote: ops and p99 are as each server measures itself (source fio, server).\n")

	v := views(fileRun())[0]
	require.Len(t, v.keysOf(result.Throughput), 2, "the quantities themselves stay two")
	table := v.serverTables(looks(v.Models))[0]
	require.Equal(t, serverHead{"ops", "/s", "fio, server"}, table.Columns[0])
	titles := map[string]int{}
	for _, s := range v.sections(looks(v.Models)) {
		for _, f := range s.Figures {
			titles[f.Title]++
		}
	}
	require.Equal(t, 1, titles[upperFirst(result.Describe(result.Throughput).Label)], titles)
}

// TestOwnFiguresApart: a server that has the metric from both sources keeps them
// apart, and the rate that the load sets is in no table.
func TestOwnFiguresApart(t *testing.T) {
	run := fileRun()
	extra := run.Trials[0]
	extra.Metrics = map[string]result.Metric{result.LatencyP99: result.Of(1, "us", "fio")}
	run.Trials = append(run.Trials, extra)
	for i := range run.Trials {
		run.Trials[i].Metrics[result.Offered] = result.Of(40000, "1/s", "load")
	}
	var b bytes.Buffer
	require.NoError(t, Readme(&b, run))
	require.Contains(t, b.String(), "| server | CPU per op, µs | CPU per op, µs | allocations per op | p99, µs | p99, µs |\n")
	require.NotContains(t, b.String(), "as each server measures itself")
}
