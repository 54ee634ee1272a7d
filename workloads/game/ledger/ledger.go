// Package ledger remembers in an SQLite database what players have done, and
// ranks them by it.
//
// Its methods are ordinary Go that blocks: locks of database/sql, locks of the
// file, reads and writes of the disk, and milliseconds of computing. That is what
// runtime.Shard.Threadlet is for; no callback of a server may call them.
//
// Several ledgers, of one process or of several, may be open in one folder: the
// database is in WAL mode, where readers and a writer do not wait for each other.
package ledger

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/syslet/syslet/workloads/game/world"
)

// File is the database's name in the ledger's folder.
const File = "ledger.db"

// A founder's deeds have negative ids, down to -count, and are made up: see
// founders.go. A player's have positive ones, which SQLite counts up.
const schema = `
CREATE TABLE IF NOT EXISTS deeds (
	id     INTEGER PRIMARY KEY,
	at_ms  INTEGER NOT NULL,
	player TEXT    NOT NULL,
	points INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS deeds_by_player ON deeds (player, points);`

// topQuery looks at every deed, in the order of the index: its cost grows with
// their number, and it needs no sorting but of the sums.
const topQuery = `SELECT player, SUM(points) AS sum FROM deeds GROUP BY player ORDER BY sum DESC, player LIMIT ?`

const (
	// connsMax bounds the queries that one Ledger runs at a time; others wait.
	connsMax  = 4
	lockWait  = 5 * time.Second
	cachePage = 16 << 20 // bytes per connection: the index of a million deeds
)

// Ledger is access to the database. Any goroutine may call its methods.
type Ledger struct {
	db     *sql.DB
	top    *sql.Stmt
	record *sql.Stmt
}

// Open opens the ledger in the folder dir and makes what is missing. The error
// names the file.
func Open(dir string) (*Ledger, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("ledger: cannot make the folder: %w", err)
	}
	path, err := filepath.Abs(filepath.Join(dir, File))
	if err != nil {
		return nil, fmt.Errorf("ledger: %w", err)
	}
	l := &Ledger{}
	if err := l.open(path); err != nil {
		return nil, errors.Join(fmt.Errorf("ledger: cannot open %s: %w", path, err), l.Close())
	}
	return l, nil
}

// source is what database/sql opens. synchronous NORMAL: after a loss of power
// the last deeds may be gone, the database is not damaged.
func source(path string) string {
	q := url.Values{"_pragma": {
		fmt.Sprintf("busy_timeout(%d)", lockWait.Milliseconds()), // first: the others may have to wait
		"journal_mode(WAL)", "synchronous(NORMAL)", fmt.Sprintf("cache_size(-%d)", cachePage>>10),
	}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}).String()
}

func (l *Ledger) open(path string) (err error) {
	if l.db, err = sql.Open("sqlite", source(path)); err != nil {
		return err
	}
	l.db.SetMaxOpenConns(connsMax)
	l.db.SetMaxIdleConns(connsMax) // a connection has a cache of its own
	if _, err = l.db.Exec(schema); err != nil {
		return err
	}
	if l.top, err = l.db.Prepare(topQuery); err != nil {
		return err
	}
	l.record, err = l.db.Prepare(`INSERT INTO deeds (at_ms, player, points) VALUES (?, ?, ?)`)
	return err
}

// Close releases the ledger.
func (l *Ledger) Close() error {
	var errs []error
	for _, s := range []*sql.Stmt{l.top, l.record} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	if l.db != nil {
		errs = append(errs, l.db.Close())
	}
	return errors.Join(errs...)
}

// Top gives the players who have most points, at most limit, the first one first;
// of two with as many, the one whose name is lower.
func (l *Ledger) Top(limit int) ([]world.Rank, error) {
	rows, err := l.top.Query(limit)
	if err != nil {
		return nil, fmt.Errorf("ledger: cannot rank: %w", err)
	}
	defer rows.Close()
	var ranks []world.Rank
	for rows.Next() {
		var r world.Rank
		if err := rows.Scan(&r.Player, &r.Points); err != nil {
			return nil, fmt.Errorf("ledger: cannot rank: %w", err)
		}
		ranks = append(ranks, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("ledger: cannot rank: %w", err)
	}
	return ranks, nil
}

// Record adds deeds, all or none.
func (l *Ledger) Record(deeds []world.Deed) error {
	err := l.change(func(tx *sql.Tx) error {
		insert := tx.Stmt(l.record)
		for i := range deeds {
			d := &deeds[i]
			if _, err := insert.Exec(d.AtMs, d.Player, int64(d.Points)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("ledger: cannot record %d deeds: %w", len(deeds), err)
	}
	return nil
}

// Deeds is the number of deeds that the ledger remembers.
func (l *Ledger) Deeds() (n int, err error) {
	err = l.db.QueryRow(`SELECT COUNT(*) FROM deeds`).Scan(&n)
	return n, err
}

// change runs fn in a transaction.
func (l *Ledger) change(fn func(tx *sql.Tx) error) error {
	tx, err := l.db.BeginTx(context.Background(), nil)
	if err != nil {
		return err
	}
	if err := fn(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
