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
)

// Run is a run's folder, read.
type Run struct {
	Dir string
	// Environment is nil if the folder has none.
	Environment *Environment
	// Trials are in the order in which they finished.
	Trials []Trial
	// Warnings say what was wrong with the folder and could be lived with.
	Warnings []string
}

// ErrSchema is returned, wrapped with file and line, for a schema that this
// version does not know.
var ErrSchema = errors.New("unknown schema")

// Read reads a run's folder. A torn last line (the run was interrupted while
// writing it) and a missing environment.json become warnings; any other line
// that is not a whole trial of this Schema is an error that names file and line.
func Read(dir string) (*Run, error) {
	run := &Run{Dir: dir}
	path := filepath.Join(dir, TrialsFile)
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read run: %w", err)
	}
	defer file.Close()
	if run.Trials, run.Warnings, err = readTrials(file, path); err != nil {
		return nil, err
	}
	if len(run.Trials) == 0 {
		run.Warnings = append(run.Warnings, path+": no finished trial")
	}
	if err := run.readEnvironment(); err != nil {
		return nil, err
	}
	return run, nil
}

func (r *Run) readEnvironment() error {
	path := filepath.Join(r.Dir, EnvironmentFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		r.Warnings = append(r.Warnings, path+": missing; the machine of this run is unknown")
		return nil
	}
	if err != nil {
		return fmt.Errorf("read run: %w", err)
	}
	if err := checkSchema(data); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	var env Environment
	if err := json.Unmarshal(data, &env); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	r.Environment = &env
	return nil
}

// readTrials reads lines until the end; name is for messages.
func readTrials(from io.Reader, name string) (trials []Trial, warnings []string, err error) {
	in := bufio.NewReaderSize(from, 1<<16)
	for number := 1; ; number++ {
		line, readErr := in.ReadBytes('\n')
		if readErr != nil && readErr != io.EOF {
			return nil, nil, fmt.Errorf("%s:%d: %w", name, number, readErr)
		}
		atEnd := readErr == io.EOF
		if text := bytes.TrimSpace(line); len(text) > 0 {
			trial, err := decodeTrial(text)
			switch {
			case err == nil:
				trials = append(trials, trial)
			case atEnd && !json.Valid(text):
				warnings = append(warnings, fmt.Sprintf("%s:%d: torn last line ignored: the run was interrupted while writing it", name, number))
			default:
				return nil, nil, fmt.Errorf("%s:%d: %w", name, number, err)
			}
		}
		if atEnd {
			return trials, warnings, nil
		}
	}
}

func decodeTrial(text []byte) (Trial, error) {
	var t Trial
	if err := checkSchema(text); err != nil {
		return t, err
	}
	if err := json.Unmarshal(text, &t); err != nil {
		return t, err
	}
	return t, t.Check()
}

// checkSchema looks at the schema alone, so that a later version's file is
// refused for that and not for some field that changed its type.
func checkSchema(text []byte) error {
	var head struct {
		Schema *json.RawMessage `json:"schema"`
	}
	if err := json.Unmarshal(text, &head); err != nil {
		return err
	}
	if head.Schema == nil {
		return fmt.Errorf("%w: there is none, this version reads %d", ErrSchema, Schema)
	}
	if got := string(*head.Schema); got != fmt.Sprint(Schema) {
		return fmt.Errorf("%w: %s, this version reads %d", ErrSchema, got, Schema)
	}
	return nil
}
