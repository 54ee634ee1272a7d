package plan

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/syslet/syslet/lab/trial"
)

// The fields of an experiment that are no settings, in the order of the
// documentation.
var ownFields = []struct{ name, doc string }{
	{"name", "of the experiment, in small letters, digits and dashes"},
	{"question", "what it answers, a sentence for the report"},
	{"workload", "what is served, or filework: reads and writes of a file"},
	{"models", "a list of models, programs that are not ours, and names of servers"},
	{"servers", "servers of your own by name: {model: iouring, flags: [...]} is one of ours, {command: [...], env: {...}} any that listens"},
	{"rounds", "how often each model runs in each cell; default 10"},
	{"factors", "settings that vary, each with a list of its levels; a level may be a mapping: its value as level, and further settings that go with it"},
	{"labels", "further factors with one level, for the result lines only"},
	{"thresholds", "bounds that each model's median over the rounds has to keep, e.g. latency_p99 <= 2ms"},
	{"together", "run the models of a cell one after another, instead of all cells mixed"},
	{"opt_in", "of built-in experiments: run only if named"},
	{"quick", "what is different with --quick: question, rounds, models, levels (a list for each factor: those that are kept), and settings"},
}

func ownNames() []string {
	var names []string
	for _, f := range ownFields {
		names = append(names, f.name)
	}
	return names
}

// roundsDefault is enough for an interval of 95 % that leaves out the outermost
// values.
const roundsDefault = 10

// document is one experiment while it is read.
type document struct {
	*parser
	e Experiment
	// lines and fields say where a part of the plan stands, by its name in check.go.
	places map[string]place
}

type place struct {
	line  int
	field string
}

func (d *document) at(part string, line int, field string) { d.places[part] = place{line, field} }

// experiment reads one form of a document.
func (p *parser) experiment(root *yaml.Node, quick bool) Experiment {
	d := document{parser: p, e: Experiment{Rounds: roundsDefault}, places: map[string]place{"": {line: root.Line}}}
	before := len(p.problems)
	all := p.entries(root, "")
	for i := 0; i+1 < len(root.Content); i += 2 { // also of what entries has refused
		k := root.Content[i]
		d.at(k.Value, k.Line, clip(k.Value))
	}
	field := map[string]entry{}
	for _, en := range all {
		field[en.name] = en
		d.at(en.name, en.line, en.name)
	}
	if en, ok := field["workload"]; ok {
		d.e.Workload = p.text(en, "workload", "one of "+strings.Join(workloadNames(), ", "))
	}
	for _, en := range all {
		if findSetting(en.name) == nil {
			d.own(en)
		} else {
			d.setting(en, en.name, &d.e)
		}
	}
	if en, ok := field["factors"]; ok {
		d.factors(en)
	}
	if en, ok := field["quick"]; ok && quick {
		d.quick(en)
	}
	d.check(len(p.problems) == before)
	return d.e
}

// check takes over what check.go finds, unless the part has a problem already. What
// cells lack is asked only if all of the document could be read.
func (d *document) check(whole bool) {
	told := map[place]bool{}
	for _, pr := range d.problems {
		told[place{pr.Line, pr.Field}] = true
	}
	for i := range d.e.Factors {
		if at, twice := d.places[d.e.Factors[i].Name]; twice {
			d.say(at.line, at.field, "is a factor, too (%s): leave it out here", d.places["factors."+d.e.Factors[i].Name].field)
		}
	}
	found := d.e.structure()
	if whole && len(found) == 0 {
		found = d.e.sense()
		if len(found) == 0 && d.thisSystem {
			found = d.e.unfit()
		}
	}
	for _, f := range found {
		at := d.find(f.part)
		if told[at] {
			continue
		}
		if _, exact := d.places[f.part]; !exact && at.field == "" {
			at.field = f.part
		}
		d.say(at.line, at.field, "%s", f.text)
	}
}

// find is the place of a part, or of the next larger one that has a place.
func (d *document) find(part string) place {
	for {
		if at, ok := d.places[part]; ok {
			return at
		}
		i := strings.LastIndexAny(part, ".[")
		if i < 0 {
			return d.places[""]
		}
		part = part[:i]
	}
}

