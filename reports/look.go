package reports

import (
	"fmt"
	"hash/fnv"
	"html/template"
	"image/color"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// look is how a model is recognised: colour for most, glyph for everyone.
type look struct {
	model string
	// slot indexes paints and shapes, and names the CSS variable.
	slot int
	// dashes tell baselines and variants (dashed) from the three models.
	dashes []vg.Length
}

// paint is a colour in both schemes. The light ones have a contrast of at least
// 3:1 on white, the dark ones on the dark page. Hues follow Okabe and Ito's
// palette for colour-blind readers, darkened where white paper asks for it.
type paint struct{ light, dark string }

var paints = []paint{
	{"#0072B2", "#5DB7F0"}, // nonblock
	{"#BF6900", "#F0A532"}, // iouring
	{"#00805C", "#2CCB9C"}, // threadlet
	{"#B0407F", "#EB9BCB"}, // goroutine
	{"#4D4D4D", "#C9C9C9"}, // nonblock-inline

	// Servers that are not ours are muted, so that ours stand out before them.
	{"#7C6E9C", "#A99FC6"}, // gnet
	{"#56808F", "#8FB3C1"}, // nbio
	{"#93705A", "#C2A38C"}, // netpoll
	{"#6C8256", "#A3B98D"}, // evio
	{"#9A6680", "#C998AF"}, // net
	{"#46546B", "#A5B2C9"}, // c-epoll
	{"#75693B", "#BCAF80"}, // c-iouring
	{"#4A7C6B", "#88B8A8"}, // nginx
	{"#5E7A3F", "#A2BC84"}, // nginx-cached
	{"#86698F", "#B99DC1"}, // net-http
	{"#8A6B5B", "#BFA294"}, // fio-psync
	{"#5B7391", "#9AB0CC"}, // fio-libaio
	{"#7A7044", "#BDB388"}, // fio-io_uring
	{"#3F7A78", "#86B8B6"}, // fio-io_uring-fixed

	{"#6A51A3", "#B7A6EE"}, // any other
	{"#8A6A10", "#D9C06A"},
	{"#147F8C", "#6AD3E2"},
}

// shapes are outlines in units of the glyph's radius, y upwards.
var shapes = [][][2]float64{
	regular(24, 0.95, 0), // circle
	{{0, 1.15}, {1.05, -0.8}, {-1.05, -0.8}},
	{{-0.88, -0.88}, {-0.88, 0.88}, {0.88, 0.88}, {0.88, -0.88}},
	{{0, 1.25}, {1.05, 0}, {0, -1.25}, {-1.05, 0}},
	cross(math.Pi / 4),

	regular(5, 1.1, math.Pi/2), // gnet
	star(5, math.Pi/2),
	{{-1.15, 0}, {0.8, 1.05}, {0.8, -1.05}},
	{{1.15, 0}, {-0.8, 1.05}, {-0.8, -1.05}},
	star(4, math.Pi/2),
	{{-0.95, 1}, {0.95, 1}, {-0.95, -1}, {0.95, -1}},
	{{-1, 0.95}, {-1, -0.95}, {1, 0.95}, {1, -0.95}},
	{{-1.15, 0.45}, {1.15, 0.45}, {1.15, -0.45}, {-1.15, -0.45}},
	{{-0.45, 1.15}, {0.45, 1.15}, {0.45, -1.15}, {-0.45, -1.15}},
	regular(5, 1.1, math.Pi/2), // in experiments without the first of this shape
	star(5, math.Pi/2),
	star(4, math.Pi/2),
	{{-0.95, 1}, {0.95, 1}, {-0.95, -1}, {0.95, -1}},
	{{-1, 0.95}, {-1, -0.95}, {1, 0.95}, {1, -0.95}},

	{{0, -1.15}, {1.05, 0.8}, {-1.05, 0.8}}, // any other
	regular(6, 1.05, 0),
	cross(0),
}

// known models and servers have fixed slots. The order is that of all tables and
// plots: ours, other Go libraries, plain C, whole programs.
var known = []string{"nonblock", "iouring", "threadlet", "goroutine", "nonblock-inline",
	"gnet", "nbio", "netpoll", "evio", "net", "c-epoll", "c-iouring", "nginx", "nginx-cached", "net-http", "fio-psync", "fio-libaio", "fio-io_uring", "fio-io_uring-fixed"}

// ourModels are the first of known.
const ourModels = 5

var modelDashes = map[string][]vg.Length{
	"goroutine":       {5, 2.5},
	"nonblock-inline": {1.5, 2},
}

// foreignDashes are those of servers that are not ours.
var foreignDashes = []vg.Length{3, 2}

func dashesOf(model string) []vg.Length {
	if isForeign(model) {
		return foreignDashes
	}
	return modelDashes[model]
}

// looks assigns a look to each model. Unknown models get one of the other slots
// by a hash of the name, so that a model looks alike in every run unless two
// unknown ones collide.
func looks(models []string) map[string]look {
	out := make(map[string]look, len(models))
	taken := make([]bool, len(paints))
	for _, m := range ordered(models) {
		slot := slices.Index(known, m)
		if slot < 0 {
			others := len(paints) - len(known)
			h := fnv.New32a()
			h.Write([]byte(m))
			first := int(h.Sum32() % uint32(others))
			slot = len(known) + first
			for i := range others {
				if s := len(known) + (first+i)%others; !taken[s] {
					slot = s
					break
				}
			}
			taken[slot] = true
		}
		out[m] = look{model: m, slot: slot, dashes: dashesOf(m)}
	}
	return out
}

// ordered sorts models: the known ones in their order, others by name.
func ordered(models []string) []string {
	rank := func(m string) int {
		if i := slices.Index(known, m); i >= 0 {
			return i
		}
		return len(known)
	}
	out := slices.Clone(models)
	slices.SortFunc(out, func(a, b string) int {
		if ra, rb := rank(a), rank(b); ra != rb {
			return ra - rb
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(out)
}

func (l look) color() color.Color { return hex(paints[l.slot].light) }

// glyph draws the model's mark; hollow marks stand for suspect rounds.
func (l look) glyph(c *draw.Canvas, at vg.Point, radius vg.Length, hollow bool) {
	var path vg.Path
	for i, p := range shapes[l.slot] {
		pt := vg.Point{X: at.X + radius*vg.Length(p[0]), Y: at.Y + radius*vg.Length(p[1])}
		if i == 0 {
			path.Move(pt)
		} else {
			path.Line(pt)
		}
	}
	path.Close()
	c.SetColor(l.color())
	if hollow {
		c.SetLineStyle(draw.LineStyle{Color: l.color(), Width: 1})
		c.Stroke(path)
		return
	}
	c.Fill(path)
}

// Mark is the same glyph for running text, hidden from screen readers because
// the name stands beside it.
func (l look) Mark() template.HTML {
	var pts []string
	for _, p := range shapes[l.slot] {
		pts = append(pts, fmt.Sprintf("%.2f,%.2f", 8+5.6*p[0], 8-5.6*p[1]))
	}
	return template.HTML(fmt.Sprintf(`<svg class="mark" viewBox="0 0 16 16" aria-hidden="true"><polygon points="%s" style="fill:var(--m%d)"/></svg>`,
		strings.Join(pts, " "), l.slot))
}

func regular(n int, r, turn float64) [][2]float64 {
	out := make([][2]float64, n)
	for i := range out {
		sin, cos := math.Sincos(turn + 2*math.Pi*float64(i)/float64(n))
		out[i] = [2]float64{r * cos, r * sin}
	}
	return out
}

// star has n points.
func star(n int, turn float64) [][2]float64 {
	out := make([][2]float64, 2*n)
	for i := range out {
		r := 1.25
		if i%2 == 1 {
			r = 0.55
		}
		sin, cos := math.Sincos(turn + math.Pi*float64(i)/float64(n))
		out[i] = [2]float64{r * cos, r * sin}
	}
	return out
}

func cross(turn float64) [][2]float64 {
	const arm, half = 1.2, 0.36
	plus := [][2]float64{{half, half}, {half, arm}, {-half, arm}, {-half, half}, {-arm, half}, {-arm, -half},
		{-half, -half}, {-half, -arm}, {half, -arm}, {half, -half}, {arm, -half}, {arm, half}}
	sin, cos := math.Sincos(turn)
	for i, p := range plus {
		plus[i] = [2]float64{p[0]*cos - p[1]*sin, p[0]*sin + p[1]*cos}
	}
	return plus
}

// hex parses "#RRGGBB".
func hex(s string) color.NRGBA {
	var r, g, b uint8
	fmt.Sscanf(s, "#%02X%02X%02X", &r, &g, &b)
	return color.NRGBA{R: r, G: g, B: b, A: 255}
}

// Name is the model's.
func (l look) Name() string { return l.model }
