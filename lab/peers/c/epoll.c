/*
 * The yardstick of mechanism epoll: echo, framed and fanout in plain C.
 *
 *   cc -O2 -o c-epoll epoll.c -pthread
 *
 * One thread: epoll_wait, recv once for each event, send at once. A socket is
 * added once, for in and out, edge-triggered, so that no epoll_ctl is made
 * afterwards; a short recv says that the socket is empty. What a send leaves is
 * queued until EPOLLOUT. Fanout collects the messages of one epoll_wait in one
 * block that all connections share. Framed reads the disk in helper threads.
 *
 * Measured as in iouring.c: level-triggered 1.00 to 1.04 of this; --spin 1
 * (a poll with zero timeout before sleeping) 1.02 to 1.04, --spin 10 1.10.
 */
#include "common.h"
#include "crc32.h"
#include "messages.h"

#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

enum {
	EVENTS = 256,
	RECV_BYTES = 65536,
	RECVS_PER_EVENT_MAX = 16, /* then the others have their turn */
	VECTOR = 64,
};

/* What an event belongs to; a connection's carries its generation instead. */
enum { GEN_LISTENER, GEN_END, GEN_POOL, GEN_FIRST };

struct conn {
	uint32_t gen;
	int open_at;
	bool readable; /* there may be more to read and no event will say so */
	bool eof;      /* the peer sends no more; close once all is answered */
	bool listed;
	uint8_t carry_len;
	uint32_t reads; /* disk reads whose answers are due */
	struct queue out;
	union {
		uint8_t carry[FRAME_BYTES]; /* framed */
		struct partial partial;     /* fanout */
	};
};

#include "table.h"

/* One disk read. The loop owns it except between submission and hand-back. */
struct job {
	struct job *next;
	int fd;
	uint32_t gen;
	uint8_t frame[FRAME_BYTES];
};

static int spin, disk_threads = 32;
static int ep, listener, spare = -1;
static struct block *turn; /* fanout: the messages of this turn */
/* FRAME_BYTES in front: room for the bytes of a frame begun earlier. */
static uint8_t room[FRAME_BYTES + RECV_BYTES] __attribute__((aligned(64)));
static uint8_t *const buffer = room + FRAME_BYTES;

/* The helper threads of framed. todo is under todo_lock, done under done_lock. */
static struct {
	pthread_mutex_t todo_lock, done_lock;
	pthread_cond_t more;
	struct job *todo_head, **todo_tail, *done_head, **done_tail;
	struct job *unused; /* the loop's own */
	bool stop;          /* under todo_lock */
	int wake, disk;
	uint32_t blocks;
	pthread_t *threads;
} pool;

static void watch(int fd, uint32_t gen, uint32_t events)
{
	struct epoll_event ev = {.events = events, .data.u64 = (uint64_t)gen << 32 | (uint32_t)fd};
	if (epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) != 0)
		die("epoll_ctl: %s", strerror(errno));
}

static void conn_close(struct conn *c)
{
	int fd = (int)(c - conns);
	table_remove(c);
	close(fd); /* takes it out of the epoll set too */
}

static void conn_open(int fd)
{
	uint32_t gen = conns[fd].gen < GEN_FIRST ? GEN_FIRST : conns[fd].gen;
	table_add(fd, gen);
	watch(fd, gen, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
}

static void accept_all(void)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			conn_open(fd);
			continue;
		}
		if ((errno == EMFILE || errno == ENFILE) && spare >= 0) {
			/* Turn the caller away: left in the backlog it would wake us for ever. */
			close(spare);
			fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
			if (fd >= 0)
				close(fd);
			spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
			if (fd >= 0)
				continue;
		}
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

/* conn_finish closes a connection that is done with; true if it did. */
static bool conn_finish(struct conn *c)
{
	if (!c->eof || c->out.head || c->reads)
		return false;
	conn_close(c);
	return true;
}

