package result

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
)

// Run is a run's folder, read.
type Run struct {
	Dir string
	// Environment is nil if the folder has none.
	Environment *Environment
	// Trials are in the order in which they finished, each ID once.
	Trials []Trial
	// Warnings say what was wrong with the folder and could be lived with, and what
	// a reader should know of how the run went: that it was interrupted, or stopped
	// before its last round.
	Warnings []string
}

// ErrSchema is returned, wrapped with file and line, for a schema that this
// version does not know.
var ErrSchema = errors.New("unknown schema")

// Read reads a run's folder, of this schema or an older one. A torn last line (the
// run was interrupted while writing it), a trial that is there twice and a missing
// environment.json become warnings; any other line that is not a whole trial is an
// error that names file and line.
func Read(dir string) (*Run, error) {
	run := &Run{Dir: dir}
	path := filepath.Join(dir, TrialsFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	defer file.Close()
	read, err := readTrials(file, path)
	if err != nil {
		return nil, err
	}
	run.Trials, run.Warnings = read.trials, read.warnings
	if len(run.Trials) == 0 {
		run.Warnings = append(run.Warnings, path+": no finished trial")
	}
	if run.Environment, err = ReadEnvironment(dir); errors.Is(err, os.ErrNotExist) {
		run.Warnings = append(run.Warnings, filepath.Join(dir, EnvironmentFile)+": missing; the machine of this run is unknown")
		return run, nil
	}
	if err != nil {
		return nil, err
	}
	run.Warnings = append(run.Warnings, run.Environment.history(len(run.Trials))...)
	return run, nil
}

// ReadEnvironment reads the environment.json of a run's folder. The error wraps
// os.ErrNotExist if there is none.
func ReadEnvironment(dir string) (*Environment, error) {
	path := filepath.Join(dir, EnvironmentFile)
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	if err := CheckSchema(data); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	var env Environment
	if err := json.Unmarshal(data, &env); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	env.Schema = Schema // nothing in it changed its meaning since schema 1
	return &env, nil
}

// lines is what was read of a trials.jsonl.
type lines struct {
	trials   []Trial
	warnings []string
	// size is the end of the last whole line, its newline included if it has one.
	size int64
	// torn: behind size there is a part of a line. unended: the last line is whole
	// but for its newline.
	torn, unended bool
}

// readTrials reads lines until the end; name is for messages.
func readTrials(from io.Reader, name string) (read lines, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	first := map[string]int{} // ID to number of its line
	for number := 1; ; number++ {
		line, readErr := in.ReadBytes('\n')
		if readErr != nil && readErr != io.EOF {
			return read, fmt.Errorf("%s:%d: %w", name, number, readErr)
		}
		atEnd := readErr == io.EOF
		text := bytes.TrimSpace(line)
		trial, err := decodeTrial(text)
		switch {
		case len(text) == 0 && !atEnd:
			read.size += int64(len(line))
		case len(text) == 0:
			read.torn = len(line) > 0
		case err == nil:
			read.size, read.unended = read.size+int64(len(line)), atEnd
			if first[trial.ID] > 0 {
				read.warnings = append(read.warnings, fmt.Sprintf("%s:%d: trial %q is in line %d already: only the first counts", name, number, trial.ID, first[trial.ID]))
				break
			}
			first[trial.ID] = number
			read.trials = append(read.trials, trial)
		case atEnd && !json.Valid(text):
			read.torn = true
			read.warnings = append(read.warnings, fmt.Sprintf("%s:%d: torn last line ignored: the run was interrupted while writing it", name, number))
		default:
			return read, fmt.Errorf("%s:%d: %w", name, number, err)
		}
		if atEnd {
			return read, nil
		}
	}
}

func decodeTrial(text []byte) (Trial, error) {
	var t Trial
	if err := CheckSchema(text); err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, err
	}
	t.upgrade()
	return t, t.Check()
}

// CheckSchema looks at the schema of a JSON object alone, so that a later version's
// file is refused for that and not for some field that changed its type. The error
// wraps ErrSchema if there is none that this version reads.
func CheckSchema(text []byte) error {
	var head struct {
		Schema *json.RawMessage `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	reads := fmt.Sprintf("this version reads %d to %d", SchemaOldest, Schema)
	if head.Schema == nil {
		return fmt.Errorf("%w: there is none, %s", ErrSchema, reads)
	}
	got, err := strconv.Atoi(string(*head.Schema))
	switch {
	case err != nil || got < SchemaOldest:
		return fmt.Errorf("%w: %s, %s", ErrSchema, *head.Schema, reads)
	case got > Schema:
		return fmt.Errorf("%w: %d, %s: a later version of syslet wrote it, read it with that one", ErrSchema, got, reads)
	}
	return nil
}
