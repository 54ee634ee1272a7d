package yardstick

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"

	"github.com/syslet/syslet/lab/trial"
)

// noCounters is why a C program's metrics lack what only it could know.
const noCounters = "a C program's allocations are not counted"

// cPrograms are a source file each.
var cPrograms = []Program{
	{Name: "c-epoll", What: "plain C on epoll", Workloads: []string{Echo, Framed, Fanout}, serve: serveC,
		refused: func() error { return cRefused("epoll.c") },
		make:    func(ctx context.Context) (string, error) { return makeC(ctx, "epoll", "-pthread") }},
	{Name: "c-iouring", What: "plain C on io_uring, with liburing", Workloads: []string{Echo, Framed, Fanout}, serve: serveC,
		refused: func() error {
			if err := cRefused("iouring.c"); err != nil {
				return err
			}
			return liburing()
		},
		make: func(ctx context.Context) (string, error) { return makeC(ctx, "iouring", "-luring", "-pthread") }},
}

func serveC(path string, c Config) trial.Foreign {
	return trial.Foreign{Argv: append([]string{path}, serverFlags(c)...), NoCounters: noCounters}
}

// compiler is the system's C compiler, or $CC.
func compiler() (argv []string, err error) {
	if cc := strings.Fields(os.Getenv("CC")); len(cc) > 0 {
		return cc, nil
	}
	for _, name := range []string{"cc", "gcc", "clang"} {
		if _, err := exec.LookPath(name); err == nil {
			return []string{name}, nil
		}
	}
	return nil, errors.New("no C compiler in PATH (apt-get install gcc libc6-dev)")
}

func cRefused(file string) error {
	if _, err := sources("c", file); err != nil {
		return err
	}
	_, err := compiler()
	return err
}

// liburing says whether the compiler finds the library's header: asked of its
// preprocessor, which knows where headers lie.
var liburing = sync.OnceValue(func() error {
	cc, err := compiler()
	if err != nil {
		return err
	}
	cmd := exec.Command(cc[0], slices.Concat(cc[1:], []string{"-E", "-o", os.DevNull, "-"})...)
	cmd.Stdin = bytes.NewReader([]byte("#include <liburing.h>\n"))
	if cmd.Run() != nil {
		return errors.New("no liburing.h (apt-get install liburing-dev)")
	}
	return nil
})

// ccFlags are those of a release build for this machine.
var ccFlags = []string{"-O2", "-march=native", "-std=gnu11", "-D_GNU_SOURCE"}

func makeC(ctx context.Context, name string, libs ...string) (string, error) {
	dir, err := sources("c", name+".c")
	if err != nil {
		return "", err
	}
	cc, err := compiler()
	if err != nil {
		return "", err
	}
	version, _ := exec.Command(cc[0], slices.Concat(cc[1:], []string{"--version"})...).Output() // part of the key only
	path, err := cached(dir, "c-"+name, nil, slices.Concat(cc, ccFlags, libs, []string{string(version)})...)
	if err != nil {
		return "", err
	}
	argv := slices.Concat(cc, ccFlags, []string{"-o", "{out}", name + ".c"}, libs)
	return path, build(ctx, path, dir, nil, argv...)
}
