package fileserver

import (
	"github.com/syslet/syslet/runtime"
)

// entry is what is known of a path: a file, or why there is none.
type entry struct {
	key string
	// holds: the cache's and those of requests. At 0 the file is let go.
	holds     int
	checkedNs int64 // when what is known was asked for
	// status is 200; or what every request is answered: an error or, for a folder
	// without its slash, 301.
	status int
	id     identity
	file   *runtime.File  // nil: body has all of it
	body   *runtime.Block // nil: file is sent
	etag   []byte
	kind   string // the media type

	// answer is the head of the usual answer, 200 to HTTP/1.1, and behind it a
	// small body. The date in it is that of dateSec.
	answer  []byte
	headLen int
	dateAt  int
	dateSec int64

	older, newer *entry
}

// identity tells a version of a file from another.
type identity struct {
	dev, ino, size   uint64
	mtimeNs, ctimeNs int64
}

func (e *entry) mtimeSec() int64 { return floorSec(e.id.mtimeNs) }

func floorSec(ns int64) int64 {
	if ns < 0 {
		ns -= 1e9 - 1
	}
	return ns / 1e9
}

func (e *entry) release() {
	if e.holds--; e.holds == 0 && e.file != nil {
		e.file.Release()
		e.file = nil
	}
}

// cache has a shard's open files by path; the least recently used goes first.
type cache struct {
	most  int
	paths map[string]*entry
	ends  entry // ends.newer is the oldest, ends.older the newest
}

func newCache(most int) cache { return cache{most: most, paths: make(map[string]*entry)} }

// find gives the entry of path, however old, and makes it the newest.
func (k *cache) find(path []byte) *entry {
	e := k.paths[string(path)]
	if e != nil && k.ends.older != e {
		e.unlink()
		k.link(e)
	}
	return e
}

// put makes e the entry of its path, held by the cache.
func (k *cache) put(e *entry) {
	if old := k.paths[e.key]; old != nil {
		k.drop(old)
	}
	for len(k.paths) >= k.most {
		k.drop(k.ends.newer)
	}
	e.holds++
	k.paths[e.key] = e
	k.link(e)
}

func (k *cache) drop(e *entry) {
	delete(k.paths, e.key)
	e.unlink()
	e.release()
}

func (k *cache) clear() {
	for len(k.paths) > 0 {
		k.drop(k.ends.newer)
	}
}

func (k *cache) link(e *entry) {
	if k.ends.newer == nil {
		k.ends.newer, k.ends.older = &k.ends, &k.ends
	}
	e.older, e.newer = k.ends.older, &k.ends
	e.older.newer, k.ends.older = e, e
}

func (e *entry) unlink() {
	e.older.newer, e.newer.older = e.newer, e.older
	e.older, e.newer = nil, nil
}
