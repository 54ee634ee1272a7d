package ledger

import (
	"database/sql"
	"fmt"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/syslet/syslet/workloads/game/world"
)

// Founders are players of long ago whose deeds are made up: a ledger's past, as
// long as it takes for a query to cost what it is to cost. The i-th deed is the
// same in every ledger.

const (
	founders   = 1000
	firstMs    = 1_000_000_000_000 // September 2001
	apartMs    = 60_000
	pointsMost = 100
)

// founderDeed is the i-th made-up deed.
func founderDeed(i int) world.Deed {
	x := mix(uint64(i))
	return world.Deed{Player: fmt.Sprintf("founder%03d", x%founders), AtMs: firstMs + int64(i)*apartMs, Points: 1 + x>>32%pointsMost}
}

// mix spreads a number over 64 bits: the finalizer of splitmix64 (Steele, Lea,
// Flood, OOPSLA 2014).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// Found makes the founders' deeds the first count of all, by adding or by taking
// away.
func (l *Ledger) Found(count int) error {
	err := l.change(func(tx *sql.Tx) error {
		if _, err := tx.Exec(`DELETE FROM deeds WHERE id < ?`, -count); err != nil {
			return err
		}
		var have int
		if err := tx.QueryRow(`SELECT COUNT(*) FROM deeds WHERE id < 0`).Scan(&have); err != nil {
			return err
		}
		insert, err := tx.Prepare(`INSERT INTO deeds (id, at_ms, player, points) VALUES (?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		defer insert.Close()
		for i := have; i < count; i++ {
			d := founderDeed(i)
			if _, err := insert.Exec(-i-1, d.AtMs, d.Player, int64(d.Points)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger: cannot make up %d deeds: %w", count, err)
	}
	return nil
}

// Cost is what a ranking of all deeds was measured to take: medians of Runs
// queries, one after another.
type Cost struct {
	Deeds int
	// CPU time of the thread: it does not depend on who else uses the machine.
	CPU time.Duration
	// Wall is how long it took.
	Wall time.Duration
	Runs int
}

// String says it in words.
func (c Cost) String() string {
	return fmt.Sprintf("%d deeds, ranked in %v of CPU time, %v by the clock (medians of %d)",
		c.Deeds, c.CPU.Round(10*time.Microsecond), c.Wall.Round(10*time.Microsecond), c.Runs)
}

const (
	runs       = 15
	foundFirst = 4096
	foundMost  = 1 << 23
	stepsMost  = 8
	closeTo    = 0.05 // of the duration that was asked for
	closeAtAll = 0.25
)

// Measure ranks some times and says what that takes.
func (l *Ledger) Measure() (Cost, error) {
	c := Cost{Runs: runs}
	var err error
	if c.Deeds, err = l.Deeds(); err != nil {
		return c, fmt.Errorf("ledger: %w", err)
	}
	runtime.LockOSThread() // whose CPU time is read
	defer runtime.UnlockOSThread()
	var cpu, wall []time.Duration
	for i := -2; i < runs; i++ { // two to fill the caches
		began, beganCPU := time.Now(), threadCPU()
		if _, err := l.Top(10); err != nil {
			return c, err
		}
		if i >= 0 {
			cpu, wall = append(cpu, threadCPU()-beganCPU), append(wall, time.Since(began))
		}
	}
	slices.Sort(cpu)
	slices.Sort(wall)
	c.CPU, c.Wall = cpu[runs/2], wall[runs/2]
	return c, nil
}

func threadCPU() time.Duration {
	var ts unix.Timespec
	// Cannot fail with this clock and a valid address.
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts)
	return time.Duration(ts.Nano())
}

// Calibrate gives the ledger as many founders' deeds as it takes for a ranking to
// use want of CPU time on this machine. What it was measured to use in the end is
// returned; an error, if that is far from want, because players' own deeds alone
// take longer, or the machine does not do the same work in the same time twice.
func (l *Ledger) Calibrate(want time.Duration) (Cost, error) {
	c, err := l.Measure()
	if err != nil || near(c.CPU, want, closeTo) {
		return c, err
	}
	own := 0
	if err := l.db.QueryRow(`SELECT COUNT(*) FROM deeds WHERE id >= 0`).Scan(&own); err != nil {
		return c, fmt.Errorf("ledger: %w", err)
	}
	for range stepsMost {
		// The cost is all but proportional to the number of deeds; below some thousand
		// it is not, so a first step only finds the scale.
		deeds := foundFirst
		if c.Deeds >= foundFirst {
			deeds = int(float64(c.Deeds) * float64(want) / float64(c.CPU))
		}
		if err := l.Found(min(max(deeds-own, 1), foundMost)); err != nil {
			return c, err
		}
		if c, err = l.Measure(); err != nil || near(c.CPU, want, closeTo) {
			return c, err
		}
	}
	if !near(c.CPU, want, closeAtAll) {
		return c, fmt.Errorf("ledger: a ranking takes %v of CPU time, and was to take %v (--ledger-query): players' own deeds (%d) are too many, or the machine is too unsteady", c.CPU, want, own)
	}
	return c, nil
}

func near(got, want time.Duration, share float64) bool {
	return (got - want).Abs() <= time.Duration(share*float64(want))
}
