package check

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/syslet/syslet/lab/load/agree"
)

var loadCheck = Check{
	Name:  "load",
	Shows: "the load finds the same throughput as clients that are not ours, within 5 %: wrk on the file server, plain C on echo; and the server was the limit",
	Uses:  []Option{OptionRounds},
	Takes: func(quick bool) time.Duration {
		rounds, each := loadRounds(0, quick)
		return 4 * time.Duration(rounds) * (each + each/5 + 200*time.Millisecond)
	},
	Run: runLoad,
}

func loadRounds(asked int, quick bool) (rounds int, each time.Duration) {
	if each = 2 * time.Second; quick {
		each = time.Second // the least that wrk takes
	}
	return orOf(asked, quick, 2, 5), each
}

func runLoad(ctx context.Context, o Options) (Verdict, error) {
	rounds, each := loadRounds(o.Rounds, o.Quick)
	server, client := labCPUs()
	results, err := agree.Run(ctx, agree.Config{Binary: o.Binary, WorkDir: filepath.Join(o.Out, "work"), ServerCPUs: server, LoadCPUs: client, Conns: plainConns, Rounds: rounds, For: each})
	if err != nil {
		return Verdict{}, err
	}
	for i := range results {
		r := &results[i]
		o.printf("%s\n", r)
		for j := range r.Theirs {
			o.printf("  round %d: ours %.0f/s (server %.1f %% busy), %s %.0f/s\n", j+1, r.Ours[j], 100*r.Busy[j], r.Client, r.Theirs[j])
		}
	}
	return judgeLoad(results), nil
}

// judgeLoad: every pair that was to be had agrees, with the server as the limit.
func judgeLoad(results []agree.Result) Verdict {
	v := Verdict{Held: true}
	var sums []string
	for i := range results {
		r := &results[i]
		if r.Unavailable != "" {
			v.NotChecked = append(v.NotChecked, fmt.Sprintf("%s against %s: %s", r.Server, r.Client, r.Unavailable))
			continue
		}
		v.Held = v.Held && r.Agrees() && r.ServerWasLimit()
		sum := r.String()
		if !r.ServerWasLimit() {
			sum += ", so that it was not the limit"
		}
		sums = append(sums, sum)
	}
	v.Why = strings.Join(sums, "; ")
	return v
}
