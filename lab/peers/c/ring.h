/*
 * The ring under iouring.c: set up with what the kernel has, one enter that
 * submits and waits, provided receive buffers. liburing prepares entries and
 * maps the ring; the enter is our own, since liburing 2.3 knows neither
 * min-timeout waiting nor NO_IOWAIT, and its set-up would write to the index
 * array that NO_SQARRAY leaves out.
 */
#ifndef RING_H
#define RING_H

#include "common.h"

#include <liburing.h>
#include <sys/mman.h>

/* Newer than the headers of liburing 2.3; the kernel's names and values. */
enum {
	SETUP_NO_SQARRAY = 1 << 16,  /* 6.6 */
	ENTER_NO_IOWAIT = 1 << 7,    /* 6.15 */
	FEAT_MIN_TIMEOUT = 1 << 15,  /* 6.12 */
	FEAT_NO_IOWAIT = 1 << 17,    /* 6.15 */
	PBUF_RING_INC = 2,           /* 6.12 */
	CQE_BUF_MORE = 1 << 4,       /* 6.12 */
	RECVSEND_BUNDLE = 1 << 4,    /* 6.10 */
};

/* io_uring_getevents_arg of 6.12: the padding became the shortest wait. */
struct wait_arg {
	uint64_t sigmask;
	uint32_t sigmask_bytes;
	uint32_t wait_us_min;
	uint64_t timeout;
};

enum { BUFFERS_MAX = 32768, VECTOR = 16 };

/* What sendmsg points to until its submission, one for each submission entry. */
struct bulk {
	struct msghdr message;
	struct iovec vector[VECTOR];
};

/* The switches; each one's effect stands in the table of iouring.c. */
static int entries = 1024, completions, defer = 1, ring_fd = 1, sqarray, iowait, min_wait_us, min_wait_events = 8, spin;
static int incremental = 1, buffer_bytes = 65536, buffer_count = 64;

static struct io_uring ring;

/*
 * Receive buffers. used is how much of each is filled. A buffer whose end was
 * reached goes to filled; its bytes may be in sends of this turn, so it is given
 * back only when the next turn's completions, and so those sends' failures, are in.
 */
static struct {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	uint32_t *used;
	uint16_t *place; /* of a buffer in the ring */
	uint16_t *filled, *sent;
	int filled_count, sent_count;
} buffers;

static void ring_setup(void)
{
	struct io_uring_params p = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_CLAMP,
		.cq_entries = (uint32_t)(completions ? completions : entries * 4),
	};
	p.flags |= defer ? IORING_SETUP_DEFER_TASKRUN : IORING_SETUP_COOP_TASKRUN;
	if (!sqarray)
		p.flags |= SETUP_NO_SQARRAY;
	struct io_uring_params tried = p;
	int fd = io_uring_setup((unsigned)entries, &p);
	if (fd == -EINVAL && !sqarray) { /* before 6.6 */
		p = tried;
		p.flags &= ~(unsigned)SETUP_NO_SQARRAY;
		sqarray = 1;
		fd = io_uring_setup((unsigned)entries, &p);
	}
	if (fd < 0)
		die("io_uring_setup: %s (Linux 6.1 at least, and kernel.io_uring_disabled 0)", strerror(-fd));
	int err = io_uring_queue_mmap(fd, &p, &ring);
	if (err)
		die("io_uring mmap: %s", strerror(-err));
	if (sqarray)
		for (unsigned i = 0; i < p.sq_entries; i++)
			ring.sq.array[i] = i;
	if (ring_fd && io_uring_register_ring_fd(&ring) != 1)
		ring_fd = 0;
	if (!(p.features & FEAT_NO_IOWAIT))
		iowait = 1;
	if (!(p.features & FEAT_MIN_TIMEOUT))
		min_wait_us = 0;
}

/* ring_enter submits all that is prepared and waits for at least that many completions. */
static void ring_enter(unsigned wait)
{
	unsigned flags = IORING_ENTER_GETEVENTS;
	if (ring_fd)
		flags |= IORING_ENTER_REGISTERED_RING;
	if (!iowait)
		flags |= ENTER_NO_IOWAIT;
	/* Without a longest wait too, the kernel ends an idle wait at the shortest: 10,000 wake-ups a second at 100 us. */
	struct __kernel_timespec longest = {.tv_sec = 3600};
	struct wait_arg arg = {.wait_us_min = (uint32_t)min_wait_us, .timeout = (uintptr_t)&longest};
	void *extra = NULL;
	size_t extra_bytes = 0;
	if (wait && min_wait_us) {
		flags |= IORING_ENTER_EXT_ARG;
		extra = &arg;
		extra_bytes = sizeof arg;
		wait = (unsigned)min_wait_events;
	}
	__atomic_store_n(ring.sq.ktail, ring.sq.sqe_tail, __ATOMIC_RELEASE);
	unsigned todo = ring.sq.sqe_tail - __atomic_load_n(ring.sq.khead, __ATOMIC_ACQUIRE);
	int n = io_uring_enter2((unsigned)ring.enter_ring_fd, todo, wait, flags, extra, extra_bytes);
	if (unlikely(n < 0 && n != -EINTR && n != -EAGAIN && n != -EBUSY && n != -ETIME))
		die("io_uring_enter: %s", strerror(-n));
}

