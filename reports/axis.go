package reports

import (
	"math"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// scaleValues sets an axis for values in display units: linear from zero, or
// logarithmic if asked for and possible. It reports which.
func scaleValues(a *plot.Axis, lo, hi float64, logarithmic bool) bool {
	if !logarithmic || !(lo > 0) {
		top, ticks := linearTicks(math.Max(hi, 0))
		a.Min, a.Max = math.Min(lo, 0), top
		a.Tick.Marker = ticks
		return false
	}
	lo, hi = lo/1.12, hi*1.12
	// Less than a factor of four looks like a cliff on a logarithmic axis.
	if hi/lo < 4 {
		mid := math.Sqrt(lo * hi)
		lo, hi = mid/2, mid*2
	}
	a.Min, a.Max = lo, hi
	a.Scale = plot.LogScale{}
	a.Tick.Marker = logTicks(lo, hi)
	return true
}

// linearTicks are three to six round steps from 0 to above hi.
func linearTicks(hi float64) (top float64, ticks plot.ConstantTicks) {
	if hi <= 0 {
		hi = 1
	}
	hi *= 1.04
	unit := math.Pow10(int(math.Floor(math.Log10(hi))))
	step := unit
	for _, s := range []float64{0.2, 0.25, 0.5, 1, 2, 2.5, 5} {
		if hi/(s*unit) <= 5 {
			step = s * unit
			break
		}
	}
	for i := 0; ; i++ {
		v := float64(i) * step
		if v > hi {
			break
		}
		ticks = append(ticks, plot.Tick{Value: v, Label: number(v)})
	}
	return hi, ticks
}

// logTicks labels decades, or 1-2-5, or every digit, whichever first gives three
// labels; all other digits are minor ticks. Of many decades it labels some.
func logTicks(lo, hi float64) plot.ConstantTicks {
	if math.Log10(hi/lo) > 6 {
		return decadeTicks(lo, hi)
	}
	var ticks plot.ConstantTicks
	for _, labelled := range []string{"1", "125", "1235", "123456789"} {
		ticks = nil
		count := 0
		for exp := math.Floor(math.Log10(lo)); exp <= math.Ceil(math.Log10(hi)); exp++ {
			for digit := 1.0; digit < 10; digit++ {
				v := digit * math.Pow(10, exp)
				if v < lo || v > hi {
					continue
				}
				tick := plot.Tick{Value: v}
				if containsDigit(labelled, digit) {
					tick.Label = number(v)
					count++
				}
				ticks = append(ticks, tick)
			}
		}
		if count >= 3 {
			break
		}
	}
	return ticks
}

// decadeTicks are four to six powers of ten.
func decadeTicks(lo, hi float64) plot.ConstantTicks {
	first, last := math.Ceil(math.Log10(lo)), math.Floor(math.Log10(hi))
	step := math.Max(1, math.Ceil((last-first)/5))
	var ticks plot.ConstantTicks
	for exp := first; exp <= last; exp += step {
		v := math.Pow(10, exp)
		ticks = append(ticks, plot.Tick{Value: v, Label: number(v)})
	}
	return ticks
}

func containsDigit(set string, digit float64) bool {
	for _, r := range set {
		if float64(r-'0') == digit {
			return true
		}
	}
	return false
}

// gridX and gridY draw a line at each labelled tick of an axis.
func gridX(c *draw.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(c)
	for _, t := range p.X.Tick.Marker.Ticks(p.X.Min, p.X.Max) {
		if !t.IsMinor() {
			c.StrokeLine2(gridStyle(), x(t.Value), c.Min.Y, x(t.Value), c.Max.Y)
		}
	}
}

func gridY(c *draw.Canvas, p *plot.Plot) {
	_, y := p.Transforms(c)
	for _, t := range p.Y.Tick.Marker.Ticks(p.Y.Min, p.Y.Max) {
		if !t.IsMinor() {
			c.StrokeLine2(gridStyle(), c.Min.X, y(t.Value), c.Max.X, y(t.Value))
		}
	}
}

func gridStyle() draw.LineStyle { return draw.LineStyle{Color: hex(gridHex), Width: vg.Points(0.6)} }

// axisLabel is "latency, p99 (µs, logarithmic)".
func axisLabel(what, unit string, logarithmic bool) string {
	_, text := display(unit)
	switch {
	case text != "" && logarithmic:
		return what + " (" + text + ", logarithmic)"
	case text != "":
		return what + " (" + text + ")"
	case logarithmic:
		return what + " (logarithmic)"
	default:
		return what
	}
}
