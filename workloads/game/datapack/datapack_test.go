package datapack

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"github.com/syslet/syslet/workloads/game/world"
)

func TestShippedPack(t *testing.T) {
	w, err := Load("")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(w.Maps), 16)
	again, err := Load(".")
	require.NoError(t, err)
	require.Equal(t, w, again, "the compiled-in pack is the folder's")
	for _, m := range w.Maps {
		require.NotEmpty(t, m.Portals, m.Name)
		require.Contains(t, m.Tiles, world.Wall, m.Name)
	}
}

// From the start every floor of every map can be reached on foot.
func TestShippedPackIsConnected(t *testing.T) {
	w, err := Load("")
	require.NoError(t, err)
	seen := map[world.Pos]bool{}
	todo := []world.Pos{w.Spawn("x")}
	for len(todo) > 0 {
		p := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if seen[p] {
			continue
		}
		seen[p] = true
		for d := range world.Dir(4) {
			to, _ := w.Step(p, d)
			todo = append(todo, to)
		}
	}
	for i, m := range w.Maps {
		for k, tile := range m.Tiles {
			p := world.Pos{Map: uint16(i), X: uint8(k % m.W), Y: uint8(k / m.W)}
			if tile == world.Floor {
				require.True(t, seen[p], "%s %d,%d", m.Name, p.X, p.Y)
			}
		}
	}
}

const goodManifest = "map a\nmap b # the second\n\nstart a\n"
const goodMap = "# a room\nsize 4 3\nportal x b 1 1\ntiles\n####\n#@x#\n####\n"

func read(manifest, a, b string) (*world.World, error) {
	return Read(fstest.MapFS{
		"pack.txt": {Data: []byte(manifest)}, "a.map": {Data: []byte(a)}, "b.map": {Data: []byte(b)},
	})
}

func TestGoodPack(t *testing.T) {
	w, err := read(goodManifest, goodMap, strings.ReplaceAll(goodMap, "x b", "x a"))
	require.NoError(t, err)
	to, out := w.Step(w.Spawn("p"), 1)
	require.Equal(t, world.Pos{Map: 1, X: 1, Y: 1}, to)
	require.Equal(t, world.Ported, out)
	_, err = read(goodManifest, strings.ReplaceAll(goodMap, "\n", "\r\n"), goodMap)
	require.NoError(t, err, "line ends of another system")
}

func TestErrorsNameTheLine(t *testing.T) {
	for _, c := range []struct{ manifest, a, want string }{
		{"map a\nmap b\n", goodMap, "pack.txt: no start"},
		{"map a\nmap b\nstart c\n", goodMap, "pack.txt:3: start c is none"},
		{"map a\nmap a\nstart a\n", goodMap, "pack.txt:2: map a was named before"},
		{"map a b\n", goodMap, "pack.txt:1: want: map NAME"},
		{"map a\nmap ../b\n", goodMap, "pack.txt:2: \"../b\" is no name"},
		{"map c\nstart c\n", goodMap, "c.map: there is no such file"},
		{goodManifest, "", "a.map: there are no tiles"},
		{goodManifest, "size 4 3\n", "a.map: there are no tiles"},
		{goodManifest, "tiles\n####\n", "a.map:1: size must come before"},
		{goodManifest, "size 4\n", "a.map:1: want: size WIDTH HEIGHT"},
		{goodManifest, "size 4 256\n", "a.map:1: size 4 256: want numbers from 3 to 255"},
		{goodManifest, "size 4 -3\n", "a.map:1: size 4 -3"},
		{goodManifest, "size 4 3\nsize 4 3\n", "a.map:2: size was given before"},
		{goodManifest, "walls\n", "a.map:1: \"walls\" is not one of"},
		{goodManifest, "size 4 3\nportal 1 b 1 1\n", "a.map:2: want: portal LETTER"},
		{goodManifest, "size 4 3\nportal x b 1 y\n", "a.map:2: 1 y: want two numbers"},
		{goodManifest, "portal x b 1 1\nportal x b 1 1\n", "a.map:2: portal x was given before"},
		{goodManifest, strings.Replace(goodMap, "#@x#", "#@##", 1), "a.map:3: portal x is on no tile"},
		{goodManifest, strings.Replace(goodMap, "#@x#", "#@y#", 1), "a.map:6: column 2: there is no portal y"},
		{goodManifest, strings.Replace(goodMap, "#@x#", "#@x!", 1), "a.map:6: column 3: '!' is no tile"},
		{goodManifest, strings.Replace(goodMap, "#@x#", "#@x", 1), "a.map:6: 3 tiles in the row"},
		{goodManifest, strings.Replace(goodMap, "#@x#", "#.x#", 1), "a.map:5: there is no spawn point"},
		{goodManifest, goodMap + "\n", "a.map:5: 4 rows of tiles"},
		{goodManifest, strings.Replace(goodMap, "x b 1 1", "x c 1 1", 1), "a.map:3: portal x leads to map \"c\""},
		{goodManifest, strings.Replace(goodMap, "x b 1 1", "x b 0 1", 1), "a.map:3: portal x leads to 0,1 of b, which is no floor"},
		{goodManifest, strings.Replace(goodMap, "x b 1 1", "x b 4 1", 1), "a.map:3: portal x leads to 4,1 of b"},
		{goodManifest, strings.Repeat(" ", maxFileBytes+1), "a.map: 131073 bytes, the limit is 131072"},
	} {
		_, err := read(c.manifest, c.a, goodMap)
		var e *Error
		require.True(t, errors.As(err, &e), "%q: %v", c.want, err)
		require.True(t, strings.HasPrefix(err.Error(), "datapack: "+c.want), "want %q, got %q", c.want, err)
	}
	_, err := Load(t.TempDir())
	require.ErrorContains(t, err, "pack.txt: there is no such file")
}

// Whatever the files say, reading them ends with an error or with a world that
// keeps its invariants.
func FuzzRead(f *testing.F) {
	f.Add(goodManifest, goodMap, goodMap)
	f.Add("map a\nstart a", "size 3 3\ntiles\n@..\n...\n...", "")
	f.Fuzz(func(t *testing.T, manifest, a, b string) {
		w, err := read(manifest, a, b)
		if err != nil {
			return
		}
		p := w.Spawn("x")
		for i := range 50 {
			require.True(t, w.Walkable(p))
			p, _ = w.Step(p, world.Dir(i*7/3%4))
		}
	})
}
