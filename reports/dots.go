package reports

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// dotRow is one model's rounds of one key, in display units.
type dotRow struct {
	look   look
	points []point
	// median, lo and hi mean something only if there are points.
	median, lo, hi float64
	interval       bool
	// note stands in the row's place if there are no points.
	note string
}

// dots is a plotter: a row for each model, a small mark for each round, the
// median large, its interval as a bar, and the median's figure at the right.
// Names on the vertical axis cannot run into one another.
type dots struct{ rows []dotRow }

// textMiddle puts the middle of digits, not of the line, at a point.
const textMiddle = draw.YAlignment(-0.38)

const dotRowHeight = vg.Length(23)

// newDots is the plot of one key.
func newDots(rows []dotRow, label, unit string) *plot.Plot {
	p := newPlot()
	lo, hi := math.Inf(1), 0.0
	names := make(plot.ConstantTicks, len(rows))
	for i, r := range rows {
		names[i] = plot.Tick{Value: float64(len(rows) - 1 - i), Label: r.look.model}
		for _, pt := range r.points {
			lo, hi = math.Min(lo, pt.Value), math.Max(hi, pt.Value)
		}
	}
	// A wide spread would press the lower models against zero.
	wide := lo > 0 && hi/lo > 8
	isLog := scaleValues(&p.X, lo, hi, wide)
	p.X.Label.Text = axisLabel(label, unit, isLog)
	p.Y.Min, p.Y.Max = -0.5, float64(len(rows))-0.5
	p.Y.Tick.Marker = names
	p.Y.Tick.Length = 0
	p.Y.Width = 0
	p.Add(dots{rows})
	return p
}

// Plot draws on the data canvas; see gonum's plot.Plotter.
func (d dots) Plot(c draw.Canvas, p *plot.Plot) {
	gridX(&c, p)
	x, y := p.Transforms(&c)
	style := textStyle(9.5, inkHex)
	style.YAlign = textMiddle
	muted := textStyle(9.5, mutedHex)
	muted.YAlign = textMiddle
	for i, r := range d.rows {
		at := y(float64(len(d.rows) - 1 - i))
		if len(r.points) == 0 {
			c.FillText(muted, vg.Point{X: c.Min.X + 4, Y: at}, r.note)
			continue
		}
		if r.interval {
			c.StrokeLine2(draw.LineStyle{Color: r.look.color(), Width: 1.6}, x(r.lo), at, x(r.hi), at)
			for _, end := range []float64{r.lo, r.hi} {
				c.StrokeLine2(draw.LineStyle{Color: r.look.color(), Width: 1.6}, x(end), at-3.5, x(end), at+3.5)
			}
		}
		for n, pt := range r.points {
			// Rounds fan out below the bar so that equal values stay countable.
			off := -6 - vg.Length(n%3)*1.6
			r.look.glyph(&c, vg.Point{X: x(pt.Value), Y: at + off}, 1.9, pt.Suspect)
		}
		r.look.glyph(&c, vg.Point{X: x(r.median), Y: at}, 4, false)
		c.FillText(style, vg.Point{X: c.Max.X + 8, Y: at}, number(r.median))
	}
}
