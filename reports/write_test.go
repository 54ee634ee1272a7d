package reports

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"flag"
	"fmt"
	"image/png"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/syslet/syslet/lab/result"
	"golang.org/x/perf/benchfmt"
)

// -look DIR writes the synthetic report where it can be looked at.
var lookAt = flag.String("look", "", "folder for the synthetic report")

func TestReportOfAFullRun(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "run")
	if *lookAt != "" {
		dir = *lookAt
	}
	run := writeFixture(t, dir, 1)
	require.NoError(t, Write(run, dir))
	page := read(t, dir, "report.html")
	wellFormed(t, page)
	selfContained(t, page)
	for _, want := range []string{"threadlet has the lowest p99 latency", "iouring has the lowest CPU per request",
		"What blocked the heads", "server.(*App).save save.go:118", "os.(*File).Sync", "nothing held its loop up", "block profile is off",
		"1 of 95 trials is invalid", "the load process lost its CPU for 212 ms", "tracefs is not mounted",
		"Synthetic CPU &amp; Co &lt;test&gt;", `--out &#39;runs/it&#39;\&#39;&#39;s here&#39;`, "cache displaced per request (source: probe)",
		"load limited", "1 with the load as the limit", "System calls by number", "System call io_uring_enter per request", "no hardware PMU (perf_event_open", "41.3 µs a reading",
		"85 ns a system call", "212,345 /s", "3.2 µs at 20,000 /s", "the game has no server that is not the limit", "P99 latency over time", "4 valid</span> <span class=\"badge suspect\">1 suspect"} {
		require.Contains(t, strings.ReplaceAll(page, "\u00a0", " "), want)
	}
	// The invalid trial's absurd figure is listed among the trials and nowhere else.
	require.Equal(t, 1, strings.Count(page, "987,654"))
	require.NotContains(t, read(t, dir, "summary.md")+read(t, dir, "summary.csv")+read(t, dir, "bench.txt"), "987654")
	linksLead(t, dir, page)
}

// TestGoldenSummary fixes the words and numbers of the synthetic run. After a
// change that is meant, look at the difference and run with -args -golden.
func TestGoldenSummary(t *testing.T) {
	dir := t.TempDir()
	run := writeFixture(t, dir, 1)
	require.NoError(t, write(run, dir))
	got, _, _ := strings.Cut(read(t, dir, "summary.md"), "\n## blocking-curve")
	path := filepath.Join("testdata", "summary.golden.md")
	if *golden {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), got)
}

var golden = flag.Bool("golden", false, "rewrite the golden files")

// TestEveryMedianComesFromTrials recomputes every median of summary.csv from
// trials.jsonl with nothing of this package, and finds it on the page.
func TestEveryMedianComesFromTrials(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, write(writeFixture(t, dir, 7), dir))
	run, err := result.Read(dir)
	require.NoError(t, err)
	page := read(t, dir, "report.html")
	rows, err := csv.NewReader(strings.NewReader(read(t, dir, "summary.csv"))).ReadAll()
	require.NoError(t, err)
	require.Greater(t, len(rows), 300)
	for _, row := range rows[1:] {
		var values []float64
		for _, trial := range run.Trials {
			m, ok := trial.Metrics[row[4]]
			same := trial.Experiment == row[0] && sameFactors(trial.Factors.String(), row[2]) && trial.Model == row[3]
			if ok && same && trial.Verdict != result.Invalid && m.Available() && m.Source == row[5] {
				values = append(values, m.Value)
			}
		}
		require.Equal(t, strconv.Itoa(len(values)), row[7], "%v", row)
		if len(values) == 0 {
			require.Empty(t, row[8])
			require.NotEmpty(t, row[12], "%v", row)
			continue
		}
		slices.Sort(values)
		n := len(values)
		median := (values[(n-1)/2] + values[n/2]) / 2
		got, err := strconv.ParseFloat(row[8], 64)
		require.NoError(t, err)
		require.InEpsilon(t, median+1, got+1, 1e-12, "%v", row)
		require.True(t, strings.Contains(page, "<b>"+shown(median, row[6])+"</b>"), "%v", row)
	}
}

func sameFactors(a, b string) bool {
	x, y := strings.Fields(a), strings.Fields(b)
	slices.Sort(x)
	slices.Sort(y)
	return slices.Equal(x, y)
}

