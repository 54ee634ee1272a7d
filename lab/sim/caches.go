package sim

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Cache is one simulated cache.
type Cache struct {
	SizeBytes int64 `json:"size_bytes"`
	// Ways of each set; SizeBytes/LineBytes is fully associative.
	Ways      int64 `json:"ways"`
	LineBytes int64 `json:"line_bytes"`
}

// Caches are those of the simulated processor, least recently used lines replaced first.
type Caches struct {
	I1 Cache `json:"i1"`
	D1 Cache `json:"d1"`
	LL Cache `json:"ll"`
	// From says where the sizes are from: "sysfs", "defaults" or "given".
	From string `json:"from"`
}

// DefaultCaches stand in where the machine does not say what it has.
var DefaultCaches = Caches{
	I1: Cache{32 << 10, 8, 64}, D1: Cache{32 << 10, 8, 64}, LL: Cache{32 << 20, 16, 64}, From: "defaults",
}

// MachineCaches are those of CPU 0 as sysfs has them (sysfs-devices-system-cpu): the
// caches of level 1, and the last level. Sizes that are no power of two are cut down
// to one, which the simulator wants.
func MachineCaches() Caches { return readCaches("/sys/devices/system/cpu/cpu0/cache") }

func readCaches(root string) Caches {
	c, found, last := DefaultCaches, 0, int64(1)
	dirs, _ := filepath.Glob(filepath.Join(root, "index*"))
	for _, dir := range dirs {
		level, one := readCache(dir)
		switch kind := readText(dir, "type"); {
		case one.SizeBytes == 0:
		case level == 1 && kind == "Instruction":
			c.I1, found = one, found+1
		case level == 1 && kind == "Data":
			c.D1, found = one, found+1
		case level > last:
			c.LL, last = one, level
		}
	}
	if found == 2 && last > 1 {
		c.From = "sysfs"
		return c
	}
	return DefaultCaches
}

func readText(dir, name string) string {
	text, _ := os.ReadFile(filepath.Join(dir, name))
	return strings.TrimSpace(string(text))
}

// readCache reads one folder of sysfs; a cache of 0 bytes is none.
func readCache(dir string) (level int64, c Cache) {
	number := func(name string) int64 {
		text, shift := readText(dir, name), 0
		if strings.HasSuffix(text, "K") {
			text, shift = text[:len(text)-1], 10
		}
		n, err := strconv.ParseUint(text, 10, 40)
		if err != nil {
			return 0
		}
		return int64(n) << shift
	}
	c = Cache{SizeBytes: powerOfTwo(number("size")), Ways: powerOfTwo(number("ways_of_associativity")), LineBytes: number("coherency_line_size")}
	if c.Ways == 0 || c.check() != nil {
		c = Cache{}
	}
	return number("level"), c
}

// powerOfTwo is the largest that is not above n.
func powerOfTwo(n int64) int64 {
	p := int64(1)
	for p*2 <= n {
		p *= 2
	}
	return min(p, n)
}

func (c Cache) check() error {
	if c.LineBytes < 16 || c.Ways < 1 || c.SizeBytes < c.LineBytes*c.Ways || powerOfTwo(c.LineBytes) != c.LineBytes ||
		powerOfTwo(c.Ways) != c.Ways || powerOfTwo(c.SizeBytes) != c.SizeBytes || c.SizeBytes > 1<<30 {
		return fmt.Errorf("sim: cache %s: want SIZE,WAYS,LINE in bytes, powers of two, LINE at least 16 and SIZE at least WAYS*LINE and at most 1 GiB", c)
	}
	return nil
}

// String is how valgrind takes it.
func (c Cache) String() string { return fmt.Sprintf("%d,%d,%d", c.SizeBytes, c.Ways, c.LineBytes) }

// ParseCache reads "32768,8,64": bytes, ways, bytes of a line.
func ParseCache(text string) (c Cache, err error) {
	parts := strings.Split(text, ",")
	if len(parts) != 3 {
		return c, fmt.Errorf("sim: cache %q: want SIZE,WAYS,LINE, e.g. 32768,8,64", text)
	}
	for i, to := range []*int64{&c.SizeBytes, &c.Ways, &c.LineBytes} {
		if *to, err = strconv.ParseInt(parts[i], 10, 64); err != nil {
			return c, fmt.Errorf("sim: cache %q: want SIZE,WAYS,LINE, e.g. 32768,8,64: %w", text, err)
		}
	}
	return c, c.check()
}

// FullyAssociative makes the small caches one set each. The last level keeps its sets:
// it is so large that they are never short of ways here, and one set of half a million
// lines would take for ever to search.
func (c Caches) FullyAssociative() Caches {
	c.I1.Ways, c.D1.Ways = c.I1.SizeBytes/c.I1.LineBytes, c.D1.SizeBytes/c.D1.LineBytes
	return c
}

func (c Caches) flags() []string {
	return []string{"--I1=" + c.I1.String(), "--D1=" + c.D1.String(), "--LL=" + c.LL.String()}
}
