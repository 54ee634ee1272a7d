package sensor

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/syslet/syslet/lab/result"
)

// cachesOf reads the caches of a CPU from sysfs (Documentation/ABI/testing/
// sysfs-devices-system-cpu); none where sysfs has none.
func cachesOf(root string, cpu int) []result.Cache {
	dirs, _ := filepath.Glob(filepath.Join(root, fmt.Sprintf("cpu%d", cpu), "cache", "index*"))
	var caches []result.Cache
	for _, dir := range dirs {
		read := func(name string) string {
			text, _ := os.ReadFile(filepath.Join(dir, name))
			return strings.TrimSpace(string(text))
		}
		level, err := strconv.Atoi(read("level"))
		if err != nil {
			continue
		}
		size, err := parseCacheSize(read("size"))
		if err != nil {
			continue
		}
		caches = append(caches, result.Cache{Level: level, Type: read("type"), SizeBytes: size, SharedCPUs: read("shared_cpu_list")})
	}
	return caches
}

const sysCPU = "/sys/devices/system/cpu"

// parseCacheSize reads "48K", "1024K", "32M" or bytes.
func parseCacheSize(text string) (int64, error) {
	shift := 0
	switch {
	case strings.HasSuffix(text, "K"):
		shift = 10
	case strings.HasSuffix(text, "M"):
		shift = 20
	case strings.HasSuffix(text, "G"):
		shift = 30
	}
	if shift > 0 {
		text = text[:len(text)-1]
	}
	n, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("cache size: %w", err)
	}
	return int64(n) << shift, nil
}

// cacheBytes is the size of a level's data or unified cache, or what is said here
// if it is not known.
func cacheBytes(level int, otherwise int64) int64 {
	for _, c := range cachesOf(sysCPU, 0) {
		if c.Level == level && c.Type != "Instruction" {
			return c.SizeBytes
		}
	}
	return otherwise
}
