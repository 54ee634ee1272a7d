package datapack

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/syslet/syslet/workloads/game/world"
)

type manifest struct {
	maps   []string
	starts []start
}

type start struct {
	name string
	line int
}

// draft is a map whose portals name their targets but do not point to them yet.
type draft struct {
	file    string
	m       *world.Map
	portals []portal
	size    bool // the size was given
}

type portal struct {
	letter byte
	to     string
	x, y   int
	line   int
	used   bool
}

func (d *draft) errorf(line int, format string, a ...any) error {
	return &Error{d.file, line, fmt.Sprintf(format, a...)}
}

// fields are the words of a line without its comment.
func fields(line string) []string {
	line, _, _ = strings.Cut(line, "#")
	return strings.Fields(line)
}

func parseManifest(file, text string) (*manifest, error) {
	m := &manifest{}
	seen := map[string]bool{}
	for i, line := range lines(text) {
		bad := func(format string, a ...any) error { return &Error{file, i + 1, fmt.Sprintf(format, a...)} }
		f := fields(line)
		switch {
		case len(f) == 0:
		case len(f) != 2 || f[0] != "map" && f[0] != "start":
			return nil, bad("want: map NAME, or: start NAME")
		case !validMapName(f[1]):
			return nil, bad("%q is no name: want 1 to 32 of a-z 0-9 _ -", f[1])
		case f[0] == "start":
			m.starts = append(m.starts, start{f[1], i + 1})
		case seen[f[1]]:
			return nil, bad("map %s was named before", f[1])
		case len(m.maps) == world.MaxMaps:
			return nil, bad("more than %d maps", world.MaxMaps)
		default:
			seen[f[1]] = true
			m.maps = append(m.maps, f[1])
		}
	}
	if len(m.starts) == 0 {
		return nil, &Error{file, 0, "no start: want at least one map and start"}
	}
	return m, nil
}

func validMapName(s string) bool {
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// lines are the lines of a text, without line ends and without a last empty one.
func lines(text string) []string {
	text = strings.ReplaceAll(text, "\r\n", "\n")
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// parseMap reads a map file.
func parseMap(file, name, text string) (*draft, error) {
	d := &draft{file: file, m: &world.Map{Name: name}}
	all := lines(text)
	for i, line := range all {
		f := fields(line)
		if len(f) == 0 {
			continue
		}
		switch f[0] {
		case "size":
			if err := d.parseSize(i+1, f); err != nil {
				return nil, err
			}
		case "portal":
			if err := d.parsePortal(i+1, f); err != nil {
				return nil, err
			}
		case "tiles":
			if len(f) != 1 {
				return nil, d.errorf(i+1, "tiles stands alone in its line")
			}
			return d, d.parseTiles(i+2, all[i+1:])
		default:
			return nil, d.errorf(i+1, "%q is not one of size, portal, tiles", f[0])
		}
	}
	return nil, d.errorf(0, "there are no tiles")
}

func (d *draft) parseSize(line int, f []string) error {
	if d.size {
		return d.errorf(line, "size was given before")
	}
	if len(f) != 3 {
		return d.errorf(line, "want: size WIDTH HEIGHT")
	}
	w, okW := number(f[1])
	h, okH := number(f[2])
	if !okW || !okH || min(w, h) < world.MinSide || max(w, h) > world.MaxSide {
		return d.errorf(line, "size %s %s: want numbers from %d to %d", f[1], f[2], world.MinSide, world.MaxSide)
	}
	d.m.W, d.m.H, d.size = w, h, true
	return nil
}

func number(s string) (int, bool) {
	n, err := strconv.ParseUint(s, 10, 16)
	return int(n), err == nil
}

func (d *draft) parsePortal(line int, f []string) error {
	if len(f) != 5 || len(f[1]) != 1 || !isLetter(f[1][0]) || !validMapName(f[2]) {
		return d.errorf(line, "want: portal LETTER MAP COLUMN ROW")
	}
	x, okX := number(f[3])
	y, okY := number(f[4])
	if !okX || !okY {
		return d.errorf(line, "%s %s: want two numbers, column and row", f[3], f[4])
	}
	if d.portal(f[1][0]) >= 0 {
		return d.errorf(line, "portal %s was given before", f[1])
	}
	d.portals = append(d.portals, portal{letter: f[1][0], to: f[2], x: x, y: y, line: line})
	return nil
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }

// portal is the index of the portal with that letter, or -1.
func (d *draft) portal(letter byte) int {
	for i := range d.portals {
		if d.portals[i].letter == letter {
			return i
		}
	}
	return -1
}

// parseTiles reads the rows; first is the number of the first row's line.
func (d *draft) parseTiles(first int, rows []string) error {
	if !d.size {
		return d.errorf(first-1, "size must come before tiles")
	}
	if len(rows) != d.m.H {
		return d.errorf(first, "%d rows of tiles, but the size says %d", len(rows), d.m.H)
	}
	d.m.Tiles = make([]world.Tile, 0, d.m.W*d.m.H)
	for y, row := range rows {
		if len(row) != d.m.W {
			return d.errorf(first+y, "%d tiles in the row, but the size says %d", len(row), d.m.W)
		}
		for x := range len(row) {
			t, err := d.tile(first+y, x, y, row[x])
			if err != nil {
				return err
			}
			d.m.Tiles = append(d.m.Tiles, t)
		}
	}
	for _, p := range d.portals {
		if !p.used {
			return d.errorf(p.line, "portal %c is on no tile", p.letter)
		}
	}
	if len(d.m.Spawns) == 0 {
		return d.errorf(first, "there is no spawn point (@) among the tiles")
	}
	d.m.Portals = make([]world.Pos, len(d.portals))
	return nil
}

func (d *draft) tile(line, x, y int, c byte) (world.Tile, error) {
	switch {
	case c == '#':
		return world.Wall, nil
	case c == '.':
		return world.Floor, nil
	case c == '@':
		d.m.Spawns = append(d.m.Spawns, world.Pos{X: uint8(x), Y: uint8(y)})
		return world.Floor, nil
	case isLetter(c):
		if i := d.portal(c); i >= 0 {
			d.portals[i].used = true
			return world.PortalTile(i), nil
		}
		return 0, d.errorf(line, "column %d: there is no portal %c", x, c)
	}
	return 0, d.errorf(line, "column %d: %q is no tile: want # . @ or a portal's letter", x, c)
}
