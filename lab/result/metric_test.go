package result

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMetricOnTheWire(t *testing.T) {
	for _, c := range []struct {
		name   string
		metric Metric
		want   string
	}{
		{"value", Of(12.5, "us", SourceLoad), `{"value":12.5,"unit":"us","source":"load"}`},
		{"a measured zero is a value", Of(0, "1", SourceServer), `{"value":0,"unit":"1","source":"server"}`},
		{"missing", Missing("no PMU", "1", SourcePMU), `{"unavailable":"no PMU","unit":"1","source":"pmu"}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := json.Marshal(c.metric)
			require.NoError(t, err)
			require.JSONEq(t, c.want, string(got))
			var back Metric
			require.NoError(t, json.Unmarshal(got, &back))
			require.Equal(t, c.metric, back)
		})
	}
}

func TestMetricRefused(t *testing.T) {
	for _, m := range []Metric{
		Of(math.NaN(), "us", SourceLoad), Of(math.Inf(1), "us", SourceLoad), Of(math.Inf(-1), "us", SourceLoad),
		Of(1, "", SourceLoad), Of(1, "us", ""),
	} {
		_, err := json.Marshal(m)
		require.Error(t, err, "%+v", m)
	}
	for _, text := range []string{
		`{"unit":"us","source":"load"}`,
		`{"value":null,"unit":"us","source":"load"}`,
		`{"value":1,"unavailable":"no","unit":"us","source":"load"}`,
		`{"unavailable":"","unit":"us","source":"load"}`,
		`{"value":1,"source":"load"}`,
		`{"value":1e999,"unit":"us","source":"load"}`,
		`{"value":"1","unit":"us","source":"load"}`,
	} {
		var m Metric
		require.Error(t, json.Unmarshal([]byte(text), &m), text)
	}
}

func TestPerOpOfNothingIsUnavailable(t *testing.T) {
	require.Equal(t, 2.5, PerOp(5, 2, "1", SourceServer).Value)
	for _, ops := range []float64{0, -1, math.NaN()} {
		require.False(t, PerOp(5, ops, "1", SourceServer).Available())
	}
}

func TestCatalogueHasNoNameTwiceAndAUnitEach(t *testing.T) {
	seen := map[string]bool{}
	for _, name := range Names() {
		require.False(t, seen[name], name)
		seen[name] = true
		require.NotEmpty(t, Describe(name).Unit, name)
		require.NotEmpty(t, Describe(name).Label, name)
	}
	require.Equal(t, Info{Name: "no_such", Label: "no_such"}, Describe("no_such"))
}

func TestFamiliesAreDescribedByTheirPattern(t *testing.T) {
	name := SyscallPerOp("epoll_wait")
	require.Equal(t, Info{name, "system call epoll_wait per request", "1", Neither}, Describe(name))
	call, ok := SyscallOf(name)
	require.True(t, ok)
	require.Equal(t, "epoll_wait", call)
	for _, other := range []string{"syscall:_per_op", "syscall:read", "syscalls_per_op", "read_per_op"} {
		_, ok := SyscallOf(other)
		require.False(t, ok, other)
	}
	require.Equal(t, "p99.9 latency of join", Describe("latency_join_p999").Label)
	// A name of its own comes before a family's pattern that fits it, too.
	require.Equal(t, "p99 latency of rankings", Describe(RankingP99).Label)
	require.Equal(t, "p99 latency", Describe(LatencyP99).Label)
}
