package runtime

import (
	"cmp"
	"fmt"
	"slices"
)

// A block profile: every time the head could not go on because it waited, or
// computed for long, by call site. What the names mean:
//
//	callback  the head's thread gave its CPU up inside a callback of the App:
//	          nothing else of the shard ran meanwhile
//	stall     a callback computed for longer than Options.BlockThreshold
//	body      an op of a syslet, or a threadlet's function, blocked in the head's
//	          own context (threadlet model): that is what they are for
//	loop      the head's thread gave its CPU up between callbacks: a call of the
//	          model's own waited, or Go stopped the program; not the App's fault
//
// Who does what:
//
//	head     calling, called: a load around each callback says whether the kernel
//	         switched the thread out meanwhile (BlockSensor). If so, the lengths are
//	         read from the kernel's records and booked          (blockhead.go, blockbook.go)
//	watcher  one goroutine per server, asleep while nothing is wrong; while a head is
//	         held up it takes the stack of the head's goroutine, and so the line
//	                                                           (blockwatcher.go)
//	driver   books the blocks of bodies: BookBlock, BodyRan
//	anyone   reads: Server.Blocks
//
// A block that was counted and not caught by the watcher is shown under the
// callback's name, with Sampled false: all are counted and no line is invented.

// BlockKind says what held the head up.
type BlockKind uint8

const (
	// BlockCallback: the thread waited in a callback.
	BlockCallback BlockKind = iota
	// BlockStall: a callback, or a body that kept the head, computed for long.
	BlockStall
	// BlockBody: an op or a threadlet's function waited in the head's context.
	BlockBody
	// BlockLoop: the thread waited in the runtime's own code.
	BlockLoop
	blockKinds
)

var blockKindNames = [blockKinds]string{"callback", "stall", "body", "loop"}

// String is the kind's name.
func (k BlockKind) String() string { return blockKindNames[k] }

