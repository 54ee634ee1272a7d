package plan

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/workloads"
)

// Peers stands for the experiments in which servers that are not ours do the same
// work as ours: result.PeersEcho, PeersFiles and PeersFanout.
const Peers = "peers"

// Frames of an echo and messages of a fan-out, in bytes.
const (
	echoBytes   = 64
	fanoutBytes = 128
)

// Rates, in requests per second over all connections, are such that the slowest
// server uses at most three quarters of its CPU: with a queue in front of one server
// and none in front of another, latency would compare queues.
var (
	echoRates   = map[string]float64{"1": 5000, "64": 50000, "1000": 40000, "10000": 30000}
	fanoutRates = map[string]float64{"500": 80, "5000": 8} // 40,000 deliveries a second each
)

const filesRate = 6000

// peers are the yardstick's experiments. All servers of a level run one after
// another, so that what is compared is also close in time.
func peers(quick bool) []Experiment {
	base := Experiment{
		Models: append(models.Names(), yardstick.Servers(yardstick.Echo)...),
		Rounds: 10, OptIn: true, Together: true, Factor: result.Conns,
		Warmup: 200 * time.Millisecond, Window: 800 * time.Millisecond, CountFor: 200 * time.Millisecond,
		Saturate: 500 * time.Millisecond, Outstanding: 1,
		Overhead: 200 * time.Millisecond, // three processes
	}
	if quick {
		base.Rounds = 1
		base.Warmup, base.Window, base.CountFor, base.Saturate = 150*time.Millisecond, 500*time.Millisecond, 150*time.Millisecond, 300*time.Millisecond
	}
	return []Experiment{peersEcho(base), peersFiles(base), peersFanout(base)}
}

func peersEcho(e Experiment) Experiment {
	e.Name, e.Workload = result.PeersEcho, workloads.Echo
	e.Question = fmt.Sprintf("What does an echoed message of %d bytes cost each server, on one CPU?", echoBytes)
	e.Levels = []string{"1", "64", "1000", "10000"}
	e.Overhead += 400 * time.Millisecond // 10,000 connects, twice, at one level of four
	e.Vary = func(s *trial.Spec, level string) {
		s.Rate = echoRates[level]
		atConns(s, level)
		s.LoadFlags = []string{"--size", strconv.Itoa(echoBytes)}
	}
	return e
}

func peersFiles(e Experiment) Experiment {
	e.Name, e.Workload = result.PeersFiles, workloads.Echo
	e.Question = "What does it cost when one request in five reads 4 KiB from disk, past the page cache?"
	e.Levels, e.NeedsDiskFile = []string{"64"}, true
	e.Vary = func(s *trial.Spec, level string) {
		s.Rate, s.DiskShare = filesRate, 0.2
		atConns(s, level)
		s.Factors["disk_share"] = "20"
	}
	return e
}

func peersFanout(e Experiment) Experiment {
	e.Name, e.Workload = result.PeersFanout, workloads.Fanout
	e.Question = fmt.Sprintf("What does one delivery cost when each message of %d bytes goes to all connections?", fanoutBytes)
	e.Models = append(models.Names(), yardstick.Servers(yardstick.Fanout)...)
	e.Levels = []string{"500", "5000"}
	// Few messages a second, many deliveries.
	e.Window, e.CountFor = e.Window*5/4, e.CountFor*3/2
	e.Overhead += 300 * time.Millisecond
	e.Vary = func(s *trial.Spec, level string) {
		s.Rate = fanoutRates[level]
		atConns(s, level)
		s.LoadFlags = []string{"--size", strconv.Itoa(fanoutBytes)}
		s.Speakers = speakers
	}
	return e
}

// speakers are the connections that speak in a fan-out's closed loop: with all of
// them the first round alone would be a quarter of a million deliveries.
const speakers = 4

// atConns sets the level, which is the number of connections. The rate belongs to
// it and is no factor of its own.
func atConns(s *trial.Spec, level string) {
	s.Conns, _ = strconv.Atoi(level)
	delete(s.Factors, "rate")
	s.Factors[result.Conns] = level
}

// expand replaces names that stand for several experiments.
func expand(names []string) []string {
	var out []string
	for _, name := range names {
		stands := []string{name}
		if name == Peers {
			stands = []string{result.PeersEcho, result.PeersFiles, result.PeersFanout}
		}
		for _, n := range stands {
			if !slices.Contains(out, n) {
				out = append(out, n)
			}
		}
	}
	return out
}
