/*
 * The yardstick of mechanism io_uring: echo, framed and fanout in plain C.
 *
 *   cc -O2 -o c-iouring iouring.c -luring -pthread
 *
 * One thread, one ring, one enter for each turn: it submits what the turn
 * before prepared and waits. Multishot accept into direct descriptors,
 * multishot recv into shared incremental buffers, and sends straight from
 * there. A send is MSG_DONTWAIT | MSG_WAITALL with CQE_SKIP: it either is done
 * when the enter returns, and says nothing, or fails with the number of bytes
 * that it managed. So its bytes need no copy and no count of users; only what
 * a full socket leaves is copied, queued and sent by a request that waits.
 *
 * What each switch does to the CPU time per message: the ratio to this program
 * as it is, median of paired slices, servers on one CPU and load on the other,
 * Linux 6.18 in a virtual machine. Echo, 64 connections, 16 bytes, at
 * saturation and at 20,000/s; fan-out to 500, 64 bytes, two runs.
 *
 *                                        saturation  20,000/s  fan-out
 *   (itself again: what noise does)            1.00      0.97       -
 *   (c-epoll, for comparison)                  1.05      0.96     1.29, 1.45
 *   --no-direct     plain descriptors          1.01      0.98     1.01, 0.97
 *   --no-incremental with 4 KiB buffers        1.01      1.03       -    (16 KiB messages: 1.21)
 *   --no-ring-fd    ring not registered        1.01      0.94       -
 *   --no-defer      COOP, not DEFER_TASKRUN    1.02      1.02       -
 *   --no-skip       a completion per send      1.00      0.97     1.04, 1.06
 *   --sqarray       index array kept           1.00      0.96       -
 *   --iowait        no NO_IOWAIT               1.00      0.97       -
 *   --no-poll-first                            1.00      0.94       -
 *   --bundle        bundled receives           1.00      0.98       -    (16 KiB messages: 0.995)
 *   --spin 1        poll before sleeping       1.01      0.99       -
 *   --entries 256                              1.00      0.95     0.98, 1.04
 *   --completions 16384                        1.00        -        -
 *   --min-wait 50   us, for 4 events             -       0.83       -    median latency 63 to 90 us
 *   --min-wait 200  us, for 16 events            -       0.65       -    to 223 us
 *
 * At 20,000/s 95 % of a median lie within 0.05 to 0.1: no switch but --min-wait
 * is told from noise there. At saturation: within 0.01.
 *
 * At 20,000/s each other message finds the server asleep, and the sleep and
 * the cold start after it cost more than the mechanism. Only waiting for more
 * (--min-wait) changes that, and it buys CPU with latency: off unless asked for.
 */
#include "common.h"
#include "messages.h"
#include "reads.h"
#include "ring.h"

#include <poll.h>

enum op { OP_ACCEPT, OP_CALLER, OP_RECV, OP_SEND, OP_QUEUED, OP_READ, OP_END, OP_NONE };

enum {
	UNSENT_PAUSE = 256 << 10, /* bytes queued at which echo and framed stop reading */
	GEN_MASK = 0xffffff,
};

/*
 * A connection lies at its direct descriptor's place (or its descriptor's).
 * It is released only when the kernel holds no request of it any more: armed
 * and sending are false. Completions carry gen.
 */
struct conn {
	uint32_t gen;
	int open_at;
	bool armed;   /* a multishot recv is in the kernel */
	bool sending; /* a request that sends the queue is in the kernel */
	bool paused;  /* too much is unanswered: do not arm */
	bool eof;     /* the peer sends no more; close once all is answered */
	bool closing; /* an error: close as soon as the kernel lets go */
	bool listed;
	bool cancelled;
	uint8_t carry_len;
	uint32_t reads;              /* disk reads whose answers are due */
	uint8_t *now, *last;         /* what this turn sends; what the turn before sent */
	uint32_t now_bytes, last_bytes;
	uint64_t last_turn;
	struct queue out;
	union {
		uint8_t carry[FRAME_BYTES]; /* framed */
		struct partial partial;     /* fanout */
	};
};

