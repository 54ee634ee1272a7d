package reports

import (
	"maps"
	"math"
	"slices"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// maxPercentile cuts the axis: beyond it a trial of some thousand requests has
// single requests only.
const maxPercentile = 99.99

// minPercentile begins it: below the median every server is quick.
const minPercentile = 50

// percentileLine is the median over rounds of each percentile of a distribution.
// Percentiles that fewer than half of the rounds have are left out. Trials
// without distributions give what their percentile metrics say.
func (v *view) percentileLine(model, levelText, distribution string) []result.Point {
	values := map[float64][]float64{}
	rounds := 0
	for _, t := range v.Trials {
		if !t.Counted() || t.Model != model || t.Factors[v.Factor] != levelText {
			continue
		}
		rounds++
		points := t.Distributions[distribution]
		if len(points) == 0 && distribution == "latency" {
			points = metricPoints(t)
		}
		last := -1.0
		for _, p := range points {
			if p.Percentile() >= minPercentile && p.Percentile() <= maxPercentile && p.Percentile() > last {
				values[p.Percentile()] = append(values[p.Percentile()], p.ValueUs())
				last = p.Percentile()
			}
		}
	}
	var line []result.Point
	for _, pct := range slices.Sorted(maps.Keys(values)) {
		if 2*len(values[pct]) >= rounds {
			line = append(line, result.Point{pct, stats.Summarize(values[pct]).Median})
		}
	}
	return line
}

func metricPoints(t *result.Trial) []result.Point {
	var points []result.Point
	for _, m := range []struct {
		pct  float64
		name string
	}{{50, result.LatencyP50}, {90, result.LatencyP90}, {99, result.LatencyP99}, {99.9, result.LatencyP999}} {
		if value, ok := t.Value(m.name); ok {
			points = append(points, result.Point{m.pct, value})
		}
	}
	return points
}

// percentiles is a plotter of latency against 1/(1-p) on a logarithmic axis, so
// that each further nine takes the same room.
type percentiles struct {
	lines []percentileCurve
}

type percentileCurve struct {
	look   look
	points []result.Point
}

// nines is the place of a percentile on the axis.
func nines(percentile float64) float64 { return 100 / (100 - percentile) }

func newPercentiles(lines []percentileCurve) *plot.Plot {
	p := newPlot()
	lo, hi, end := math.Inf(1), 0.0, 90.0
	for _, l := range lines {
		for _, pt := range l.points {
			if pt.ValueUs() > 0 {
				lo = math.Min(lo, pt.ValueUs())
			}
			hi, end = math.Max(hi, pt.ValueUs()), math.Max(end, pt.Percentile())
		}
	}
	scaleValues(&p.Y, lo, hi, true)
	p.Y.Label.Text = "latency (µs, logarithmic)"
	p.X.Scale = plot.LogScale{}
	p.X.Min, p.X.Max = nines(minPercentile)/1.25, nines(end)*1.1
	p.X.Tick.Marker = plot.ConstantTicks{
		{Value: nines(50), Label: "50 %"}, {Value: nines(90), Label: "90 %"},
		{Value: nines(99), Label: "99 %"}, {Value: nines(99.9), Label: "99.9 %"}, {Value: nines(99.99), Label: "99.99 %"},
	}
	p.X.Label.Text = "percentile of requests (each further nine takes the same room)"
	p.Add(percentiles{lines})
	return p
}

// Plot draws on the data canvas; see gonum's plot.Plotter.
func (d percentiles) Plot(c draw.Canvas, p *plot.Plot) {
	gridY(&c, p)
	gridX(&c, p)
	x, y := p.Transforms(&c)
	for _, l := range d.lines {
		var line []vg.Point
		for _, pt := range l.points {
			if pt.ValueUs() > 0 || p.Y.Min <= 0 {
				line = append(line, vg.Point{X: x(nines(pt.Percentile())), Y: y(pt.ValueUs())})
			}
		}
		c.StrokeLines(draw.LineStyle{Color: l.look.color(), Width: 1.5, Dashes: l.look.dashes}, line)
	}
	for _, l := range d.lines {
		for _, pt := range l.points {
			if marked(pt.Percentile()) && (pt.ValueUs() > 0 || p.Y.Min <= 0) {
				l.look.glyph(&c, vg.Point{X: x(nines(pt.Percentile())), Y: y(pt.ValueUs())}, 3.2, false)
			}
		}
	}
}

// marked percentiles carry glyphs; between them the line alone is enough.
func marked(pct float64) bool {
	return slices.Contains([]float64{50, 90, 99, 99.9, 99.99}, pct)
}
