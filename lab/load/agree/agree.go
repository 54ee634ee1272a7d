// Package agree holds the load against clients that are not ours: at saturation, in a
// closed loop over the same connections against the same server, both must find the
// same throughput. wrk asks the file server, a client in plain C the echo server.
package agree

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/load"
	"github.com/syslet/syslet/lab/sensor"
	"github.com/syslet/syslet/lab/trial"
	"github.com/syslet/syslet/lab/yardstick"
)

// Config is what Run is told.
type Config struct {
	// Binary is the syslet executable, WorkDir a folder to make and remove.
	Binary, WorkDir      string
	ServerCPUs, LoadCPUs []int
	// Conns connections; default 64. Rounds of both clients in turn, For each; default
	// 5 of 2 s. (wrk counts from its first connect on: the shorter, the less it finds.)
	Conns, Rounds int
	For           time.Duration
}

// MostApart is by how much the two medians may differ, relatively.
const MostApart = 0.05

// Result is one pair of clients.
type Result struct {
	// Server is the workload that serves, Client who is not ours.
	Server, Client string
	// Ours and Theirs are answers/s, a value a round.
	Ours, Theirs []float64
	// Busy is the share of a CPU that the server's one loop used in each window of ours.
	Busy []float64
	// Ratio is the median of ours by that of theirs.
	Ratio float64
	// Unavailable says why there is no figure: the tool is missing.
	Unavailable string
}

// Agrees reports whether the medians lie within MostApart of each other.
func (r *Result) Agrees() bool {
	return r.Unavailable == "" && r.Ratio >= 1-MostApart && r.Ratio <= 1+MostApart
}

// leastBusy is the share of its CPU that a server uses that is the limit.
const leastBusy = 0.95

// ServerWasLimit reports whether the server was busy throughout our windows: where it
// was not, the client or the machine was the limit, and the rates say little of the load.
func (r *Result) ServerWasLimit() bool { return len(r.Busy) > 0 && median(r.Busy) >= leastBusy }

func (r *Result) String() string {
	if r.Unavailable != "" {
		return fmt.Sprintf("%s: %s unavailable: %s", r.Server, r.Client, r.Unavailable)
	}
	return fmt.Sprintf("%s: our load %.0f/s, %s %.0f/s (medians of %d): %+.1f %%; the server used %.1f %% of its CPU", r.Server, median(r.Ours), r.Client, median(r.Theirs), len(r.Ours),
		100*(r.Ratio-1), 100*median(r.Busy))
}

// Run compares with every client that this system has.
func Run(ctx context.Context, cfg Config) ([]Result, error) {
	if cfg.Conns == 0 {
		cfg.Conns = 64
	}
	if cfg.Rounds == 0 {
		cfg.Rounds = 5
	}
	if cfg.For == 0 {
		cfg.For = 2 * time.Second
	}
	site := filepath.Join(cfg.WorkDir, "site")
	if err := os.MkdirAll(site, 0o755); err != nil {
		return nil, fmt.Errorf("agree: work folder: %w", err)
	}
	defer os.RemoveAll(cfg.WorkDir)
	if err := os.WriteFile(filepath.Join(site, "index.html"), []byte(strings.Repeat("syslet\n", 146)), 0o644); err != nil {
		return nil, fmt.Errorf("agree: work folder: %w", err)
	}
	var out []Result
	for _, p := range []pair{
		// The servers do more than they need, a look at the file or 5 us of computing for each
		// request, so that they are the limit. Where a client is, the cheaper one finds more:
		// ours 15 % more than wrk, and 5 % less than plain C, which looks at no answer.
		{"fileserver", "wrk", []string{"--root", site, "--file-valid", "-1ns", "--files", "inline"}, cfg.wrk},
		{"echo", "C client", []string{"--handicap-cpu-ns", "5000"}, cfg.cClient},
	} {
		r, err := cfg.compare(ctx, p)
		if err != nil {
			return out, fmt.Errorf("agree: %s: %w", p.client, err)
		}
		out = append(out, r)
	}
	return out, nil
}

// pair is a server's workload and a client that is not ours.
type pair struct {
	workload, client string
	serve            []string
	// ask runs the client against target once and returns answers/s.
	ask func(ctx context.Context, target string) (float64, error)
}

// errMissing is wrapped where a client is not to be had.
var errMissing = errors.New("missing")

