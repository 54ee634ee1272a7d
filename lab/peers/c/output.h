/*
 * Bytes on their way out: blocks shared by reference count and each
 * connection's queue of what could not be sent at once.
 */
#ifndef OUTPUT_H
#define OUTPUT_H

#include "common.h"

/* A run of bytes that any number of connections may have queued. */
struct block {
	uint32_t refs;
	uint32_t len, cap;
	uint8_t data[];
};

struct segment {
	struct segment *next;
	struct block *block;
	uint32_t from, to; /* of block->data; the rest of it belongs to others */
};

/* Invariant: bytes is the sum over the segments; empty means head is NULL. */
struct queue {
	struct segment *head, *tail;
	size_t bytes;
};

static struct segment *free_segments;

static struct block *block_new(uint32_t cap)
{
	struct block *b = must(malloc(sizeof *b + cap));
	b->refs = 1;
	b->len = 0;
	b->cap = cap;
	return b;
}

static inline void block_drop(struct block *b)
{
	if (--b->refs == 0)
		free(b);
}

/* block_append grows a block that nobody else holds yet. */
static struct block *block_append(struct block *b, const void *data, uint32_t n)
{
	if (unlikely(b->cap - b->len < n)) {
		uint32_t cap = b->cap * 2 > b->len + n ? b->cap * 2 : b->len + n;
		b = must(realloc(b, sizeof *b + cap));
		b->cap = cap;
	}
	memcpy(b->data + b->len, data, n);
	b->len += n;
	return b;
}

static void queue_share(struct queue *q, struct block *b, uint32_t from)
{
	struct segment *s = free_segments;
	if (s)
		free_segments = s->next;
	else
		s = must(malloc(sizeof *s));
	*s = (struct segment){NULL, b, from, b->len};
	b->refs++;
	if (q->head)
		q->tail->next = s;
	else
		q->head = s;
	q->tail = s;
	q->bytes += b->len - from;
}

/* queue_copy appends bytes that do not outlive the call. A last block of our own with room takes them. */
static void queue_copy(struct queue *q, const void *data, size_t n)
{
	struct segment *t = q->tail;
	if (q->head && t->block->refs == 1 && t->to == t->block->len && t->block->cap - t->block->len >= n) {
		memcpy(t->block->data + t->to, data, n);
		t->to = t->block->len += (uint32_t)n;
		q->bytes += n;
		return;
	}
	struct block *b = block_new(n < 4096 ? 4096 : (uint32_t)n);
	memcpy(b->data, data, n);
	b->len = (uint32_t)n;
	queue_share(q, b, 0);
	block_drop(b);
}

/* queue_vector describes the first bytes of the queue; it returns the number of pieces. */
static int queue_vector(const struct queue *q, struct iovec *v, int max)
{
	int n = 0;
	for (struct segment *s = q->head; s && n < max; s = s->next)
		v[n++] = (struct iovec){s->block->data + s->from, s->to - s->from};
	return n;
}

/* queue_sent takes n bytes off the front. */
static void queue_sent(struct queue *q, size_t n)
{
	q->bytes -= n;
	while (n) {
		struct segment *s = q->head;
		uint32_t here = s->to - s->from;
		if (n < here) {
			s->from += (uint32_t)n;
			return;
		}
		n -= here;
		q->head = s->next;
		block_drop(s->block);
		s->next = free_segments;
		free_segments = s;
	}
}

static void queue_clear(struct queue *q)
{
	queue_sent(q, q->bytes);
}

static void segments_free(void)
{
	for (struct segment *s = free_segments, *next; s; s = next) {
		next = s->next;
		free(s);
	}
}

#endif