/* flush sends what is queued. False: the connection is closed. */
static bool flush(struct conn *c)
{
	struct iovec v[VECTOR];
	while (c->out.head) {
		struct msghdr m = {.msg_iov = v, .msg_iovlen = (size_t)queue_vector(&c->out, v, VECTOR)};
		ssize_t n = sendmsg((int)(c - conns), &m, MSG_NOSIGNAL);
		if (n >= 0) {
			queue_sent(&c->out, (size_t)n);
		} else if (errno == EAGAIN) {
			return true;
		} else if (errno != EINTR) {
			conn_close(c);
			return false;
		}
	}
	return true;
}

/*
 * send_now sends without copying; from is set if bytes already lie in a block.
 * False: the connection is closed.
 */
static inline bool send_now(struct conn *c, const uint8_t *p, size_t n, struct block *from)
{
	ssize_t sent = 0;
	if (likely(!c->out.head)) {
		sent = send((int)(c - conns), p, n, MSG_NOSIGNAL);
		if (likely(sent == (ssize_t)n))
			return true;
		if (sent < 0) {
			if (errno != EAGAIN && errno != EINTR) {
				conn_close(c);
				return false;
			}
			sent = 0;
		}
	}
	if (from)
		queue_share(&c->out, from, (uint32_t)sent);
	else
		queue_copy(&c->out, p + sent, n - (size_t)sent);
	return true;
}

static void read_block(struct conn *c, const uint8_t *frame)
{
	struct job *j = pool.unused;
	if (j)
		pool.unused = j->next;
	else
		j = must(malloc(sizeof *j));
	j->next = NULL;
	j->fd = (int)(c - conns);
	j->gen = c->gen;
	memcpy(j->frame, frame, FRAME_BYTES);
	c->reads++;
	pthread_mutex_lock(&pool.todo_lock);
	*pool.todo_tail = j;
	pool.todo_tail = &j->next;
	pthread_mutex_unlock(&pool.todo_lock);
	pthread_cond_signal(&pool.more);
}

/* on_frames answers the frames in data, after those bytes that came before. False: closed. */
static bool on_frames(struct conn *c, uint8_t *data, size_t n)
{
	if (c->carry_len) {
		data -= c->carry_len;
		n += c->carry_len;
		memcpy(data, c->carry, c->carry_len);
	}
	size_t rest = n % FRAME_BYTES;
	long answers = answer_frames(data, n - rest, c, read_block);
	if (answers < 0) {
		conn_close(c);
		return false;
	}
	c->carry_len = (uint8_t)rest;
	memcpy(c->carry, data + n - rest, rest);
	return !answers || send_now(c, data, (size_t)answers, NULL);
}

static inline bool on_data(struct conn *c, size_t n)
{
	if (opt.workload == ECHO_PLAIN)
		return send_now(c, buffer, n, NULL);
	if (opt.workload == FRAMED)
		return on_frames(c, buffer, n);
	if (collect_messages(&c->partial, buffer, n, &turn))
		return true;
	conn_close(c);
	return false;
}

/* may_read is false while the connection has too much to be answered. Fanout closes such ones instead. */
static inline bool may_read(const struct conn *c)
{
	return opt.workload == FANOUT || (!c->out.head && c->reads < READS_PER_CONN_MAX);
}

static void on_readable(struct conn *c, uint32_t events)
{
	for (int i = 0; !c->eof; i++) {
		if (!may_read(c)) {
			c->readable = true;
			return;
		}
		if (i == RECVS_PER_EVENT_MAX) {
			c->readable = true;
			at_turn_end(c);
			return;
		}
		ssize_t n = recv((int)(c - conns), buffer, RECV_BYTES, 0);
		if (likely(n > 0)) {
			if (!on_data(c, (size_t)n))
				return;
			/* Less than asked for: the socket is empty. The next bytes are an event, but an end that was told is not. */
			if (likely(n < RECV_BYTES && !(events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))))
				break;
		} else if (n == 0) {
			c->eof = true;
		} else if (errno == EAGAIN) {
			break;
		} else if (errno != EINTR) {
			conn_close(c);
			return;
		}
	}
	c->readable = false;
	if (unlikely(c->eof))
		conn_finish(c);
}

