package reports

import (
	"bytes"
	"fmt"
	"html"
	"image/color"
	"io"
	"math"
	"os"
	"regexp"
	"strings"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/text"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgsvg"
)

// Colours of everything that is not a model. The page's SVG gets CSS variables
// in their place.
const (
	inkHex   = "#1C1C1E"
	mutedHex = "#66666B"
	gridHex  = "#DEDEE2"
)

// Figures are narrow on purpose: scaled to a phone's width the text is still of
// a readable size.
const (
	wideWidth   = vg.Length(312)
	narrowWidth = vg.Length(290)
)

// figure is one plot with the words around it.
type figure struct {
	// Slug names the files and the anchor.
	Slug  string
	Title string
	// Caption says what to see; Alt tells the same data to who cannot see it.
	Caption, Alt string
	// Wide figures get more room on the page, tall ones that of two others.
	Wide, Tall    bool
	width, height vg.Length
	// legend is empty where the rows are labelled themselves.
	legend []look
	plot   func() *plot.Plot
	// right is room beside the data, for labels that plotters draw there.
	right vg.Length
}

// draw paints title, legend strip and plot, from top to bottom: nothing can
// cover the data.
func (f *figure) draw(c draw.Canvas) {
	top := c.Max.Y - 4
	title := textStyle(11, inkHex)
	title.Font.Weight = boldWeight
	title.YAlign = draw.YTop
	for _, line := range wrap(title, f.Title, c.Max.X-c.Min.X-8) {
		c.FillText(title, vg.Point{X: c.Min.X + 4, Y: top}, line)
		top -= 14
	}
	top -= 3
	if len(f.legend) > 0 {
		top = drawLegend(&c, f.legend, top) - 3
	}
	p := f.plot()
	drawLabeled(p, draw.Crop(c, 4, -f.right-8, 4, top-c.Max.Y), f.right)
}

// drawLabeled draws the plot with its axis labels outside of it. gonum would
// reserve room for a label at the middle of the axis' values, which on a
// logarithmic axis is far from the middle of its length.
func drawLabeled(p *plot.Plot, c draw.Canvas, right vg.Length) {
	xLabel, yLabel := p.X.Label.Text, p.Y.Label.Text
	p.X.Label.Text, p.Y.Label.Text = "", ""
	style := textStyle(9.5, mutedHex)
	style.XAlign = draw.XCenter
	inner := c
	if xLabel != "" {
		inner.Min.Y += 14
	}
	if yLabel != "" {
		inner.Min.X += 14
	}
	p.Draw(inner)
	data := p.DataCanvas(inner)
	if xLabel != "" {
		style.YAlign = draw.YBottom
		half := style.Width(xLabel) / 2
		// Centred below the data, but never out of the figure.
		x := max(c.Min.X+half, min(data.Center().X, c.Max.X+right-half))
		c.FillText(style, vg.Point{X: x, Y: c.Min.Y}, xLabel)
	}
	if yLabel != "" {
		style.YAlign, style.Rotation = draw.YTop, math.Pi/2
		c.FillText(style, vg.Point{X: c.Min.X, Y: data.Center().Y}, yLabel)
	}
}

// drawLegend writes glyph and name of each model, wrapping, and returns the y
// below the last row.
func drawLegend(c *draw.Canvas, models []look, top vg.Length) vg.Length {
	style := textStyle(10, inkHex)
	style.YAlign = draw.YCenter
	const row, line, gap = 14, 20, 12
	x, y := c.Min.X+4, top-row/2
	for _, l := range models {
		width := line + 4 + style.Width(l.model)
		if x+width > c.Max.X && x > c.Min.X+4 {
			x, y = c.Min.X+4, y-row
		}
		c.StrokeLine2(draw.LineStyle{Color: l.color(), Width: 1.4, Dashes: l.dashes}, x, y, x+line, y)
		l.glyph(c, vg.Point{X: x + line/2, Y: y}, 3.4, false)
		c.FillText(style, vg.Point{X: x + line + 4, Y: y}, l.model)
		x += width + gap
	}
	return y - row/2
}

