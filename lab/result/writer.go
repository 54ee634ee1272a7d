package result

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// File names within a run's folder.
const (
	TrialsFile      = "trials.jsonl"
	EnvironmentFile = "environment.json"
)

// ErrHoldsRun is returned by Create for a folder that already has trials: two
// runs in one folder would share one environment.json that is true of one only.
var ErrHoldsRun = errors.New("folder already holds a run")

// Writer fills a run's folder. It may be used by several goroutines.
type Writer struct {
	dir string

	mu   sync.Mutex
	file *os.File
	// size is the end of the last whole line. Invariant: the file is size bytes
	// long whenever mu is free, unless a failed write could not be undone.
	size int64
}

// Create makes the folder, with its parents, and opens trials.jsonl in it. It
// returns ErrHoldsRun, wrapped, if that has lines already.
func Create(dir string) (*Writer, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("create run folder (--out): %w", err)
	}
	path := filepath.Join(dir, TrialsFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("create run folder (--out): %w", err)
	}
	stat, err := file.Stat()
	if err == nil && stat.Size() > 0 {
		err = fmt.Errorf("%s: %w: choose another --out, or go on with it: syslet lab resume %s", path, ErrHoldsRun, dir)
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Writer{dir: dir, file: file}, nil
}

// Reopen opens the trials.jsonl of a run that is to go on, and returns the trials
// that it holds, without those that are there twice. What an interrupted write left at
// the end is cut off, so that the file stays readable; warnings say so.
func Reopen(dir string) (w *Writer, trials []Trial, warnings []string, err error) {
	path := filepath.Join(dir, TrialsFile)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("go on with a run: %w", err)
	}
	fail := func(err error) (*Writer, []Trial, []string, error) {
		return nil, nil, nil, errors.Join(err, file.Close())
	}
	read, err := readTrials(file, path)
	if err != nil {
		return fail(err)
	}
	w = &Writer{dir: dir, file: file, size: read.size}
	switch {
	case read.torn:
		err = file.Truncate(read.size)
		read.warnings = []string{fmt.Sprintf("%s: a torn last line was cut off: the run was interrupted while writing it", path)}
	case read.unended:
		var n int
		n, err = file.Write([]byte("\n"))
		w.size += int64(n)
	}
	if err != nil {
		return fail(fmt.Errorf("%s: mend its end: %w", path, err))
	}
	return w, read.trials, read.warnings, nil
}

// Dir is the run's folder.
func (w *Writer) Dir() string { return w.dir }

// Append writes one finished trial as one line with one write. A trial that
// fails Check is refused and nothing is written. If the write fails halfway
// (disk full), the part is cut off again so that later lines stay readable.
func (w *Writer) Append(t Trial) error {
	t.upgrade()
	line, err := encodeLine(&t)
	if err != nil {
		return fmt.Errorf("%s: %s %s round %d: %w", TrialsFile, t.Experiment, t.Model, t.Round, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if n, err := w.file.Write(line); err != nil {
		if n > 0 {
			err = errors.Join(err, w.file.Truncate(w.size))
		}
		return fmt.Errorf("%s: append trial: %w", filepath.Join(w.dir, TrialsFile), err)
	}
	w.size += int64(len(line))
	return nil
}

// encodeLine is the trial as JSON with a newline at its end and none within.
func encodeLine(t *Trial) ([]byte, error) {
	if err := t.Check(); err != nil {
		return nil, err
	}
	if t.Metrics == nil {
		t.Metrics = map[string]Metric{}
	}
	var line bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(t); err != nil {
		return nil, err
	}
	return line.Bytes(), nil
}

// WriteEnvironment replaces environment.json as a whole (write, then rename), so
// a reader never sees half of it. Call it before the first trial, and again when
// something is added.
func (w *Writer) WriteEnvironment(e Environment) error {
	e.Schema = Schema
	data, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("%s: %w", EnvironmentFile, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return Replace(filepath.Join(w.dir, EnvironmentFile), append(data, '\n'))
}

// Replace writes a file as a whole (write beside it, then rename): whoever reads it
// finds the old text or the new one, also after the death of the writer.
func Replace(path string, text []byte) error {
	if err := os.WriteFile(path+".tmp", text, 0o644); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// Close ends the run's file. Trials appended before are in it already.
func (w *Writer) Close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.file.Close()
}