// MarshalText gives the name.
func (k BlockKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the reverse.
func (k *BlockKind) UnmarshalText(b []byte) error {
	i := slices.Index(blockKindNames[:], string(b))
	if i < 0 {
		return fmt.Errorf("runtime: %q is no kind of block", b)
	}
	*k = BlockKind(i)
	return nil
}

// BlockSite is a place in the program and the blocks that happened there.
type BlockSite struct {
	BlockPlace
	BlockTimes
}

// BlockPlace says where.
type BlockPlace struct {
	Kind  BlockKind `json:"kind"`
	Shard int       `json:"shard"`
	// Callback is the App's method that ran ("Data", "Tick", ...), "Submit" for
	// an op that was made there and then, "loop" for the runtime's own code between
	// callbacks, "turn" if it is not known which, or empty for a body.
	Callback string `json:"callback,omitempty"`
	// Function, File and Line are the innermost frame of the application. For a
	// body they are the line that submitted it. If Sampled is false only the
	// callback is known: Function describes it, File and Line are empty.
	Function string `json:"function"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Sampled  bool   `json:"sampled"`
	// Call is what that line called: "unix.Nanosleep", "sync.(*Mutex).Lock"; for a
	// body the op and its index, "fsync (op 2)", or the threadlet's function.
	Call string `json:"call,omitempty"`
}

// BlockTimes are how many blocks there were and how long they took.
type BlockTimes struct {
	Count     uint64         `json:"count"`
	TotalNs   uint64         `json:"total_ns"`
	MaxNs     uint64         `json:"max_ns"`
	Histogram BlockHistogram `json:"histogram"`
}

// How the blocks in a shard's callbacks are counted.
const (
	// BlocksBySwitch: each one, with its exact length, by the kernel's records of
	// the head's switches.
	BlocksBySwitch = "switch records"
	// BlocksAdaptive: the same, while the records are read (BlockCounting.SensedNs):
	// after a long block, and in spot checks, which go on for as long as they find
	// any. Otherwise as BlocksSampled.
	BlocksAdaptive = "switch records when needed"
	// BlocksSampled: those that held the head for longer than
	// Options.BlockThreshold, with the length of the callback. A thread that merely
	// had no CPU for that long cannot be told from one that computed.
	BlocksSampled = "sampled"
	BlocksOff     = "off"
)

// BlockCounting says how a shard's blocks were counted, and what was not.
type BlockCounting struct {
	Shard int `json:"shard"`
	// Method is BlocksBySwitch, BlocksAdaptive, BlocksSampled or BlocksOff.
	Method string `json:"method"`
	// SensedNs is for how long the records were read: BlocksAdaptive.
	SensedNs int64 `json:"sensed_ns,omitempty"`
	// Why Method is BlocksSampled.
	Why         string `json:"why,omitempty"`
	ThresholdNs int64  `json:"threshold_ns"`
	// Overflow is the number of blocks at sites for which the table had no room;
	// they are in Totals.
	Overflow uint64 `json:"overflow,omitempty"`
	// RecordsLost is the number of bytes of switch records that were overwritten
	// before the head read them: blocks that are not counted.
	RecordsLost uint64 `json:"records_lost,omitempty"`
	// OwnStops is the number of short blocks that began while the profile took a
	// stack, which stops the program twice: they are not counted.
	OwnStops uint64 `json:"own_stops,omitempty"`
	// Totals is by BlockKind.
	Totals [blockKinds]BlockTotal `json:"totals"`
}

// BlockTotal is the sum over all sites of a kind.
type BlockTotal struct {
	Kind    BlockKind `json:"kind"`
	Count   uint64    `json:"count"`
	TotalNs uint64    `json:"total_ns"`
	MaxNs   uint64    `json:"max_ns"`
}

// BlockReport is a server's block profile. Text: String, WriteTo.
type BlockReport struct {
	Shards []BlockCounting `json:"shards"`
	// Samples is the number of stacks that the watcher took, SampleNs the time
	// that this took it; a tenth of it, roughly, stops the program.
	Samples  uint64 `json:"samples"`
	SampleNs uint64 `json:"sample_ns"`
	// Sites is sorted by total time, longest first.
	Sites []BlockSite `json:"sites"`
}

// Blocks gives the block profile of all shards since they began, also of a
// server that has been stopped. Any thread; it does not wait for the shards.
func (v *Server) Blocks() BlockReport {
	var r BlockReport
	for _, s := range v.Shards() {
		r.Shards = append(r.Shards, s.block.counting(s))
		r.Sites = append(r.Sites, s.Blocks()...)
	}
	r.Samples, r.SampleNs = v.watcher.samples.Load(), v.watcher.sampleNs.Load()
	SortBlocks(r.Sites)
	return r
}

// Blocks gives the sites of this shard, the longest total first. Any thread.
func (s *Shard) Blocks() []BlockSite {
	sites := s.block.table.sites(s)
	SortBlocks(sites)
	return sites
}

// SortBlocks puts the sites with the longest total first.
func SortBlocks(sites []BlockSite) {
	slices.SortStableFunc(sites, func(a, b BlockSite) int { return cmp.Compare(b.TotalNs, a.TotalNs) })
}

// Since is what was added to the profile after an earlier report of the same
// server. What was longest in that time is not kept: MaxNs is the end of the
// highest bucket that was added to, if that is less than the longest ever.
func (r BlockReport) Since(earlier BlockReport) BlockReport {
	before := map[BlockPlace]*BlockTimes{}
	for i := range earlier.Sites {
		before[earlier.Sites[i].BlockPlace] = &earlier.Sites[i].BlockTimes
	}
	sites := r.Sites
	r.Sites = nil
	for _, site := range sites {
		if old := before[site.BlockPlace]; old != nil {
			site.BlockTimes.subtract(old)
		}
		if site.Count > 0 {
			r.Sites = append(r.Sites, site)
		}
	}
	r.Shards = slices.Clone(r.Shards)
	for i := range min(len(r.Shards), len(earlier.Shards)) {
		r.Shards[i].subtract(&earlier.Shards[i])
	}
	r.Samples -= earlier.Samples
	r.SampleNs -= earlier.SampleNs
	SortBlocks(r.Sites)
	return r
}

func (c *BlockCounting) subtract(o *BlockCounting) {
	c.Overflow -= o.Overflow
	c.SensedNs -= o.SensedNs
	c.RecordsLost -= o.RecordsLost
	c.OwnStops -= o.OwnStops
	for k := range c.Totals {
		c.Totals[k].Count -= o.Totals[k].Count
		c.Totals[k].TotalNs -= o.Totals[k].TotalNs
	}
}
