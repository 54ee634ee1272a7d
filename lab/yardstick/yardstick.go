package yardstick

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/syslet/syslet/lab/trial"
)

// Program is a program that is not ours.
type Program struct {
	Name, What string
	// Workloads that it serves; empty for one that serves nothing (fio): an
	// experiment's own trial.Program starts that.
	Workloads []string
	// refused says cheaply why it cannot be had, or nil.
	refused func() error
	// make builds it, if it must be built, and returns the executable.
	make func(ctx context.Context) (path string, err error)
	// serve is how it serves; path is make's.
	serve func(path string, c Config) trial.Foreign
}

// Config is what a server is to do.
type Config struct {
	Workload string
	// DiskFile is the file of the workload framed.
	DiskFile string
	CPUs     []int
}

// ErrRefused is wrapped by every reason for which a program cannot be had.
var ErrRefused = errors.New("not to be had here")

// all, in the order of tables.
var all = slices.Concat(goPeers, cPrograms, fileServers, fioPrograms)

// Names lists all programs.
func Names() []string {
	var names []string
	for i := range all {
		names = append(names, all[i].Name)
	}
	return names
}

// Servers lists the programs that serve a workload.
func Servers(workload string) []string {
	var names []string
	for i := range all {
		if slices.Contains(all[i].Workloads, workload) {
			names = append(names, all[i].Name)
		}
	}
	return names
}

// Known reports whether there is a program of that name.
func Known(name string) bool { return find(name) != nil }

// Describe says in a line what a program is.
func Describe(name string) string {
	if p := find(name); p != nil {
		return p.What
	}
	return ""
}

func find(name string) *Program {
	i := slices.IndexFunc(all, func(p Program) bool { return p.Name == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// Refused says why this system cannot have the program of that name, with what
// to install, or nil. It builds nothing: Make may refuse it still.
func Refused(name string) error {
	p := find(name)
	if p == nil {
		return fmt.Errorf("%w: no program %q; there are %s", ErrRefused, name, strings.Join(Names(), ", "))
	}
	if p.refused == nil {
		return nil
	}
	return wrap(p.refused())
}

func wrap(err error) error {
	if err == nil || errors.Is(err, ErrRefused) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrRefused, err)
}

// Make builds the program of that name, unless it lies in the cache.
func Make(ctx context.Context, name string) error {
	if err := Refused(name); err != nil {
		return err
	}
	p := find(name)
	if p.make == nil {
		return nil
	}
	_, err := p.make(ctx)
	return wrap(err)
}

// Serve is how the program of that name serves; Make was called before.
func Serve(ctx context.Context, name string, c Config) (*trial.Foreign, error) {
	p := find(name)
	switch {
	case p == nil:
		return nil, Refused(name)
	case !slices.Contains(p.Workloads, c.Workload):
		return nil, fmt.Errorf("%w: %s has no workload %q; it has %s", ErrRefused, name, c.Workload, strings.Join(p.Workloads, ", "))
	}
	path := ""
	if p.make != nil {
		var err error
		if path, err = p.make(ctx); err != nil {
			return nil, wrap(err)
		}
	}
	f := p.serve(path, c)
	return &f, nil
}
