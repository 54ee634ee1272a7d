/*
 * The messages of framed and fanout, found in the bytes that come in.
 */
#ifndef MESSAGES_H
#define MESSAGES_H

#include "output.h"

struct conn;

/*
 * answer_frames turns whole frames (n is a multiple of FRAME_BYTES) into their
 * answers, moved together in place; those that read the disk are given to
 * read_block. It returns the bytes of the answers, or -1 for an unknown kind.
 */
static inline long answer_frames(uint8_t *data, size_t n, struct conn *c,
				 void (*read_block)(struct conn *, const uint8_t *))
{
	size_t answers = 0;
	for (size_t at = 0; at < n; at += FRAME_BYTES) {
		if (likely(data[at] == 0)) {
			if (answers != at)
				memcpy(data + answers, data + at, FRAME_BYTES);
			answers += FRAME_BYTES;
		} else if (data[at] == 1) {
			read_block(c, data + at);
		} else {
			return -1;
		}
	}
	return (long)answers;
}

/* The head of a message whose rest has not come. */
struct partial {
	uint8_t *data;
	uint32_t len, cap;
};

static void partial_add(struct partial *p, const uint8_t *data, size_t n)
{
	if (p->cap - p->len < n) {
		p->cap = p->len + (uint32_t)n > 256 ? MESSAGE_BYTES_MAX : 256;
		p->data = must(realloc(p->data, p->cap));
	}
	memcpy(p->data + p->len, data, n);
	p->len += (uint32_t)n;
}

static void partial_clear(struct partial *p)
{
	free(p->data);
	*p = (struct partial){0};
}

static inline bool message_length_ok(uint32_t len)
{
	return len >= MESSAGE_BYTES_MIN && len <= MESSAGE_BYTES_MAX;
}

/* partial_fill completes a message begun earlier; *used is what it took of data. False: a bad length. */
static bool partial_fill(struct partial *p, const uint8_t *data, size_t n, size_t *used, struct block **turn)
{
	size_t head = p->len < 4 ? 4 - p->len : 0;
	*used = head < n ? head : n;
	partial_add(p, data, *used);
	if (p->len < 4)
		return true;
	uint32_t len = load32(p->data);
	if (!message_length_ok(len))
		return false;
	size_t rest = len - p->len;
	if (rest > n - *used)
		rest = n - *used;
	partial_add(p, data + *used, rest);
	*used += rest;
	if (p->len == len) {
		*turn = block_append(*turn, p->data, len);
		partial_clear(p);
	}
	return true;
}

/*
 * collect_messages appends the complete messages of fanout in data to the
 * turn's block and keeps the rest for the next time. False: a bad length.
 */
static bool collect_messages(struct partial *p, const uint8_t *data, size_t n, struct block **turn)
{
	size_t used = 0, whole;
	if (unlikely(p->len)) {
		if (!partial_fill(p, data, n, &used, turn))
			return false;
		if (p->len)
			return true;
	}
	bool ok = true;
	for (whole = used; n - whole >= 4;) {
		uint32_t len = load32(data + whole);
		ok = message_length_ok(len);
		if (!ok || n - whole < len)
			break;
		whole += len;
	}
	if (whole > used)
		*turn = block_append(*turn, data + used, (uint32_t)(whole - used));
	if (ok && n > whole)
		partial_add(p, data + whole, n - whole);
	return ok;
}

#endif
