// Package datapack reads the game's maps from a folder of small text files. A pack
// is compiled in, so that a server needs no path; another can be loaded from any
// folder.
//
// The file pack.txt names the maps in the order of their index, and one or more
// where new players appear:
//
//	map meadow
//	map cellar
//	start meadow
//
// Each map NAME is in the file NAME.map: its size, where its portals lead, and then,
// after the word tiles, one line per row.
//
//	size 8 4
//	portal a cellar 3 2
//	tiles
//	########
//	#.@....#
//	#....aa#
//	########
//
// A tile is # for a wall, . for floor, @ for floor where a player may appear, or the
// letter (a-z, A-Z) of a portal, which may be on several tiles. A portal line gives
// the letter, the map and the column and row that it leads to, from 0. Columns are
// separated by blanks; empty lines and what follows a # are ignored, except among
// the tiles. Names are 1 to 32 of a-z 0-9 _ and -.
package datapack

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/syslet/syslet/workloads/game/world"
)

//go:embed pack.txt *.map
var shipped embed.FS

// Manifest is the name of the file that names the maps.
const Manifest = "pack.txt"

// maxFileBytes bounds a file of a pack: the largest map, twice over.
const maxFileBytes = 2 * (world.MaxSide + 1) * (world.MaxSide + 1)

// Error is what is wrong with a file of a pack, and where.
type Error struct {
	File string
	Line int // from 1; 0: the file as a whole
	Msg  string
}

// Error gives file, line and what is wrong.
func (e *Error) Error() string {
	if e.Line == 0 {
		return fmt.Sprintf("datapack: %s: %s", e.File, e.Msg)
	}
	return fmt.Sprintf("datapack: %s:%d: %s", e.File, e.Line, e.Msg)
}

// Load reads the pack in the folder dir, or the compiled-in one if dir is empty. Errors in
// files are of type *Error. It reads files: not for a shard's callbacks.
func Load(dir string) (*world.World, error) {
	if dir == "" {
		return Read(shipped)
	}
	return Read(os.DirFS(dir))
}

// Read reads a pack from the root of fsys.
func Read(fsys fs.FS) (*world.World, error) {
	text, err := readFile(fsys, Manifest)
	if err != nil {
		return nil, err
	}
	m, err := parseManifest(Manifest, text)
	if err != nil {
		return nil, err
	}
	drafts := make([]*draft, len(m.maps))
	for i, name := range m.maps {
		file := name + ".map"
		if text, err = readFile(fsys, file); err != nil {
			return nil, err
		}
		if drafts[i], err = parseMap(file, name, text); err != nil {
			return nil, err
		}
	}
	return link(m, drafts)
}

func readFile(fsys fs.FS, name string) (text string, err error) {
	info, err := fs.Stat(fsys, name)
	if err == nil && info.Size() > maxFileBytes {
		return "", &Error{File: name, Msg: fmt.Sprintf("%d bytes, the limit is %d", info.Size(), maxFileBytes)}
	}
	if err == nil {
		var b []byte
		b, err = fs.ReadFile(fsys, name)
		text = string(b)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return "", &Error{File: name, Msg: "there is no such file in the pack"}
	}
	if err != nil {
		return "", fmt.Errorf("datapack: %w", err)
	}
	return text, nil
}

// link resolves the names of maps to indexes.
func link(m *manifest, drafts []*draft) (*world.World, error) {
	index := make(map[string]int, len(m.maps))
	for i, name := range m.maps {
		index[name] = i
	}
	maps := make([]*world.Map, len(drafts))
	for i, d := range drafts {
		maps[i] = d.m
		for k := range d.m.Spawns {
			d.m.Spawns[k].Map = uint16(i)
		}
	}
	for _, d := range drafts {
		for k, p := range d.portals {
			to, ok := index[p.to]
			if !ok {
				return nil, d.errorf(p.line, "portal %c leads to map %q, which %s does not name", p.letter, p.to, Manifest)
			}
			if !isFloor(maps[to], p.x, p.y) {
				return nil, d.errorf(p.line, "portal %c leads to %d,%d of %s, which is no floor", p.letter, p.x, p.y, p.to)
			}
			d.m.Portals[k] = world.Pos{Map: uint16(to), X: uint8(p.x), Y: uint8(p.y)}
		}
	}
	var starts []int
	for _, s := range m.starts {
		i, ok := index[s.name]
		if !ok {
			return nil, &Error{Manifest, s.line, fmt.Sprintf("start %s is none of the maps", s.name)}
		}
		starts = append(starts, i)
	}
	w, err := world.New(maps, starts...)
	if err != nil {
		return nil, fmt.Errorf("datapack: %w", err)
	}
	return w, nil
}

func isFloor(m *world.Map, x, y int) bool {
	return x < m.W && y < m.H && m.At(uint8(x), uint8(y)) == world.Floor
}
