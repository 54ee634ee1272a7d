package trial

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/syslet/syslet/lab/result"
	"github.com/syslet/syslet/runtime"
)

// sitesMax bounds the sites that a trial keeps.
const sitesMax = 12

func (s *server) blocks(ctx context.Context) (runtime.BlockReport, error) {
	var b runtime.BlockReport
	err := s.ask(ctx, http.MethodGet, "/debug/blocks?json", &b)
	return b, err
}

// blocksBefore and blocksAfter read the profile shortly before the window and after
// it. A trial without one is no worse.
func (r *run) blocksBefore(ctx context.Context) {
	if r.spec.Foreign != nil {
		return
	}
	var err error
	if r.blocks, err = r.server.blocks(ctx); err != nil {
		r.out.Blocks = &result.Blocks{Unavailable: err.Error()}
	}
}

func (r *run) blocksAfter(ctx context.Context) {
	if r.spec.Foreign != nil || r.out.Blocks != nil {
		return
	}
	after, err := r.server.blocks(ctx)
	if err != nil {
		r.out.Blocks = &result.Blocks{Unavailable: err.Error()}
		return
	}
	r.out.Blocks = blocksOf(r.blocks, after)
}

// blocksOf turns what was added to a block profile into a trial's record of it.
func blocksOf(before, after runtime.BlockReport) *result.Blocks {
	d := after.Since(before)
	out := &result.Blocks{}
	if len(d.Shards) == 0 {
		out.Unavailable = "the server has no shard"
		return out
	}
	if d.Shards[0].Method == runtime.BlocksOff {
		out.Unavailable = "the server's block profile is off"
		return out
	}
	out.Counting = d.Shards[0].Describe()
	sites := byPlace(d.Sites)
	for i := range sites {
		s := &sites[i]
		if i >= sitesMax {
			out.More++
			out.MoreUs += float64(s.TotalNs) / 1e3
			continue
		}
		where := s.ShortFunction()
		if s.File != "" {
			where = fmt.Sprintf("%s %s:%d", where, filepath.Base(s.File), s.Line)
		}
		out.Sites = append(out.Sites, result.BlockSite{Kind: s.Kind.String(), Where: where, Call: s.Call, Count: s.Count,
			TotalUs: float64(s.TotalNs) / 1e3, P50Us: float64(s.QuantileNs(0.5)) / 1e3, MaxUs: float64(s.MaxNs) / 1e3})
	}
	return out
}

// byPlace makes one site of those of several shards.
func byPlace(sites []runtime.BlockSite) []runtime.BlockSite {
	var all []runtime.BlockSite
	for _, s := range sites {
		s.Shard = 0
		i := slices.IndexFunc(all, func(o runtime.BlockSite) bool { return o.BlockPlace == s.BlockPlace })
		if i < 0 {
			all = append(all, s)
			continue
		}
		all[i].Add(&s.BlockTimes)
	}
	runtime.SortBlocks(all)
	return all
}
