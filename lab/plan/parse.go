package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileMost bounds a plan's file in bytes.
const fileMost = 1 << 20

// Load reads a user's plan: experiments in YAML, a document each. quick takes their
// quick forms. The error is Problems, with a line for each, or why the file cannot
// be read. What this system's limits do not allow is an error, too.
func Load(path string, quick bool) ([]Experiment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("plan: cannot read it (--plan): %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, fileMost+1))
	if err != nil {
		return nil, fmt.Errorf("plan: cannot read it (--plan): %w", err)
	}
	p := parser{file: path, thisSystem: true}
	return p.parse(text, quick)
}

// Parse is Load of a text; file is for messages. It does not look at this system.
func Parse(file string, text []byte, quick bool) ([]Experiment, error) {
	p := parser{file: file}
	return p.parse(text, quick)
}

func (p *parser) parse(text []byte, quick bool) ([]Experiment, error) {
	if len(text) > fileMost {
		return nil, Problems{{File: p.file, Text: fmt.Sprintf("it has more than %d bytes", fileMost)}}
	}
	var es []Experiment
	seen := map[string]bool{}
	for _, doc := range p.documents(text) {
		// Both forms are read, so that a file that loads does so with --quick, too.
		full, short := p.experiment(doc, false), p.experiment(doc, true)
		if seen[full.Name] {
			p.say(doc.Line, "name", "there is another experiment %q in this file; give each a name of its own", full.Name)
		}
		seen[full.Name] = true
		if quick {
			full = short
		}
		es = append(es, full)
	}
	if len(es) == 0 && len(p.problems) == 0 {
		p.say(0, "", "it holds no experiment; see syslet lab show --help")
	}
	if err := p.problems.sorted(); err != nil {
		return nil, err
	}
	return es, nil
}

// parser reads a file.
type parser struct {
	file string
	// thisSystem: what its limits do not allow is a problem.
	thisSystem bool
	problems   Problems
}

func (p *parser) say(line int, field, format string, args ...any) {
	p.problems = append(p.problems, Problem{File: p.file, Line: line, Field: field, Text: fmt.Sprintf(format, args...)})
}

// lineOf finds the line in what the YAML library says.
var lineOf = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// documents are the roots of the file's documents; empty ones are left out.
func (p *parser) documents(text []byte) []*yaml.Node {
	var docs []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader(text)); ; {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			return docs
		}
		if err != nil {
			m := lineOf.FindStringSubmatch(err.Error())
			line, _ := strconv.Atoi(m[1]) // 0 if it does not say
			p.say(line, "", "it is no YAML: %s", err.Error()[len(m[0]):])
			return docs
		}
		root := &doc
		if doc.Kind == yaml.DocumentNode && len(doc.Content) == 1 {
			root = doc.Content[0]
		}
		switch {
		case root.Kind == yaml.ScalarNode && root.Tag == "!!null":
		case root.Kind != yaml.MappingNode:
			p.say(root.Line, "", "want an experiment: fields with values, as name: my-test")
		default:
			docs = append(docs, root)
		}
	}
}

// entry is a field of a mapping.
type entry struct {
	name  string
	line  int
	value *yaml.Node
}

// entries are the fields of a mapping, but those that make no sense.
func (p *parser) entries(n *yaml.Node, path string) []entry {
	var out []entry
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		field := strings.TrimPrefix(path+"."+clip(k.Value), ".")
		switch first, twice := seen[k.Value]; {
		case k.Kind != yaml.ScalarNode || k.Tag == "!!merge":
			p.say(k.Line, path, "want the name of a field, not a list, mapping, alias or merge")
		case twice:
			p.say(k.Line, field, "is there already, in line %d", first)
		case v.Kind == yaml.AliasNode || v.Anchor != "":
			p.say(v.Line, field, "anchors and aliases are not read; write the value out")
		default:
			seen[k.Value] = k.Line
			out = append(out, entry{name: k.Value, line: k.Line, value: v})
		}
	}
	return out
}

// clip keeps what a message quotes short.
func clip(s string) string {
	if len(s) > farthest {
		return strings.ToValidUTF8(s[:farthest], "") + "..."
	}
	return s
}

var errEmpty = errors.New("is empty")

// scalar is the text of a single value.
func scalar(n *yaml.Node) (string, error) {
	switch {
	case n.Kind != yaml.ScalarNode:
		return "", errText
	case n.Tag == "!!null" || n.Value == "":
		return "", errEmpty
	case len(n.Value) > textMost:
		return "", fmt.Errorf("has %d bytes, more than %d", len(n.Value), textMost)
	}
	return n.Value, nil
}

// textMost bounds a single value in bytes.
const textMost = 4096

// valueOf is what a node holds, two levels deep at most.
func valueOf(n *yaml.Node) (v Value, err error) {
	switch n.Kind {
	case yaml.SequenceNode:
		v.List = make([]string, len(n.Content))
		for i, c := range n.Content {
			if v.List[i], err = scalar(c); err != nil {
				return v, fmt.Errorf("its value number %d %w", i+1, err)
			}
		}
		return v, nil
	case yaml.MappingNode:
		v.Map = map[string]string{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, err := scalar(n.Content[i])
			if err != nil {
				return v, fmt.Errorf("a name in it %w", err)
			}
			if _, twice := v.Map[key]; twice {
				return v, fmt.Errorf("has %q twice", clip(key))
			}
			if v.Map[key], err = scalar(n.Content[i+1]); err != nil {
				return v, fmt.Errorf("its %s %w", clip(key), err)
			}
		}
		return v, nil
	}
	v.Text, err = scalar(n)
	return v, err
}

// text, flag, list and mapping are the forms of fields that are no settings.

func (p *parser) text(en entry, path, want string) string {
	s, err := scalar(en.value)
	if err != nil {
		p.say(en.line, path, "%v; want %s", err, want)
	}
	return s
}

func (p *parser) flag(en entry) bool {
	text, err := scalar(en.value)
	yes := false
	if err == nil {
		yes, err = parseBool(text)
	}
	if err != nil {
		p.say(en.line, en.name, "%v; want true or false", err)
	}
	return yes
}

func (p *parser) list(en entry, path, want string) (texts []string, ok bool) {
	v, err := valueOf(en.value)
	if err == nil && v.List == nil {
		err = errList
	}
	if err != nil {
		p.say(en.line, path, "%v; want %s", err, want)
		return nil, false
	}
	return v.List, true
}

func (p *parser) texts(en entry, path, want string) map[string]string {
	v, err := valueOf(en.value)
	if err == nil && v.Map == nil {
		err = errMap
	}
	if err != nil {
		p.say(en.line, path, "%v; want %s", err, want)
	}
	return v.Map
}

// unknown says that there is no field of that name, or no such one here.
func (p *parser) unknown(en entry, path string, known []string) {
	p.say(en.line, path, "there is no such field%s", orList(clip(en.name), known))
}

// orList is the nearest name, or all of them.
func orList(text string, names []string) string {
	if d := didYouMean(text, names); d != "" {
		return d
	}
	if len(names) == 0 {
		return ""
	}
	return "; there are " + strings.Join(slices.Compact(slices.Sorted(slices.Values(names))), ", ")
}
