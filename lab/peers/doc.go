// Peers serves the lab's workloads with Go libraries that are not ours, so
// that experiments can compare like with like.
//
//	peers --engine gnet|nbio|netpoll|evio|net --workload echo|framed|fanout
//	      [--listen 127.0.0.1:0] [--cpus LIST] [--disk-file PATH] [--admin ADDR] [--tune WORDS]
//	peers --engine net --workload files --root DIR
//
// When it serves it prints one line of JSON on stdout,
//
//	{"listen":"127.0.0.1:PORT","pid":N,"admin":"127.0.0.1:PORT"}
//
// and nothing after it; complaints go to stderr. SIGINT and SIGTERM end it with
// exit status 0. Status 2 is a wrong flag, 3 an engine that cannot serve here
// (one line on stderr says why), 1 anything else: also that the process which
// started it has ended, after which it does not serve on.
//
// Build it with
//
//	go build -tags poll_opt .
//
// which gives gnet its faster poller. (The race detector's pointer check refuses that
// poller's unaligned epoll_event: test with -race without the tag.)
//
// # Workloads
//
//   - echo: every byte that comes in goes out.
//   - framed: requests of 16 bytes that may read a block of a file past the
//     page cache; frames.go has the format, which is that of workloads/echo.
//   - fanout: every message of a connection goes to all connections; fanout.go
//     has the format.
//   - files: net/http's file server (engine net only).
//
// # Each peer as its best users would write it
//
// One event loop, one CPU, TCP_NODELAY, as many Ps as serve it best, and of each library the way that
// measured best; the alternatives stay reachable by --tune, so that the
// choice can be measured again. The comment at the top of each engine's file
// says what was tried and the ratio of CPU per message to the choice made
// (64 connections, 16 bytes, 20,000/s unless said otherwise; one machine).
//
// No peer may hoard unsent bytes without end: a receiver that has more than
// maxUnsentBytes outstanding in user space is closed (the same bound as
// the runtime's Options.MaxUnsent), except where an engine's file says that the
// library cannot.
package main
