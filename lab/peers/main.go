package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
)

const (
	exitError  = 1
	exitUsage  = 2
	exitUnable = 3

	// maxUnsentBytes is what a receiver may leave unread before it is closed.
	maxUnsentBytes = 4 << 20
)

// config is what the flags say.
type config struct {
	engine, workload, listen, cpus, admin, diskFile, root string
	// tune holds the words of --tune.
	tune []string
	// disk is set for the workload framed.
	disk *disk
}

func (c *config) tuned(word string) bool { return slices.Contains(c.tune, word) }

// engine is one peer. run serves until ctx ends, calls ready once with the
// address that it listens on, and returns nil after an end in good order.
type engine struct {
	run func(ctx context.Context, cfg *config, ready func(net.Addr) error) error
	// module is the library's path, for /stats; empty: the standard library.
	module    string
	workloads []string
	tunes     []string
	// spare, by workload, is how many CPUs more than there are Go is told of. An
	// event loop that sleeps in epoll_wait, or a goroutine in pread, loses its P
	// and must get one back; with one to spare it need not wait. Chosen by
	// measurement for each; GOMAXPROCS in the environment overrules it.
	spare map[string]int
}

var engines = map[string]engine{
	"gnet":    {runGnet, "github.com/panjf2000/gnet/v2", messages, []string{"et", "lock", "reactors", "ants"}, oneSpare},
	"nbio":    {runNbio, "github.com/lesismal/nbio", messages, []string{"et", "etasync", "lock", "taskpool"}, nbioSpare},
	"netpoll": {runNetpoll, "github.com/cloudwego/netpoll", messages, []string{"gopool", "go", "spawn", "binary"}, oneSpare},
	"evio":    {runEvio, "github.com/tidwall/evio", messages, []string{"copy", "go"}, oneSpare},
	"net":     {runNet, "", append([]string{"files"}, messages...), []string{"queue"}, netSpare},
}

var (
	messages = []string{"echo", "framed", "fanout"}
	oneSpare = map[string]int{"echo": 1, "framed": 1, "fanout": 1}
	// nbio's readers write to the sockets themselves, so more of them want a P.
	nbioSpare = map[string]int{"echo": 1, "framed": 3, "fanout": 1}
	// A connection's goroutine waits in Go's own poller, which needs no P.
	netSpare = map[string]int{"framed": 1, "fanout": 1}
)

// errUnable wraps the reason why an engine cannot serve on this machine.
var errUnable = errors.New("cannot serve here")

func main() {
	cfg, err := parse(os.Args[1:])
	if err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fail(exitUsage, err)
		}
		os.Exit(0)
	}
	if err := bind(cfg.cpus); err != nil {
		fail(exitUsage, err)
	}
	if n := engines[cfg.engine].spare[cfg.workload]; n > 0 && os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + n)
	}
	endWithParent()
	err = serve(cfg)
	switch {
	case errors.Is(err, errUnable):
		fail(exitUnable, err)
	case err != nil:
		fail(exitError, err)
	}
}

func fail(code int, err error) {
	fmt.Fprintln(os.Stderr, "peers:", strings.ReplaceAll(err.Error(), "\n", "; "))
	os.Exit(code)
}

func parse(args []string) (*config, error) {
	cfg := &config{}
	fs := flag.NewFlagSet("peers", flag.ContinueOnError)
	fs.StringVar(&cfg.engine, "engine", "", "gnet, nbio, netpoll, evio or net")
	fs.StringVar(&cfg.workload, "workload", "echo", "echo, framed, fanout; files with --engine net")
	fs.StringVar(&cfg.listen, "listen", "127.0.0.1:0", "address to serve on")
	fs.StringVar(&cfg.cpus, "cpus", "", `CPUs to run on, e.g. "0" or "0,2-3"; empty: as inherited`)
	fs.StringVar(&cfg.diskFile, "disk-file", "", "file to read blocks of, for --workload framed")
	fs.StringVar(&cfg.admin, "admin", "", "address of /stats and /debug/pprof/; empty: none")
	fs.StringVar(&cfg.root, "root", "", "folder to serve, for --workload files")
	tune := fs.String("tune", "", "comma separated choices other than the best ones; see the engine's source")
	if err := fs.Parse(args); err != nil {
		return nil, err
	}
	if *tune != "" {
		cfg.tune = strings.Split(*tune, ",")
	}
	return cfg, cfg.check(fs.Args())
}

func (c *config) check(rest []string) error {
	e, ok := engines[c.engine]
	switch {
	case len(rest) > 0:
		return fmt.Errorf("unexpected argument %q", rest[0])
	case !ok:
		return fmt.Errorf("--engine %q: want gnet, nbio, netpoll, evio or net", c.engine)
	case !slices.Contains(e.workloads, c.workload):
		return fmt.Errorf("--workload %q: engine %s has %s", c.workload, c.engine, strings.Join(e.workloads, ", "))
	case (c.workload == "framed") != (c.diskFile != ""):
		return errors.New("--disk-file and --workload framed belong together")
	case (c.workload == "files") != (c.root != ""):
		return errors.New("--root and --workload files belong together")
	}
	for _, w := range c.tune {
		if !slices.Contains(e.tunes, w) {
			return fmt.Errorf("--tune %q: engine %s has %s", w, c.engine, strings.Join(e.tunes, ", "))
		}
	}
	return nil
}

func serve(cfg *config) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if cfg.diskFile != "" {
		var err error
		if cfg.disk, err = openDisk(cfg.diskFile); err != nil {
			return err
		}
	}
	line := struct {
		Listen string `json:"listen"`
		PID    int    `json:"pid"`
		Admin  string `json:"admin,omitempty"`
	}{PID: os.Getpid()}
	if cfg.admin != "" {
		a, err := startAdmin(cfg)
		if err != nil {
			return err
		}
		defer a.stop()
		line.Admin = a.addr.String()
	}
	return engines[cfg.engine].run(ctx, cfg, func(addr net.Addr) error {
		line.Listen = addr.String()
		return json.NewEncoder(os.Stdout).Encode(line)
	})
}
