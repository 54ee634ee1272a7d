package reports

import (
	"maps"
	"slices"

	"github.com/syslet/syslet/lab/result"
)

// fileWork is the workload of servers that make their own requests, of a file.
const fileWork = "filework"

// ownFigure are the metrics that a program measures of itself if it makes its own
// requests, as fio does and our file work. They mean the same for each of them and
// say so by the source; others from two sources are two quantities.
var ownFigure = []string{result.Throughput, result.LatencyP50, result.LatencyP90, result.LatencyP99, result.LatencyP999}

// join gives each of ownFigure one key for all servers, of all their sources, where
// servers that are not ours are in the view and none of them has the metric from two
// sources. Keys stays as it is: what compares servers strictly goes by that.
func (v *view) join() {
	if !v.besides() {
		return
	}
	v.joined = map[string][]key{}
	for _, name := range ownFigure {
		var out []key
		for _, k := range v.keysOf(name) {
			i := slices.IndexFunc(out, func(o key) bool { return o.Unit == k.Unit && v.disjoint(o, k) })
			if i < 0 {
				out = append(out, k)
				continue
			}
			both := key{name, out[i].Source + ", " + k.Source, k.Unit}
			for id, c := range maps.Clone(v.cells) {
				if id.key == out[i] || id.key == k {
					v.cells[cellID{id.model, id.level, both}] = c
				}
			}
			out[i] = both
		}
		v.joined[name] = out
	}
}

// disjoint reports whether no server has both keys.
func (v *view) disjoint(a, b key) bool {
	for _, m := range v.Models {
		has := func(k key) bool {
			return slices.ContainsFunc(v.Levels, func(l level) bool { return v.cells[cellID{m, l.Text, k}] != nil })
		}
		if has(a) && has(b) {
			return false
		}
	}
	return true
}

// joinedKeysOf is keysOf with the keys that join has made in the place of theirs.
func (v *view) joinedKeysOf(name string) []key {
	if keys, ok := v.joined[name]; ok {
		return keys
	}
	return v.keysOf(name)
}

// givenByLoad reports whether a metric says nothing of the servers, because the
// load sets it: the rate, but of a closed loop.
func (v *view) givenByLoad(name string) bool {
	return name == result.Throughput && v.besides() && len(v.keysOf(result.Offered)) > 0
}

// ownFigures says which of a table's columns each server has measured of itself, or
// is empty.
func (v *view) ownFigures(columns []serverKey) string {
	var heads []string
	sources := ""
	for _, c := range columns {
		if !slices.Contains(v.Keys, c.key) {
			heads, sources = append(heads, c.head), c.key.Source
		}
	}
	if heads == nil {
		return ""
	}
	return list(heads) + " are as each server measures itself (source " + sources + ")"
}
