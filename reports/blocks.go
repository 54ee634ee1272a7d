package reports

import (
	"cmp"
	"fmt"
	"math"
	"slices"

	"github.com/syslet/syslet/lab/result"
)

// blockRowsMax bounds the rows of a model: what is worth a look is at the top.
const blockRowsMax = 6

// blockTable is what held up the heads, by model and place.
type blockTable struct {
	Groups []*blockGroup
	// Countings say for each model how its blocks were counted.
	Countings []blockNote
}

type blockGroup struct {
	Look look
	Rows []blockRow
	// Nothing stands for the rows: why there are none.
	Nothing string
	// More sums up the places without a row.
	More string
}

// Span is the number of rows that the model's name stands beside.
func (g *blockGroup) Span() int {
	if g.More != "" {
		return len(g.Rows) + 1
	}
	return len(g.Rows)
}

type blockRow struct {
	Kind, Where, Call string
	Blocks            string
	P50, Max, Total   string
	Share             string
}

type blockNote struct {
	Look look
	Text string
}

// place tells block sites of one model apart.
type place struct{ kind, where, call string }

// blockSum is a place's blocks over the trials of a model.
type blockSum struct {
	place
	count          uint64
	totalUs, maxUs float64
	p50s           []weighted
}

// weighted is the median length in one trial, with the number of blocks there.
type weighted struct {
	us    float64
	count uint64
}

// blocks makes the table of a view; nil if its trials know nothing of blocks.
func (v *view) blocks(lk map[string]look) *blockTable {
	t := &blockTable{}
	any := false
	for _, m := range v.Models {
		g, counting, has := v.blockGroup(m)
		g.Look = lk[m]
		any = any || has
		t.Groups = append(t.Groups, g)
		if counting != "" {
			t.Countings = append(t.Countings, blockNote{lk[m], counting})
		}
	}
	if !any {
		return nil
	}
	return t
}

func (v *view) blockGroup(model string) (g *blockGroup, counting string, has bool) {
	g = &blockGroup{}
	sums := map[place]*blockSum{}
	var overUs, moreUs float64
	more := 0
	why := "no trial that counts has a block profile"
	for _, t := range v.Trials {
		b := t.Blocks
		if t.Model != model || !t.Counted() || b == nil {
			continue
		}
		if b.Unavailable != "" {
			why = "unavailable: " + b.Unavailable
			continue
		}
		has = true
		counting = cmp.Or(counting, b.Counting)
		overUs += t.DurationS * 1e6
		more, moreUs = max(more, b.More), moreUs+b.MoreUs
		addSites(sums, b.Sites)
	}
	if !has {
		g.Nothing = why
		return g, "", false
	}
	all := make([]*blockSum, 0, len(sums))
	for _, s := range sums {
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *blockSum) int {
		return cmp.Or(cmp.Compare(b.totalUs, a.totalUs), cmp.Compare(a.where, b.where), cmp.Compare(a.kind, b.kind), cmp.Compare(a.call, b.call))
	})
	for i, s := range all {
		if i >= blockRowsMax {
			more, moreUs = more+1, moreUs+s.totalUs
			continue
		}
		g.Rows = append(g.Rows, s.row(overUs))
	}
	switch {
	case len(all) == 0:
		g.Nothing = "nothing held its loop up"
	case more > 0:
		g.More = fmt.Sprintf("and %d more, %s in all", more, length(moreUs))
	}
	return g, counting, true
}

func addSites(sums map[place]*blockSum, sites []result.BlockSite) {
	for i := range sites {
		s := &sites[i]
		p := place{s.Kind, s.Where, s.Call}
		sum := sums[p]
		if sum == nil {
			sum = &blockSum{place: p}
			sums[p] = sum
		}
		sum.count += s.Count
		sum.totalUs += s.TotalUs
		sum.maxUs = max(sum.maxUs, s.MaxUs)
		sum.p50s = append(sum.p50s, weighted{s.P50Us, s.Count})
	}
}

func (s *blockSum) row(overUs float64) blockRow {
	r := blockRow{Kind: s.kind, Where: s.where, Call: s.call, Blocks: thousands(fmt.Sprint(s.count)),
		P50: length(s.medianUs()), Max: length(s.maxUs), Total: length(s.totalUs), Share: "unknown"}
	if overUs > 0 {
		r.Share = fmt.Sprintf("%s %%", number(significant(100*s.totalUs/overUs, 2)))
	}
	return r
}

// medianUs is the median of the trials' medians, each counted as often as it had
// blocks.
func (s *blockSum) medianUs() float64 {
	slices.SortFunc(s.p50s, func(a, b weighted) int { return cmp.Compare(a.us, b.us) })
	n := uint64(0)
	for _, p := range s.p50s {
		if n += p.count; 2*n >= s.count {
			return p.us
		}
	}
	return 0
}

// length shows a time in us with a unit that suits it.
func length(us float64) string {
	switch {
	case us >= 1e6:
		return number(significant(us/1e6, 3)) + " s"
	case us >= 1e3:
		return number(significant(us/1e3, 3)) + " ms"
	}
	return number(significant(us, 3)) + " µs"
}

// significant rounds v to n digits that count.
func significant(v float64, n int) float64 {
	if v == 0 {
		return 0
	}
	unit := math.Pow(10, math.Floor(math.Log10(math.Abs(v)))-float64(n)+1)
	return math.Round(v/unit) * unit
}