#include "table.h"

static int direct = 1, bundle, poll_first = 1, skip = 1;
static int listener, signals, parent, spare = -1;
static bool accepting, stopped;
static uint64_t turn_number;
static struct block *turn, *turn_before; /* fanout: messages of this turn; what the turn before sent */
static struct bulk *bulks;

static inline uint64_t tag(enum op op, uint32_t gen, uint32_t slot)
{
	return (uint64_t)op << 56 | (uint64_t)(gen & GEN_MASK) << 32 | slot;
}

static inline uint64_t conn_tag(enum op op, const struct conn *c)
{
	return tag(op, c->gen, (uint32_t)(c - conns));
}

static inline unsigned conn_flags(void)
{
	return direct ? IOSQE_FIXED_FILE : 0;
}

static void arm_accept(void)
{
	struct io_uring_sqe *e = ring_get();
	if (direct)
		io_uring_prep_multishot_accept_direct(e, listener, NULL, NULL, 0);
	else
		io_uring_prep_multishot_accept(e, listener, NULL, NULL, SOCK_CLOEXEC);
	mark(e, tag(OP_ACCEPT, 0, 0), 0);
	accepting = true;
}

static void arm_recv(struct conn *c)
{
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_recv_multishot(e, (int)(c - conns), NULL, 0, 0);
	e->ioprio |= (uint16_t)((poll_first ? IORING_RECVSEND_POLL_FIRST : 0) | (bundle ? RECVSEND_BUNDLE : 0));
	mark(e, conn_tag(OP_RECV, c), IOSQE_BUFFER_SELECT | conn_flags());
	c->armed = true;
}

static void cancel(uint64_t user_data)
{
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_cancel64(e, user_data, 0);
	mark(e, tag(OP_NONE, 0, 0), IOSQE_CQE_SKIP_SUCCESS);
}

static void conn_open(int slot)
{
	arm_recv(table_add(slot, conns[slot].gen));
}

static void conn_release(struct conn *c)
{
	int slot = (int)(c - conns);
	table_remove(c);
	if (!direct) {
		/* Sends of this turn still name the descriptor. */
		ring_enter(0);
		close(slot);
		return;
	}
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_close_direct(e, (unsigned)slot);
	mark(e, tag(OP_NONE, 0, 0), IOSQE_CQE_SKIP_SUCCESS);
}

static void conn_fail(struct conn *c)
{
	c->closing = true;
	at_turn_end(c);
}

/*
 * turn_away closes the connection that comes next: descriptors are short, and
 * in the backlog it would wake us for ever. The next caller arms accept again:
 * armed now it would only fail again, caller or not. (A full table of direct
 * descriptors needs none of this: the kernel accepts and closes.)
 */
static void turn_away(void)
{
	close(spare);
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd >= 0)
		close(fd);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_poll_add(e, listener, POLLIN);
	mark(e, tag(OP_CALLER, 0, 0), 0);
	accepting = true; /* as good as */
}

static void on_accept(int res, unsigned flags)
{
	if (!(flags & IORING_CQE_F_MORE))
		accepting = false;
	if (res >= 0)
		conn_open(res);
	else if ((res == -EMFILE || res == -ENFILE) && spare >= 0 && !direct)
		turn_away();
}

/* send_now prepares the send that is done, or fails, within the submission. */
static inline void send_now(struct conn *c, const uint8_t *p, uint32_t n)
{
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_send(e, (int)(c - conns), p, n, MSG_DONTWAIT | MSG_WAITALL | MSG_NOSIGNAL);
	mark(e, conn_tag(OP_SEND, c), conn_flags() | (skip ? IOSQE_CQE_SKIP_SUCCESS : 0));
}

/* send_queued prepares the send of the queue's first pieces, which waits until the socket has taken them. */
static void send_queued(struct conn *c)
{
	struct io_uring_sqe *e = ring_get();
	struct bulk *b = &bulks[e - ring.sq.sqes];
	b->message = (struct msghdr){.msg_iov = b->vector};
	b->message.msg_iovlen = (size_t)queue_vector(&c->out, b->vector, VECTOR);
	io_uring_prep_sendmsg(e, (int)(c - conns), &b->message, MSG_WAITALL | MSG_NOSIGNAL);
	mark(e, conn_tag(OP_QUEUED, c), conn_flags());
	c->sending = true;
}

