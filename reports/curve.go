package reports

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// curvePoint is a median with its interval, in display units.
type curvePoint struct{ x, median, lo, hi float64 }

// curveLine is one model over the levels of a factor.
type curveLine struct {
	look   look
	points []curvePoint
}

// curves is a plotter: one line for each model with glyphs at the medians and
// bars for the intervals, models set a little apart so that bars stay readable.
type curves struct{ lines []curveLine }

// newCurves plots key's medians against the levels.
func newCurves(lines []curveLine, levels []level, xLabel, yLabel, unit string, logarithmic bool) *plot.Plot {
	p := newPlot()
	lo, hi := math.Inf(1), 0.0
	for _, l := range lines {
		for _, pt := range l.points {
			lo, hi = math.Min(lo, pt.lo), math.Max(hi, pt.hi)
		}
	}
	isLog := scaleValues(&p.Y, lo, hi, logarithmic)
	p.Y.Label.Text = axisLabel(yLabel, unit, isLog)
	scaleLevels(&p.X, levels)
	p.X.Label.Text = xLabel
	p.Add(curves{lines})
	return p
}

// scaleLevels puts a tick at each level, and a label where it does not touch the
// one before. Levels over more than two decades get a logarithmic axis.
func scaleLevels(a *plot.Axis, levels []level) {
	lo, hi := levels[0].Number, levels[len(levels)-1].Number
	a.Min, a.Max = lo, hi
	if lo == hi {
		a.Min, a.Max = lo-1, hi+1
	} else if lo > 0 && hi/lo > 100 {
		a.Scale = plot.LogScale{}
		a.Min, a.Max = lo/1.15, hi*1.15
	} else {
		// Room for glyphs and bars beside the vertical axis.
		a.Min, a.Max = lo-(hi-lo)*0.035, hi+(hi-lo)*0.02
	}
	const usable = vg.Length(240) // points of axis in a figure of wideWidth
	var ticks plot.ConstantTicks
	end := math.Inf(-1)
	for _, l := range levels {
		tick := plot.Tick{Value: l.Number}
		half := float64(a.Tick.Label.Width(l.Text)) / 2
		at := a.Norm(l.Number) * float64(usable)
		if at-half > end+3 {
			tick.Label = l.Text
			end = at + half
		}
		ticks = append(ticks, tick)
	}
	a.Tick.Marker = ticks
}

// Plot draws on the data canvas; see gonum's plot.Plotter.
func (d curves) Plot(c draw.Canvas, p *plot.Plot) {
	gridY(&c, p)
	x, y := p.Transforms(&c)
	for i, l := range d.lines {
		apart := (vg.Length(i) - vg.Length(len(d.lines)-1)/2) * 1.6
		line := make([]vg.Point, len(l.points))
		for j, pt := range l.points {
			line[j] = vg.Point{X: x(pt.x) + apart, Y: y(pt.median)}
			bar := draw.LineStyle{Color: l.look.color(), Width: 1}
			c.StrokeLine2(bar, line[j].X, y(pt.lo), line[j].X, y(pt.hi))
			for _, end := range []float64{pt.lo, pt.hi} {
				c.StrokeLine2(bar, line[j].X-2.5, y(end), line[j].X+2.5, y(end))
			}
		}
		c.StrokeLines(draw.LineStyle{Color: l.look.color(), Width: 1.5, Dashes: l.look.dashes}, line)
	}
	// Glyphs last, so that no line crosses one.
	for i, l := range d.lines {
		apart := (vg.Length(i) - vg.Length(len(d.lines)-1)/2) * 1.6
		for _, pt := range l.points {
			l.look.glyph(&c, vg.Point{X: x(pt.x) + apart, Y: y(pt.median)}, 3.2, false)
		}
	}
}
