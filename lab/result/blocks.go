package result

import (
	"fmt"
	"math"
)

// Blocks is what held up the heads of the server under test in the measured
// part: its block profile (runtime.BlockReport), all shards together.
type Blocks struct {
	// Unavailable says why there is none; then the rest is empty.
	Unavailable string `json:"unavailable,omitempty"`
	// Counting says how blocks in callbacks were counted, and what was not.
	Counting string `json:"counting,omitempty"`
	// Sites are the longest in all, the longest first.
	Sites []BlockSite `json:"sites,omitempty"`
	// More sites are left out; MoreUs is what they took, in us.
	More   int     `json:"more,omitempty"`
	MoreUs float64 `json:"more_us,omitempty"`
}

// Kinds of BlockSite.
const (
	// BlockCallback: the head waited in a callback: a fault of the application.
	BlockCallback = "callback"
	// BlockStall: a callback computed for long, or held the head for a reason that
	// was not seen.
	BlockStall = "stall"
	// BlockBody: an op or a threadlet's function waited where it may.
	BlockBody = "body"
	// BlockLoop: the loop waited between callbacks, or Go stopped the program.
	BlockLoop = "loop"
)

// BlockSite is a place in the server's program at which heads were held up.
type BlockSite struct {
	Kind string `json:"kind"`
	// Where is "main.(*app).Data app.go:41", Call what that line called.
	Where string `json:"where"`
	Call  string `json:"call,omitempty"`
	Count uint64 `json:"count"`
	// Times are in us. P50 and Max are right within a fifth.
	TotalUs float64 `json:"total_us"`
	P50Us   float64 `json:"p50_us"`
	MaxUs   float64 `json:"max_us"`
}

func (b *Blocks) check() error {
	for i := range b.Sites {
		s := &b.Sites[i]
		switch s.Kind {
		case BlockCallback, BlockStall, BlockBody, BlockLoop:
		default:
			return fmt.Errorf("site %d: kind %q is none of callback, stall, body, loop", i, s.Kind)
		}
		for _, us := range []float64{s.TotalUs, s.P50Us, s.MaxUs} {
			if math.IsNaN(us) || math.IsInf(us, 0) || us < 0 {
				return fmt.Errorf("site %d: a time is %v us", i, us)
			}
		}
	}
	return nil
}