/* ring_get is never NULL: a full queue is submitted first. */
static inline struct io_uring_sqe *ring_get(void)
{
	struct io_uring_sqe *e;
	while (unlikely(!(e = io_uring_get_sqe(&ring))))
		ring_enter(0);
	return e;
}

static inline void mark(struct io_uring_sqe *e, uint64_t user_data, unsigned flags)
{
	e->user_data = user_data;
	e->flags |= (uint8_t)flags;
}

static void buffer_put(uint16_t id)
{
	buffers.used[id] = 0;
	buffers.place[id] = buffers.ring->tail & (uint16_t)(buffer_count - 1);
	io_uring_buf_ring_add(buffers.ring, buffers.memory + (size_t)id * (size_t)buffer_bytes, (unsigned)buffer_bytes,
			      id, buffer_count - 1, 0);
	io_uring_buf_ring_advance(buffers.ring, 1);
}

static void buffers_setup(void)
{
	if (buffer_count < 1 || buffer_count > BUFFERS_MAX || buffer_count & (buffer_count - 1) || buffer_bytes < 16)
		die("--buffers %d --buffer-bytes %d: want a power of two up to %d, and 16 bytes", buffer_count, buffer_bytes,
		    BUFFERS_MAX);
	size_t count = (size_t)buffer_count;
	buffers.ring = mmap(NULL, count * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	buffers.memory = mmap(NULL, count * (size_t)buffer_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (buffers.ring == MAP_FAILED || buffers.memory == MAP_FAILED)
		die("receive buffers: %s", strerror(errno));
	buffers.used = must(calloc(count, sizeof *buffers.used));
	buffers.place = must(calloc(count, sizeof *buffers.place));
	buffers.filled = must(calloc(count, sizeof *buffers.filled));
	buffers.sent = must(calloc(count, sizeof *buffers.sent));
	struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)buffers.ring, .ring_entries = (uint32_t)buffer_count};
	reg.pad = incremental ? PBUF_RING_INC : 0; /* the field became flags */
	int err = io_uring_register_buf_ring(&ring, &reg, 0);
	if (err && incremental) { /* before 6.12 */
		incremental = 0;
		reg.pad = 0;
		err = io_uring_register_buf_ring(&ring, &reg, 0);
	}
	if (err)
		die("receive buffers: %s", strerror(-err));
	for (int i = 0; i < buffer_count; i++)
		buffer_put((uint16_t)i);
}

/*
 * buffer_take finds the bytes of a completion, or the first of them if a bundle
 * filled several buffers: n bytes at the result, id moves to the next buffer.
 */
static inline uint8_t *buffer_take(uint16_t *id, uint32_t rest, bool more, uint32_t *n)
{
	uint16_t b = *id;
	uint8_t *p = buffers.memory + (size_t)b * (size_t)buffer_bytes + buffers.used[b];
	uint32_t room = (uint32_t)buffer_bytes - buffers.used[b];
	*n = rest < room ? rest : room;
	buffers.used[b] += *n;
	bool last = *n == rest;
	if (!(last && more)) {
		buffers.filled[buffers.filled_count++] = b;
		if (!last)
			*id = buffers.ring->bufs[(buffers.place[b] + 1) & (buffer_count - 1)].bid;
	}
	return p;
}

/* buffers_turn gives back what the turn before has sent; call it when its completions are in. */
static inline void buffers_turn(void)
{
	for (int i = 0; i < buffers.sent_count; i++)
		buffer_put(buffers.sent[i]);
	uint16_t *swap = buffers.sent;
	buffers.sent = buffers.filled;
	buffers.sent_count = buffers.filled_count;
	buffers.filled = swap;
	buffers.filled_count = 0;
}

static void ring_free(void)
{
	io_uring_queue_exit(&ring);
	munmap(buffers.ring, (size_t)buffer_count * sizeof(struct io_uring_buf));
	munmap(buffers.memory, (size_t)buffer_count * (size_t)buffer_bytes);
	free(buffers.used);
	free(buffers.place);
	free(buffers.filled);
	free(buffers.sent);
}

#endif
