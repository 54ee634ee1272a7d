package sim

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// tcpListen is TCP_LISTEN in /proc/net/tcp.
const tcpListen = "0A"

// listeningPort is the port of a process's listening socket, 0 while there is none.
func listeningPort(pid int) int {
	sockets := map[string]bool{}
	links, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	for _, link := range links {
		if to, err := os.Readlink(link); err == nil && strings.HasPrefix(to, "socket:[") {
			sockets[strings.Trim(to, "socket:[]")] = true
		}
	}
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/net/tcp", pid))
	return parseListening(string(text), sockets)
}

// parseListening reads /proc/net/tcp (proc_net_tcp.rst): the state is the fourth field,
// the inode the tenth.
func parseListening(text string, inodes map[string]bool) int {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || f[3] != tcpListen || !inodes[f[9]] {
			continue
		}
		_, hex, _ := strings.Cut(f[1], ":")
		if port, err := strconv.ParseUint(hex, 16, 16); err == nil {
			return int(port)
		}
	}
	return 0
}

// threadState is the letter of a stat file; 0 if there is none.
func threadState(path string) byte {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return stateOf(text)
}

// stateOf is what follows the name, which is in brackets and may have any in it.
func stateOf(stat []byte) byte {
	i := bytes.LastIndexByte(stat, ')')
	if i < 0 || i+2 >= len(stat) {
		return 0
	}
	return stat[i+2]
}

// threads watches whether any thread of a process is runnable.
type threads struct {
	stats []*os.File
	room  [512]byte
}

func openThreads(pid int) (*threads, error) {
	paths, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil || len(paths) == 0 {
		return nil, fmt.Errorf("sim: process %d has no threads any more", pid)
	}
	t := &threads{}
	for _, path := range paths {
		if f, err := os.Open(path); err == nil {
			t.stats = append(t.stats, f)
		}
	}
	return t, nil
}

func (t *threads) close() {
	for _, f := range t.stats {
		_ = f.Close()
	}
}

// busy reports whether one of them is runnable; one that has ended is not.
func (t *threads) busy() bool {
	for _, f := range t.stats {
		if n, _ := f.ReadAt(t.room[:], 0); stateOf(t.room[:n]) == 'R' {
			return true
		}
	}
	return false
}