// newPlot has the project's fonts, colours and no background.
func newPlot() *plot.Plot {
	p := plot.New()
	p.BackgroundColor = nil
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.Color = hex(mutedHex)
		a.Tick.Color = hex(mutedHex)
		a.Tick.Length = 4
		a.Padding = 3
		ticks := textStyle(9.5, inkHex)
		ticks.XAlign, ticks.YAlign = a.Tick.Label.XAlign, a.Tick.Label.YAlign
		a.Tick.Label = ticks
	}
	// gonum raises labels of the vertical axis by the font's descent.
	p.Y.Tick.Label.YAlign = -0.68
	return p
}

// boldWeight is WeightBold of golang.org/x/image/font, which is no direct dependency.
const boldWeight = 3

func textStyle(size vg.Length, colour string) text.Style {
	return text.Style{
		Color:   hex(colour),
		Font:    font.From(font.Font{Typeface: "Liberation", Variant: "Sans"}, size),
		XAlign:  draw.XLeft,
		Handler: plot.DefaultTextHandler,
	}
}

// wrap breaks at spaces so that lines fit the width.
func wrap(style text.Style, s string, width vg.Length) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(s) {
		if longer := strings.TrimSpace(line + " " + word); line != "" && style.Width(longer) > width {
			lines = append(lines, line)
			line = word
		} else {
			line = longer
		}
	}
	return append(lines, line)
}

// writeSVG writes base.svg, on white and for any viewer's fonts.
func (f *figure) writeSVG(base string) error {
	svg := vgsvg.New(f.width, f.height)
	f.paintOn(svg, color.White)
	var out bytes.Buffer
	if _, err := svg.WriteTo(&out); err != nil {
		return fmt.Errorf("draw %s: %w", f.Slug, err)
	}
	portable := strings.ReplaceAll(out.String(), "font-family:Liberation Sans;", "font-family:'Liberation Sans',Arial,Helvetica,sans-serif;")
	if err := os.WriteFile(base+".svg", []byte(portable), 0o644); err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	return nil
}

// writePNG writes base.png, on white.
func (f *figure) writePNG(base string) error {
	img := vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(f.width, f.height), vgimg.UseDPI(192))}
	f.paintOn(img, color.White)
	return writeTo(base+".png", img)
}

func (f *figure) paintOn(canvas vg.CanvasSizer, background color.Color) {
	c := draw.New(canvas)
	if background != nil {
		c.SetColor(background)
		c.Fill(c.Rectangle.Path())
	}
	f.draw(c)
}

func writeTo(path string, from io.WriterTo) error {
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("write plot: %w", err)
	}
	if _, err := from.WriteTo(file); err != nil {
		file.Close()
		return fmt.Errorf("write plot %s: %w", path, err)
	}
	return file.Close()
}

var (
	svgHead  = regexp.MustCompile(`(?s)^.*?<svg[^>]*>`)
	svgFonts = regexp.MustCompile(`font-family:[^;]*;font-variant:[^;]*;font-weight:normal;font-style:normal;`)
	svgBold  = regexp.MustCompile(`font-family:[^;]*;font-variant:[^;]*;(font-weight:bold;)font-style:normal;`)
)

// pageSVG is the figure for the page: no background, colours as CSS variables so
// that they follow the reader's scheme, fonts from the page's style sheet.
func (f *figure) pageSVG() (string, error) {
	canvas := vgsvg.New(f.width, f.height)
	f.paintOn(canvas, nil)
	var out bytes.Buffer
	if _, err := canvas.WriteTo(&out); err != nil {
		return "", fmt.Errorf("draw %s: %w", f.Slug, err)
	}
	head := fmt.Sprintf(`<svg class="plot" viewBox="0 0 %g %g" role="img" aria-label="%s" xmlns="http://www.w3.org/2000/svg">`,
		float64(f.width), math.Ceil(float64(f.height)), html.EscapeString(f.Alt))
	svg := svgHead.ReplaceAllLiteralString(out.String(), head)
	svg = svgFonts.ReplaceAllString(svg, "")
	svg = svgBold.ReplaceAllString(svg, "$1")
	pairs := []string{inkHex, "var(--ink)", mutedHex, "var(--muted)", gridHex, "var(--grid)"}
	for i, p := range paints {
		pairs = append(pairs, p.light, fmt.Sprintf("var(--m%d)", i))
	}
	return strings.NewReplacer(pairs...).Replace(svg), nil
}
