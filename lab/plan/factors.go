package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Factors in a file, and what --quick keeps of them.

func (d *document) factors(en entry) {
	if en.value.Kind != yaml.MappingNode {
		d.say(en.line, "factors", "%v; want factors with their levels, as conns: [64, 1000]", errMap)
		return
	}
	for _, f := range d.entries(en.value, "factors") {
		path := "factors." + clip(f.name)
		d.at(path, f.line, path)
		s := findSetting(f.name)
		switch {
		case !slices.Contains(factorNames(""), f.name):
			d.say(f.line, path, "there is no such factor%s", orList(clip(f.name), factorNames(d.workload())))
		case f.name != Case && d.workload() != "" && !s.has(d.e.Workload):
			d.say(f.line, path, "the workload %s has no such factor; it has %s", d.e.Workload, strings.Join(factorNames(d.workload()), ", "))
		case f.value.Kind != yaml.SequenceNode || len(f.value.Content) == 0:
			d.say(f.line, path, "want a list of levels, as [1, 2]")
		default:
			d.e.Factors = append(d.e.Factors, Factor{Name: f.name, Levels: d.levels(f, path)})
		}
	}
}

func (d *document) levels(f entry, path string) []Level {
	var levels []Level
	for i, n := range f.value.Content {
		at := fmt.Sprintf("%s[%d]", path, i)
		d.at(fmt.Sprintf("factors.%s[%d]", f.name, len(levels)), n.Line, at)
		if l, ok := d.level(f.name, n, at, fmt.Sprintf("factors.%s[%d]", f.name, len(levels))); ok {
			levels = append(levels, l)
		}
	}
	return levels
}

// level reads a value, or a mapping of it (level) and what goes with it. part is
// its name in check.go.
func (d *document) level(factor string, n *yaml.Node, path, part string) (l Level, ok bool) {
	own := entry{name: factor, line: n.Line, value: n}
	scratch := d.e // what is set here is thrown away
	ok = true
	if n.Kind == yaml.MappingNode {
		own.value = nil
		for _, en := range d.entries(n, path) {
			at := path + "." + clip(en.name)
			d.at(part+"."+en.name, en.line, at)
			switch {
			case en.name == "level":
				own.value, own.line = en.value, en.line
			case en.name == factor:
				d.say(en.line, at, "is the factor itself: its value is the field level")
				ok = false
			case findSetting(en.name) == nil:
				d.unknown(en, at, append(settingNames(d.workload()), "level"))
				ok = false
			default:
				_, v, fine := d.setting(en, at, &scratch)
				if l.Set == nil {
					l.Set = map[string]Value{}
				}
				l.Set[en.name], ok = v, ok && fine
			}
		}
	}
	if own.value == nil {
		d.say(own.line, path, "has no field level, its value")
		return l, false
	}
	if factor == Case {
		l.Text = d.text(own, path, "a name")
		return l, ok && l.Text != ""
	}
	text, _, fine := d.setting(own, path, &scratch)
	l.Text = text
	return l, ok && fine
}

// quick takes over what the section says.
func (d *document) quick(en entry) {
	if en.value.Kind != yaml.MappingNode {
		d.say(en.line, "quick", "%v; want fields that are different with --quick, as rounds: 1", errMap)
		return
	}
	for _, q := range d.entries(en.value, "quick") {
		path := "quick." + clip(q.name)
		d.at(q.name, q.line, path)
		switch {
		case q.name == "question":
			d.e.Question = d.text(q, path, "a sentence")
		case q.name == "rounds":
			d.rounds(q, path)
		case q.name == "models":
			d.models(q, path)
		case q.name == "levels":
			d.keepLevels(q)
		case findSetting(q.name) == nil:
			d.unknown(q, path, append(settingNames(d.workload()), "question", "rounds", "models", "levels"))
		default:
			d.setting(q, path, &d.e)
		}
	}
}

func (d *document) keepLevels(q entry) {
	if q.value.Kind != yaml.MappingNode {
		d.say(q.line, "quick.levels", "%v; want the levels that are kept, as conns: [64]", errMap)
		return
	}
	for _, f := range d.entries(q.value, "quick.levels") {
		path := "quick.levels." + clip(f.name)
		i := slices.IndexFunc(d.e.Factors, func(x Factor) bool { return x.Name == f.name })
		if i < 0 {
			d.say(f.line, path, "this experiment has no such factor")
			continue
		}
		texts, ok := d.list(f, path, "a list of the factor's levels")
		if !ok {
			continue
		}
		for k, text := range texts {
			if s := findSetting(f.name); s != nil { // 64KiB is 65536
				scratch := d.e
				if short, err := s.set(&scratch, Value{Text: text}); err == nil {
					texts[k] = short
				}
			}
		}
		before := d.e.Factors[i].Texts()
		if err := d.e.Factors[i].Keep(texts); err != nil {
			d.say(f.line, path, "%v", err)
			continue
		}
		d.renumber("factors."+f.name, before, d.e.Factors[i].Texts())
	}
}

// renumber has the places of kept levels be found under their new numbers.
func (d *document) renumber(factor string, before, after []string) {
	old := maps.Clone(d.places)
	for k, text := range after {
		from, to := fmt.Sprintf("%s[%d]", factor, slices.Index(before, text)), fmt.Sprintf("%s[%d]", factor, k)
		for part, at := range old {
			if rest, ok := strings.CutPrefix(part, from); ok {
				d.places[to+rest] = at
			}
		}
	}
}

// Keep leaves the levels of these texts, in the factor's order. All must be there.
func (f *Factor) Keep(texts []string) error {
	var kept []Level
	for _, l := range f.Levels {
		if slices.Contains(texts, l.Text) {
			kept = append(kept, l)
		}
	}
	for _, text := range texts {
		if !slices.ContainsFunc(kept, func(l Level) bool { return l.Text == text }) {
			return fmt.Errorf("there is no level %q; there are %s", text, strings.Join(f.Texts(), ", "))
		}
	}
	f.Levels = kept
	return nil
}

// Texts are the levels, as result lines have them.
func (f *Factor) Texts() []string {
	var texts []string
	for _, l := range f.Levels {
		texts = append(texts, l.Text)
	}
	return texts
}
