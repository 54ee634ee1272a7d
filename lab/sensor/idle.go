package sensor

import (
	"bytes"
	"errors"
	"os"
)

// ProcessCPU is the CPU time that a process has used, in us.
func ProcessCPU(pid int) (us float64, source string, err error) {
	ns, err := processCPUNs(pid)
	return float64(ns) / 1e3, sourceCPUClock, err
}

// Resident is a process' resident memory, in bytes.
func Resident(pid int) (bytes uint64, source string, err error) {
	m := readMemory(pid)
	return m.rss, m.source, m.rssErr
}

// SlabSource says what KernelSlab is.
const SlabSource = "kernel (/proc/meminfo Slab)"

// KernelSlab is the memory of all of the kernel's own objects, in bytes: among
// them sockets, with what epoll and io_uring keep for them, whoever has them.
func KernelSlab() (uint64, error) {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, err
	}
	return parseSlab(text)
}

func parseSlab(text []byte) (uint64, error) {
	for line := range bytes.Lines(text) {
		if value, ok := bytes.CutPrefix(line, []byte("Slab:")); ok {
			return parseKB(value)
		}
	}
	return 0, errors.New("meminfo: no Slab")
}