/* look_again goes on with a connection after output or disk reads have made room. */
static void look_again(struct conn *c)
{
	if (!flush(c) || conn_finish(c))
		return;
	if (c->readable && may_read(c))
		on_readable(c, EPOLLRDHUP); /* as if an end were told: read until empty */
}

static void on_event(const struct epoll_event *ev)
{
	uint32_t gen = (uint32_t)(ev->data.u64 >> 32);
	struct conn *c = &conns[(uint32_t)ev->data.u64];
	if (unlikely(gen != c->gen || c->open_at < 0))
		return;
	if (unlikely(c->out.head && ev->events & (EPOLLOUT | EPOLLERR | EPOLLHUP))) {
		uint32_t was = c->gen;
		look_again(c);
		if (c->gen != was)
			return;
	}
	if (likely(ev->events & (EPOLLIN | EPOLLRDHUP | EPOLLERR | EPOLLHUP)))
		on_readable(c, ev->events);
}

/* take_answers sends what the helper threads have read. */
static void take_answers(void)
{
	uint64_t count;
	if (read(pool.wake, &count, sizeof count) < 0)
		return;
	pthread_mutex_lock(&pool.done_lock);
	struct job *j = pool.done_head;
	pool.done_head = NULL;
	pool.done_tail = &pool.done_head;
	pthread_mutex_unlock(&pool.done_lock);
	for (struct job *next; j; j = next) {
		next = j->next;
		struct conn *c = &conns[j->fd];
		if (c->gen == j->gen && c->open_at >= 0) {
			/* Queued, so that the answers to one connection leave together. */
			c->reads--;
			queue_copy(&c->out, j->frame, FRAME_BYTES);
			at_turn_end(c);
		}
		j->next = pool.unused;
		pool.unused = j;
	}
}

static void broadcast(void)
{
	/* Backwards: closing moves the last one, which has had its turn. */
	for (int i = open_count - 1; i >= 0; i--) {
		struct conn *c = &conns[open_list[i]];
		if (send_now(c, turn->data, turn->len, turn) && unlikely(c->out.bytes > opt.max_unsent))
			conn_close(c);
	}
	if (turn->refs > 1) {
		block_drop(turn);
		turn = block_new(4096);
	}
	turn->len = 0;
}

static void turn_end(void)
{
	if (turn && turn->len)
		broadcast();
	look_at_listed(look_again);
}

/* wait_events polls spin times before it sleeps. */
static int wait_events(struct epoll_event *events)
{
	int n = 0;
	for (int i = 0; i < spin && n == 0; i++)
		n = epoll_wait(ep, events, EVENTS, 0);
	return n ? n : epoll_wait(ep, events, EVENTS, turn_count ? 0 : -1);
}

static void serve(void)
{
	static struct epoll_event events[EVENTS];
	for (;;) {
		int n = wait_events(events);
		if (n < 0 && errno != EINTR)
			die("epoll_wait: %s", strerror(errno));
		for (int i = 0; i < n; i++) {
			uint32_t gen = (uint32_t)(events[i].data.u64 >> 32);
			if (likely(gen >= GEN_FIRST))
				on_event(&events[i]);
			else if (gen == GEN_LISTENER)
				accept_all();
			else if (gen == GEN_POOL)
				take_answers();
			else
				return;
		}
		if (turn_count || turn)
			turn_end();
	}
}

