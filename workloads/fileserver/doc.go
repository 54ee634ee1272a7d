// Package fileserver serves the files of a folder over HTTP/1.1.
//
// What it speaks: GET and HEAD with keep-alive and pipelining (answers in order),
// HTTP/1.0; Range with one range, several (multipart/byteranges, up to 8) and
// If-Range; ETag and Last-Modified with If-Match, If-None-Match, If-Modified-Since
// and If-Unmodified-Since; index.html for a folder, with a redirect if the slash at
// its end is missing. Folders are not listed. Requests with a body are refused, so
// that there is none to misread, and so is every head that package http1 calls
// ambiguous.
//
// # Paths
//
// A path is decoded once; an encoded slash, a NUL, and a ".." above the root are
// 400. Other dot segments and double slashes are taken out. The file is opened by
// openat2(2) (Linux 5.6) with RESOLVE_BENEATH: whatever symbolic links there are, and
// whoever moves them meanwhile, the kernel opens nothing outside the root: 403.
//
// # How a request is answered
//
//	bytes --http1.Parse--> request --cache--> entry --> head, patched date + body
//	                                  |  ^                      from memory, or
//	                         miss or  |  |                      Conn.WriteFile
//	                         too old  v  |
//	                              lookup: a syslet, openat2 - statx - pread
//
// Each shard has a cache of open files, least recently used out. An entry is good
// for Config.Valid; then the file is looked up again, and is a new entry if it has
// changed. A request that has to wait stays in the connection's buffer, is not
// consumed, and is read again when the lookup has ended: there is no other state of
// a request. What is asked for by many at once is looked up once.
//
// Files of up to Config.InMemory bytes are kept in memory, head and body as one run
// of bytes: one send. Larger ones are sent from the page cache by sendfile(2);
// package models/internal/outlet has the figures that the border is drawn by.
//
// While an answer is not taken by the peer, no further request of the connection is
// answered (Conn.PauseUntilSent). Slow clients are for Options.IdleTimeout.
package fileserver