/* on_send is told of a send that met a full socket or an error (and of every send with --no-skip). */
static void on_send(struct conn *c, int res)
{
	uint32_t bytes = opt.workload == FANOUT ? turn_before->len : c->last_bytes;
	if (res == (int)bytes)
		return;
	if (res < 0 && res != -EAGAIN && res != -EINTR) {
		conn_fail(c);
		return;
	}
	uint32_t done = res > 0 ? (uint32_t)res : 0;
	/* Ahead of what was queued since. */
	struct queue since = c->out;
	c->out = (struct queue){0};
	if (opt.workload == FANOUT)
		queue_share(&c->out, turn_before, done);
	else
		queue_copy(&c->out, c->last + done, bytes - done);
	if (since.head) {
		c->out.tail->next = since.head;
		c->out.tail = since.tail;
		c->out.bytes += since.bytes;
	}
	at_turn_end(c);
}

static void on_queued(struct conn *c, int res)
{
	c->sending = false;
	if (res < 0 && res != -EAGAIN && res != -EINTR)
		c->closing = true;
	else if (res > 0)
		queue_sent(&c->out, (size_t)res);
	at_turn_end(c);
}

/* answer sends n bytes at the turn's end; p lives until the next turn's completions are in. */
static inline void answer(struct conn *c, uint8_t *p, uint32_t n)
{
	if (likely(!c->now_bytes)) {
		c->now = p;
		c->now_bytes = n;
		at_turn_end(c);
	} else if (c->now + c->now_bytes == p) {
		c->now_bytes += n;
	} else {
		queue_copy(&c->out, c->now, c->now_bytes);
		queue_copy(&c->out, p, n);
		c->now_bytes = 0;
	}
}

static void read_block(struct conn *c, const uint8_t *frame)
{
	struct disk_read r = {.slot = (int)(c - conns), .gen = c->gen};
	memcpy(r.frame, frame, FRAME_BYTES);
	c->reads++;
	read_ask(&r, tag(OP_READ, 0, 0));
}

static void on_read(int i, int res)
{
	struct disk_read *r = read_done(i, res);
	struct conn *c = &conns[r->slot];
	if (c->gen != r->gen || c->open_at < 0)
		return;
	c->reads--;
	answer(c, r->frame, FRAME_BYTES);
}

static void on_frames(struct conn *c, uint8_t *data, uint32_t n)
{
	if (unlikely(c->carry_len)) {
		uint32_t need = FRAME_BYTES - c->carry_len;
		uint32_t take = n < need ? n : need;
		memcpy(c->carry + c->carry_len, data, take);
		c->carry_len += (uint8_t)take;
		data += take;
		n -= take;
		if (c->carry_len < FRAME_BYTES)
			return;
		c->carry_len = 0;
		long one = answer_frames(c->carry, FRAME_BYTES, c, read_block);
		if (one < 0) {
			conn_fail(c);
			return;
		}
		queue_copy(&c->out, c->carry, (size_t)one);
		at_turn_end(c);
	}
	uint32_t rest = n % FRAME_BYTES;
	long answers = answer_frames(data, n - rest, c, read_block);
	if (answers < 0) {
		conn_fail(c);
		return;
	}
	c->carry_len = (uint8_t)rest;
	memcpy(c->carry, data + n - rest, rest);
	if (answers)
		answer(c, data, (uint32_t)answers);
}

static inline void on_data(struct conn *c, uint8_t *data, uint32_t n)
{
	if (unlikely(c->closing))
		return;
	if (opt.workload == ECHO_PLAIN)
		answer(c, data, n);
	else if (opt.workload == FRAMED)
		on_frames(c, data, n);
	else if (!collect_messages(&c->partial, data, n, &turn))
		conn_fail(c);
}