static void read_one(struct job *j, uint8_t *block)
{
	off_t at = (off_t)(load32(j->frame + 8) % pool.blocks) * BLOCK_BYTES;
	ssize_t n = pread(pool.disk, block, BLOCK_BYTES, at);
	int error = n < 0 ? errno : n < BLOCK_BYTES ? EIO : 0;
	block_answer(j->frame, error, error ? 0 : crc32_ieee(block, BLOCK_BYTES));
}

static void *helper(void *unused)
{
	(void)unused;
	uint8_t *block = must(aligned_alloc(BLOCK_BYTES, BLOCK_BYTES));
	pthread_mutex_lock(&pool.todo_lock);
	for (;;) {
		struct job *j = pool.todo_head;
		if (pool.stop)
			break;
		if (!j) {
			pthread_cond_wait(&pool.more, &pool.todo_lock);
			continue;
		}
		pool.todo_head = j->next;
		if (!pool.todo_head)
			pool.todo_tail = &pool.todo_head;
		pthread_mutex_unlock(&pool.todo_lock);
		read_one(j, block);
		j->next = NULL;
		pthread_mutex_lock(&pool.done_lock);
		bool first = !pool.done_head; /* later ones are taken with it */
		*pool.done_tail = j;
		pool.done_tail = &j->next;
		pthread_mutex_unlock(&pool.done_lock);
		if (first && write(pool.wake, &(uint64_t){1}, 8) < 0)
			die("eventfd: %s", strerror(errno));
		pthread_mutex_lock(&pool.todo_lock);
	}
	pthread_mutex_unlock(&pool.todo_lock);
	free(block);
	return NULL;
}

static void pool_start(void)
{
	pool.todo_tail = &pool.todo_head;
	pool.done_tail = &pool.done_head;
	pthread_mutex_init(&pool.todo_lock, NULL);
	pthread_mutex_init(&pool.done_lock, NULL);
	pthread_cond_init(&pool.more, NULL);
	pool.disk = open_disk(opt.disk_file, &pool.blocks);
	pool.wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	watch(pool.wake, GEN_POOL, EPOLLIN);
	pool.threads = must(calloc((size_t)disk_threads, sizeof *pool.threads));
	for (int i = 0; i < disk_threads; i++)
		if (pthread_create(&pool.threads[i], NULL, helper, NULL) != 0)
			die("--disk-threads %d: cannot start thread %d", disk_threads, i);
}

static void jobs_free(struct job *j)
{
	for (struct job *next; j; j = next) {
		next = j->next;
		free(j);
	}
}

static void pool_stop(void)
{
	pthread_mutex_lock(&pool.todo_lock);
	pool.stop = true;
	pthread_mutex_unlock(&pool.todo_lock);
	pthread_cond_broadcast(&pool.more);
	for (int i = 0; i < disk_threads; i++)
		pthread_join(pool.threads[i], NULL);
	jobs_free(pool.todo_head);
	jobs_free(pool.done_head);
	jobs_free(pool.unused);
	free(pool.threads);
}

int main(int argc, char **argv)
{
	const struct knob knobs[] = {
		{"spin", &spin}, {"disk-threads", &disk_threads}, {0},
	};
	parse_options(&opt, knobs, argc, argv);
	set_affinity(opt.cpus);
	crc32_init();
	int signals = signal_fd(), parent = parent_fd();
	listener = listen_tcp(opt.listen);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ep = epoll_create1(EPOLL_CLOEXEC);
	table_setup();
	if (opt.workload == FANOUT)
		turn = block_new(4096);
	watch(listener, GEN_LISTENER, EPOLLIN);
	watch(signals, GEN_END, EPOLLIN);
	if (parent >= 0)
		watch(parent, GEN_END, EPOLLIN);
	if (opt.workload == FRAMED)
		pool_start();
	print_ready(listener);
	serve();
	while (open_count)
		conn_close(&conns[open_list[open_count - 1]]);
	if (opt.workload == FRAMED)
		pool_stop();
	segments_free();
	free(turn);
	table_free();
	return 0;
}