// TestPlotsShowTheData reads the figures at the right of a dot plot back.
func TestPlotsShowTheData(t *testing.T) {
	dir := t.TempDir()
	run := writeFixture(t, dir, 1)
	run.Trials = run.Trials[:20] // the mix alone
	require.NoError(t, Write(run, dir))
	v := views(run)[0]
	svg := read(t, dir, "plots/game-mix-conns-500-rate-5000-latency_p99.svg")
	wellFormed(t, svg)
	for _, m := range v.Models {
		c := v.cell(m, "", key{result.LatencyP99, result.SourceLoad, "us"})
		require.Contains(t, svg, ">"+m+"<")
		require.Contains(t, svg, ">"+number(c.Summary.Median)+"<")
	}
	file, err := os.Open(filepath.Join(dir, "plots", "game-mix-conns-500-rate-5000-percentiles.png"))
	require.NoError(t, err)
	defer file.Close()
	img, err := png.Decode(file)
	require.NoError(t, err)
	r, g, b, a := img.At(1, 1).RGBA()
	require.Equal(t, [4]uint32{0xffff, 0xffff, 0xffff, 0xffff}, [4]uint32{r, g, b, a}, "white background")
	colours := map[[3]uint32]bool{}
	for x := range img.Bounds().Dx() {
		for y := range img.Bounds().Dy() {
			r, g, b, _ := img.At(x, y).RGBA()
			colours[[3]uint32{r >> 8, g >> 8, b >> 8}] = true
		}
	}
	for _, p := range paints[:4] {
		c := hex(p.light)
		require.True(t, colours[[3]uint32{uint32(c.R), uint32(c.G), uint32(c.B)}], "line of colour %s", p.light)
	}
}

func TestBenchstatReadsIt(t *testing.T) {
	dir := t.TempDir()
	run := writeFixture(t, dir, 1)
	require.NoError(t, write(run, dir))
	reader := benchfmt.NewReader(strings.NewReader(read(t, dir, "bench.txt")), "bench.txt")
	lines, units := 0, 0
	for reader.Scan() {
		switch rec := reader.Result().(type) {
		case *benchfmt.Result:
			if lines == 0 {
				require.Equal(t, "GameMix/model=nonblock/conns=500/rate=5000", string(rec.Name))
				got, ok := rec.Value("p99-us")
				require.True(t, ok)
				require.Equal(t, run.Trials[0].Metrics[result.LatencyP99].Value, got)
				require.Equal(t, 20000, rec.Iters)
			}
			lines++
		case *benchfmt.UnitMetadata:
			units++
		case *benchfmt.SyntaxError:
			t.Fatal(rec)
		}
	}
	require.NoError(t, reader.Err())
	require.Equal(t, 94, lines, "all trials but the invalid one")
	require.Greater(t, units, 20)
}

// TestPartialRuns: whatever part of a run is there, there is a page, well formed.
func TestPartialRuns(t *testing.T) {
	full := writeFixture(t, t.TempDir(), 3)
	rng := rand.New(rand.NewPCG(5, 5))
	for n := 0; n <= len(full.Trials); n += 1 + rng.IntN(40) {
		run := *full
		run.Trials = full.Trials[:n]
		page := report(t, &run)
		if n < 95 {
			require.Contains(t, page, "is incomplete")
		}
	}
	only := func(keep func(*result.Trial) bool) *result.Run {
		run := *full
		run.Trials = nil
		for _, trial := range full.Trials {
			if keep(&trial) {
				run.Trials = append(run.Trials, trial)
			}
		}
		return &run
	}
	page := report(t, only(func(t *result.Trial) bool { return t.Experiment == "blocking-curve" }))
	require.Contains(t, page, "game-mix has no usable trial of nonblock, iouring, threadlet and goroutine")
	report(t, only(func(t *result.Trial) bool { return t.Factors["blocking_share"] == "20" && t.Round == 1 }))
	report(t, only(func(t *result.Trial) bool { return t.Model == "goroutine" }))
	page = report(t, only(func(t *result.Trial) bool { return t.Verdict == result.Invalid }))
	require.Contains(t, page, nothingToSay)
	bare := *full
	bare.Environment, bare.Warnings = nil, []string{"torn last line"}
	require.Contains(t, report(t, &bare), "torn last line")
}

// TestOddRuns: names and values that nobody planned for.
func TestOddRuns(t *testing.T) {
	trial := func(model string, round int, metrics map[string]result.Metric) result.Trial {
		return result.Trial{Schema: 1, Experiment: `x<"&>/..`, Workload: "w", Model: model, Round: round, Verdict: result.Valid, Metrics: metrics,
			Factors: result.Factors{"conns": "10", "kind": `a b|c`}}
	}
	of := func(v float64) result.Metric { return result.Of(v, "us", `s<1>`) }
	for name, run := range map[string]*result.Run{
		"no metric":      {Trials: []result.Trial{trial("a", 1, nil)}},
		"unknown models": {Trials: []result.Trial{trial(`<b>"`, 1, map[string]result.Metric{"latency_p99": of(1)}), trial("zzz", 1, map[string]result.Metric{"latency_p99": of(2)})}},
		"zeros":          {Trials: []result.Trial{trial("nonblock", 1, map[string]result.Metric{"latency_p99": of(0), "cpu_per_op": of(0)}), trial("iouring", 1, map[string]result.Metric{"latency_p99": of(0), "cpu_per_op": of(3)})}},
		"huge and tiny":  {Trials: []result.Trial{trial("nonblock", 1, map[string]result.Metric{"latency_p99": of(1e-300), "rss": result.Of(1e300, "bytes", "x")}), trial("iouring", 1, map[string]result.Metric{"latency_p99": of(1e300)})}},
		"negative":       {Trials: []result.Trial{trial("nonblock", 1, map[string]result.Metric{"latency_p99": of(-5), "odd_metric": of(-1)})}},
		"two sources": {Trials: []result.Trial{trial("nonblock", 1, map[string]result.Metric{"cache_misses_per_op": result.Of(3, "1", "pmu")}),
			trial("nonblock", 2, map[string]result.Metric{"cache_misses_per_op": result.Of(30, "1", "probe")})}},
	} {
		t.Run(name, func(t *testing.T) { report(t, run) })
	}
}