static inline void on_recv(struct conn *c, int res, unsigned flags)
{
	if (likely(res > 0)) {
		uint16_t id = (uint16_t)(flags >> IORING_CQE_BUFFER_SHIFT);
		uint32_t n;
		for (uint32_t rest = (uint32_t)res; rest; rest -= n) {
			uint8_t *data = buffer_take(&id, rest, flags & CQE_BUF_MORE, &n);
			on_data(c, data, n);
		}
	} else if (res == 0) {
		c->eof = true;
	} else if (res != -ENOBUFS && res != -ECANCELED && res != -EINTR) {
		c->closing = true;
	}
	if (unlikely(!(flags & IORING_CQE_F_MORE))) {
		/* Ended, for want of buffers or of room for completions or for good: the turn's end arms it again. */
		c->armed = false;
		at_turn_end(c);
	}
}

static inline void on_completion(const struct io_uring_cqe *q)
{
	enum op op = (enum op)(q->user_data >> 56);
	uint32_t slot = (uint32_t)q->user_data;
	if (op == OP_RECV || op == OP_SEND || op == OP_QUEUED) {
		struct conn *c = &conns[slot];
		if (unlikely((q->user_data >> 32 & GEN_MASK) != (c->gen & GEN_MASK) || c->open_at < 0))
			return; /* only a failed send can be so late: it holds no buffer */
		if (op == OP_RECV)
			on_recv(c, q->res, q->flags);
		else if (op == OP_SEND)
			on_send(c, q->res);
		else
			on_queued(c, q->res);
	} else if (op == OP_ACCEPT) {
		on_accept(q->res, q->flags);
	} else if (op == OP_CALLER) {
		accepting = false; /* the turn's end arms it */
	} else if (op == OP_READ) {
		on_read((int)slot, q->res);
	} else if (op == OP_END) {
		stopped = true;
	}
}

static unsigned harvest(void)
{
	unsigned head = *ring.cq.khead, total = 0;
	for (;;) {
		unsigned tail = __atomic_load_n(ring.cq.ktail, __ATOMIC_ACQUIRE);
		if (head == tail) {
			if (likely(!(__atomic_load_n(ring.sq.kflags, __ATOMIC_RELAXED) & IORING_SQ_CQ_OVERFLOW)))
				return total;
			ring_enter(0); /* moves the overflow into the ring, which is empty */
			continue;
		}
		for (; head != tail; head++, total++)
			on_completion(&ring.cq.cqes[head & *ring.cq.kring_mask]);
		__atomic_store_n(ring.cq.khead, head, __ATOMIC_RELEASE);
	}
}

/* close_now lets go of a connection, first taking its requests back from the kernel. */
static void close_now(struct conn *c)
{
	c->closing = true;
	c->now_bytes = 0;
	if (!c->armed && !c->sending) {
		conn_release(c);
		return;
	}
	if (c->cancelled)
		return;
	c->cancelled = true;
	if (c->armed)
		cancel(conn_tag(OP_RECV, c));
	if (c->sending)
		cancel(conn_tag(OP_QUEUED, c));
}

static void pause_or_arm(struct conn *c)
{
	bool much = opt.workload != FANOUT && (c->out.bytes >= UNSENT_PAUSE || c->reads >= READS_PER_CONN_MAX);
	if (c->armed && much && !c->paused) {
		c->paused = true;
		cancel(conn_tag(OP_RECV, c));
	} else if (!c->armed && !c->eof && !much) {
		c->paused = false;
		arm_recv(c);
	}
}

/* settle does at the turn's end what the turn asked of one connection. */
static inline void settle(struct conn *c)
{
	if (unlikely(c->closing)) {
		close_now(c);
		return;
	}
	if (likely(c->now_bytes)) {
		if (likely(!c->out.head)) {
			send_now(c, c->now, c->now_bytes);
			c->last = c->now;
			c->last_bytes = c->now_bytes;
			c->last_turn = turn_number;
		} else {
			queue_copy(&c->out, c->now, c->now_bytes);
		}
		c->now_bytes = 0;
	}
	if (unlikely(c->out.head && !c->sending))
		send_queued(c);
	if (unlikely(!c->armed || c->out.head || c->paused || c->reads))
		pause_or_arm(c);
	if (unlikely(c->eof && !c->out.head && !c->reads)) {
		if (c->last_turn == turn_number)
			at_turn_end(c); /* the send may fail yet: wait for the next turn */
		else
			close_now(c);
	}
}