// own reads a field that is no setting; factors and quick come after all others.
func (d *document) own(en entry) {
	switch en.name {
	case "workload", "factors", "quick":
	case "name":
		d.e.Name = d.text(en, "name", "a name as my-test")
	case "question":
		d.e.Question = d.text(en, "question", "a sentence")
	case "models":
		d.models(en, "models")
	case "servers":
		d.servers(en)
	case "rounds":
		d.rounds(en, "rounds")
	case "labels":
		d.e.Labels = d.texts(en, "labels", "names with values")
		for i := 0; i+1 < len(en.value.Content); i += 2 {
			name := "labels." + clip(en.value.Content[i].Value)
			d.at(name, en.value.Content[i].Line, name)
		}
	case "thresholds":
		d.thresholds(en)
	case "together":
		d.e.Together = d.flag(en)
	case "opt_in":
		d.e.OptIn = d.flag(en)
	default:
		d.unknown(en, clip(en.name), append(ownNames(), settingNames(d.workload())...))
	}
}

// setting reads one into e; false if there was something wrong.
func (d *document) setting(en entry, path string, e *Experiment) (text string, v Value, ok bool) {
	s := findSetting(en.name)
	if d.workload() != "" && !s.has(d.e.Workload) {
		d.say(en.line, path, "the workload %s has no such setting; it has %s", d.e.Workload, strings.Join(settingNames(d.workload()), ", "))
		return "", v, false
	}
	v, err := valueOf(en.value)
	if err == nil {
		text, err = s.set(e, v)
	}
	if err != nil {
		d.say(en.line, path, "%v; want %s", err, s.want)
	}
	return text, v, err == nil
}

// workload is empty if there is none of that name: check says so, and whatever any
// workload has is read.
func (d *document) workload() string {
	if !slices.Contains(workloadNames(), d.e.Workload) {
		return ""
	}
	return d.e.Workload
}

func (d *document) models(en entry, path string) {
	models, ok := d.list(en, path, "a list as [nonblock, goroutine]")
	if !ok {
		return
	}
	d.e.Models = models
	for i, n := range en.value.Content {
		d.at(fmt.Sprintf("models[%d]", i), n.Line, fmt.Sprintf("%s[%d]", path, i))
	}
}

func (d *document) rounds(en entry, path string) {
	text, err := scalar(en.value)
	n := 0
	if err == nil {
		n, err = within(parseWhole, 1, roundsMost)(text)
	}
	if err != nil {
		d.say(en.line, path, "%v; want a whole number, 1 to %d", err, roundsMost)
		return
	}
	d.e.Rounds = n
}

func (d *document) thresholds(en entry) {
	texts, ok := d.list(en, "thresholds", `a list as ["latency_p99 <= 2ms"]`)
	if !ok {
		return
	}
	for i, text := range texts {
		t, err := ParseThreshold(text)
		if err != nil {
			d.say(en.value.Content[i].Line, fmt.Sprintf("thresholds[%d]", i), "%v", err)
			continue
		}
		d.e.Thresholds = append(d.e.Thresholds, t)
	}
}

func (d *document) servers(en entry) {
	if en.value.Kind != yaml.MappingNode {
		d.say(en.line, "servers", "%v; want names, each with {command: [...]} or {model: ..., flags: [...]}", errMap)
		return
	}
	d.e.Variants = map[string]trial.Variant{}
	for _, server := range d.entries(en.value, "servers") {
		path := "servers." + clip(server.name)
		d.at(path, server.line, path)
		if server.value.Kind != yaml.MappingNode {
			d.say(server.line, path, "%v; want {command: [...]} or {model: ..., flags: [...]}", errMap)
			continue
		}
		var v trial.Variant
		for _, part := range d.entries(server.value, path) {
			at := path + "." + clip(part.name)
			d.at(at, part.line, at)
			switch part.name {
			case "model":
				v.Model = d.text(part, at, "the name of a model")
			case "flags":
				v.Flags, _ = d.list(part, at, `a list as ["--standbys", "8"]`)
			case "command":
				v.Command, _ = d.list(part, at, `a list as [./server, "--port", "{port}"]`)
			case "env":
				v.Env = d.texts(part, at, "names with values")
			default:
				d.unknown(part, at, []string{"model", "flags", "command", "env"})
			}
		}
		d.e.Variants[server.name] = v
	}
}
