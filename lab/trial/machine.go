package trial

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// CPUList writes CPUs as taskset does.
func CPUList(cpus []int) string {
	var parts []string
	for _, c := range cpus {
		parts = append(parts, strconv.Itoa(c))
	}
	return strings.Join(parts, ",")
}

// MakeDiskFile writes a file of random bytes, and to the device: reads past the
// page cache must find it there.
func MakeDiskFile(dir string, size int, seed uint64) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("cannot make the work folder (--out): %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, "blocks"))
	if err != nil {
		return "", err
	}
	f, err := os.Create(path)
	if err != nil {
		return "", fmt.Errorf("cannot make the file to read from (--out): %w", err)
	}
	defer f.Close()
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	rng := rand.NewChaCha8(key)
	buf := make([]byte, 1<<20)
	for done := 0; done < size; done += len(buf) {
		_, _ = rng.Read(buf) // never fails
		if _, err := f.Write(buf); err != nil {
			return "", fmt.Errorf("cannot write the file to read from (--out): %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return "", err
	}
	return path, nil
}