func (c *Config) compare(ctx context.Context, p pair) (Result, error) {
	r := Result{Server: p.workload, Client: p.client}
	server, err := Serve(ctx, c.Binary, c.ServerCPUs, append([]string{"--model", "nonblock", "--workload", p.workload}, p.serve...)...)
	if err != nil {
		return r, err
	}
	defer server.Stop()
	for i := range 2 * c.Rounds {
		// ABBA: what drifts meets both alike.
		if ours := i%4 == 0 || i%4 == 3; ours {
			v, busy, err := c.ours(ctx, p.workload, server)
			if err != nil {
				return r, err
			}
			r.Ours, r.Busy = append(r.Ours, v), append(r.Busy, busy)
			continue
		}
		v, err := p.ask(ctx, server.Target)
		if errors.Is(err, errMissing) || errors.Is(err, yardstick.ErrRefused) {
			r.Unavailable = err.Error()
			return r, nil
		}
		if err != nil {
			return r, err
		}
		r.Theirs = append(r.Theirs, v)
	}
	r.Ratio = median(r.Ours) / median(r.Theirs)
	return r, nil
}

// ours runs our load once. busy is the server's share of a CPU in the window.
func (c *Config) ours(ctx context.Context, workload string, server *Server) (rate, busy float64, err error) {
	var fromUs float64
	var from time.Time
	var failed error
	report, err := Load(ctx, c.Binary, c.LoadCPUs, func(p load.Phase) {
		us, _, err := sensor.ProcessCPU(server.PID)
		failed = errors.Join(failed, err)
		switch p.Name {
		case load.PhaseMeasure:
			fromUs, from = us, time.Now()
		case load.PhaseDrain:
			busy = (us - fromUs) / (time.Since(from).Seconds() * 1e6)
		}
	}, "--workload", workload, "--target", server.Target, "--closed", "--outstanding", "1",
		"--conns", strconv.Itoa(c.Conns), "--warmup", (c.For / 5).String(), "--duration", c.For.String())
	if err = errors.Join(err, failed); err != nil {
		return 0, 0, err
	}
	return report.Throughput, busy, nil
}

// wrk takes whole seconds.
func (c *Config) wrk(ctx context.Context, target string) (float64, error) {
	path, err := exec.LookPath("wrk")
	if err != nil {
		return 0, fmt.Errorf("%w: no wrk in PATH (apt-get install wrk)", errMissing)
	}
	seconds := max(1, int(c.For.Round(time.Second)/time.Second))
	out, err := output(exec.CommandContext(ctx, path, "-t1", "-c"+strconv.Itoa(c.Conns), "-d"+strconv.Itoa(seconds)+"s", "http://"+target+"/"), c.LoadCPUs)
	if err != nil {
		return 0, err
	}
	return parseWrk(out)
}

var wrkRate = regexp.MustCompile(`(?m)^Requests/sec:\s+([0-9.]+)\s*$`)

// parseWrk reads the rate; answers that were none, and errors, are errors.
func parseWrk(out string) (float64, error) {
	m := wrkRate.FindStringSubmatch(out)
	if m == nil || strings.Contains(out, "Non-2xx") || strings.Contains(out, "Socket errors") {
		return 0, fmt.Errorf("wrk printed %q: want a line Requests/sec and no errors", out)
	}
	return strconv.ParseFloat(m[1], 64)
}

func (c *Config) cClient(ctx context.Context, target string) (float64, error) {
	path, err := yardstick.MakeCClient(ctx)
	if err != nil {
		return 0, err
	}
	out, err := output(exec.CommandContext(ctx, path, "--connect", target, "--cpus", trial.CPUList(c.LoadCPUs), "--conns", strconv.Itoa(c.Conns),
		"--warmup-ms", strconv.FormatInt(c.For.Milliseconds()/5, 10), "--duration-ms", strconv.FormatInt(c.For.Milliseconds(), 10)), c.LoadCPUs)
	if err != nil {
		return 0, err
	}
	var said struct{ Answers, Seconds float64 }
	if err := json.Unmarshal([]byte(out), &said); err != nil || said.Seconds <= 0 {
		return 0, fmt.Errorf("the C client printed %q", out)
	}
	return said.Answers / said.Seconds, nil
}

func median(values []float64) float64 {
	v := slices.Sorted(slices.Values(values))
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
