package plan

import (
	"embed"
	"fmt"
	"slices"
	"strings"
)

//go:embed builtin/*.yaml
var builtIn embed.FS

// builtInFiles are in the order of lists and reports. The name of a file stands for
// all experiments in it, where it is not itself the name of one.
var builtInFiles = []string{"game-mix", "blocking-curve", "bodies", "idle", "fileserver", "gc", "files", "peers", "cache-sim"}

// builtInFile is the text of one.
func builtInFile(name string) string {
	text, err := builtIn.ReadFile("builtin/" + name + ".yaml")
	if err != nil {
		panic(err) // the list above names it; a test reads them all
	}
	return string(text)
}

// BuiltIn gives the experiments that are built in, in their full or their quick form.
func BuiltIn(quick bool) []Experiment {
	var es []Experiment
	for _, name := range builtInFiles {
		es = append(es, ofFile(name, quick)...)
	}
	return es
}

func ofFile(name string, quick bool) []Experiment {
	es, err := Parse("builtin/"+name+".yaml", []byte(builtInFile(name)), quick)
	if err != nil {
		panic(err) // a test reads them all
	}
	return es
}

// Default gives the experiments that run if none is named.
func Default(quick bool) []Experiment {
	return slices.DeleteFunc(BuiltIn(quick), func(e Experiment) bool { return e.OptIn })
}

// Select gives the experiments of those names, or of the files of those names, each
// once; the default ones if there are no names.
func Select(names []string, quick bool) ([]Experiment, error) {
	if len(names) == 0 {
		return Default(quick), nil
	}
	all := BuiltIn(quick)
	var chosen []Experiment
	for _, name := range names {
		var these []Experiment
		if i := slices.IndexFunc(all, func(e Experiment) bool { return e.Name == name }); i >= 0 {
			these = all[i : i+1]
		} else if slices.Contains(builtInFiles, name) {
			these = ofFile(name, quick)
		} else {
			return nil, fmt.Errorf("plan: no experiment %q (--experiment)%s", name, orList(name, selectable(all)))
		}
		for _, e := range these {
			if !slices.ContainsFunc(chosen, func(c Experiment) bool { return c.Name == e.Name }) {
				chosen = append(chosen, e)
			}
		}
	}
	return chosen, nil
}

// selectable are the names that Select takes.
func selectable(all []Experiment) []string {
	names := slices.Clone(builtInFiles)
	for _, e := range all {
		names = append(names, e.Name)
	}
	return names
}

// Text is the YAML of the built-in experiment of that name, or of all in the file of
// that name.
func Text(name string) (string, error) {
	all := BuiltIn(false)
	for _, file := range builtInFiles {
		for i, doc := range strings.SplitAfter(builtInFile(file), "\n---\n") {
			if ofFile(file, false)[i].Name == name {
				return strings.TrimSuffix(doc, "---\n"), nil
			}
		}
	}
	if slices.Contains(builtInFiles, name) {
		return builtInFile(name), nil
	}
	return "", fmt.Errorf("plan: no experiment %q%s", name, orList(name, selectable(all)))
}
