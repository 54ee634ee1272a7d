package reports

import (
	"fmt"
	"math"
	"strings"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/stats"
	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// Latency over the measured time: whether a server was steady, or warmed up, drifted,
// or stood still for a while. One figure for each percentile, a line for each model.

// timeLine is one model over the measured time: seconds, and the median over rounds
// of a percentile of each slice.
type timeLine struct {
	look   look
	points [][2]float64
}

// overTime are the figures of the view's last level; none without slices, as in runs
// of older versions.
func (v *view) overTime(lk map[string]look) []*figure {
	at := v.Levels[len(v.Levels)-1].Text
	var out []*figure
	for _, p := range []struct {
		name, title string
		of          func(*result.Slice) float64
	}{
		{"p50", "Median latency over time", func(s *result.Slice) float64 { return s.P50Us }},
		{"p99", "P99 latency over time", func(s *result.Slice) float64 { return s.P99Us }},
	} {
		var lines []timeLine
		var legend []look
		var alt []string
		for _, m := range v.Models {
			points := v.timeLine(m, at, p.of)
			if len(points) < 2 {
				continue
			}
			lines, legend = append(lines, timeLine{lk[m], points}), append(legend, lk[m])
			alt = append(alt, fmt.Sprintf("%s from %s at the beginning to %s at the end, highest %s", m, number(points[0][1]), number(points[len(points)-1][1]), number(highest(points))))
		}
		if len(lines) == 0 {
			continue
		}
		out = append(out, &figure{Slug: v.slug() + "-over-time-" + p.name, Title: p.title + v.at(at), Wide: true,
			Caption: "Each point is the median over the rounds of that slice of the measured time. A level line is a steady server; a rise at the end, a queue that grows.",
			Alt:     p.title + " in µs, by model: " + strings.Join(alt, "; ") + ".",
			width:   wideWidth, height: 200, legend: legend, plot: func() *plot.Plot { return newTimeLines(lines) }})
	}
	return out
}

// timeLine is the median over the rounds of each slice in which an answer came.
func (v *view) timeLine(model, levelText string, of func(*result.Slice) float64) [][2]float64 {
	var values [][]float64
	var offsets []float64
	for _, t := range v.Trials {
		if !t.Counted() || t.Model != model || t.Factors[v.Factor] != levelText {
			continue
		}
		for i := range t.Series {
			s := &t.Series[i]
			if i == len(values) {
				values, offsets = append(values, nil), append(offsets, s.OffsetS+s.DurationS/2)
			}
			if s.Answered > 0 {
				values[i] = append(values[i], of(s))
			}
		}
	}
	var points [][2]float64
	for i, of := range values {
		if len(of) > 0 {
			points = append(points, [2]float64{offsets[i], stats.Summarize(of).Median})
		}
	}
	return points
}

func highest(points [][2]float64) float64 {
	most := 0.0
	for _, p := range points {
		most = max(most, p[1])
	}
	return most
}

// timeLines is a plotter: lines, and a glyph at the end of each.
type timeLines struct{ lines []timeLine }

func newTimeLines(lines []timeLine) *plot.Plot {
	p := newPlot()
	lo, hi, end := math.Inf(1), 0.0, 0.0
	for _, l := range lines {
		for _, pt := range l.points {
			lo, hi, end = min(lo, pt[1]), max(hi, pt[1]), max(end, pt[0])
		}
	}
	isLog := scaleValues(&p.Y, lo, hi, lo > 0 && hi/lo > 8)
	p.Y.Label.Text = axisLabel("latency", "us", isLog)
	top, ticks := linearTicks(end)
	p.X.Min, p.X.Max, p.X.Tick.Marker = 0, top, ticks
	p.X.Label.Text = "time since the warm-up ended (s)"
	p.Add(timeLines{lines})
	return p
}

// Plot draws on the data canvas; see gonum's plot.Plotter.
func (d timeLines) Plot(c draw.Canvas, p *plot.Plot) {
	gridY(&c, p)
	x, y := p.Transforms(&c)
	for _, l := range d.lines {
		line := make([]vg.Point, len(l.points))
		for i, pt := range l.points {
			line[i] = vg.Point{X: x(pt[0]), Y: y(pt[1])}
		}
		c.StrokeLines(draw.LineStyle{Color: l.look.color(), Width: 1.5, Dashes: l.look.dashes}, line)
	}
	for _, l := range d.lines {
		last := l.points[len(l.points)-1]
		l.look.glyph(&c, vg.Point{X: x(last[0]), Y: y(last[1])}, 3.2, false)
	}
}