static void broadcast(void)
{
	for (int i = 0; i < open_count; i++) {
		struct conn *c = &conns[open_list[i]];
		if (unlikely(c->closing))
			continue;
		if (likely(!c->out.head)) {
			send_now(c, turn->data, turn->len);
			c->last_turn = turn_number;
			continue;
		}
		queue_share(&c->out, turn, 0);
		at_turn_end(c);
		if (c->out.bytes > opt.max_unsent)
			c->closing = true;
	}
	/* turn_before was sent two turns ago and nobody but the queues needs it. */
	struct block *spare_block = turn_before;
	turn_before = turn;
	if (spare_block->refs > 1) {
		block_drop(spare_block);
		spare_block = block_new(4096);
	}
	spare_block->len = 0;
	turn = spare_block;
}

static void turn_end(void)
{
	turn_number++;
	buffers_turn();
	if (opt.workload == FANOUT && turn->len)
		broadcast();
	else if (opt.workload == FRAMED)
		reads_turn(tag(OP_READ, 0, 0));
	look_at_listed(settle);
	if (unlikely(!accepting))
		arm_accept();
}

static void end_upon(int fd)
{
	struct io_uring_sqe *e = ring_get();
	io_uring_prep_poll_add(e, fd, POLLIN);
	mark(e, tag(OP_END, 0, 0), 0);
}

static void serve(void)
{
	arm_accept();
	end_upon(signals);
	if (parent >= 0)
		end_upon(parent);
	while (!stopped) {
		unsigned got = 0;
		/* Submits, and polls spin times before it sleeps. */
		for (int i = 0; i < spin && !got; i++) {
			ring_enter(0);
			got = harvest();
		}
		if (!got) {
			ring_enter(turn_count ? 0 : 1);
			harvest();
		}
		turn_end();
	}
}

static void files_setup(void)
{
	table_setup();
	bulks = must(calloc(*ring.sq.kring_entries, sizeof *bulks));
	int err = direct ? io_uring_register_files_sparse(&ring, (unsigned)opt.files_max) : 0;
	if (err)
		die("%d direct descriptors: %s", opt.files_max, strerror(-err));
}

static void free_all(void)
{
	ring_free(); /* first: the kernel may still write to buffers */
	while (open_count)
		table_remove(&conns[open_list[open_count - 1]]);
	reads_free();
	segments_free();
	free(turn);
	free(turn_before);
	table_free();
	free(bulks);
}

int main(int argc, char **argv)
{
	const struct knob knobs[] = {
		{"entries", &entries}, {"completions", &completions}, {"defer", &defer}, {"ring-fd", &ring_fd}, {"sqarray", &sqarray},
		{"iowait", &iowait}, {"min-wait", &min_wait_us}, {"min-wait-events", &min_wait_events}, {"spin", &spin},
		{"incremental", &incremental}, {"buffer-bytes", &buffer_bytes}, {"buffers", &buffer_count},
		{"direct", &direct}, {"bundle", &bundle}, {"poll-first", &poll_first}, {"skip", &skip},
		{"fixed-reads", &fixed_reads}, {0},
	};
	parse_options(&opt, knobs, argc, argv);
	set_affinity(opt.cpus);
	crc32_init();
	signals = signal_fd();
	parent = parent_fd();
	listener = listen_tcp(opt.listen);
	spare = open("/dev/null", O_RDONLY | O_CLOEXEC);
	ring_setup();
	buffers_setup();
	files_setup();
	if (opt.workload == FRAMED)
		disk_setup(opt.disk_file);
	if (opt.workload == FANOUT) {
		turn = block_new(4096);
		turn_before = block_new(4096);
	}
	print_ready(listener);
	serve();
	free_all();
	return 0;
}
