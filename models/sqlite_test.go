package models_test

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/syslet/syslet/models"
	"github.com/syslet/syslet/runtime"
	"github.com/syslet/syslet/runtime/conformance"
	"github.com/syslet/syslet/workloads/echo"
)

// patience bounds every wait; no test relies on its length.
const patience = 30 * time.Second

// TestSQLiteInBodies: a database driver is ordinary Go that blocks wherever it
// likes. Under every model a threadlet's function may use it as it is.
func TestSQLiteInBodies(t *testing.T) {
	for _, model := range models.AllNames() {
		t.Run(model, func(t *testing.T) {
			if err := models.Refused(model); err != nil {
				t.Skip(err)
			}
			conformance.CheckLeaks(t)
			b := serveBank(t, model)
			t.Run("transfers", b.transfers)
			t.Run("locked", b.locked)
		})
	}
}

// bank is an echo server and a database that bodies on its shard use.
type bank struct {
	srv   *runtime.Server
	shard *runtime.Shard
	db    *sql.DB
	conn  net.Conn
}

func serveBank(t *testing.T, model string) *bank {
	q := url.Values{"_pragma": {"busy_timeout(20000)", "synchronous(FULL)"}, "_txlock": {"immediate"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: filepath.Join(t.TempDir(), "bank.db"), RawQuery: q.Encode()}).String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.Exec(`CREATE TABLE accounts (id INTEGER PRIMARY KEY, money INTEGER NOT NULL)`)
	require.NoError(t, err)
	for i := range 4 {
		_, err = db.Exec(`INSERT INTO accounts VALUES (?, 100)`, i)
		require.NoError(t, err)
	}
	srv, err := models.Open(model, runtime.Options{Listen: "127.0.0.1:0", Helpers: 3, Standbys: 3})
	require.NoError(t, err)
	require.NoError(t, srv.Start(echo.Config{}.NewApp))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		require.NoError(t, srv.Stop(ctx))
	})
	conn, err := net.Dial("tcp", srv.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close() })
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	return &bank{srv: srv, shard: srv.Shards()[0], db: db, conn: conn}
}

func (b *bank) ping(t *testing.T) {
	t.Helper()
	_, err := b.conn.Write([]byte("ping"))
	require.NoError(t, err)
	_, err = io.ReadFull(b.conn, make([]byte, 4))
	require.NoError(t, err)
}

// submit has the shard run fn; what comes back is what done was told.
func (b *bank) submit(t *testing.T, fn func() error) <-chan error {
	done := make(chan error, 2)
	b.shard.Do(func(s *runtime.Shard) {
		if out := s.Threadlet(fn, func(err error) { done <- err }); out != runtime.Queued {
			t.Errorf("outcome %v", out)
		}
	})
	return done
}

func wait(t *testing.T, done <-chan error) {
	t.Helper()
	select {
	case err := <-done:
		require.NoError(t, err)
	case <-time.After(patience):
		t.Fatal("no completion")
	}
}

func (b *bank) transfer(from, to, money int) error {
	tx, err := b.db.Begin()
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.Exec(`UPDATE accounts SET money = money - ? WHERE id = ?`, money, from); err != nil {
		return err
	}
	if _, err := tx.Exec(`UPDATE accounts SET money = money + ? WHERE id = ?`, money, to); err != nil {
		return err
	}
	return tx.Commit()
}

// transfers: many transactions at once, more than there are threads for them,
// each synced to the disk. Each is done once.
func (b *bank) transfers(t *testing.T) {
	var all []<-chan error
	for i := range 20 {
		all = append(all, b.submit(t, func() error { return b.transfer(i%4, (i+1)%4, i) }))
	}
	for _, done := range all {
		wait(t, done)
	}
	b.ping(t)
	var got []int
	rows, err := b.db.Query(`SELECT money FROM accounts ORDER BY id`)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var money int
		require.NoError(t, rows.Scan(&money))
		got = append(got, money)
	}
	want := []int{100, 100, 100, 100}
	for i := range 20 {
		want[i%4] -= i
		want[(i+1)%4] += i
	}
	require.Equal(t, want, got)
	for _, done := range all {
		require.Empty(t, done, "done was called twice")
	}
}

// locked: a body that waits for a lock of the database holds nobody up.
func (b *bank) locked(t *testing.T) {
	tx, err := b.db.Begin() // immediate: the writers' lock is ours
	require.NoError(t, err)
	begun := make(chan struct{})
	done := b.submit(t, func() error {
		close(begun)
		return b.transfer(0, 1, 1)
	})
	<-begun
	if b.srv.Options().Files != runtime.FilesInline { // there it holds the loop up, by definition
		for range 5 {
			b.ping(t)
		}
		require.Empty(t, done, "it did not wait for the lock")
	}
	require.NoError(t, tx.Commit())
	wait(t, done)
	b.ping(t)
	require.Error(t, func() error { // an error of the database is done's
		done := b.submit(t, func() error {
			_, err := b.db.Exec(`INSERT INTO accounts VALUES (0, 0)`)
			return fmt.Errorf("a body's error: %w", err)
		})
		return <-done
	}())
}
