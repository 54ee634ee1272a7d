package yardstick

import (
	"context"
	"errors"
	"os/exec"
	"sync"

	"github.com/syslet/syslet/lab/trial"
)

// Workloads of the peers, as their own flags name them.
const (
	// Echo sends back every byte.
	Echo = "echo"
	// Framed is echo's framed mode, of which some requests read from disk.
	Framed = "framed"
	// Fanout sends each message to all connections.
	Fanout = "fanout"
)

// goPeers are one executable with an engine each.
var goPeers = []Program{
	goPeer("gnet", "Go library gnet v2: event loops on epoll"),
	goPeer("nbio", "Go library nbio: nonblocking I/O on epoll"),
	goPeer("netpoll", "Go library netpoll: epoll, handlers on a goroutine pool"),
	goPeer("evio", "Go library evio: event loops on epoll"),
	goPeer("net", "Go's net package: a goroutine per connection"),
}

func goPeer(name, what string) Program {
	return Program{
		Name: name, What: what, Workloads: []string{Echo, Framed, Fanout},
		refused: goRefused, make: makeGoPeers,
		serve: func(path string, c Config) trial.Foreign {
			argv := []string{path, "--engine", name}
			return trial.Foreign{Argv: append(append(argv, serverFlags(c)...), "--admin", "127.0.0.1:0")}
		},
	}
}

// serverFlags are those that all peers have.
func serverFlags(c Config) []string {
	a := []string{"--workload", c.Workload, "--listen", "127.0.0.1:0"}
	if len(c.CPUs) > 0 {
		a = append(a, "--cpus", trial.CPUList(c.CPUs))
	}
	if c.DiskFile != "" {
		a = append(a, "--disk-file", c.DiskFile)
	}
	return a
}

func goRefused() error {
	if _, err := sources("", "go.mod"); err != nil {
		return err
	}
	if _, err := exec.LookPath("go"); err != nil {
		return errors.New("no go command in PATH to build it (install Go, or add it to PATH)")
	}
	return nil
}

var goVersion = sync.OnceValue(func() string {
	out, err := exec.Command("go", "version").Output()
	if err != nil {
		return "unknown"
	}
	return string(out)
})

// goTags has gnet use its own poller for Linux, the faster one.
const goTags = "poll_opt"

func makeGoPeers(ctx context.Context) (string, error) {
	dir, err := sources("", "go.mod")
	if err != nil {
		return "", err
	}
	path, err := cached(dir, "peers", []string{"c"}, goVersion(), goTags)
	if err != nil {
		return "", err
	}
	return path, build(ctx, path, dir, []string{"GOWORK=off", "GOFLAGS=-mod=readonly"}, "go", "build", "-tags", goTags, "-o", "{out}", ".")
}