func TestTwoSourcesNeverShareAFigureOrARow(t *testing.T) {
	run := writeFixture(t, t.TempDir(), 1)
	for i := range run.Trials {
		if run.Trials[i].Round == 1 {
			run.Trials[i].Metrics[result.CacheMissesPerOp] = result.Of(999, "1", result.SourcePMU)
		}
	}
	v := views(run)[0]
	keys := v.keysOf(result.CacheMissesPerOp)
	require.Len(t, keys, 2)
	slugs := map[string]bool{}
	for _, k := range keys {
		slugs[v.figureSlug(k)] = true
		for _, m := range v.Models {
			for _, p := range v.cell(m, "", k).Points {
				require.Equal(t, k.Source == result.SourcePMU, p.Value == 999)
			}
		}
	}
	require.Len(t, slugs, 2)
}

// report writes a run's report and checks what holds for every one.
func report(t *testing.T, run *result.Run) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, write(run, dir, (*figure).writeSVG)) // drawing pixels takes most of the time
	page := read(t, dir, "report.html")
	wellFormed(t, page)
	selfContained(t, page)
	for _, bad := range []string{"NaN", "Inf", "%!", "&lt;nil&gt;"} {
		require.False(t, strings.Contains(page+read(t, dir, "summary.md"), bad), bad)
	}
	plots, err := filepath.Glob(filepath.Join(dir, "plots", "*.svg"))
	require.NoError(t, err)
	require.Equal(t, strings.Count(page, "<figure "), len(plots), "a file for each figure, no name twice")
	for _, plot := range plots {
		data, err := os.ReadFile(plot)
		require.NoError(t, err)
		wellFormed(t, string(data))
		require.NotContains(t, string(data), "NaN", plot)
	}
	return page
}

func read(t *testing.T, dir, name string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, name))
	require.NoError(t, err)
	return string(data)
}

// wellFormed: the page is written as XML on purpose, so that a strict parser can
// check that every element is closed and every attribute quoted.
func wellFormed(t *testing.T, text string) {
	t.Helper()
	dec := xml.NewDecoder(strings.NewReader(text))
	dec.Entity = xml.HTMLEntity
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			line := bytes.Count([]byte(text[:dec.InputOffset()]), []byte("\n")) + 1
			t.Fatalf("line %d: %v", line, err)
		}
		if start, ok := token.(xml.StartElement); ok {
			require.NotContains(t, []string{"script", "iframe", "link", "img"}, start.Name.Local)
		}
	}
}

var (
	ids  = regexp.MustCompile(` id="([^"]+)"`)
	urls = regexp.MustCompile(`(?:href|src|url\()[="(]+([^")]+)`)
)

// selfContained: nothing is fetched, nothing runs, no id is used twice.
func selfContained(t *testing.T, page string) {
	t.Helper()
	seen := map[string]bool{}
	for _, id := range ids.FindAllStringSubmatch(page, -1) {
		require.False(t, seen[id[1]], "id %s", id[1])
		seen[id[1]] = true
	}
	for _, url := range urls.FindAllStringSubmatch(page, -1) {
		require.NotRegexp(t, `^(https?:|//|data:|javascript:)`, url[1])
	}
	require.NotContains(t, page, "@import")
	require.NotContains(t, page, "ZgotmplZ")
	require.Equal(t, strings.Count(page, `class="plot"`), strings.Count(page, `role="img" aria-label="`), "every plot has a text alternative")
	for i, p := range paints {
		require.Contains(t, page, fmt.Sprintf("--m%d:%s", i, p.dark))
	}
	require.NotRegexp(t, `style="[^"]*#[0-9A-Fa-f]{6}`, page, "a colour that does not follow the scheme")
}

// linksLead: every relative link of the page is a file or folder beside it.
func linksLead(t *testing.T, dir, page string) {
	t.Helper()
	n := 0
	for _, url := range urls.FindAllStringSubmatch(page, -1) {
		_, err := os.Stat(filepath.Join(dir, url[1]))
		require.NoError(t, err)
		n++
	}
	require.Greater(t, n, 40)
}
