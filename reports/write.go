package reports

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/syslet/syslet/lab/result"
)

// Write makes in dir, from the run's trials and environment alone:
//
//	report.html             one page: no network, no script
//	plots/*.svg, *.png      each figure of it, on white
//	summary.md, summary.csv medians and intervals
//	bench.txt               a line a trial, for benchstat
//
// dir is usually run.Dir; it is created if missing and what is there of these
// names is replaced. A run without any trial still gets a page that says so.
// Write may be called from any goroutine, one at a time.
func Write(run *result.Run, dir string) error {
	return write(run, dir, (*figure).writeSVG, (*figure).writePNG)
}

// plotFormat writes a figure beside others; base is its path without extension.
type plotFormat func(f *figure, base string) error

func write(run *result.Run, dir string, formats ...plotFormat) error {
	plots := filepath.Join(dir, "plots")
	if err := os.MkdirAll(plots, 0o755); err != nil {
		return fmt.Errorf("write report: %w", err)
	}
	vs := views(run)
	found := judge(run, vs)
	p, figures := newPage(run, vs, found, dir)
	for _, f := range figures {
		for _, format := range formats {
			if err := format(f, filepath.Join(plots, f.Slug)); err != nil {
				return err
			}
		}
	}
	for _, file := range []struct {
		name  string
		write func(io.Writer) error
	}{
		{"summary.md", func(w io.Writer) error { return writeMarkdown(w, run, vs, found) }},
		{"summary.csv", func(w io.Writer) error { return writeCSV(w, vs) }},
		{"bench.txt", func(w io.Writer) error { return Bench(w, run, BenchOptions{}) }},
		{"report.html", p.write},
	} {
		var out bytes.Buffer
		if err := file.write(&out); err != nil {
			return fmt.Errorf("write report: %s: %w", file.name, err)
		}
		if err := os.WriteFile(filepath.Join(dir, file.name), out.Bytes(), 0o644); err != nil {
			return fmt.Errorf("write report: %w", err)
		}
	}
	return nil
}
