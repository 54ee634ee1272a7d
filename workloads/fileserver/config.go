package fileserver

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/workloads/fileserver/http1"
)

// ErrBadConfig is wrapped by every error about a Config.
var ErrBadConfig = errors.New("fileserver: bad config")

// Config is a file server's. The zero value of a field, but Root, means its default.
type Config struct {
	// Root is the folder that is served.
	Root string
	// Valid is for how long a file in the cache is served without a look whether it
	// has changed. Default 1s; negative: there is a look for every request.
	Valid time.Duration
	// CacheFiles bounds the files that a shard's cache has, and so its open
	// descriptors, but for those that are being sent. Default 1000.
	CacheFiles int
	// InMemory is the size in bytes up to which files are kept in memory. Default
	// 8 KiB; negative: none.
	InMemory int
	// Index is the file that is served for a folder. Default index.html.
	Index string
	// Limits of requests.
	Limits http1.Limits
}

const inMemoryMax = 1 << 20

func (cfg Config) withDefaults() (Config, error) {
	if cfg.Valid == 0 {
		cfg.Valid = time.Second
	}
	if cfg.CacheFiles == 0 {
		cfg.CacheFiles = 1000
	}
	if cfg.InMemory == 0 {
		cfg.InMemory = 8 << 10
	}
	cfg.InMemory = max(cfg.InMemory, 0)
	if cfg.Index == "" {
		cfg.Index = "index.html"
	}
	cfg.Limits = cfg.Limits.WithDefaults()
	switch {
	case cfg.Root == "":
		return cfg, fmt.Errorf("%w: no folder to serve (Root)", ErrBadConfig)
	case cfg.CacheFiles < 1:
		return cfg, fmt.Errorf("%w: CacheFiles is %d, want at least 1", ErrBadConfig, cfg.CacheFiles)
	case cfg.InMemory > inMemoryMax:
		return cfg, fmt.Errorf("%w: InMemory is %d bytes, want at most %d", ErrBadConfig, cfg.InMemory, inMemoryMax)
	}
	return cfg, nil
}

// New makes the server program for the files of cfg.Root; it is for Server.Start.
func New(cfg Config) (func(s *runtime.Shard) (runtime.App, error), error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	fd, err := openRoot(cfg.Root)
	if err != nil {
		return nil, err
	}
	defer unix.Close(fd)
	if probe, err := unix.Openat2(fd, ".", &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC, Resolve: beneath}); err != nil {
		return nil, fmt.Errorf("fileserver: this system has no openat2(2) (Linux 5.6), which keeps paths beneath the root: %w", err)
	} else {
		_ = unix.Close(probe)
	}
	loadTypes()
	return func(s *runtime.Shard) (runtime.App, error) { return newServer(s, cfg) }, nil
}

func openRoot(path string) (int, error) {
	fd, err := unix.Open(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("%w: cannot open the folder %q (Root): %w", ErrBadConfig, path, err)
	}
	return fd, nil
}

// beneath keeps a path's resolution below the folder that it begins at, and away
// from the links of /proc.
const beneath = unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS
